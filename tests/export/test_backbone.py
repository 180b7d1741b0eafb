"""A backbone alone in a file, for any number of images of any size."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.commands.export import main
from swin_mmdet.export import ExportOptions, export_backbone
from swin_mmdet.export.backbone import MOST, MapDifference, check_maps
from swin_mmdet.export.pictures import picture
from swin_mmdet.export.runtime import Backbone, Detector
from tests.export.small import FAMILIES, small_detector

CONFIG = 'configs/' + FAMILIES['Mask R-CNN']


def images(count, size):
    return np.stack([picture(*size, seed).transpose(2, 0, 1) for seed in range(count)])


def test_maps_that_differ_are_refused(user_error):
    close, far = (MapDifference(1, (64, 64), most, 3.0) for most in (0.5 * MOST, 2 * MOST))
    assert check_maps([close], 'backbone.onnx', half=False)[0]['maps'] == 0.5 * MOST
    with pytest.raises(user_error, match=r"backbone\.onnx is not kept: its maps are not the backbone's"):
        check_maps([close, far], 'backbone.onnx', half=False)
    check_maps([far], 'backbone.onnx', half=True)
    with pytest.raises(user_error):
        check_maps([MapDifference(1, (64, 64), float('nan'), 3.0)], 'backbone.onnx', half=True)


@pytest.mark.parametrize('option', ['--paste-masks', '--score-thr=0.5', '--max-detections=5'])
def test_what_only_detectors_have_is_refused(option, repository, tmp_path, user_error):
    (tmp_path / 'weights.pth').write_bytes(b'')
    arguments = [repository / CONFIG, tmp_path / 'weights.pth', tmp_path / 'backbone.pt2']
    with pytest.raises(user_error, match='--backbone exports maps'):
        main([*map(str, arguments), '--to', 'torch', '--backbone', option])


@pytest.mark.long
@pytest.mark.parametrize('version', ['', 'V2'])
@pytest.mark.parametrize('kind', ['torch', 'onnx'])
def test_batches_and_sizes_are_free(kind, version, repository, tmp_path):
    if kind == 'onnx':
        pytest.importorskip('onnxscript')
        pytest.importorskip('onnxruntime')
    model, cfg = small_detector(repository / CONFIG, version)
    out = tmp_path / ('backbone.onnx' if kind == 'onnx' else 'backbone.pt2')
    differences = export_backbone(model.backbone, cfg, out, ExportOptions(to=kind, most=256))
    assert [one.batch for one in differences] == [1, 2, 3]
    exported = Backbone(out)
    for count, size in ((1, (64, 64)), (4, (96, 256))):
        batch = images(count, size)
        maps = exported(batch)
        assert list(maps) == ['stride_4', 'stride_8']
        with torch.no_grad():
            inputs = model.data_preprocessor({'inputs': [torch.from_numpy(one[::-1].copy()) for one in batch]})
            expected = model.backbone(inputs['inputs'])
        for one, other in zip(maps.values(), expected, strict=True):
            np.testing.assert_allclose(one, other.numpy(), rtol=0, atol=MOST)
    with pytest.raises(ValueError, match='sides from 64 to 256 in multiples of 32'):
        exported(images(1, (64, 72)))
    with pytest.raises(ValueError, match='is an exported backbone, and this reads a detector'):
        Detector(out)


@pytest.mark.long
def test_the_program_of_the_command_takes_weights_of_detectors_and_of_backbones(repository, tmp_path, capsys):
    model, cfg = small_detector(repository / CONFIG)
    cfg.dump(tmp_path / 'config.py')
    for name, weights in (('detector', model.state_dict()), ('backbone', model.backbone.state_dict())):
        torch.save({'state_dict': weights, 'meta': {}}, tmp_path / f'{name}.pth')
        out = tmp_path / f'{name}.pt2'
        arguments = [tmp_path / 'config.py', tmp_path / f'{name}.pth', out, '--to', 'torch', '--size', '64', '64']
        main([*map(str, arguments), '--backbone'])
        assert "has the backbone's maps" in capsys.readouterr().out
    one, other = (Backbone(tmp_path / f'{name}.pt2')(images(2, (64, 64))) for name in ('detector', 'backbone'))
    assert all((one[name] == other[name]).all() for name in one)
