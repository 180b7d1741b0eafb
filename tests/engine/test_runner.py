"""The runner of a training: the batch's learning rate, parts that stay, and what a resumed run must share."""

import multiprocessing

import pytest
import torch
from mmengine.evaluator import Evaluator
from mmengine.hooks import Hook
from mmengine.model import BaseModel
from mmengine.optim import OptimWrapper
from mmengine.visualization import Visualizer
from torch.utils.data import DataLoader

from swin_mmdet.engine.frozen_parts import FreezeHook
from swin_mmdet.engine.runner import StrictRunner, TrainingRunner
from swin_mmdet.errors import UserError

POINTS = [{'inputs': torch.ones(2)} for _ in range(12)]
STEPS = {'type': 'MultiStepLR', 'by_epoch': False, 'milestones': [4], 'gamma': 0.1}


class Watch(Hook):
    """Looks whenever a batch was used."""

    def __init__(self, look) -> None:
        self._after_iter = lambda *_, **__: look()


class Line(BaseModel):
    def __init__(self) -> None:
        super().__init__()
        self.body, self.head = torch.nn.BatchNorm1d(2), torch.nn.Linear(2, 1)

    def forward(self, inputs, mode='tensor'):
        found = self.head(self.body(inputs))
        return {'loss': found.square().mean()} if mode == 'loss' else found


def make(folder, counts=1, iters=6, images=2, log=None, visualizer=None, loader=None, **cfg):
    """A runner of iterations, or of epochs with iters=None, whose optimizer is built and scaled."""
    loop = {'by_epoch': False, 'max_iters': iters} if iters else {'by_epoch': True, 'max_epochs': 3}
    runner = TrainingRunner(
        model=Line(),
        work_dir=str(folder),
        train_dataloader=loader or DataLoader(POINTS, batch_size=images),
        train_cfg=loop,
        optim_wrapper={'optimizer': {'type': 'SGD', 'lr': 0.08}, 'accumulative_counts': counts},
        auto_scale_lr=cfg.pop('auto_scale_lr', None),
        randomness={'seed': cfg.pop('seed', None)},
        cfg=cfg,
        visualizer=visualizer,
        experiment_name=f'runner_{folder.name}',
    )
    if log:  # mmengine's logger hands nothing on to Python's
        runner.logger.addHandler(log.handler)
    runner.optim_wrapper = runner.build_optim_wrapper(runner.optim_wrapper)
    runner.scale_lr(runner.optim_wrapper, runner.auto_scale_lr)
    return runner


def rate(runner):
    return runner.optim_wrapper.optimizer.param_groups[0]['lr']


@pytest.mark.parametrize(
    ('options', 'factor', 'rule'),
    [
        (None, 1, 'none'),
        ({'base_batch_size': 96}, 1, 'none'),
        ({'base_batch_size': 96, 'enable': False, 'rule': 'sqrt'}, 1, 'none'),
        ({'base_batch_size': 96, 'enable': True}, 1 / 16, 'linear'),
        ({'base_batch_size': 96, 'enable': True, 'rule': 'linear'}, 1 / 16, 'linear'),
        ({'base_batch_size': 96, 'enable': True, 'rule': 'sqrt'}, 1 / 4, 'sqrt'),
    ],
    ids=str,
)
def test_the_rate_is_that_of_the_images_of_a_step(options, factor, rule, tmp_path):
    """Of 2 images, 3 times."""
    runner = make(tmp_path, counts=3, auto_scale_lr=options)
    assert rate(runner) == pytest.approx(0.08 * factor)
    assert runner.optim_wrapper.optimizer.defaults['lr'] == 0.08
    assert runner.settings() == {
        'accumulated iterations': 3, 'scaling of the learning rate': rule, 'frozen parts': [], 'batch': 6,
        'learning rate': f'{0.08 * factor:.6g}', 'schedule': 'constant', 'processes': 1, 'iterations an epoch': 6,
    }  # fmt: skip


