"""Replayed steps are the same steps; what a recording cannot stand for is not replayed.

On a GPU with CUDA graphs; on a CPU with recordings that run Python again, so that their rules are tested anywhere.
"""

import copy
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.optim import AmpOptimWrapper, OptimWrapper
from torch import nn

from swin_mmdet.models import SwinTransformer
from swin_mmdet.ops.tracing import remembered
from swin_mmdet.recording import recordable, recorded_training
from swin_mmdet.recording.capture import Capture
from swin_mmdet.recording.recorded_training import RecordedTraining
from swin_mmdet.recording.training_step import StepRecording, TrainingStepRecorder, run_step
from tests.recording.small_detectors import CASES, WITHOUT_MASKS, batch, small_detector

ON_GPU = torch.cuda.is_available()
DEVICE = 'cuda' if ON_GPU else 'cpu'
needs_gpu = pytest.mark.skipif(not ON_GPU, reason='is about CUDA graphs themselves')
WIDE, HIGH, LARGE = ((64, 96), (32, 96)), ((96, 64), (96, 32)), ((96, 160), (160, 96))


class PythonGraph:
    """Stands for a CUDA graph: the same memory, filled by running the step again."""

    def __init__(self, model, wrapper, kind, watched, gradients):
        self.step = lambda: run_step(model, wrapper, kind, watched.trained(), gradients)
        # to record runs nothing
        before = [x.clone() for x in gradients._own]
        with torch.random.fork_rng():
            self.results = self.step()
        torch._foreach_copy_(gradients._own, before)

    def replay(self):
        self.results.values.copy_(self.step().values)


def record_without_a_gpu(setattr):
    def record(_, *step):
        graph = PythonGraph(*step)
        return StepRecording(graph, graph.results)

    setattr(TrainingStepRecorder, 'record', record)
    setattr(SwinTransformer, 'why_not_fused', lambda *_: None)
    may = recordable.why_not_batch

    def why_not_batch(*batch):
        reason = may(*batch)
        return None if reason == 'there is no GPU' else reason

    setattr(recorded_training, 'why_not_batch', why_not_batch)


@pytest.fixture(autouse=True)
def _record_without_a_gpu(monkeypatch):
    if ON_GPU:
        pytest.importorskip('triton')
    else:
        record_without_a_gpu(monkeypatch.setattr)


def training(name='mask', records=True, amp=False, max_waste=1.0, max_kinds=8, **options):
    model = small_detector(name, **options).to(DEVICE)
    # a step in proportion to the gradient, so that noise stays small; fused ones leave it to the GPU whether they step
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-2, momentum=0.9, fused=ON_GPU)
    wrapper = AmpOptimWrapper(loss_scale='dynamic', dtype='bfloat16', optimizer=optimizer) if amp else None
    wrapper = wrapper or OptimWrapper(optimizer)
    step = RecordedTraining(model, model.train_step, max_waste, max_kinds)
    if not records:
        step._record = lambda *_: None
    return SimpleNamespace(model=model, wrapper=wrapper, step=step)


def run(made, sizes, counts=None, with_masks=True):
    """The losses of steps over new batches of these sizes."""
    torch.manual_seed(1)
    found = []
    for seed, size in enumerate(sizes):
        given = counts[seed] if counts else (3 + seed % 3, seed % 4)
        data = batch(given, size, seed, with_masks)
        found.append({key: x.item() for key, x in made.step(data, optim_wrapper=made.wrapper).items()})
    return found


def recordings(made):
    return sum(kind.recording is not None for kind in made.step._kinds.values())


def assert_close(one, other, tolerance):
    for losses, expected in zip(one, other, strict=True):
        assert list(losses) == list(expected)
        for key, value in expected.items():
            assert losses[key] == pytest.approx(value, rel=tolerance, abs=tolerance), key


SIZES = (WIDE, WIDE, WIDE, HIGH, HIGH, LARGE, WIDE)


