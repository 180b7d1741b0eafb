"""What a config and options must have to be exported, said before anything slow."""

from unittest.mock import Mock

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmcv.ops import ModulatedDeformConv2d
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from torch import nn

from swin_mmdet.export import ExportOptions
from swin_mmdet.export.about import preprocessing_of
from swin_mmdet.export.detector import check_model, check_options, limited
from swin_mmdet.export.files import check_room
from swin_mmdet.export.targets import Target, target_of
from tests.configs.small import shrink

RESIZE = {'type': 'Resize', 'scale': (1333, 800), 'keep_ratio': True}
ENDS = {'type': 'mmdet.LoadImageFromFile'}, {'type': 'swin_mmdet.PackDetInputs'}


def test_resizing_is_that_of_the_test_pipeline():
    found = preprocessing_of([ENDS[0], RESIZE, ENDS[1]])
    assert found == {'scale': [1333, 800], 'keep_ratio': True, 'pad': None}
    pad = {'type': 'Pad', 'size': (640, 480), 'pad_val': {'img': (1, 2, 3)}}
    found = preprocessing_of([ENDS[0], {'type': 'Resize', 'scale': (640, 480)}, pad, ENDS[1]])
    # (width, height) of mmdet, and of BGR
    assert found == {'scale': [640, 480], 'keep_ratio': False, 'pad': {'size': [480, 640], 'value': [3, 2, 1]}}


@pytest.mark.parametrize(('step', 'words'), [
    ({'type': 'RandomCrop'}, 'has RandomCrop, which an export does not know; it knows .*Resize'),
    ({'type': 'Pad', 'size_divisor': 32}, 'Pad of the test pipeline has no size'),
    ({'type': 'Resize', 'scale_factor': 2.0}, 'Resize of the test pipeline has no scale'),
])  # fmt: skip
def test_a_pipeline_that_the_runtime_cannot_follow_is_refused(step, words, user_error):
    with pytest.raises(user_error, match=words):
        preprocessing_of([ENDS[0], step, ENDS[1]])
    with pytest.raises(user_error, match='has no Resize'):
        preprocessing_of(list(ENDS))


@pytest.mark.parametrize(('options', 'words'), [
    ({'size': (800, 1333)}, r'--size 1333: sides of images are multiples of 32, from 64 on'),
    ({'size': (32, 64)}, r'--size 32: '),
    ({'max_detections': 0}, r'--max-detections 0: there must be at least 1'),
    ({'score_thr': 1.5}, r'--score-thr 1.5: scores are from 0 to 1'),
    ({'device': 'gpu'}, r'--device gpu: there are cpu, cuda'),
    ({'device': 'cuda'}, r'--device cuda is for --to torch and aoti; a file --to onnx is not bound to a device'),
])  # fmt: skip
def test_options_that_mean_nothing_are_refused(options, words, user_error):
    with pytest.raises(user_error, match=words):
        ExportOptions(**options)


def test_sides_have_room(user_error):
    with pytest.raises(user_error, match='DINO takes images with sides of 128 pixels and more'):
        ExportOptions(size=(96, 256)).check_sides(128, 'DINO')
    with pytest.raises(user_error, match='--max-size 224: sizes are free up to 256 and more'):
        ExportOptions(most=224).check_sides(64, 'DINO')
    ExportOptions(most=256).check_sides(64, 'DINO')
    ExportOptions(size=(128, 128)).check_sides(128, 'DINO')


def test_a_program_for_a_gpu_needs_one(tmp_path, monkeypatch, user_error):
    monkeypatch.setattr(torch.cuda, 'is_available', lambda: False)
    with pytest.raises(user_error, match='--device cuda: PyTorch finds no GPU here, and the file is proven on one'):
        check_options(Config(), tmp_path / 'model.pt2', ExportOptions(to='torch', device='cuda'))


def test_a_disk_must_have_room(tmp_path, monkeypatch, user_error):
    weights = nn.Linear(1000, 999)
    free = Mock(return_value=Mock(free=11_999_987))
    monkeypatch.setattr('swin_mmdet.export.files.shutil.disk_usage', free)
    with pytest.raises(user_error, match=r'has 12 MB left, and an export needs 12 MB'):
        check_room(tmp_path, weights)
    free.return_value.free += 1
    check_room(tmp_path, weights)


