"""Names that nobody knows are found, each with the nearest; what real configs hold is not."""

import re
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import mmdet
from mmengine.config import Config, ConfigDict

from swin_mmdet.config.check import check_names, find_mistakes
from swin_mmdet.config.options import merge_options
from swin_mmdet.errors import UserError

MMDET = Path(mmdet.__file__).parent / '.mim/configs'
# of every family with arguments, parts or names of their own
MMDET_CONFIGS = (
    'albu_example/mask-rcnn_r50_fpn_albu-1x_coco.py', 'boxinst/boxinst_r50_fpn_ms-90k_coco.py',
    'bytetrack/bytetrack_yolox_x_8xb4-80e_crowdhuman-mot17halftrain_test-mot17halfval.py',
    'centernet/centernet_r18-dcnv2_8xb16-crop512-140e_coco.py', 'crowddet/crowddet-rcnn_r50_fpn_8xb2-30e_crowdhuman.py',
    'dcn/faster-rcnn_r50-dconv-c3-c5_fpn_1x_coco.py', 'detr/detr_r50_8xb2-150e_coco.py',
    'dino/dino-4scale_r50_8xb2-12e_coco.py', 'fpg/faster-rcnn_r50_fpg_crop640-50e_coco.py',
    'glip/glip_atss_swin-t_a_fpn_dyhead_pretrain_obj365.py', 'gcnet/mask-rcnn_r50-syncbn-gcb-r4-c3-c5_fpn_1x_coco.py',
    'grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco.py', 'htc/htc_r50_fpn_1x_coco.py',
    'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
    'mm_grounding_dino/coco/grounding_dino_swin-t_finetune_16xb4_1x_coco.py',
    'openimages/faster-rcnn_r50_fpn_32xb2-1x_openimages.py', 'point_rend/point-rend_r50-caffe_fpn_ms-1x_coco.py',
    'queryinst/queryinst_r50_fpn_1x_coco.py', 'rtmdet/rtmdet-ins_tiny_8xb32-300e_coco.py',
    'soft_teacher/soft-teacher_faster-rcnn_r50-caffe_fpn_180k_semi-0.1-coco.py', 'ssd/ssd300_coco.py',
    'strong_baselines/mask-rcnn_r50-caffe_fpn_rpn-2conv_4conv1fc_syncbn-all_amp-lsj-100e_coco.py',
    'swin/mask-rcnn_swin-t-p4-w7_fpn_amp-ms-crop-3x_coco.py', 'vfnet/vfnet_r50_fpn_1x_coco.py',
    'yolo/yolov3_d53_8xb8-320-273e_coco.py', 'yolox/yolox_tiny_8xb8-300e_coco.py',
)  # fmt: skip


@pytest.mark.parametrize('name', MMDET_CONFIGS)
def test_mmdets_own_configs_are_not_complained_of(name: str):
    assert list(find_mistakes(Config.fromfile(MMDET / name))) == []


def test_the_zoo_is_not_complained_of(repository: Path):
    # the folders with parts of their own; files of one folder differ by numbers
    folders = ('dino', 'dyhead', 'htc', 'reppoints_v2', 'rtmdet', 'self_supervised')
    paths = [sorted((repository / 'configs' / folder).glob('*.py'))[0] for folder in folders]
    assert {path.name: list(find_mistakes(Config.fromfile(path))) for path in paths} == {p.name: [] for p in paths}


