"""Every config builds, groups its parameters as its recipe says, trains and predicts."""

import re

import torch
from mmengine.evaluator import Evaluator
from mmengine.optim import OptimWrapper
from torch import nn

from .conftest import Small

OFFICIAL_KEYS = {'absolute_pos_embed', 'relative_position_bias_table', 'norm'}
NO_DECAY = re.compile('|'.join(OFFICIAL_KEYS))
# later blocks of a stage: a small backbone has the first alone
MISSING_BLOCK = re.compile(r'blocks\.[1-9]')


def settings(optim_wrapper: OptimWrapper, model: nn.Module) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each parameter, by its name."""
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['params']
    }


def norms(model: nn.Module) -> list[str]:
    """Names of the parameters of all norms."""
    kinds = nn.LayerNorm, nn.GroupNorm, nn.modules.batchnorm._BatchNorm
    modules = [(name, module) for name, module in model.named_modules() if isinstance(module, kinds)]
    return [f'{prefix}.{name}' for prefix, module in modules for name, _ in module.named_parameters()]


def test_each_parameter_learns_and_decays_as_the_recipe_says(small: Small):
    cfg = small.cfg.optim_wrapper
    found = settings(small.optim_wrapper(), small.model)
    assert found.keys() == {name for name, _ in small.model.named_parameters()}
    if 'custom_keys' not in cfg.get('paramwise_cfg', {}):
        return
    lr, decay = cfg.optimizer.lr, cfg.optimizer.weight_decay
    keys = sorted(cfg.paramwise_cfg.custom_keys, key=len, reverse=True)
    if set(cfg.paramwise_cfg) == {'custom_keys'} and set(keys) == OFFICIAL_KEYS:
        assert decay == 0.05
        assert found == {name: (lr, 0.0 if NO_DECAY.search(name) else 0.05) for name in found}
    for name, (found_lr, found_decay) in found.items():
        key = next((key for key in keys if key in name), None)
        if key:
            factors = cfg.paramwise_cfg.custom_keys[key]
            assert found_lr == lr * factors.get('lr_mult', 1.0), name
            assert found_decay == decay * factors.get('decay_mult', 1.0), name
    if cfg.paramwise_cfg.get('norm_decay_mult') == 0.0:
        # those that no key names: mmdet's MaskFormer has one for the whole backbone
        others = [name for name in norms(small.model) if not any(key in name for key in keys)]
        assert {found[name][1] for name in others} == {0.0}
    # no key is idle
    assert [key for key in keys if not any(key in name for name in found) and not MISSING_BLOCK.search(key)] == []


def test_one_training_step_is_finite_and_changes_the_weights(runnable: Small):
    model = runnable.model.train()
    optim_wrapper = runnable.optim_wrapper()
    batch = next(iter(runnable.dataloader('train')))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    losses = model.train_step(batch, optim_wrapper)

    assert losses['loss'] > 0
    assert all(torch.isfinite(loss) for loss in losses.values()), losses
    after = dict(model.named_parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after.values())
    learning = {name for name, (lr, _) in settings(optim_wrapper, model).items() if lr and after[name].requires_grad}
    # a map without an anchor inside so small an image, or a branch without a positive sample, has no gradient
    changed = {name for name in learning if not torch.equal(before[name], after[name])}
    assert sorted(name for name in learning - changed if name.startswith('backbone')) == []
    assert {part_of(name) for name in learning if '.' in name} - {part_of(name) for name in changed} == set()


def part_of(name: str) -> str:
    """Such as 'neck', 'bbox_head', 'roi_head.mask_head'."""
    return '.'.join(name.split('.')[: 2 if name.startswith('roi_head') else 1])


def test_its_metric_takes_what_it_predicts(runnable: Small):
    dataloader = runnable.dataloader('val')
    batch = next(iter(dataloader))

    with torch.no_grad():
        (sample,) = runnable.model.eval().val_step(batch)

    found = sample.pred_instances
    assert len(found)
    assert torch.isfinite(found.bboxes).all()
    assert found.scores.min() >= 0
    assert found.scores.max() <= 1
    assert found.labels.max() < 3
    evaluator = Evaluator(runnable.cfg.val_evaluator)
    evaluator.dataset_meta = dataloader.dataset.metainfo
    evaluator.process([sample], batch)
    metrics = evaluator.evaluate(1)
    wanted = evaluator.metrics[0].metrics
    assert wanted
    assert all(0 <= metrics[f'coco/{metric}_mAP'] <= 1 for metric in wanted)
