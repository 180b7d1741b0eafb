"""Every config builds, groups its parameters as the recipe says and trains."""

import math
import re

import torch
from mmengine.runner import Runner

NO_DECAY = re.compile(r'absolute_pos_embed|relative_position_bias_table|norm')


def test_weight_decay_is_zero_for_norms_and_position_tables_only(small_runner: Runner):
    optim_wrapper = small_runner.build_optim_wrapper(small_runner.cfg.optim_wrapper)
    names = {id(parameter): name for name, parameter in small_runner.model.named_parameters()}
    decay = {
        names[id(parameter)]: group['weight_decay']
        for group in optim_wrapper.optimizer.param_groups
        for parameter in group['params']
    }
    assert decay.keys() == set(names.values())
    for kind in ('absolute_pos_embed', 'relative_position_bias_table', 'norm1.weight', 'norm1.bias', 'norm3.weight'):
        assert any(kind in name for name in decay), kind
    assert decay == {name: 0.0 if NO_DECAY.search(name) else 0.05 for name in decay}


def test_one_training_step_is_finite_and_changes_the_weights(small_runner: Runner):
    model = small_runner.model.train()
    cfg = small_runner.cfg.optim_wrapper.copy()
    if cfg.type == 'AmpOptimWrapper':  # on a GPU
        # the dynamic scale starts so high that the first steps overflow and are left out
        cfg.loss_scale = 1.0
    optim_wrapper = small_runner.build_optim_wrapper(cfg)
    batch = next(iter(small_runner.build_dataloader(small_runner.cfg.train_dataloader)))
    before = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}

    losses = model.train_step(batch, optim_wrapper)

    assert math.isfinite(losses['loss'].item())
    assert losses['loss'] > 0
    after = dict(model.named_parameters())
    assert all(torch.isfinite(parameter).all() for parameter in after.values())
    # a map without an anchor inside so small an image, or a branch without a positive sample, has no gradient
    unchanged = {name for name in before if torch.equal(before[name], after[name])}
    assert not [name for name in unchanged if name.startswith('backbone')]
    for part in ('neck', 'rpn_head', 'roi_head.bbox_head', 'roi_head.mask_head'):
        assert [name for name in before.keys() - unchanged if name.startswith(part)], part
