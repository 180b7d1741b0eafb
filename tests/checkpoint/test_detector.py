"""Whole detectors of mmdet 2.x and 3.x: the same detections, through every door."""

import re
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import load_checkpoint
from mmengine.utils import get_installed_path
from torch import Tensor, nn

from swin_mmdet.checkpoint import has_swin_backbone, load_detector_weights, to_canonical
from swin_mmdet.checkpoint.convert import convert
from swin_mmdet.commands import convert_checkpoint
from tests.checkpoint import published

ARCH = {'embed_dims': 16, 'depths': (2, 2, 2, 2), 'num_heads': (1, 2, 4, 8), 'window_size': 7}


def make_detector(backbone: str = 'swin_mmdet.SwinTransformer', seed: int = 0, classes: int = 3) -> nn.Module:
    register_all_modules()
    torch.manual_seed(seed)
    path = Path(get_installed_path('mmdet'), '.mim', 'configs', '_base_', 'models', 'mask-rcnn_r50_fpn.py')
    cfg = Config.fromfile(path).model
    cfg.backbone = ARCH | {'type': backbone}
    cfg.neck.in_channels = [16, 32, 64, 128]
    for head in (cfg.roi_head.bbox_head, cfg.roi_head.mask_head):
        head.num_classes = classes
    cfg.test_cfg.rcnn.score_thr = 0.0
    cfg.test_cfg.rcnn.max_per_img = 10
    model = MODELS.build(cfg)
    model.init_weights()
    for name, parameter in model.backbone.named_parameters():
        nn.init.normal_(parameter, std=0.1)
        if 'norm' in name and name.endswith('weight'):
            nn.init.normal_(parameter, mean=1.0, std=0.1)
    model.eval()
    return model


def detect(model: nn.Module) -> tuple[Tensor, ...]:
    """Boxes, scores, labels and masks of one random image."""
    image = torch.randint(0, 255, (3, 128, 160), generator=torch.Generator().manual_seed(2), dtype=torch.uint8)
    sample = DetDataSample(metainfo={'img_shape': (128, 160), 'ori_shape': (128, 160), 'scale_factor': (1.0, 1.0)})
    with torch.no_grad():
        found = model.test_step({'inputs': [image], 'data_samples': [sample]})[0].pred_instances
    assert len(found) == 10
    return found.bboxes, found.scores, found.labels, found.masks


def assert_same_detections(first: nn.Module, second: nn.Module, atol: float = 1e-4) -> None:
    for one, other in zip(detect(first), detect(second), strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=atol)


def as_official(model: nn.Module) -> dict:
    """By the published names of mmdet 2.11: official backbone, the same heads."""
    state_dict = {
        re.sub(r'^backbone\.stages\.', 'backbone.layers.', key): value for key, value in model.state_dict().items()
    }
    for stage, depth in enumerate(ARCH['depths']):
        for block in range(depth):
            name = f'backbone.layers.{stage}.blocks.{block}.attn.relative_position_index'
            state_dict[name] = torch.zeros(49, 49, dtype=torch.int64)
    return {'meta': {'mmdet_version': '2.11.0', 'CLASSES': ('a', 'b', 'c')}, 'state_dict': state_dict}


@pytest.fixture
def official_file(tmp_path: Path) -> tuple[Path, nn.Module]:
    model = make_detector()
    torch.save(as_official(model), tmp_path / 'official.pth')
    return tmp_path / 'official.pth', model


@pytest.fixture
def mmdet_file(tmp_path: Path) -> tuple[Path, nn.Module]:
    """A detector of mmdet itself, nothing of ours in it."""
    model = make_detector('mmdet.SwinTransformer')
    torch.save({'meta': {}, 'state_dict': model.state_dict()}, tmp_path / 'mmdet.pth')
    return tmp_path / 'mmdet.pth', model


@pytest.mark.parametrize('source', ['official_file', 'mmdet_file'])
@pytest.mark.parametrize('door', ['load_detector_weights', 'mmengine', 'load_state_dict'])
def test_a_detector_of_another_program_detects_the_same(source: str, door: str, request: pytest.FixtureRequest):
    path, theirs = request.getfixturevalue(source)
    ours = make_detector(seed=1)
    if door == 'load_detector_weights':
        report = load_detector_weights(ours, path)
        assert report.missing == report.unexpected == []
        assert not report.misfit
        assert len(report.loaded) == len(ours.state_dict())
    elif door == 'mmengine':
        load_checkpoint(ours, str(path), map_location='cpu', strict=True)
    else:
        ours.load_state_dict(torch.load(path)['state_dict'], strict=True)
    assert_same_detections(theirs, ours)


def test_an_official_detector_loads_into_mmdets_own_swin(official_file: tuple[Path, nn.Module]):
    path, theirs = official_file
    plain = make_detector('mmdet.SwinTransformer', seed=1)
    load_detector_weights(plain, path)
    assert_same_detections(theirs, plain)


