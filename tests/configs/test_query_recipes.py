"""DINO with 4 scales against what detrex publishes, and DETRs with Swin-T against mmdet's of ResNet-50.

The numbers of DINO are typed here, from `projects/dino` and `configs/common` of IDEA-Research/detrex.
"""

from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config
from mmengine.utils import get_installed_path

from .conftest import ROOT, read_config, with_channels
from .test_mmdet_deltas import names_in, plain, theirs, types_of_ours

# arch, drop path, window, channels of the maps, file of the authors
SWINS = {
    't': ('tiny', 0.1, 7, [192, 384, 768], 'swin_tiny_patch4_window7_224.pth'),
    's': ('small', 0.2, 7, [192, 384, 768], 'swin_small_patch4_window7_224.pth'),
    'b': ('base', 0.2, 12, [256, 512, 1024], 'swin_base_patch4_window12_384_22kto1k.pth'),
    'l': ('large', 0.2, 12, [384, 768, 1536], 'swin_large_patch4_window12_384_22kto1k.pth'),
}
# epochs: where the learning rate falls to a tenth
FALLS = {12: 11, 36: 30}
SHORT_SIDES = [480, 512, 544, 576, 608, 640, 672, 704, 736, 768, 800]
BASES = {
    'deformable_detr/deformable-detr_swin-t_16xb2-50e_coco': 'deformable_detr/deformable-detr_r50_16xb2-50e_coco',
    'deformable_detr/deformable-detr-refine-twostage_swin-t_16xb2-50e_coco': (
        'deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco'
    ),
    'conditional_detr/conditional-detr_swin-t_8xb2-50e_coco': 'conditional_detr/conditional-detr_r50_8xb2-50e_coco',
}


def load(name: str) -> Config:
    return with_channels(read_config(ROOT / f'configs/{name}.py'))


def dino(letter: str, epochs: int) -> Config:
    return load(f'dino/dino-4scale_swin-{letter}_8xb2-{epochs}e_coco')


def test_every_config_is_of_a_test():
    published = names_in(Path(get_installed_path('mmdet'), '.mim', 'configs'), '*swin*_coco*.py')
    ours = {f'dino/dino-4scale_swin-{letter}_8xb2-{epochs}e_coco' for letter in SWINS for epochs in FALLS}
    found = {
        f'{path.parent.name}/{path.stem}'
        for folder in ('dino', 'ddq', 'deformable_detr', 'conditional_detr')
        for path in (ROOT / 'configs' / folder).glob('*.py')
    }
    assert found - set(published) == ours | BASES.keys()


@pytest.mark.parametrize('epochs', FALLS)
@pytest.mark.parametrize('letter', SWINS)
def test_dino_has_detrex_s_model(letter: str, epochs: int):
    model = dino(letter, epochs).model
    arch, drop_path, window, channels, file = SWINS[letter]
    backbone = model.backbone.to_dict()
    checkpoint = backbone.pop('init_cfg')
    assert backbone == {
        'type': 'swin_mmdet.SwinTransformer', 'arch': arch, 'window_size': window, 'drop_path_rate': drop_path,
        'out_indices': (1, 2, 3),
    }  # fmt: skip
    assert checkpoint['checkpoint'].split('/')[-1] == file
    assert model.neck.in_channels == channels
    assert (model.neck.type, model.neck.out_channels, model.neck.num_outs) == ('ChannelMapper', 256, 4)
    assert model.neck.norm_cfg == {'type': 'GN', 'num_groups': 32}
    assert (model.type, model.num_queries, model.as_two_stage) == ('swin_mmdet.DINO', 900, True)
    assert model.positional_encoding == {'num_feats': 128, 'temperature': 10000, 'normalize': True, 'offset': -0.5}
    for part in (model.encoder, model.decoder):
        assert part.num_layers == 6
        assert part.layer_cfg.ffn_cfg.feedforward_channels == 2048
        assert part.layer_cfg.ffn_cfg.ffn_drop == part.layer_cfg.self_attn_cfg.dropout == 0
        assert part.layer_cfg.self_attn_cfg.embed_dims == 256
    assert model.decoder.return_intermediate
    head = model.bbox_head
    assert (head.type, head.num_classes) == ('swin_mmdet.DINOHead', 80)
    focal = {'type': 'FocalLoss', 'use_sigmoid': True, 'gamma': 2.0, 'alpha': 0.25, 'loss_weight': 1.0}
    assert (head.loss_cls, head.loss_bbox.loss_weight, head.loss_iou.loss_weight) == (focal, 5.0, 2.0)
    assert [cost.weight for cost in model.train_cfg.assigner.match_costs] == [2.0, 5.0, 2.0]
    assert (model.dn_cfg.label_noise_scale, model.dn_cfg.box_noise_scale) == (0.5, 1.0)
    assert model.dn_cfg.group_cfg.num_dn_queries == 100
    assert model.data_preprocessor.mean == [123.675, 116.28, 103.53]
    assert model.data_preprocessor.std == [58.395, 57.12, 57.375]


