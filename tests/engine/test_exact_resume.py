"""A run that goes on from any checkpoint is the uninterrupted one, to the last bit of every loss and weight."""

from pathlib import Path

import pytest
import torch

from . import tiny_run

EPOCHS = dict(
    train_cfg=dict(_delete_=True, type='swin_mmdet.EpochBasedTrainLoop', max_epochs=2, val_interval=1),
    default_hooks__checkpoint__interval=5,
)
WORKERS = dict(train_dataloader__num_workers=2)
ENDLESS = dict(train_dataloader__sampler=dict(type='InfiniteSampler', shuffle=True))
EMA = dict(custom_hooks=[dict(type='WriteLosses'), dict(type='swin_mmdet.EMAHook', update_buffers=True)])
AMP = dict(optim_wrapper__type='AmpOnCpu')
# 5, 10 and 15 lie between two steps of the optimizer
ACCUMULATION = dict(optim_wrapper__accumulative_counts=4)
# 15 comes between an evaluation and its best checkpoint of the same iteration
EVALUATION = dict(train_cfg__val_interval=5, default_hooks__checkpoint__save_best='score',
                  default_hooks__checkpoint__rule='greater')  # fmt: skip
CASES = {
    'iterations': {},
    'in the middle of an epoch': EPOCHS,
    'workers': WORKERS,
    'workers in the middle of an epoch': EPOCHS | WORKERS | dict(train_dataloader__persistent_workers=True),
    'sampler without end': ENDLESS | WORKERS,
    'averaged weights': EMA,
    'loss scale': AMP,
    'accumulation': ACCUMULATION | EPOCHS,
    'evaluation': EVALUATION | EMA,
    'all at once': EPOCHS | WORKERS | EMA | AMP | ACCUMULATION,
}


def end(work_dir: Path) -> dict:
    return torch.load(work_dir / 'iter_20.pth', weights_only=True)


def assert_same(one: object, other: object, where: str = '') -> None:
    if isinstance(one, torch.Tensor):
        assert torch.equal(one, other), where
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key, value in one.items():
            assert_same(value, other[key], f'{where}.{key}')
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, (value, twin) in enumerate(zip(one, other)):
            assert_same(value, twin, f'{where}.{index}')
    else:
        assert one == other, where


@pytest.mark.parametrize('case', CASES)
def test_resumed_is_uninterrupted(case: str, tmp_path: Path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    tiny_run.train(straight, **CASES[case])
    tiny_run.train(resumed, resume=True, load_from=str(straight / 'iter_15.pth'), **CASES[case])
    assert tiny_run.losses(resumed) == tiny_run.losses(straight)[15:]
    for part in ('state_dict', 'optimizer', 'param_schedulers', 'ema_state_dict', 'processes'):
        assert_same(end(straight).get(part), end(resumed).get(part), part)


def test_a_run_without_a_seed_of_its_own_takes_that_of_its_first_part(tmp_path: Path):
    tiny_run.train(tmp_path / 'straight', randomness__seed=None)
    options = dict(randomness__seed=None, resume=True, load_from=str(tmp_path / 'straight/iter_10.pth'))
    tiny_run.train(tmp_path / 'resumed', **options)
    assert tiny_run.losses(tmp_path / 'resumed') == tiny_run.losses(tmp_path / 'straight')[10:]


def test_workers_do_not_change_what_is_read(tmp_path: Path):
    """So the number may be another when a run goes on."""
    tiny_run.train(tmp_path / 'none')
    tiny_run.train(tmp_path / 'three', train_dataloader__num_workers=3)
    assert tiny_run.losses(tmp_path / 'none') == tiny_run.losses(tmp_path / 'three')


def test_random_numbers_differ_from_sample_to_sample(tmp_path: Path):
    runner = tiny_run.train(tmp_path, train_cfg__max_iters=1)
    loader = runner.train_dataloader
    loader.batch_sampler.begin(0, 0)
    batches = [next(iterator) for iterator in [iter(loader)] for _ in range(30)]
    inputs = torch.cat([torch.stack(batch['inputs']) - batch['data_samples'][0] for batch in batches])
    assert len(inputs.unique(dim=0)) == 60


def test_other_processes_than_before_are_told(tmp_path: Path):
    tiny_run.train(tmp_path, train_cfg__max_iters=5)
    path = tmp_path / 'iter_5.pth'
    checkpoint = torch.load(path, weights_only=True)
    checkpoint['processes'] *= 2
    torch.save(checkpoint, path)
    runner = tiny_run.train(tmp_path, resume=True, load_from=str(path))
    log = next(Path(runner.log_dir).glob('*.log')).read_text()
    assert 'those of 2 processes, this run has 1' in log


def test_two_processes(tmp_path: Path):
    straight, resumed = tmp_path / 'straight', tmp_path / 'resumed'
    source = str(straight / 'iter_15.pth')
    for folder, options in ((straight, {}), (resumed, dict(resume=True, load_from=source))):
        # 15 lies between two steps of the optimizer: each process has gradients of its own
        for process in tiny_run.start(folder, 2, **ACCUMULATION, **options):
            tiny_run.end_of(process)
            assert process.exitcode == 0, tiny_run.console(folder)[-2000:]
    for rank in (0, 1):
        assert tiny_run.losses(resumed, rank) == tiny_run.losses(straight, rank)[15:]
    assert tiny_run.losses(straight, 0) != tiny_run.losses(straight, 1)
    assert_same(end(straight)['optimizer'], end(resumed)['optimizer'])