def test_the_rate_that_the_log_has_is_scaled_too(tmp_path):
    groups = [{'params': [torch.nn.Parameter(torch.zeros(1))], 'weight_decay': decay} for decay in (0, 1)]
    built = OptimWrapper(torch.optim.SGD(groups, lr=0.08))
    make(tmp_path).scale_lr(built, {'base_batch_size': 4, 'enable': True})
    assert built.get_lr() == {'lr': [0.04, 0.04], 'base_lr': [0.04]}


@pytest.mark.parametrize('iters', [6, None])
def test_the_batch_is_logged_with_the_steps_that_there_are(iters, tmp_path, caplog):
    make(tmp_path, counts=2, iters=iters, log=caplog, auto_scale_lr={'base_batch_size': 8, 'enable': True})
    line = next(one for one in caplog.messages if one.startswith('batch'))
    assert line.startswith(
        'batch 4 = 1 processes x 2 images x 2 accumulated; learning rate 0.04, scaled by 0.5 (linear;'
    )
    assert line.endswith('3 in all, 1 times over the data' if iters else '3 an epoch')


@pytest.mark.parametrize(
    ('images', 'base', 'words'), [(2, 16, '0 steps'), (2, 2, None), (2, 1, 'batch is 2'), (1, 3, '2 steps')]
)
def test_another_batch_than_the_recipes_is_said(images, base, words, tmp_path, caplog):
    make(tmp_path, images=images, log=caplog, auto_scale_lr={'base_batch_size': base})
    found = [one for one in caplog.messages if 'batch is' in one]
    assert len(found) == (words is not None)
    assert all(words in one and f"the recipe's {base}" in one for one in found)
    # a smaller batch than the run's takes no steps away
    assert all(('short run' in one) is (base > images) for one in found)


def test_a_long_run_is_not_called_short(tmp_path, caplog):
    make(tmp_path, iters=8000, log=caplog, auto_scale_lr={'base_batch_size': 16})
    make(tmp_path, iters=7999, log=caplog, auto_scale_lr={'base_batch_size': 16})
    assert ['short run has 999 steps' in one for one in caplog.messages if 'batch is' in one] == [False, True]


def test_rates_of_the_schedule_are_scaled_and_the_config_stays(tmp_path):
    runner = make(tmp_path, auto_scale_lr={'base_batch_size': 4, 'enable': True}, train_cfg={'max_iters': 6})
    schedule = [{'type': 'CosineAnnealingLR', 'by_epoch': False, 'T_max': 6, 'eta_min': 0.01}]
    (built,) = runner.build_param_scheduler(schedule)
    assert built.eta_min == pytest.approx(0.005)
    assert schedule[0]['eta_min'] == 0.01
    assert runner.settings()['schedule'] == 'CosineAnnealingLR(T_max=6, by_epoch=False, eta_min=0.005)'
    # what is built already is taken as it is
    assert runner.build_param_scheduler([built]) == [built]
    assert runner.settings()['schedule'].startswith('Cosine')


@pytest.mark.parametrize('keep', [True, False])
def test_a_warm_up_is_bounded_unless_the_user_set_it(keep, tmp_path):
    runner = make(tmp_path, iters=None, keep_warm_up=keep, train_cfg={'max_epochs': 3})
    schedule = [{'type': 'LinearLR', 'start_factor': 0.1, 'by_epoch': False, 'begin': 0, 'end': 10}]
    runner.build_param_scheduler(schedule)
    assert ('end=10' in runner.settings()['schedule']) is keep


