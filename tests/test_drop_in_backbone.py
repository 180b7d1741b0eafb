"""mmdet's own Swin configs run unchanged on our backbone, and each keyword of mmdet's class is honoured or refused."""

import inspect

import pytest
import torch

import swin_mmdet.drop_in_backbone  # noqa: F401

# isort: split
from mmdet.models.backbones.swin import SwinTransformer as MmdetSwin
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config
from mmengine.registry import init_default_scope
from mmengine.structures import InstanceData
from mmengine.utils import get_installed_path

from swin_mmdet.drop_in_backbone import DropInSwinTransformer
from swin_mmdet.models import SwinTransformer
from swin_mmdet.models.block import SwinBlock
from tests.numerics import assert_equal_to_definition

CONFIGS = (
    'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
    'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
    pytest.param('dino/dino-5scale_swin-l_8xb2-12e_coco.py', marks=pytest.mark.long),
    'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py',
)
SIDE = 128


def make_batch(with_mask, batch_size=2, classes=80):
    """Images with two boxes each, and their masks where the config's pipeline loads them."""
    torch.manual_seed(0)
    inputs, samples = [], []
    for _ in range(batch_size):
        boxes = torch.tensor([[10.0, 12.0, 70.0, 90.0], [40.0, 30.0, 120.0, 110.0]])
        instances = InstanceData(bboxes=boxes, labels=torch.randint(classes, (2,)))
        if with_mask:
            masks = torch.zeros(2, SIDE, SIDE, dtype=torch.uint8)
            for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist()):
                mask[top:bottom, left:right] = 1
            instances.masks = BitmapMasks(masks.numpy(), SIDE, SIDE)
        sample = DetDataSample(gt_instances=instances)
        shape = (SIDE, SIDE)
        sample.set_metainfo({'img_shape': shape, 'ori_shape': shape, 'batch_input_shape': shape, 'pad_shape': shape,
                             'scale_factor': (1.0, 1.0), 'img_id': 1})  # fmt: skip
        inputs.append(torch.randint(0, 256, (3, SIDE, SIDE), dtype=torch.uint8))
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


@pytest.mark.parametrize('name', CONFIGS)
def test_an_mmdet_config_builds_and_trains_a_step(name):
    cfg = Config.fromfile(f'{get_installed_path("mmdet")}/.mim/configs/{name}')
    cfg.model.backbone.init_cfg = None  # its file is on the internet
    cfg.model.data_preprocessor.batch_augments = None  # Mask2Former's pads every batch to 1024 x 1024
    init_default_scope('mmdet')
    torch.manual_seed(0)
    model = MODELS.build(cfg.model)
    assert type(model.backbone) is DropInSwinTransformer
    model.init_weights()
    model.train()
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-6)
    data = model.data_preprocessor(make_batch(with_mask='mask' in name), training=True)
    loss, parts = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    assert loss.isfinite(), parts
    assert all(p.grad.isfinite().all() for p in model.backbone.parameters())
    before = model.backbone.patch_embed.proj.weight.detach().clone()
    optimizer.step()
    assert not torch.equal(before, model.backbone.patch_embed.proj.weight)


def test_it_takes_every_keyword_of_mmdets_class_with_its_default():
    ours = inspect.signature(DropInSwinTransformer).parameters
    theirs = inspect.signature(MmdetSwin).parameters
    assert set(ours) == set(theirs)
    for name, parameter in theirs.items():
        # ours has None where theirs has a mutable dict
        if name not in ('act_cfg', 'norm_cfg'):
            assert ours[name].default == parameter.default, name


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('patch_size', 2),
        ('strides', (4, 2, 2, 1)),
        ('qkv_bias', False),
        ('qk_scale', 0.5),
        ('patch_norm', False),
        ('act_cfg', {'type': 'ReLU'}),
        ('norm_cfg', {'type': 'BN'}),
        ('pretrain_img_size', (224, 384)),
    ],
)
def test_a_value_that_is_not_swins_is_refused_by_name(name, value):
    with pytest.raises(ValueError, match=f'{name}='):
        DropInSwinTransformer(**{name: value})


def test_mmdets_own_spelling_of_the_defaults_is_accepted():
    norm_cfg = {'type': 'LN', 'requires_grad': True}
    model = DropInSwinTransformer(
        patch_size=(4, 4), strides=[4, 2, 2, 2], norm_cfg=norm_cfg, pretrain_img_size=(384,)
    )
    assert isinstance(model, SwinTransformer)


@pytest.mark.parametrize(
    ('options', 'read'),
    [
        ({'mlp_ratio': 2}, lambda m: m.stages[0].blocks[0].mlp.fc1.out_features == 192),
        ({'drop_rate': 0.1}, lambda m: {b.drop.p for b in m.modules() if isinstance(b, SwinBlock)} == {0.1}),
        ({'attn_drop_rate': 0.2}, lambda m: m.stages[0].blocks[0].attn.attn_drop_rate == 0.2),
        ({'drop_path_rate': 0.3}, lambda m: m.branch_keep[-1] == pytest.approx(0.7)),
        ({'window_size': 12}, lambda m: m.stages[0].blocks[1].attn.shift_size == 6),
        ({'in_channels': 4}, lambda m: m.patch_embed.proj.in_channels == 4),
        ({'with_cp': True}, lambda m: all(stage.with_cp for stage in m.stages)),
        ({'frozen_stages': 1}, lambda m: not m.stages[0].training),
        ({'use_abs_pos_embed': True, 'pretrain_img_size': 384}, lambda m: m.absolute_pos_embed.shape[-1] == 96),
        ({'pretrained': 'a.pth'}, lambda m: m.init_cfg == {'type': 'Pretrained', 'checkpoint': 'a.pth'}),
        ({'convert_weights': True}, lambda m: m.init_cfg is None),
        ({'out_indices': (1, 2)}, lambda m: m.out_indices == (1, 2)),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else '',
)
def test_a_keyword_is_honoured(options, read):
    assert read(DropInSwinTransformer(**options))


def test_pretrained_and_init_cfg_together_are_refused():
    with pytest.raises(ValueError, match=r"pretrained='a\.pth' or init_cfg"):
        DropInSwinTransformer(pretrained='a.pth', init_cfg={'type': 'Pretrained', 'checkpoint': 'b.pth'})


def test_an_mmdet_detector_checkpoint_gives_the_same_maps(tmp_path):
    """A whole detector trained with mmdet's class loads into the same config with ours."""
    from mmengine.runner import load_checkpoint

    torch.manual_seed(0)
    options = {'embed_dims': 24, 'depths': (2, 2, 2, 2), 'drop_path_rate': 0.0}
    theirs, ours = MmdetSwin(**options), DropInSwinTransformer(**options)
    theirs.init_weights()
    torch.save({'state_dict': {f'backbone.{k}': v for k, v in theirs.state_dict().items()}}, tmp_path / 'det.pth')
    detector = torch.nn.ModuleDict({'backbone': ours})
    load_checkpoint(detector, str(tmp_path / 'det.pth'), strict=True)
    image = torch.randn(1, 3, 70, 90)
    for expected, actual in zip(theirs(image), ours(image), strict=True):
        assert_equal_to_definition(actual, expected)