@pytest.mark.parametrize('epochs', FALLS)
@pytest.mark.parametrize('letter', SWINS)
def test_dino_has_detrex_s_schedule_and_data(letter: str, epochs: int):
    cfg = dino(letter, epochs)
    assert cfg.train_cfg.max_epochs == epochs
    (schedule,) = cfg.param_scheduler
    assert (schedule.type, schedule.end, schedule.milestones, schedule.gamma) == (
        'MultiStepLR', epochs, [FALLS[epochs]], 0.1,
    )  # fmt: skip
    optimizer = cfg.optim_wrapper
    assert (optimizer.optimizer.type, optimizer.optimizer.lr, optimizer.optimizer.weight_decay) == ('AdamW', 1e-4, 1e-4)
    assert optimizer.clip_grad == {'max_norm': 0.1, 'norm_type': 2}
    assert optimizer.paramwise_cfg == {'custom_keys': {'backbone': {'lr_mult': 0.1}}}
    assert (cfg.train_dataloader.batch_size, cfg.auto_scale_lr.base_batch_size) == (2, 16)
    # detectron2 leaves out images without objects
    assert cfg.train_dataloader.dataset.filter_cfg.filter_empty_gt
    (choice,) = (step for step in cfg.train_dataloader.dataset.pipeline if step.type == 'RandomChoice')
    (whole,), (first, crop, last) = choice.transforms
    assert [size[0] for size in whole.scales] == [size[0] for size in last.scales] == SHORT_SIDES
    assert {size[1] for size in (*whole.scales, *last.scales)} == {1333}
    assert [size[0] for size in first.scales] == [400, 500, 600]
    assert (crop.crop_type, crop.crop_size) == ('absolute_range', (384, 600))
    (resize,) = (step for step in cfg.test_dataloader.dataset.pipeline if step.type == 'Resize')
    assert resize.scale == (1333, 800)


@pytest.mark.parametrize('name', BASES)
def test_all_but_the_backbone_is_mmdets_of_resnet(name: str):
    one, other = load(name).to_dict(), theirs(BASES[name]).to_dict()
    assert one.pop('custom_imports')['imports'] == ['swin_mmdet.compat']
    del one['weights']
    assert one['optim_wrapper'].pop('constructor') == 'swin_mmdet.OptimWrapperConstructor'
    assert one['default_hooks'].pop('runtime_info') == {'type': 'swin_mmdet.RuntimeInfoHook'}
    backbone, resnet = one['model'].pop('backbone'), other['model'].pop('backbone')
    assert backbone['init_cfg']['checkpoint'].endswith('/swin_tiny_patch4_window7_224.pth')
    # the maps of the same strides: ResNet counts them from its first stage on, too
    assert backbone['out_indices'] == resnet['out_indices']
    channels = [96 * 2**stage for stage in backbone['out_indices']]
    assert one['model']['neck'].pop('in_channels') == channels
    assert other['model']['neck'].pop('in_channels') == [256 * 2**stage for stage in resnet['out_indices']]
    if 'twostage' in name:
        del one['custom_keys']
        # of no parameter in two stages
        assert other['optim_wrapper']['paramwise_cfg']['custom_keys'].pop('reference_points') == {'lr_mult': 0.1}
    head = one['model']['bbox_head']['type']
    detector = {'swin_mmdet.DeformableDETR'} if 'deformable' in name else set()
    assert set(types_of_ours(one)) == {head, 'swin_mmdet.DetDataPreprocessor', 'swin_mmdet.CocoMetric'} | detector
    assert plain(one) == plain(other)