@pytest.fixture(scope='module')
def quickstart(repository: Path) -> Config:
    return Config.fromfile(repository / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py')


PIPELINE = 'train_dataloader.dataset.pipeline'


def merge_and_check(cfg: Config, options: dict) -> None:
    merge_options(cfg, options)
    check_names(cfg)


@pytest.mark.parametrize(
    ('option', 'sentence'),
    [
        ('model.backbon.depths', 'model.backbon: MaskRCNN has no argument backbon; did you mean backbone?'),
        ('train_dataloader.batchsize', 'train_dataloader has no batchsize; did you mean batch_size?'),
        ('train_cfg.max_iter', 'IterBasedTrainLoop has no argument max_iter; did you mean max_iters?'),
        ('model.backbone.drop_path', 'SwinTransformer has no argument drop_path; did you mean drop_path_rate?'),
        ('model.backbone.ape', 'SwinTransformer has no argument ape; did you mean use_abs_pos_embed?'),
        ('model.backbone.use_checkpoint', 'SwinTransformer has no argument use_checkpoint; did you mean with_cp?'),
        ('model.backbone.pretrained', 'SwinTransformer has no argument pretrained; did you mean init_cfg?'),
        (f'{PIPELINE}.3.flip_ratio', 'RandomFlip has no argument flip_ratio; did you mean prob?'),
        ('train_dataloader.samples_per_gpu', 'nothing reads this key; did you mean batch_size?'),
        ('train_dataloader.workers_per_gpu', 'nothing reads this key; did you mean num_workers?'),
        ('model.rpn_head.anchor_generator.scale', 'AnchorGenerator has no argument scale; did you mean scales?'),
        ('model.test_cfg.rcnn.score_trh', 'model.test_cfg.rcnn has no score_trh; did you mean score_thr?'),
        ('model.neck.norm_cfg.requires_gard', None),
        (f'{PIPELINE}.2.scal', 'Resize has no argument scal; did you mean scale?'),
        (f'{PIPELINE}.-1.meta_key', 'PackDetInputs has no argument meta_key; did you mean meta_keys?'),
        ('param_scheduler.0.endd', 'LinearLR has no argument endd; did you mean end?'),
        ('optim_wrapper.clip_gard', 'OptimWrapper has no argument clip_gard; did you mean clip_grad?'),
        ('optim_wrapper.optimizer.weigth_decay', 'AdamW has no argument weigth_decay; did you mean weight_decay?'),
        ('optim_wrapper.paramwise_cfg.norm_decay', 'nothing reads this key; did you mean norm_decay_mult?'),
        ('val_evaluator.metrics_', 'CocoMetric has no argument metrics_; did you mean metric?'),
        ('default_hooks.loger.interval', 'default_hooks has no loger; did you mean logger?'),
        ('randomness.seeed', 'randomness.seeed: nothing reads this key; did you mean seed?'),
        ('auto_scale_lr.base_batchsize', 'auto_scale_lr has no base_batchsize; did you mean base_batch_size?'),
        ('env_cfg.cudnn_bench', 'env_cfg.cudnn_bench: nothing reads this key; did you mean cudnn_benchmark?'),
        ('optim_wraper.optimizer.lr', 'the config has no optim_wraper; did you mean optim_wrapper?'),
        ('load_form', 'the config has no load_form; did you mean load_from?'),
    ],
)
def test_a_misspelled_key_is_refused_with_the_nearest(quickstart: Config, option: str, sentence: str | None):
    cfg = quickstart.copy()
    if sentence is None:
        cfg.model.neck.norm_cfg = ConfigDict(type='BN')
        sentence = 'BatchNorm2d has no argument requires_gard; did you mean requires_grad?'
    with pytest.raises(UserError) as error:
        merge_and_check(cfg, {option: 1})
    assert sentence in str(error.value)
    assert '\n' not in str(error.value)


@pytest.mark.parametrize(
    ('option', 'value', 'noun', 'near'),
    [
        ('model.type', 'MaskRCN', 'model', 'MaskRCNN'),
        ('model.backbone.type', 'swin_mmdet.SwinTransfomer', 'model', 'swin_mmdet.SwinTransformer'),
        ('model.rpn_head.loss_cls.type', 'CrossEntropyLos', 'model', 'CrossEntropyLoss'),
        ('model.train_cfg.rcnn.assigner.type', 'MaxIoUAsigner', 'task util', 'MaxIoUAssigner'),
        (f'{PIPELINE}.2.type', 'Resise', 'transform', 'Resize'),
        ('train_dataloader.dataset.type', 'CocoDatset', 'dataset', 'CocoDataset'),
        ('train_dataloader.sampler.type', 'InfinitSampler', 'data sampler', 'InfiniteSampler'),
        ('optim_wrapper.type', 'AmpOptimWraper', 'optim wrapper', 'AmpOptimWrapper'),
        ('optim_wrapper.optimizer.type', 'AdmW', 'optimizer', 'AdamW'),
        ('optim_wrapper.constructor', 'swin_mmdet.OptimWraperConstructor', 'optim wrapper constructor',
         'swin_mmdet.OptimWrapperConstructor'),
        ('param_scheduler.0.type', 'LinerLR', 'param scheduler', 'LinearLR'),
        ('default_hooks.checkpoint.type', 'CheckpointHok', 'hook', 'CheckpointHook'),
        ('val_evaluator.type', 'CocoMetrc', 'metric', 'CocoMetric'),
        ('train_cfg.type', 'IterBasedTrainLop', 'loop', 'IterBasedTrainLoop'),
        ('visualizer.type', 'DetLocalVisualiser', 'visualizer', 'DetLocalVisualizer'),
        ('runner_type', 'FlexibelRunner', 'runner', 'FlexibleRunner'),
    ],
)  # fmt: skip
def test_a_misspelled_type_is_refused_with_the_nearest(quickstart: Config, option, value, noun, near):
    cfg = quickstart.copy()
    merge_options(cfg, {option: value})
    key = option if option.endswith(('type', 'constructor')) else f'{option}.type'
    with pytest.raises(UserError, match=re.escape(f'{key}: no {noun} is called {value}; did you mean {near}?')):
        check_names(cfg)


def test_several_mistakes_are_told_at_once(quickstart: Config):
    cfg = quickstart.copy()
    merge_options(cfg, {'model.backbone.drop_path': 1, 'val_evaluator.type': 'CocMetric'})
    with pytest.raises(UserError) as error:
        check_names(cfg)
    assert len(str(error.value).splitlines()) == 2


def test_a_file_is_told_of_a_misspelled_key_and_keeps_its_own_variables(tmp_path: Path):
    text = 'optim_wraper = dict(lr=1)\nparam_schedulers = [1]\nparam_scheduler = param_schedulers\ntrain_scale = 3\n'
    (tmp_path / 'a.py').write_text(text)
    (first, *rest) = find_mistakes(Config.fromfile(tmp_path / 'a.py'))
    assert first == 'optim_wraper: nothing reads this key; did you mean optim_wrapper?'
    assert 'param_schedulers' not in str(rest)


def test_parts_of_packages_that_are_missing_are_named(quickstart: Config):
    cfg = quickstart.copy()
    merge_options(cfg, {'model.backbone.type': 'no_such_package.ConvNeXt'})
    with pytest.raises(UserError, match='needs the package no_such_package, which is not installed'):
        check_names(cfg)


def test_variables_of_a_dumped_config_are_none_of_the_runners_keys(quickstart: Config, tmp_path: Path):
    """In the config that a work-dir keeps nothing uses them any more."""
    cfg = quickstart.copy()
    cfg.update(test_pipeline=[], val_evaluator_abs=dict(), train_dataset=dict(), img_scales=[1])
    cfg.dump(tmp_path / 'dumped.py')
    assert list(find_mistakes(Config.fromfile(tmp_path / 'dumped.py'))) == []


class Foreign:
    """A user's own part, which takes from the dicts inside its own what it likes."""

    def __init__(self, head, weight=1.0):
        self.extra, self.weight = head.pop('extra'), weight


def test_a_users_own_part_may_take_what_it_likes_from_what_is_inside_it():
    head = dict(type='RPNHead', in_channels=1, extra=3)
    assert list(find_mistakes(Config(dict(default_scope='mmdet', model=dict(type=Foreign, head=head))))) == []
    head['in_chanels'] = 3
    found = list(find_mistakes(Config(dict(default_scope='mmdet', model=dict(type=Foreign, head=head, weights=1)))))
    assert found == [
        'model.weights: Foreign has no argument weights; did you mean weight?',
        'model.head.in_chanels: RPNHead has no argument in_chanels; did you mean in_channels?',
    ]
