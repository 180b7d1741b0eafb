"""Models with several Swin backbones: each takes its own, or the one that a file has."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import ConfigDict
from torch import nn

from swin_mmdet.checkpoint import has_swin_backbone, load_detector_weights
from swin_mmdet.engine.load_weights import load_weights
from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from tests.checkpoint.test_detector import as_official

ARCH = {'embed_dims': 16, 'depths': (2, 2), 'num_heads': (1, 2), 'window_size': 7, 'out_indices': (0, 1)}
# `as_official` is of four stages
DEEP = {'embed_dims': 16, 'depths': (2, 2, 2, 2), 'num_heads': (1, 2, 4, 8), 'window_size': 7}


class TwoStreams(nn.Module):
    """Of colour and of infrared, in one detector."""

    def __init__(self, classes=3, cls=SwinTransformer):
        super().__init__()
        self.backbone = cls(**ARCH)
        self.backbone_ir = cls(**ARCH)
        self.bbox_head = nn.Linear(16, classes)
        for parameter in self.parameters():
            nn.init.normal_(parameter)


def make_teacher(init=None):
    """mmdet's SoftTeacher of two small RetinaNets, of other weights each time."""
    register_all_modules()
    retina = {
        'type': 'RetinaNet',
        'data_preprocessor': {'type': 'DetDataPreprocessor'},
        'backbone': DEEP | {'type': 'swin_mmdet.SwinTransformer', 'init_cfg': init},
        'neck': {'type': 'FPN', 'in_channels': [16, 32, 64, 128], 'out_channels': 8, 'num_outs': 5},
        'bbox_head': {
            'type': 'RetinaHead', 'num_classes': 3, 'in_channels': 8, 'feat_channels': 8, 'stacked_convs': 1,
            'anchor_generator': {
                'type': 'AnchorGenerator', 'octave_base_scale': 4, 'scales_per_octave': 1, 'ratios': [1.0],
                'strides': [8, 16, 32, 64, 128],
            },
            'bbox_coder': {'type': 'DeltaXYWHBBoxCoder'},
        },
        'test_cfg': {},
    }  # fmt: skip
    model = MODELS.build(
        ConfigDict(
            type='SoftTeacher',
            detector=retina,
            semi_train_cfg={'freeze_teacher': True},
            semi_test_cfg={'predict_on': 'teacher'},
        )
    )
    if init is None:
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.normal_()
    return model


def same(found, expected):
    expected = {key: value for key, value in expected.items() if not key.endswith('relative_position_index')}
    assert expected.keys() <= found.keys()
    return all(torch.equal(found[key], value) for key, value in expected.items())


@pytest.mark.parametrize('strict', [True, False])
def test_what_training_wrote_loads_whole(strict, tmp_path):
    written, model = make_teacher(), make_teacher()
    torch.save({'state_dict': written.state_dict(), 'meta': {}}, tmp_path / 'semi.pth')
    load_weights(model, str(tmp_path / 'semi.pth'), strict)
    assert same(model.state_dict(), written.state_dict())


@pytest.mark.parametrize('official', [False, True])
def test_a_detector_s_weights_go_to_student_and_teacher(official, tmp_path):
    written, model = make_teacher(), make_teacher()
    detector = written.student
    weights = as_official(detector)['state_dict'] if official else detector.state_dict()
    torch.save({'state_dict': weights}, tmp_path / 'detector.pth')
    load_weights(model, str(tmp_path / 'detector.pth'), strict=True)
    for part in (model.student, model.teacher):
        assert same(part.state_dict(), detector.state_dict())
    # as mmdet's own loading of such a file does
    twin = make_teacher()
    twin.load_state_dict(dict(weights))
    assert same(twin.state_dict(), model.state_dict())


def test_both_backbones_are_pretrained(tmp_path):
    backbone = SwinTransformer(**DEEP)
    torch.save(backbone.state_dict(), tmp_path / 'backbone.pth')
    model = make_teacher(init={'type': 'Pretrained', 'checkpoint': str(tmp_path / 'backbone.pth')})
    model.init_weights()
    for part in (model.student, model.teacher):
        assert same(part.backbone.state_dict(), backbone.state_dict())


@pytest.mark.parametrize('wrapper', ['', 'module.'])
@pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])
def test_two_streams_take_their_own(cls, wrapper):
    written, model = TwoStreams(cls=cls), TwoStreams(cls=cls)
    assert has_swin_backbone(model)
    report = load_detector_weights(model, {wrapper + key: x for key, x in written.state_dict().items()})
    assert same(model.state_dict(), written.state_dict())
    assert len(report.loaded) == len(written.state_dict())


def test_two_streams_of_other_classes():
    written, model = TwoStreams(classes=5), TwoStreams()
    head = copy.deepcopy(model.bbox_head.state_dict())
    with pytest.raises(ValueError, match=r'bbox_head\.weight is'):
        load_detector_weights(model, written.state_dict())
    report = load_detector_weights(model, written.state_dict(), strict=False)
    assert set(report.misfit) == {'bbox_head.weight', 'bbox_head.bias'}
    assert same(model.bbox_head.state_dict(), head)
    for name in ('backbone', 'backbone_ir'):
        assert same(getattr(model, name).state_dict(), getattr(written, name).state_dict())


def test_two_streams_start_from_one_backbone():
    backbone, model = SwinTransformer(**ARCH), TwoStreams()
    report = load_detector_weights(model, backbone.state_dict(), strict=False)
    for part in (model.backbone, model.backbone_ir):
        assert same(part.state_dict(), backbone.state_dict())
    assert {'bbox_head.weight', 'bbox_head.bias'} <= set(report.missing)


def test_averaged_weights_of_several_backbones():
    raw, averaged, model = TwoStreams(), TwoStreams(), TwoStreams()
    file = {'state_dict': averaged.state_dict(), 'ema_state_dict': {
        'steps': torch.tensor(3), **{f'module.{key}': x for key, x in raw.state_dict().items()},
    }}  # fmt: skip
    load_detector_weights(model, file)
    assert same(model.state_dict(), averaged.state_dict())


def test_a_file_of_other_backbones_is_refused_and_nothing_changes():
    small = ARCH | {'embed_dims': 8}
    model = TwoStreams()
    before = copy.deepcopy(model.state_dict())
    with pytest.raises(ValueError, match='another architecture'):
        load_detector_weights(model, SwinTransformer(**small).state_dict(), strict=False)
    assert same(model.state_dict(), before)