def test_frozen_parts_stay_in_evaluation_mode(tmp_path, monkeypatch):
    runner = make(tmp_path, frozen_parts=['body'])
    assert [name for name, one in runner.model.named_parameters() if one.requires_grad] == ['head.weight', 'head.bias']
    assert runner.settings()['frozen parts'] == ['body']
    monkeypatch.setattr('mmengine.runner.Runner.train', lambda self: self.model)
    runner.train()
    (hook,) = (one for one in runner.hooks if isinstance(one, FreezeHook))
    runner.model.train()
    hook.before_train_iter(runner, 0)
    assert (runner.model.body.training, runner.model.head.training) == (False, True)
    with pytest.raises(UserError, match=r"parts to freeze: 'nothing' matches no parameter"):
        make(tmp_path, frozen_parts=['nothing'])


def resumable(runner, **changes):
    return {'meta': {'settings': runner.settings() | changes, 'seed': 3}}


def test_a_run_goes_on_with_the_same_settings(tmp_path):
    runner = make(tmp_path, seed=3)
    runner._check_resumed('a.pth', resumable(runner))
    # of another program, of an older version, and without a seed of its own
    runner._check_resumed('a.pth', {'meta': {}})
    runner._check_resumed('a.pth', {'meta': {'settings': {'batch': 2}, 'seed': 3}})
    runner._check_resumed('a.pth', {'meta': {'settings': runner.settings(), 'seed': None}})


@pytest.mark.parametrize('name', ['accumulated iterations', 'scaling of the learning rate', 'frozen parts', 'batch',
                                  'learning rate', 'schedule'])  # fmt: skip
def test_another_setting_is_refused_by_name(name, tmp_path):
    runner = make(tmp_path, seed=3)
    message = rf'--resume a\.pth: it was trained with {name}: other; now: .*load_from=a\.pth'
    with pytest.raises(UserError, match=message):
        runner._check_resumed('a.pth', resumable(runner, **{name: 'other'}))


def test_another_number_of_processes_is_named_where_it_is_the_reason(tmp_path):
    """By hand: a batch of another size wants other rates."""
    with pytest.raises(UserError, match=r'trained with batch: 4; now: 2 \(then 2 processes, now 1\); its optimizer'):
        make(tmp_path)._check_resumed('a.pth', resumable(make(tmp_path), processes=2, batch=4))
    # the same batch of fewer processes
    make(tmp_path)._check_resumed('a.pth', resumable(make(tmp_path), processes=2))


@pytest.mark.parametrize('epochs', [False, True])
def test_a_launcher_s_restart_goes_on_with_other_processes(epochs, tmp_path, caplog):
    """Two processes of 3 iterations an epoch became one of 6; an iteration of a loop of iterations stays one."""
    runner = make(tmp_path, iters=None if epochs else 6, log=caplog)
    assert len(runner.train_dataloader) == 6
    runner.is_elastic = True
    changes = {'processes': 2, 'batch': 4, 'schedule': 'other', 'iterations an epoch': 3}
    checkpoint = resumable(runner, **changes)
    checkpoint['meta']['iter'] = 5
    runner._check_resumed('a.pth', checkpoint)
    assert checkpoint['meta']['iter'] == (10 if epochs else 5)
    assert '2 processes became 1: a batch of 2 images where there were 4; learning rates and schedule stay' in (
        caplog.messages
    )
    checkpoint['meta']['settings']['frozen parts'] = ['backbone']
    with pytest.raises(UserError, match='trained with frozen parts'):
        runner._check_resumed('a.pth', checkpoint)
    # of the same number nothing else is allowed
    with pytest.raises(UserError, match='trained with batch: 4; now: 2; its'):
        runner._check_resumed('a.pth', resumable(runner, batch=4))


def test_another_seed_or_no_average_is_refused(tmp_path):
    runner = make(tmp_path, seed=4)
    with pytest.raises(UserError, match='it was trained with seed: 3; now: 4'):
        runner._check_resumed('a.pth', resumable(runner))
    with pytest.raises(UserError, match='averaged weights; add --ema'):
        runner._check_resumed('a.pth', {'meta': {}, 'ema_state_dict': {}})


