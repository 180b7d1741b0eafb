"""What a pattern freezes, what the log says of it, and that frozen parts stay in evaluation mode."""

import pytest
from torch import nn

from swin_mmdet.engine import FreezeHook, freeze


class Detector(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.neck = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Dropout(0.5))
        self.necklace = nn.Linear(2, 2)
        self.head = nn.ModuleDict({'box': nn.Linear(3, 4), 'mask': nn.Linear(3, 5)})


def trained(model):
    return {name for name, parameter in model.named_parameters() if parameter.requires_grad}


@pytest.mark.parametrize(
    ('patterns', 'frozen'),
    [
        (['neck'], {'neck.0.weight', 'neck.0.bias', 'neck.1.weight', 'neck.1.bias'}),
        (['head.box', 'neck.1'], {'head.box.weight', 'head.box.bias', 'neck.1.weight', 'neck.1.bias'}),
        ([r'head\..*\.bias'], {'head.box.bias', 'head.mask.bias'}),
        (['neck.[01].bias|necklace.weight'], {'neck.0.bias', 'neck.1.bias', 'necklace.weight'}),
    ],
)
def test_patterns_are_names_up_to_a_dot_or_regular_expressions(patterns, frozen):
    model = Detector()
    everything = trained(model)
    freeze(model, patterns)
    assert everything - trained(model) == frozen


def test_a_pattern_that_matches_nothing_lists_the_names():
    with pytest.raises(ValueError, match=r"'nek' matches no parameter; there are head, head.box, .*necklace.weight"):
        freeze(Detector(), ['neck', 'nek'])


def test_a_model_without_anything_to_train_is_refused():
    with pytest.raises(ValueError, match='nothing is left to train'):
        freeze(Detector(), ['.*'])


def test_the_log_counts_what_trains(monkeypatch):
    lines = []
    monkeypatch.setattr('swin_mmdet.engine.frozen_parts.print_log', lambda *line: lines.append(line[0]))
    freeze(Detector(), ['neck', 'necklace'])
    # 9 + 6 frozen and 6 frozen; 16 and 20 train
    assert lines == ['frozen: neck, necklace; 36 of 57 parameters train']


def test_frozen_modules_stay_in_evaluation_mode():
    model = Detector()
    hook = FreezeHook(freeze(model, ['neck', 'head.box.weight']))
    model.train()
    hook.before_train_iter(None, 0, None)
    assert not any(module.training for module in model.neck.modules())
    assert model.training
    # trains in part
    assert model.head['box'].training
    assert model.necklace.training
