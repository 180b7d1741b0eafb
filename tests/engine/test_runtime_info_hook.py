"""The log of a run is mmengine's, and losses are read when it is written alone."""

import copy
import json
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.runner import Runner
from torch.utils.data import DataLoader

from swin_mmdet.engine.runtime_info_hook import RuntimeInfoHook


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.layer = torch.nn.Linear(2, 1)

    def forward(self, inputs, target, mode='tensor'):
        found = self.layer(inputs)
        if mode == 'loss':
            return {'loss': (found - target).square().mean(), 'loss_b': found.abs().mean(), 'acc': found.mean()}
        return found


class SeenByValidation(Hook):
    """What the message hub has of the losses whenever a validation starts."""

    def __init__(self) -> None:
        self.seen = []

    def before_val(self, runner):
        self.seen.append(runner.message_hub.get_scalar('train/loss').data[0].tolist())


def train(folder, hook, by_epoch, monkeypatch, val_interval=None, custom_hooks=(), **wrapper):
    torch.manual_seed(0)
    points = [{'inputs': torch.randn(2), 'target': torch.ones(1)} for _ in range(14)]
    waits = []
    item = torch.Tensor.item
    monkeypatch.setattr(torch.Tensor, 'item', lambda self: waits.append('item') or item(self))
    tolist = torch.Tensor.tolist
    monkeypatch.setattr(torch.Tensor, 'tolist', lambda self: waits.append('tolist') or tolist(self))
    loop = {'by_epoch': True, 'max_epochs': 2} if by_epoch else {'by_epoch': False, 'max_iters': 13}
    validation = {}
    if val_interval:
        loop['val_interval'] = val_interval
        validation = {'val_dataloader': DataLoader(points[:2]), 'val_cfg': {}, 'val_evaluator': []}
    runner = Runner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader=DataLoader(points, batch_size=2),
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.1}} | wrapper,
        train_cfg=loop,
        **validation,
        custom_hooks=list(custom_hooks),
        default_hooks={
            'runtime_info': {'type': hook},
            'logger': {'type': 'LoggerHook', 'interval': 4, 'log_metric_by_epoch': by_epoch},
            'checkpoint': {'type': 'CheckpointHook', 'interval': 1 if by_epoch else 3, 'by_epoch': by_epoch},
        },
        log_processor={'by_epoch': by_epoch, 'window_size': 4},
        experiment_name=f'{folder.parent.name}_{folder.name}',
    )
    runner.train()
    monkeypatch.undo()
    return runner, len(waits)


CLIPPED = {'clip_grad': {'max_norm': 0.5}}


@pytest.mark.parametrize('wrapper', [{}, CLIPPED, CLIPPED | {'accumulative_counts': 2}])
@pytest.mark.parametrize('by_epoch', [True, False])
def test_logs_and_checkpoints_are_those_of_mmengine(by_epoch, wrapper, tmp_path, monkeypatch):
    found = {}
    for name, hook in (('theirs', 'RuntimeInfoHook'), ('ours', 'swin_mmdet.RuntimeInfoHook')):
        folder = tmp_path / f'{name}_{by_epoch}'
        runner, waits = train(folder, hook, by_epoch, monkeypatch, **copy.deepcopy(wrapper))
        lines = next(folder.glob('*/vis_data/scalars.json')).read_text().splitlines()
        lines = [
            {key: x for key, x in json.loads(line).items() if 'time' not in key and key != 'memory'} for line in lines
        ]
        scalars = {
            key: value.data[0].tolist() for key, value in runner.message_hub.log_scalars.items() if 'time' not in key
        }
        saved = {
            path.name: {
                key: value.data[0].tolist()
                for key, value in torch.load(path, weights_only=False)['message_hub']['log_scalars'].items()
                if 'time' not in key
            }
            for path in sorted(folder.glob('*.pth'))
        }
        found[name] = lines, scalars, saved, waits
    *theirs, their_waits = found['theirs']
    *ours, our_waits = found['ours']
    assert len(theirs[0]) >= 2
    assert len(theirs[2]) >= 2
    steps = 14 if by_epoch else 13
    assert len(theirs[1]['train/loss']) == steps
    norms = -(-steps // wrapper.get('accumulative_counts', 1)) if wrapper else 0
    assert len(theirs[1].get('train/grad_norm', ())) == norms
    for one, other in zip(ours, theirs, strict=True):
        assert one == pytest.approx(other) if isinstance(one, float) else json.dumps(one) == json.dumps(other)
    assert our_waits < their_waits / 2


def test_a_run_that_is_cut_off_leaves_what_its_last_checkpoint_has(tmp_path, monkeypatch):
    """Nothing of a checkpoint waits for a step after it."""
    folder = tmp_path / 'cut'
    train(folder, 'swin_mmdet.RuntimeInfoHook', False, monkeypatch)
    saved = torch.load(Path(folder, 'iter_6.pth'), weights_only=False)
    assert len(saved['message_hub']['log_scalars']['train/loss'].data[0]) == 6


@pytest.mark.parametrize(('by_epoch', 'interval', 'counts'), [(True, 1, [7, 14]), (False, 5, [5, 10, 13])])
def test_a_validation_sees_every_loss_before_it(by_epoch, interval, counts, tmp_path, monkeypatch):
    """After 5 and 10 iterations nothing is logged or saved."""
    found = {}
    for name, hook in (('theirs', 'RuntimeInfoHook'), ('ours', 'swin_mmdet.RuntimeInfoHook')):
        watcher = SeenByValidation()
        folder = tmp_path / f'{name}_{by_epoch}'
        train(folder, hook, by_epoch, monkeypatch, val_interval=interval, custom_hooks=[watcher])
        found[name] = watcher.seen
    assert [len(losses) for losses in found['theirs']] == counts
    assert found['ours'] == found['theirs']


def test_what_waits_does_not_hold_the_graph_of_its_step():
    """It would be there, with all that its functions keep, until the next line of the log."""
    hook, loss = RuntimeInfoHook(), (torch.ones(2, requires_grad=True) * 2).sum()
    hook.after_train_iter(SimpleNamespace(train_dataloader=[0, 0], iter=0, max_iters=9), 0, None, {'loss': loss})
    (waits,) = hook._waiting
    assert waits['loss'].grad_fn is None
    assert waits['loss'].item() == loss.item() == 4.0