@pytest.mark.parametrize('prefix', ['module.', 'teacher.'])
def test_a_wrapped_detector(prefix: str):
    theirs, ours = make_detector(), make_detector(seed=1)
    load_detector_weights(ours, {'state_dict': published.prefixed(as_official(theirs)['state_dict'], prefix)})
    assert_same_detections(theirs, ours)


@pytest.mark.parametrize('source', ['official_file', 'mmdet_file'])
def test_a_detector_converted_to_mmdet_detects_the_same_in_plain_mmdet(
    source: str, request: pytest.FixtureRequest, tmp_path: Path
):
    path, theirs = request.getfixturevalue(source)
    convert_checkpoint.main([str(path), str(tmp_path / 'plain.pth'), '--to', 'mmdet'])
    plain = make_detector('mmdet.SwinTransformer', seed=1)
    load_checkpoint(plain, str(tmp_path / 'plain.pth'), map_location='cpu', strict=True)
    assert_same_detections(theirs, plain)


def test_converting_there_and_back_gives_the_same_bits():
    """Ours -> official -> mmdet -> ours, heads included."""
    model = make_detector()
    weights = dict(model.state_dict())
    for target in ('official', 'mmdet', 'swin_mmdet'):
        weights = convert(to_canonical(weights), target).state_dict
    assert weights.keys() == model.state_dict().keys()
    assert all(torch.equal(value, weights[key]) for key, value in model.state_dict().items())


def test_heads_of_other_classes_are_an_error_for_testing_and_reported_for_fine_tuning(
    official_file: tuple[Path, nn.Module],
):
    path, theirs = official_file
    ours = make_detector(seed=1, classes=5)
    before = {key: value.clone() for key, value in ours.state_dict().items()}
    with pytest.raises(
        ValueError, match=r'official\.pth.*another model.*fc_cls\.weight is \[4, 1024\] in the file, \[6, 1024\]'
    ):
        load_detector_weights(ours, path)
    assert all(torch.equal(value, before[key]) for key, value in ours.state_dict().items())
    report = load_detector_weights(ours, path, strict=False)
    changed = {'fc_cls', 'fc_reg', 'conv_logits'}
    assert {key.split('.')[-2] for key in report.misfit} == changed
    assert 'keep their initial values: roi_head.bbox_head.fc_cls.weight' in report.summary()
    for key, value in ours.state_dict().items():
        kept = key.split('.')[-2] in changed
        assert torch.equal(value, before[key] if kept else theirs.state_dict()[key]), key


def test_a_bare_backbone_in_a_detector():
    theirs, ours = make_detector(), make_detector(seed=1)
    inside = {key: value for key, value in as_official(theirs)['state_dict'].items() if key.startswith('backbone.')}
    weights = {'model': {key.removeprefix('backbone.'): value for key, value in inside.items()}}
    with pytest.raises(ValueError, match=r'neck\.lateral_convs\.0\.conv\.weight is missing'):
        load_detector_weights(ours, weights)
    report = load_detector_weights(ours, weights, strict=False)
    assert {key.split('.')[0] for key in report.missing} == {'neck', 'rpn_head', 'roi_head'}
    for name, value in ours.backbone.state_dict().items():
        assert torch.equal(value, theirs.backbone.state_dict()[name])


def test_a_detector_of_another_backbone_is_refused_even_without_strict(official_file: tuple[Path, nn.Module]):
    path, _ = official_file
    ours = make_detector(seed=1)
    weights = torch.load(path)['state_dict']
    del weights['backbone.layers.1.blocks.0.attn.qkv.bias']
    with pytest.raises(ValueError, match=r'lack 1 of .*stages\.1\.blocks\.0\.attn\.qkv\.bias'):
        load_detector_weights(ours, weights, strict=False)


def test_heads_of_detectron2_are_left_out_with_the_reason():
    theirs = make_detector()
    backbone = {re.sub(r'^backbone\.', 'backbone.bottom_up.', key): value
                for key, value in as_official(theirs)['state_dict'].items() if key.startswith('backbone.')}  # fmt: skip
    report = load_detector_weights(
        make_detector(seed=1), {'model': backbone | {'roi_heads.box_head.fc1.weight': torch.ones(1)}}, strict=False
    )
    assert report.format == 'detectron2'
    assert report.dropped['roi_heads.box_head.fc1.weight'] == 'not in the backbone, and not of an mmdet detector'


def test_models_without_a_swin_are_told_apart():
    assert has_swin_backbone(make_detector())
    assert has_swin_backbone(make_detector('mmdet.SwinTransformer'))
    assert not has_swin_backbone(nn.Conv2d(3, 3, 1))