@pytest.mark.parametrize('amp', [False, pytest.param(True, marks=needs_gpu)], ids=['float32', 'bf16'])
@pytest.mark.parametrize('name', CASES)
def test_a_replayed_training_is_the_training_without(name, amp):
    with_masks, options = name not in WITHOUT_MASKS, {'drop_path_rate': 0.3}
    replayed, plain = training(name, amp=amp, **options), training(name, False, amp=amp, **options)
    # where sums are in no order, small differences grow with every step
    tolerance = 1e-6 if not ON_GPU else 3e-2 if amp else 3e-3
    assert_close(run(replayed, SIZES, with_masks=with_masks), run(plain, SIZES, with_masks=with_masks), tolerance)
    assert recordings(replayed) == 3
    assert recordings(plain) == 0
    moved = [y - x for x, y in zip(training(name, **options).model.parameters(), plain.model.parameters(), strict=True)]
    apart = [x - y for x, y in zip(replayed.model.parameters(), plain.model.parameters(), strict=True)]
    # of all at once, because the way of some is noise: of biases before a softmax
    far, way = (torch.stack([x.norm() for x in each]).norm() for each in (apart, moved))
    assert far <= 10 * tolerance * way
    if not ON_GPU:
        assert all(x.norm() <= 10 * tolerance * way.norm() + 1e-6 for x, way in zip(apart, moved, strict=True))
    assert sum(way.norm() > 1e-4 for way in moved) > len(moved) / 2


def test_batches_of_like_size_share_a_recording():
    made = training()
    run(made, [WIDE, ((64, 90), (32, 96)), ((40, 96), (64, 70))])
    assert recordings(made) == 1
    assert len(made.step._kinds) == 1


def test_a_batch_is_not_padded_by_more_than_allowed():
    made = training(max_waste=0.0)
    run(made, [LARGE, WIDE, WIDE])
    assert [kind[2:4] for kind in made.step._kinds] == [(160, 160), (64, 96)]


def test_the_recording_that_was_idle_longest_makes_room():
    made = training(max_kinds=2, max_waste=0.0)
    run(made, [WIDE, WIDE, HIGH, HIGH, WIDE, LARGE])
    assert [kind[2:4] for kind in made.step._kinds] == [(64, 96), (160, 160)]


def _loss_weight(model):
    model.roi_head.bbox_head.loss_cls.loss_weight = 3.0


def _threshold(model):
    model.roi_head.bbox_assigner.pos_iou_thr = 0.9


def _option(model):
    model.train_cfg.rpn_proposal.max_per_img = 7


def _assigner(model):
    model.roi_head.bbox_assigner = copy.deepcopy(model.roi_head.bbox_assigner)
    model.roi_head.bbox_assigner.pos_iou_thr = 0.9


def _train_cfg(model):
    model.train_cfg = copy.deepcopy(model.train_cfg)
    model.train_cfg.rpn_proposal.max_per_img = 7


def _new_layer(model):
    layer = model.neck.fpn_convs[0].conv
    model.neck.fpn_convs[0].conv = copy.deepcopy(layer)
    nn.init.zeros_(model.neck.fpn_convs[0].conv.weight)


def _frozen(model):
    model.neck.requires_grad_(False)


CHANGES = {'a loss weight': _loss_weight, 'a threshold': _threshold, 'an option': _option, 'a layer': _new_layer,
           'what is trained': _frozen, 'an assigner': _assigner, 'all options': _train_cfg}  # fmt: skip


@pytest.mark.parametrize('change', CHANGES.values(), ids=CHANGES)
def test_a_change_of_the_model_is_seen_in_the_next_step(change):
    replayed, plain = training(), training(records=False)
    for made in (replayed, plain):
        run(made, [WIDE] * 3)
        change(made.model)
    (before,) = [kind.recording for kind in replayed.step._kinds.values()]
    assert_close(run(replayed, [WIDE] * 2), run(plain, [WIDE] * 2), 3e-3 if ON_GPU else 1e-6)
    (after,) = [kind.recording for kind in replayed.step._kinds.values()]
    assert after is not None
    assert after is not before


