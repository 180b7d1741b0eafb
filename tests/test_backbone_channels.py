"""A config that says the channels between backbone and neck once."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmengine.config import Config, ConfigDict
from mmengine.registry import MODELS as MMENGINE_MODELS
from mmengine.registry import init_default_scope

from swin_mmdet.backbone_channels import channels_of, fill_in
from swin_mmdet.config.check import find_mistakes
from swin_mmdet.errors import UserError
from swin_mmdet.models import SwinTransformer

SMALL = dict(embed_dims=16, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
SWIN = dict(type='swin_mmdet.SwinTransformer', arch=SMALL)
NECK = dict(type='FPN', in_channels='from_backbone', out_channels=8, num_outs=5)


@pytest.fixture(autouse=True)
def _names_are_mmdets() -> None:
    """Also after another test of this process set another scope."""
    init_default_scope('mmdet')


def detector(backbone: dict, neck: dict | list) -> ConfigDict:
    head = dict(
        type='RetinaHead',
        num_classes=3,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[4, 8, 16, 32, 64]
        ),
    )
    return ConfigDict(type='RetinaNet', backbone=backbone, neck=neck, bbox_head=head)


@pytest.mark.parametrize(
    'arguments',
    [{}, dict(arch='base', out_indices=(1, 2, 3)), dict(arch=SMALL, out_indices=(3,)), SMALL, dict(arch='large')],
    ids=str,
)
def test_they_are_those_of_the_maps(arguments: dict):
    with torch.device('meta'):
        maps = SwinTransformer(**arguments)(torch.empty(1, 3, 64, 64))
    found = channels_of(dict(type='swin_mmdet.SwinTransformer', **arguments))
    assert found == [one.shape[1] for one in maps]


@pytest.mark.parametrize('registry', [MODELS, MMENGINE_MODELS], ids=['mmdet', 'mmengine'])
def test_a_detector_is_built_with_them(registry: object):
    attention = dict(type='swin_mmdet.GlobalAttention', in_channels='from_backbone', num_heads=4)
    cfg = detector(SWIN, [attention, NECK])
    cfg.type = 'mmdet.RetinaNet'
    before = copy.deepcopy(cfg)
    model = registry.build(cfg)
    attention, pyramid = model.neck
    assert attention.qkv.in_features == 128
    assert pyramid.in_channels == [16, 32, 64, 128]
    assert cfg == before
    assert [len(one) for one in model(torch.randn(1, 3, 64, 64), mode='tensor')] == [5, 5]


def test_numbers_stay_and_so_does_a_config_without_the_word():
    cfg = detector(SWIN, NECK | dict(in_channels=[16, 32, 64, 128]))
    assert fill_in(cfg) is cfg
    assert fill_in(dict(type='FPN', in_channels='from_backbone')) == dict(type='FPN', in_channels='from_backbone')
    filled = fill_in(detector(dict(SWIN, out_indices=(1, 3)), NECK))
    assert type(filled) is ConfigDict
    assert (filled.neck.in_channels, filled.bbox_head.in_channels) == ([32, 128], 8)


def test_an_option_changes_one_place():
    cfg = Config(dict(model=detector(dict(type='swin_mmdet.SwinTransformer', arch='tiny'), NECK)))
    cfg.merge_from_dict({'model.backbone.arch': 'base'})
    assert fill_in(cfg.model).neck.in_channels == [128, 256, 512, 1024]


def test_another_backbone_is_refused_by_name():
    for kind in ('ResNet', 'mmdet.ResNet', torch.nn.Conv2d):
        name = kind if isinstance(kind, str) else 'Conv2d'
        with pytest.raises(UserError, match=f'not of {name}: set in_channels to the channels of its maps'):
            MODELS.build(detector(dict(type=kind), NECK))
    with pytest.raises(UserError, match="backbone: arch='huge' is unknown"):
        fill_in(detector(dict(type='swin_mmdet.SwinTransformer', arch='huge'), NECK))


def test_a_check_says_what_is_wrong_before_anything_is_built():
    def mistakes(backbone: dict, neck: dict) -> list[str]:
        return [one for one in find_mistakes(Config(dict(model=detector(backbone, neck)))) if 'channels' in one]

    assert mistakes(SWIN, NECK) == []
    assert mistakes(SWIN, NECK | dict(in_channels='backbone')) == [
        "model.neck.in_channels='backbone': it takes numbers of channels, or 'from_backbone'"
    ]
    (one,) = mistakes(dict(type='ResNet', depth=50), NECK)
    assert one.startswith("model: in_channels='from_backbone' is known of the backbones swin_mmdet.SwinTransformer and")


@pytest.mark.parametrize('backbone', [SWIN, *(dict(type=one, **SMALL) for one in ('SwinTransformer', SwinTransformer))])
@pytest.mark.parametrize('several', [False, True])
def test_numbers_of_another_backbone_are_refused(backbone: dict, several: bool):
    neck = dict(NECK, in_channels=[96, 192, 384, 768])
    model = detector(backbone, [neck, dict(type='swin_mmdet.DyHead')] if several else neck)
    mistakes = list(find_mistakes(Config(dict(default_scope='mmdet', model=dict(type='SoftTeacher', detector=model)))))
    assert mistakes == [
        f'model.detector.neck{".0" * several}.in_channels=[96, 192, 384, 768]: the backbone\'s maps have '
        "[16, 32, 64, 128] channels; in_channels='from_backbone' takes those"
    ]


class Other(torch.nn.Module):
    """A backbone of another package with the name, whose maps have other channels."""

    def __init__(self, arch: str) -> None:
        super().__init__()
        self.arch = arch


@pytest.mark.parametrize(
    ('backbone', 'channels'),
    [
        (SWIN, (16, 32, 64, 128)),
        (dict(SWIN, out_indices=(1, 2, 3)), [32, 64, 128]),
        (dict(type=type('SwinTransformer', (Other,), {}), arch='base'), [256, 512, 1024, 1024]),
        (dict(type='ResNet', depth=50), [256, 512, 1024, 2048]),
    ],
)
def test_numbers_that_fit_or_that_nobody_knows_are_taken(backbone: dict, channels: list):
    model = detector(backbone, dict(NECK, in_channels=channels))
    assert list(find_mistakes(Config(dict(default_scope='mmdet', model=model)))) == []
