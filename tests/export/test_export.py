"""Files of exported detectors, from the command to their runtime in a process that has torch alone."""

import json
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from PIL import Image
from torch import nn

from swin_mmdet.commands.export import main
from swin_mmdet.export import ExportOptions, export_detector
from swin_mmdet.export.pictures import picture
from swin_mmdet.export.runtime import Detector
from swin_mmdet.export.targets import Target
from swin_mmdet.export.two_stage import TwoStage
from tests.export.small import small_detector
from tests.export.test_programs import ProgramItself

pytestmark = pytest.mark.long

CONFIG = 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'


@pytest.fixture(scope='module')
def trained(repository, tmp_path_factory):
    """A config file and a checkpoint of the quickstart's detector, made small."""
    folder = tmp_path_factory.mktemp('trained')
    model, cfg = small_detector(repository / CONFIG)
    cfg.test_dataloader.dataset.pipeline[1].scale = (96, 64)
    meta = {'dataset_meta': {'classes': ('circle', 'square', 'triangle')}}
    torch.save({'state_dict': model.state_dict(), 'meta': meta}, folder / 'weights.pth')
    cfg.dump(folder / 'config.py')
    return folder


@pytest.fixture(scope='module')
def exported(trained):
    """The program of torch for images of one size, with its runtime beside it."""
    out = trained / 'model.pt2'
    arguments = [trained / 'config.py', trained / 'weights.pth', out, '--to', 'torch', '--size', '64', '96']
    main([*map(str, arguments), '--runtime', '--max-detections', '7'])
    return out


def test_the_proof_is_in_the_file(exported):
    about = Detector(exported).about
    assert about['classes'] == ['circle', 'square', 'triangle']
    assert about['outputs'] == ['boxes', 'scores', 'labels', 'masks']
    assert about['checkpoint']['name'] == 'weights.pth'
    assert len(about['proof']) == 3
    assert all(one['pairs'] == 7 and not one['alone'] for one in about['proof'])
    assert max(one['boxes'] for one in about['proof']) < 0.01


RUN = """
import sys, importlib.abc
class OnlyThese(importlib.abc.MetaPathFinder):
    def find_spec(self, name, path=None, target=None):
        if name.partition('.')[0] in ('torchvision', 'mmdet', 'mmengine', 'mmcv', 'cv2', 'swin_mmdet'):
            raise ImportError(name + ' is not here')
sys.meta_path.insert(0, OnlyThese())
sys.argv = sys.argv[1:]
sys.path.insert(0, sys.argv[0].rpartition('/')[0])
import runpy
runpy.run_path(sys.argv[0], run_name='__main__')
"""