def test_weights_that_are_changed_in_place_are_read_by_the_recording():
    replayed, plain = training(), training(records=False)
    for made in (replayed, plain):
        run(made, [WIDE] * 3)
        with torch.no_grad():
            made.model.roi_head.bbox_head.fc_cls.weight.mul_(0)
    assert recordings(replayed) == 1
    assert_close(run(replayed, [WIDE]), run(plain, [WIDE]), 3e-3 if ON_GPU else 1e-6)
    assert recordings(replayed) == 1


def test_hooks_are_called():
    made, called = training(), []
    run(made, [WIDE] * 3)
    made.model.neck.register_forward_hook(lambda *_: called.append(1))
    run(made, [WIDE] * 2)
    assert len(called) == 2
    assert not recordings(made)


def test_what_cannot_be_made_while_it_is_recorded_is_made_by_a_step_without(monkeypatch):
    replayed, plain = training(), training(records=False)
    record, tried = TrainingStepRecorder.record, []

    def refuse_first(*step):
        tried.append(step)
        if len(tried) == 1:
            raise RuntimeError('a library makes its workspace')
        return record(*step)

    monkeypatch.setattr(TrainingStepRecorder, 'record', refuse_first)
    found = run(replayed, [WIDE, HIGH, HIGH, WIDE])
    assert len(tried) == 3
    assert recordings(replayed) == 2
    assert_close(found, run(plain, [WIDE, HIGH, HIGH, WIDE]), 3e-3 if ON_GPU else 1e-6)


def test_what_cannot_be_recorded_at_all_is_given_up(monkeypatch):
    made, said = training(), []

    def refuse(*_):
        raise RuntimeError('operation not permitted when stream is capturing')

    monkeypatch.setattr(TrainingStepRecorder, 'record', refuse)
    monkeypatch.setattr(recorded_training, 'print_log', lambda text, *_: said.append(text))
    losses = run(made, [WIDE] * 3)
    assert made.step._failed
    assert all(one['loss'] > 0 for one in losses)
    assert said == ['training steps are not recorded any more: it failed with operation not permitted when stream is '
                    'capturing']  # fmt: skip


@pytest.mark.parametrize('share', [-1, 0.5])
def test_regions_to_ignore_end_it_where_they_are_looked_at(share):
    made = training()
    made.model.roi_head.bbox_assigner.ignore_iof_thr = share
    data = batch((3, 2), WIDE)
    for sample in data['data_samples']:
        sample.ignored_instances = sample.gt_instances[:1]
    for _ in range(3):
        made.step(copy.deepcopy(data), optim_wrapper=made.wrapper)
    assert recordings(made) == (share < 0)


def test_recordings_give_way_to_a_step_that_needs_their_memory(monkeypatch):
    made = training()
    run(made, [WIDE] * 3)
    assert recordings(made) == 1

    def full(*_):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(recorded_training, 'run_step', full)
    monkeypatch.setattr(TrainingStepRecorder, 'record', full)
    losses = run(made, [HIGH, WIDE])
    assert all(one['loss'] > 0 for one in losses)
    assert not made.step._kinds
    assert made.wrapper.inner_count == 5


def test_a_step_that_needs_more_memory_than_there_is_says_so(monkeypatch):
    made = training()

    def full(*_):
        raise torch.OutOfMemoryError('CUDA out of memory')

    monkeypatch.setattr(recorded_training, 'run_step', full)
    with pytest.raises(torch.OutOfMemoryError):
        run(made, [WIDE])


def test_a_detector_of_another_kind_trains_as_ever():
    made = training(cuda_graphs=False)
    losses = run(made, [WIDE] * 3)
    assert losses[0]['loss'] > 0
    assert not made.step._kinds
    assert 'cuda_graphs=False' in made.step._reason


@needs_gpu
def test_a_recorded_step_does_not_make_the_host_wait():
    made = training(amp=True)
    run(made, [WIDE] * 3)
    data = batch((3, 5), WIDE)
    for sample in data['data_samples']:
        sample.gt_instances = sample.gt_instances.to('cuda')
    data['inputs'] = [image.pin_memory() for image in data['inputs']]
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        made.step(data, optim_wrapper=made.wrapper)
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert recordings(made) == 1


