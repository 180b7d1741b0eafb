"""An exported file in the place of a detector."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.structures import DetDataSample
from mmengine.config import Config

from swin_mmdet.commands import predict
from swin_mmdet.commands import test as test_command
from swin_mmdet.export.evaluated import ExportedDetector, load_exported
from tests.export.test_runtime import model_file

PIPELINE = [
    {'type': 'mmdet.LoadImageFromFile'},
    {'type': 'mmdet.Resize', 'scale': (100, 60)},
    {'type': 'mmdet.Pad', 'size': (100, 60)},
    {'type': 'mmdet.PackDetInputs'},
]


def test_detections_are_those_of_the_runtime_in_the_original_image(tmp_path):
    model = ExportedDetector(str(model_file(tmp_path / 'model.onnx'))).eval()
    # BGR, as it was read: nothing is resized before
    image = torch.from_numpy(np.random.default_rng(0).integers(0, 256, (3, 120, 160), dtype=np.uint8))
    seen = []
    detect = model.detector.detect
    model.detector.detect = lambda batch: seen.append(batch) or detect(batch)
    found = model.test_step({'inputs': [image], 'data_samples': [DetDataSample(metainfo={'ori_shape': (120, 160)})]})
    instances = found[0].pred_instances
    torch.testing.assert_close(instances.bboxes, torch.tensor([[10.0, 20, 50, 60]]))
    assert (instances.scores.tolist(), instances.labels.tolist()) == ([0.75], [1])
    assert 'masks' not in instances
    expected = model.detector.batch(np.ascontiguousarray(image.numpy()[::-1].transpose(1, 2, 0)))
    assert (seen[0].images == expected.images).all()


def test_the_runtime_resizes_and_nobody_else(tmp_path):
    cfg = Config({'model': {}, 'test_dataloader': {'dataset': {'pipeline': PIPELINE}}})
    model = load_exported(cfg, str(model_file(tmp_path / 'model.onnx')))
    assert model.dataset_meta['classes'] == ('cat', 'dog')
    assert [step.type for step in cfg.test_dataloader.dataset.pipeline] == [
        'mmdet.LoadImageFromFile',
        'mmdet.PackDetInputs',
    ]


def test_a_file_that_is_not_there_or_is_none_is_refused(tmp_path, user_error):
    cfg = Config({'model': {}, 'test_dataloader': {'dataset': {'pipeline': PIPELINE}}})
    with pytest.raises(user_error, match=r'no exported file at .*gone\.onnx'):
        load_exported(cfg, str(tmp_path / 'gone.onnx'))
    (tmp_path / 'broken.onnx').write_bytes(b'nothing')
    with pytest.raises(user_error, match=r'broken\.onnx is none that onnxruntime'):
        load_exported(cfg, str(tmp_path / 'broken.onnx'))


def test_other_classes_than_those_of_the_data_are_refused(tmp_path, user_error):
    file = model_file(tmp_path / 'model.onnx')
    dataset = {'pipeline': PIPELINE, 'metainfo': {'classes': ('dog', 'cat')}}
    cfg = Config({'model': {}, 'test_dataloader': {'dataset': dataset}})
    with pytest.raises(user_error, match=r'model\.onnx finds 2 classes \(cat, dog\), and the data .* \(dog, cat\)'):
        load_exported(cfg, str(file))


@pytest.mark.parametrize('command', [predict, test_command], ids=['predict', 'test'])
def test_an_exported_file_has_one_view(command, repository, tmp_path, user_error):
    file = model_file(tmp_path / 'model.onnx')
    config = repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
    arguments = [str(config), str(file), '--tta']
    arguments += [str(tmp_path), '--out-dir', str(tmp_path)] if command is predict else []
    (tmp_path / 'image.png').write_bytes(b'')
    with pytest.raises(user_error, match=r'tta takes a checkpoint: .*model\.onnx is exported'):
        command.main(arguments)
