"""Averages are those of the formula, one for each step of the optimizer."""

import torch
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

MOMENTUM = 0.3


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.weight = torch.nn.Parameter(torch.zeros(1, dtype=torch.float64))

    def forward(self, inputs, mode='tensor'):
        return {'loss': (self.weight * inputs).sum()} if mode == 'loss' else inputs


def test_averages_follow_steps_of_the_optimizer(tmp_path, capsys):
    runner = Runner(
        model=Line(),
        work_dir=str(tmp_path),
        train_dataloader=DataLoader([{'inputs': torch.ones(1, dtype=torch.float64)} for _ in range(7)], batch_size=1),
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 1.0}, 'accumulative_counts': 2},
        train_cfg={'by_epoch': True, 'max_epochs': 1},
        custom_hooks=[{'type': 'swin_mmdet.EMAHook', 'momentum': MOMENTUM}],
        default_hooks={'checkpoint': {'type': 'CheckpointHook', 'interval': 1}},
        experiment_name=tmp_path.name,
    )
    runner.train()
    # every step subtracts 1, the last one too, of the single iteration that is left; the first average is a copy
    average = -1.0
    for weight in (-2.0, -3.0, -4.0):
        average = (1 - MOMENTUM) * average + MOMENTUM * weight
    saved = torch.load(tmp_path / 'epoch_1.pth', weights_only=False)
    torch.testing.assert_close(saved['state_dict']['weight'].item(), average)
    assert saved['ema_state_dict']['module.weight'].item() == -4.0
    assert runner.model.weight.item() == -4.0
    assert capsys.readouterr().out.count('averaged weights are evaluated') == 1