@needs_gpu
def test_recordings_share_the_memory_of_one_step():
    made = training(max_waste=0.0)
    before = torch.cuda.memory_reserved()
    run(made, [((512, 512), (512, 512))] * 2)
    first = torch.cuda.memory_reserved() - before
    run(made, [size for side in (480, 448, 416, 384) for size in [((side, side), (side, side))] * 2])
    assert recordings(made) == 5
    assert torch.cuda.memory_reserved() - before - first < first / 2


@needs_gpu
def test_one_recording_at_a_time():
    made = training(max_kinds=1, max_waste=0.0)
    run(made, [WIDE, WIDE, HIGH, HIGH, WIDE, WIDE, LARGE, LARGE])
    assert recordings(made) == 1
    assert not made.step._failed


@needs_gpu
def test_constants_that_are_new_are_made_beside_a_recording():
    @remembered(4)
    def numbers(count, device):
        return torch.arange(count, device=device) * torch.tensor(2.0, device=device)

    capture, results = Capture(), []
    for count in (5, 7, 5):
        filler = torch.zeros(count, device='cuda')
        graph, result, read = capture(lambda: numbers(count, 'cuda') + filler, torch.device('cuda:0'))  # noqa: B023
        assert [one is numbers(count, 'cuda') for one in read] == [True]
        assert numbers(count, 'cuda').tolist() == list(range(0, 2 * count, 2))
        results.append((graph, filler, result, read))
    for index, (graph, filler, result, _) in enumerate(results):
        filler.fill_(index)
        graph.replay()
        assert result.tolist() == [2 * i + index for i in range(len(filler))]


def distributed_steps(rank, file, queue):
    """Weights after three steps of two processes, with DistributedDataParallel and with recordings."""
    import torch.distributed as dist
    from mmengine.model import MMDistributedDataParallel

    if not ON_GPU:
        record_without_a_gpu(setattr)
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{file}', rank=rank, world_size=2)
    sizes = [(WIDE, WIDE, HIGH, WIDE), (HIGH, LARGE, WIDE, WIDE)][rank]
    found = []
    for recorded in (False, True):
        made = training()
        if recorded:
            made.step._group = dist.group.WORLD
            step = made.step
        else:
            step = MMDistributedDataParallel(made.model, broadcast_buffers=False).train_step
        for number, size in enumerate(sizes):
            torch.manual_seed(10 * number + rank)
            # of one process, with masks that cannot be recorded
            data = batch((2 + rank, number), size, 10 * number + rank)
            if recorded and rank and number == 2:
                for sample in data['data_samples']:
                    sample.gt_instances.masks = sample.gt_instances.masks.to_bitmap()
            step(data, optim_wrapper=made.wrapper)
        found.append(torch.cat([x.detach().flatten().cpu() for x in made.model.parameters()]))
    start = torch.cat([x.detach().flatten().cpu() for x in training().model.parameters()])
    queue.put((rank, *(x.numpy() for x in (start, *found)), recordings(made), made.wrapper.inner_count))
    dist.barrier()


def test_two_processes_train_as_with_distributed_data_parallel(tmp_path):
    context = torch.multiprocessing.get_context('spawn')
    queue = context.SimpleQueue()
    processes = [context.Process(target=distributed_steps, args=(rank, tmp_path / 'store', queue)) for rank in (0, 1)]
    for process in processes:
        process.start()
    results = sorted([queue.get() for _ in processes], key=lambda one: one[0])
    for process in processes:
        process.join()
        assert process.exitcode == 0
    (_, start, plain, recorded, count, steps), (_, _, _, other, other_count, other_steps) = results
    assert (recorded == other).all()
    assert steps == other_steps == 4
    assert count == other_count == 2
    way, apart = (np.linalg.norm(x - plain) for x in (start, recorded))
    assert way > 0
    assert apart <= (3e-2 if ON_GPU else 1e-5) * way
