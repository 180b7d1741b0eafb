"""What the programs change in a config before they run it."""

import copy

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.commands.prepare import apply_options, fit_to_device, use_data
from swin_mmdet.engine.training_options import scale_learning_rate, use_amp


@pytest.fixture(autouse=True)
def on_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cpu')


def test_mixed_precision_becomes_float32_on_a_cpu(capsys: pytest.CaptureFixture):
    wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', dtype='bfloat16', optimizer=dict(type='SGD'))
    cfg = Config(dict(model={}, launcher='none', optim_wrapper=wrapper))
    fit_to_device(cfg)
    assert cfg.optim_wrapper.to_dict() == dict(type='OptimWrapper', optimizer=dict(type='SGD'))
    assert 'float32' in capsys.readouterr().out


def test_sync_bn_becomes_bn_on_a_cpu(capsys: pytest.CaptureFixture):
    model = dict(heads=[dict(norm_cfg=dict(type='SyncBN', requires_grad=True))])
    cfg = Config(dict(model=model, launcher='none', optim_wrapper=dict(type='OptimWrapper')))
    fit_to_device(cfg)
    assert cfg.model.heads[0].norm_cfg.to_dict() == dict(type='BN', requires_grad=True)
    assert 'SyncBN' in capsys.readouterr().out


@pytest.mark.parametrize(('launcher', 'norm'), [('none', 'BN'), ('pytorch', 'SyncBN')])
def test_sync_bn_stays_where_a_launcher_started_processes_on_gpus(
    launcher: str, norm: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    monkeypatch.setattr('torch.cuda.is_available', lambda: True)
    monkeypatch.setattr('torch.cuda.device_count', lambda: 2)
    monkeypatch.setenv('LOCAL_RANK', '0')
    model = dict(head=dict(norm_cfg=dict(type='SyncBN')))
    fit_to_device(cfg := Config(dict(model=model, launcher=launcher, optim_wrapper=dict(type='OptimWrapper'))))
    assert cfg.model.head.norm_cfg.type == norm
    assert ('SyncBN' in capsys.readouterr().out) == (norm == 'BN')


def test_images_for_a_gpu_are_pinned_unless_the_config_says_otherwise(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr('mmengine.device.get_device', lambda: 'cuda')
    loaders = dict(train_dataloader=dict(batch_size=2), val_dataloader=dict(pin_memory=False), test_dataloader=None)
    cfg = Config(dict(model={}, launcher='none', optim_wrapper=dict(type='OptimWrapper'), **loaders))
    fit_to_device(cfg)
    assert cfg.train_dataloader.pin_memory
    assert not cfg.val_dataloader.pin_memory
    assert cfg.test_dataloader is None


def test_slurm_needs_gpus(user_error: type[Exception]):
    cfg = Config(dict(model={}, launcher='slurm', optim_wrapper=dict(type='OptimWrapper')))
    with pytest.raises(user_error, match='torchrun'):
        fit_to_device(cfg)


def test_data_root_moves_every_path(capsys: pytest.CaptureFixture):
    cfg = Config(
        dict(
            data_root='data/coco/',
            train_dataloader=dict(dataset=dict(data_root='data/coco/', ann_file='annotations/a.json')),
            val_evaluator=dict(ann_file='data/coco/annotations/b.json'),
            test_evaluator=dict(ann_file='elsewhere/b.json'),
        )
    )
    apply_options(cfg, dict(data_root='/big disk/coco'))
    assert cfg.train_dataloader.dataset.data_root == '/big disk/coco/'
    assert cfg.train_dataloader.dataset.ann_file == 'annotations/a.json'
    assert cfg.val_evaluator.ann_file == '/big disk/coco/annotations/b.json'
    assert cfg.test_evaluator.ann_file == 'elsewhere/b.json'
    assert cfg.data_root == '/big disk/coco/'
    assert 'warning' not in capsys.readouterr().out


def test_options_may_name_what_another_option_brings(user_error: type[Exception]):
    options = {'optim_wrapper.loss_scale': 128.0}
    cfg = Config(dict(optim_wrapper=dict(type='OptimWrapper', optimizer=dict(type='SGD', lr=0.1))))
    apply_options(copy.deepcopy(cfg), options, lambda one: use_amp(one, 'auto'))
    with pytest.raises(user_error, match='OptimWrapper has no argument loss_scale'):
        apply_options(copy.deepcopy(cfg), options, None)
    with pytest.raises(user_error, match='the config has ApexOptimWrapper'):
        apply_options(copy.deepcopy(cfg), {'optim_wrapper.type': 'ApexOptimWrapper'}, lambda one: use_amp(one, 'auto'))


def test_data_folder_sets_classes_everywhere(repository, shapes, tmp_path):
    cfg = Config.fromfile(repository / 'configs/swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    use_data(cfg, str(shapes), tmp_path, None)
    assert [head.num_classes for head in cfg.model.roi_head.bbox_head] == [3, 3, 3]
    assert cfg.model.roi_head.mask_head.num_classes == 3
    for split in ('train', 'val', 'test'):
        assert tuple(cfg[f'{split}_dataloader'].dataset.metainfo.classes) == ('circle', 'square', 'triangle')


def test_data_folder_for_a_panoptic_config(repository, shapes, user_error, tmp_path):
    name = 'mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic.py'
    cfg = Config.fromfile(repository / 'configs/mask2former' / name)
    with pytest.raises(user_error, match=r'it has instances, .* panoptic annotations \(CocoPanopticDataset\)'):
        use_data(cfg, str(shapes), tmp_path, None)


def test_data_folder_fits_the_weights_of_classes(repository, shapes, tmp_path):
    """A weight for each class, and mmdet's 0.1 for 'no object'."""
    cfg = Config.fromfile(repository / 'configs/mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py')
    use_data(cfg, str(shapes), tmp_path, None)
    assert cfg.model.panoptic_head.num_things_classes == 3
    assert cfg.model.panoptic_head.loss_cls.class_weight == [1.0, 1.0, 1.0, 0.1]


@pytest.mark.parametrize('rule', ['linear', 'sqrt'])
def test_learning_rates_are_scaled_by_a_rule(rule: str):
    cfg = Config(dict(auto_scale_lr=dict(enable=False, base_batch_size=16)))
    scale_learning_rate(cfg, rule)
    assert cfg.auto_scale_lr.to_dict() == dict(enable=True, base_batch_size=16, rule=rule)