def test_weights_of_another_shape_are_refused(tmp_path):
    """Such as those of another number of classes, whose rows mmengine would leave as they are."""
    runner = make(tmp_path)
    state = runner.model.state_dict()
    runner._check_resumed('a.pth', {'meta': {}, 'state_dict': state})
    first, *_ = (name for name, value in state.items() if value.dim())
    other = dict(state, **{first: torch.zeros(7, 2)})
    message = rf'a\.pth: its weights are of another model: {first} has 7x2 there, .* here; give the same config'
    with pytest.raises(UserError, match=message):
        runner._check_resumed('a.pth', {'meta': {}, 'state_dict': other})


def test_a_checkpoint_has_the_settings(tmp_path):
    runner = make(tmp_path)
    assert isinstance(runner.optim_wrapper, OptimWrapper)
    runner.save_checkpoint(str(tmp_path), 'a.pth', meta={'mine': 1})
    meta = torch.load(tmp_path / 'a.pth', weights_only=False)['meta']
    assert (meta['mine'], meta['settings']) == (1, runner.settings())


def test_a_resumed_run_has_the_weights_and_the_rate_of_its_checkpoint(tmp_path, caplog):
    options = {'seed': 3, 'train_cfg': {'max_iters': 6}}
    first, second = make(tmp_path, **options), make(tmp_path, log=caplog, **options)
    for runner in (first, second):
        runner.param_schedulers = runner.build_param_scheduler([STEPS])
    first.optim_wrapper.optimizer.param_groups[0]['lr'] = 0.02
    torch.nn.init.constant_(first.model.head.weight, 5.0)
    first.save_checkpoint(str(tmp_path), 'a.pth')
    second._resume = True
    second.resume(str(tmp_path / 'a.pth'))
    assert rate(second) == 0.02
    assert (second.model.head.weight == 5).all()
    assert 'learning rates go on from the checkpoint: 0.02' in caplog.messages
    changed = make(tmp_path, counts=2, **options)
    changed._resume = True
    with pytest.raises(UserError, match=r'a\.pth: it was trained with accumulated iterations: 1; now: 2'):
        changed.resume(str(tmp_path / 'a.pth'))


def test_each_runner_draws_and_writes_curves_in_its_own_folder(tmp_path):
    """Every config of mmdet's gives its visualizer one name, by which mmengine finds the first one again."""
    folders = [tmp_path / name for name in ('first', 'second', 'third')]
    given = {'type': 'Visualizer', 'vis_backends': [{'type': 'LocalVisBackend'}], 'name': 'visualizer'}
    for folder in folders:
        runner = make(folder, visualizer=given)
        runner.train()
        assert Visualizer.get_current_instance() is runner.visualizer
    for folder in folders:
        (curves,) = folder.glob('*/vis_data/scalars.json')
        assert len(curves.read_text().splitlines()) == 1
    assert given['name'] == 'visualizer'


def test_workers_end_with_a_training_and_with_a_test(tmp_path):
    """Those of a loader that Python collects as garbage, as it does all that a runner holds, cannot be asked to."""

    def children():
        return {process.pid for process in multiprocessing.active_children()}

    others, seen = children(), []
    workers = {'num_workers': 1, 'persistent_workers': True}
    runner = make(tmp_path, loader=DataLoader(POINTS, batch_size=2, **workers))
    runner.register_hook(Watch(lambda: seen.append(children() - others)))
    runner.train()
    tester = StrictRunner(
        model=Line(),
        work_dir=str(tmp_path),
        test_dataloader=DataLoader(POINTS, **workers),
        test_cfg={},
        test_evaluator=Evaluator([]),
        experiment_name=f'tester_{tmp_path.name}',
    )
    tester.register_hook(Watch(lambda: seen.append(children() - others)))
    tester.test()
    assert all(seen)
    assert len(seen) == 6 + len(POINTS)
    assert children() <= others