def test_the_runtime_runs_with_torch_alone(exported, tmp_path):
    Image.fromarray(picture(128, 200, 3)).save(tmp_path / 'image.png')
    runtime = exported.with_name('swin_mmdet_runtime.py')
    command = [sys.executable, '-c', RUN, runtime, exported, tmp_path / 'image.png', '--score-thr', '0', '--out',
               tmp_path / 'results.json', '--draw', tmp_path / 'drawn']  # fmt: skip
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert 'image.png: 7 objects' in done.stdout
    found = Detector(exported)(picture(128, 200, 3), score_thr=0.0)
    rows = json.loads((tmp_path / 'results.json').read_text())
    left_top = [row['bbox'][:2] for row in rows]
    np.testing.assert_allclose(left_top, found.boxes[:, :2], atol=0.01)
    assert found.masks.shape == (7, 128, 200)
    assert Image.open(tmp_path / 'drawn/image.png').size == (200, 128)
    command[5:] = ['gone.png']
    done = subprocess.run([str(word) for word in command], capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stderr.splitlines()[-1].startswith('error: ')


CASES = {
    'torch': ('configs/swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py', 'V2', 'model.pt2'),
    'onnx': (CONFIG, '', 'model.onnx'),
}


@pytest.mark.parametrize('kind', CASES)
def test_one_program_serves_every_size(kind, repository, tmp_path):
    """And what `export_detector` was not to change it has not."""
    path, version, name = CASES[kind]
    if kind == 'onnx':
        pytest.importorskip('onnxruntime')
        pytest.importorskip('onnxscript')
    model, cfg = small_detector(repository / path, version)
    cfg.test_dataloader.dataset.pipeline[1].scale = (96, 64)
    before = {name: parameter.clone() for name, parameter in model.state_dict().items()}
    options = ExportOptions(to=kind, most=256)
    differences = export_detector(model, cfg, tmp_path / name, options, classes=['object'] * 80)
    assert {one.size for one in differences} >= {(64, 64), (64, 192), (256, 96), (64, 96), (51, 70)}
    assert all(one.pairs > 5 for one in differences)
    assert model.data_preprocessor is not None
    assert all(torch.equal(one, before[name]) for name, one in model.state_dict().items())
    assert [path.name for path in tmp_path.iterdir()] == [name]
    assert Detector(tmp_path / name).about['free'] == {'divisor': 32, 'least': 64, 'most': 256}


@pytest.mark.parametrize('kind', ['openvino', 'aoti'])
def test_other_kinds_of_files_find_the_same(kind, trained):
    if kind == 'openvino':
        pytest.importorskip('openvino')
    elif not shutil.which('g++'):
        pytest.skip('AOTInductor needs g++')
    out = trained / ('model.xml' if kind == 'openvino' else 'compiled.pt2')
    arguments = [trained / 'config.py', trained / 'weights.pth', out, '--to', kind, '--size', '64', '96']
    main([*map(str, arguments), '--paste-masks'])
    detector = Detector(out)
    assert detector.about['outputs'] == ['boxes', 'scores', 'labels', 'full_masks']
    assert all(one['pairs'] >= 5 for one in detector.about['proof'])
    beside = out.with_suffix('.bin') if kind == 'openvino' else out
    changed = bytearray(beside.read_bytes())
    changed[len(changed) // 2] ^= 1
    beside.write_bytes(changed)
    with pytest.raises(ValueError, match='is not as it was written'):
        Detector(out)


@pytest.mark.parametrize('precision', ['--fp16', '--int8'])
def test_lower_precision_finds_nearly_the_same(precision, trained):
    pytest.importorskip('onnxscript')
    onnx = pytest.importorskip('onnx')
    Image.fromarray(picture(64, 96, 5)).save(trained / 'image.png')
    out = trained / f'model{precision}.onnx'
    weights = torch.load(trained / 'weights.pth')
    # sure of itself: between what is nearly as good as another, half precision decides otherwise
    weights['state_dict']['roi_head.mask_head.conv_logits.weight'] *= 0.1
    weights['state_dict']['roi_head.mask_head.conv_logits.bias'] += 3
    for name in ('roi_head.bbox_head.fc_cls.weight', 'rpn_head.rpn_cls.weight'):
        weights['state_dict'][name] *= 20
    torch.save(weights, trained / 'sure.pth')
    arguments = [trained / 'config.py', trained / 'sure.pth', out, '--size', '64', '96', '--max-detections', '7']
    main([*map(str, arguments), precision, *([str(trained)] if precision == '--int8' else [])])
    detector = Detector(out)
    assert detector.about['precision'] == precision[2:]
    types = {one.data_type for one in onnx.load(out).graph.initializer}
    expected = onnx.TensorProto.FLOAT16 if precision == '--fp16' else onnx.TensorProto.INT8
    assert expected in types
    if precision == '--int8':
        assert len(detector.about['int8']) == 3
    assert detector(picture(64, 96, 1), score_thr=0.0).scores.size


def test_a_file_that_finds_something_else_is_not_kept(repository, tmp_path, monkeypatch, user_error):
    """As an exporter with a fault would write it."""
    model, cfg = small_detector(repository / CONFIG)
    faulty = TwoStage(model)
    nn.init.constant_(faulty.model.roi_head.bbox_head.fc_reg.bias, 0.3)
    target = Target('torch', '.pt2', (), write=lambda *arguments: arguments[-1].touch(), annotate=lambda *_: None)
    room = 'swin_mmdet.export.detector'
    monkeypatch.setattr(f'{room}.target_of', lambda _: target)
    monkeypatch.setattr(f'{room}.trace', lambda program, *_: program)
    monkeypatch.setattr(f'{room}.Detector', lambda _: ProgramItself(faulty))
    with pytest.raises(user_error, match=r'model\.pt2 is not kept: it does not find what the detector finds'):
        export_detector(model, cfg, tmp_path / 'model.pt2', ExportOptions(to='torch', size=(64, 96)))
    assert not list(tmp_path.iterdir())