def test_names_and_packages_are_looked_at_first(tmp_path, monkeypatch, user_error):
    cfg = Config({'test_dataloader': {'dataset': {'pipeline': [ENDS[0], RESIZE, ENDS[1]]}}})
    with pytest.raises(user_error, match=r'--to tensorrt: there are torch, onnx, aoti, openvino'):
        target_of('tensorrt')
    with pytest.raises(user_error, match=r'model\.pth: the name of a file --to torch ends in \.pt2'):
        check_options(cfg, tmp_path / 'model.pth', ExportOptions(to='torch'))
    with pytest.raises(user_error, match=r'no folder .*nowhere for model\.pt2'):
        check_options(cfg, tmp_path / 'nowhere/model.pt2', ExportOptions(to='torch'))
    (tmp_path / 'folder.pt2').mkdir()
    with pytest.raises(user_error, match=r'folder\.pt2 is a folder'):
        check_options(cfg, tmp_path / 'folder.pt2', ExportOptions(to='torch'))
    monkeypatch.setattr('swin_mmdet.export.files.TemporaryDirectory', Mock(side_effect=PermissionError(13, 'Denied')))
    with pytest.raises(user_error, match=r'nothing can be written into .*: Denied'):
        check_options(cfg, tmp_path / 'model.pt2', ExportOptions(to='torch'))
    target = Target('onnx', '.onnx', ('json', 'not_there'), None, None)
    with pytest.raises(user_error, match=r"--to onnx needs not_there: pip install 'swin_mmdet\[export\]'"):
        target.check()
    with pytest.raises(user_error, match=r'--to aoti needs no-such-compiler, a compiler'):
        Target('aoti', '.pt2', (), None, None, programs=('no-such-compiler',)).check()


def test_a_detector_that_cannot_be_exported_is_named_with_its_reason(repository, user_error):
    register_all_modules()
    cfg = Config.fromfile(repository / 'configs/swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py')
    shrink(cfg)
    cfg.model.test_cfg.nms = dict(type='soft_nms', sigma=0.5)
    model = MODELS.build(cfg.model)
    with pytest.raises(user_error, match=r'RetinaNet is not exported as it is set: .*soft_nms'):
        check_model(model, ExportOptions())
    cfg.model.test_cfg.nms = dict(type='nms', iou_threshold=0.5)
    model = MODELS.build(cfg.model)
    assert check_model(model, ExportOptions()).__name__ == 'Dense'
    model.neck.fpn_convs[1].conv = ModulatedDeformConv2d(256, 256, 3, padding=1)
    with pytest.raises(user_error, match=r'it is set: neck\.fpn_convs\.1\.conv is a deformable convolution, for which'):
        check_model(model, ExportOptions())
    model.bbox_head = nn.Linear(1, 1)
    with pytest.raises(user_error, match=r'RetinaNet with Linear is not exported; these are: Faster, .*Mask2Former'):
        check_model(model, ExportOptions())
    del model.bbox_head
    with pytest.raises(user_error, match=r'RetinaNet is not exported; these are: Faster, .*Mask2Former'):
        check_model(model, ExportOptions())


@pytest.mark.parametrize(('name', 'remedy'), [
    ('dino', '--drop-in makes it one of this project'), ('ddq', 'has no program$'),
])  # fmt: skip
def test_detectors_of_queries_are_those_of_this_project(name, remedy, repository, user_error):
    register_all_modules()
    path = next((repository / 'configs' / name).glob('*-4scale_swin*.py'))
    cfg = Config.fromfile(path)
    shrink(cfg)
    if name == 'dino':
        cfg.model.type = 'mmdet.DINO'
    with pytest.raises(user_error, match=f'is not exported as it is set: .* is of mmdet.*{remedy}'):
        check_model(MODELS.build(cfg.model), ExportOptions())


def test_what_has_no_program_is_named_before_it_is_built(repository, tmp_path, user_error):
    """Building this one reads a language model, which is downloaded."""
    cfg = Config.fromfile(repository / 'configs/grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py')
    out, options = tmp_path / 'model.pt2', ExportOptions(to='torch')
    with pytest.raises(user_error, match='GroundingDINO is not exported: what it looks for are the words of a text'):
        check_options(cfg, out, options)
    assert check_options(cfg, out, options, backbone=True).name == 'torch'


def test_limits_are_taken_back():
    rules = {'max_per_img': 100, 'score_thr': 0.05}
    with limited(rules, ExportOptions(max_detections=7, score_thr=0.5)):
        assert rules == {'max_per_img': 7, 'score_thr': 0.5}
    assert rules == {'max_per_img': 100, 'score_thr': 0.05}
    with limited(rules, ExportOptions()):
        assert rules == {'max_per_img': 100, 'score_thr': 0.05}
