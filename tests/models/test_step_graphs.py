"""Replayed steps are what the same steps without replay are, to the last bit; what a recording cannot serve is not.

On a GPU with CUDA graphs; on a CPU with recordings that run Python again, so that their rules are tested anywhere.
"""

import copy
import pickle
from types import SimpleNamespace

import pytest
import torch

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.models.step_graphs import StepGraphs
from swin_mmdet.models.step_recorder import Recording, StepRecorder
from swin_mmdet.ops.memory_format import is_channels_last, memory_format

ON_GPU = torch.cuda.is_available()
DEVICE = 'cuda' if ON_GPU else 'cpu'
needs_gpu = pytest.mark.skipif(not ON_GPU, reason='is about CUDA graphs themselves')


class PythonRecording:
    """Stands for the two CUDA graphs of a recording: the same memory, filled by running the model again."""

    def __init__(self, watched, forward, image, scales, training):
        self.run, self.training, self.watched = forward, training, watched
        self.leaves, self.results = [], ()
        self.recording = Recording(self, image.clone(), None if scales is None else scales.clone(), ())
        self.replay()
        self.recording.maps = tuple(x.detach().clone() for x in self.results)
        if training:
            self.recording.map_grads = {
                index: torch.zeros_like(x) for index, x in enumerate(self.results) if x.requires_grad
            }
            self.recording.gradients = tuple(torch.zeros_like(leaf) for leaf in self.leaves)
            self.recording.backward = SimpleNamespace(replay=self.replay_backward)

    def replay(self):
        with torch.set_grad_enabled(self.training), self.watched.stand_ins() as self.leaves:
            self.results = self.run(self.recording.image, self.recording.scales)
        for static, found in zip(self.recording.maps, self.results, strict=False):
            static.copy_(found.detach())

    def replay_backward(self):
        map_grads = self.recording.map_grads
        results = [self.results[index] for index in map_grads]
        grads = torch.autograd.grad(results, self.leaves, list(map_grads.values()), retain_graph=True)
        torch._foreach_copy_(self.recording.gradients, grads)


@pytest.fixture(autouse=True)
def _record_without_a_gpu(monkeypatch):
    if ON_GPU:
        pytest.importorskip('triton')
        return

    def record(_, watched, forward, image, scales, _autocast, *, training):
        return PythonRecording(watched, forward, image, scales, training).recording

    monkeypatch.setattr(StepRecorder, 'record', record)
    monkeypatch.setattr(StepGraphs, 'accepts', lambda _, image: not image.requires_grad)
    monkeypatch.setattr(SwinTransformer, 'is_fused', lambda *_: True)
    monkeypatch.setattr(SwinTransformerV2, 'is_fused', lambda *_: True)
    monkeypatch.setattr(torch.cuda, 'current_stream', lambda _: SimpleNamespace(cuda_stream=0))


def make(cuda_graphs, cls=SwinTransformer, **options):
    torch.manual_seed(0)
    options = {'drop_path_rate': 0.3, 'out_indices': (0, 1)} | options
    model = cls(embed_dims=16, depths=(2, 1), num_heads=(1, 2), cuda_graphs=cuda_graphs, **options)
    return model.to(DEVICE).train()


def image(seed, size=(60, 70), batch=2):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed)).to(DEVICE)


def step(model, images, optimizer=None, dtype=torch.bfloat16, use=slice(None)):
    with torch.autocast(DEVICE, dtype, enabled=ON_GPU):
        maps = model(images)
    used = [x for x in maps[use] if x.requires_grad]
    torch.autograd.backward([(x.float() * x.detach().float().roll(1, 0)).mean() for x in used])
    # a parameter of a map that nobody used has no gradient in one case, and one of zeros in the other
    found = [x.detach() for x in maps]
    found += [torch.zeros_like(p) if p.grad is None else p.grad.clone() for p in model.parameters()]
    if optimizer is not None:
        optimizer.step()
        optimizer.zero_grad()
    return found


def assert_close(one, other, tolerance):
    for found, expected in zip(one, other, strict=True):
        for a, b in zip(found, expected, strict=True):
            assert (a - b).norm() <= tolerance * b.norm()


def is_recorded(model):
    return len(model._graphs._recordings)


def run(cuda_graphs, sizes, **options):
    model = make(cuda_graphs, **options)
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(trained, lr=1e-2)
    torch.manual_seed(1)
    results = [step(model, image(seed, size), optimizer) for seed, size in enumerate(sizes)]
    assert bool(is_recorded(model)) == cuda_graphs
    return results


def assert_same(one, other):
    for a, b in zip(one, other, strict=True):
        assert all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# not with an absolute embedding, whose resize has atomic sums in its backward
@pytest.mark.parametrize(
    'options', [{}, {'frozen_stages': 1}, {'out_indices': (1,)}, {'cls': SwinTransformerV2}], ids=str
)
def test_training_is_the_same_step_by_step(options):
    sizes = [(60, 70), (32, 32), (60, 70), (60, 70), (32, 32), (60, 70), (33, 31), (32, 32), (60, 70), (32, 32)]
    assert_same(run(True, sizes, **options), run(False, sizes, **options))


def test_new_memory_that_is_filled_with_nan():
    """As deterministic algorithms do it: what is recorded with a replay must not be its inputs."""
    sizes = [(60, 70)] * 6
    torch.use_deterministic_algorithms(True, warn_only=True)
    try:
        found = run(True, sizes)
    finally:
        torch.use_deterministic_algorithms(False)
    assert all(x.isfinite().all() for results in found for x in results)


def test_channels_last_is_a_kind_of_its_own():
    def found(cuda_graphs):
        model = make(cuda_graphs)
        torch.manual_seed(1)
        images = [image(seed).contiguous(memory_format=memory_format(seed % 2 == 1)) for seed in range(8)]
        results = [step(model, one) for one in images]
        for one, maps in zip(images, results, strict=True):
            assert is_channels_last(one) == is_channels_last(maps[0]) == is_channels_last(maps[1])
        assert is_recorded(model) == 2 * cuda_graphs
        return results

    assert_same(found(True), found(False))


def test_gradients_of_several_steps_add_up():
    found = []
    for cuda_graphs in (True, False):
        model = make(cuda_graphs)
        torch.manual_seed(1)
        found.append([step(model, image(seed)) for seed in range(7)])
    assert_same(*found)


def test_a_map_that_nobody_uses():
    found = []
    for cuda_graphs in (True, False):
        model = make(cuda_graphs, drop_path_rate=0.0)
        found.append([step(model, image(seed), use=slice(0, 1)) for seed in range(6)])
    # kernels that add a gradient of zeros are others than those that add none
    assert_close(*found, 1e-3)


def test_two_forwards_before_a_backward():
    found = []
    for cuda_graphs in (True, False):
        model = make(cuda_graphs, drop_path_rate=0.0)
        for seed in range(4):
            step(model, image(seed))
        model.zero_grad()
        first, second = model(image(8)), model(image(9))
        loss = sum(x.square().mean() for x in first) + sum(x.square().mean() for x in second)
        loss.backward()
        found.append([[parameter.grad for parameter in model.parameters()]])
    # sums of two steps, whose order is another
    assert_close(*found, 1e-5)


def test_a_step_that_nobody_finishes_blocks_nothing():
    model = make(True)
    for seed in range(5):
        with torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
            maps = model(image(seed))
    del maps
    assert not model._graphs._is_busy()
    step(model, image(9))
    assert is_recorded(model)


def test_backward_through_memory_that_a_later_step_has_taken_is_refused():
    model = make(True, drop_path_rate=0.0)
    for seed in range(4):
        step(model, image(seed), dtype=torch.bfloat16)
    with torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
        maps = model(image(5))
    loss = sum(x.float().square().mean() for x in maps)
    loss.backward(retain_graph=True)
    loss.backward(retain_graph=True)
    step(model, image(6))
    with pytest.raises(RuntimeError, match='cuda_graphs=False'):
        loss.backward()


def test_inference_follows_its_weights_and_its_modes():
    model, plain = make(True).eval(), make(False).eval()
    kept = []
    for seed in range(8):
        for mode in (torch.no_grad, torch.inference_mode):
            with mode(), torch.autocast(DEVICE, torch.float16, enabled=ON_GPU):
                found, expected = model(image(seed)), plain(image(seed))
            assert all(torch.equal(a, b) for a, b in zip(found, expected, strict=True))
            kept.append((found, [x.clone() for x in expected]))
        for m in (model, plain):
            with torch.no_grad():
                m.stages[0].blocks[0].mlp.fc1.weight.mul_(1.01)
                m.stages[1].blocks[0].attn.qkv.weight.data.add_(0.01)
        if seed == 5:
            for m in (model, plain):
                m.stages[0].blocks[1].mlp.fc2.weight.data = m.stages[0].blocks[1].mlp.fc2.weight.data * 2
    assert is_recorded(model)
    # what was returned is the caller's own
    assert all(torch.equal(a, b) for found, expected in kept for a, b in zip(found, expected, strict=True))


def test_a_hook_ends_the_replays():
    model = make(True).eval()
    with torch.no_grad():
        for seed in range(4):
            model(image(seed))
        assert is_recorded(model)
        seen = []
        model.stages[0].blocks[0].norm1.register_forward_hook(lambda *_: seen.append(1))
        model(image(5))
    assert seen


@needs_gpu
def test_large_steps_are_not_recorded():
    model = make(True).eval()
    with torch.no_grad():
        for _ in range(4):
            model(torch.zeros(1, 3, 2304, 2304, device='cuda'))
    assert not is_recorded(model)


def test_many_sizes_are_not_recorded():
    model = make(True).eval()
    with torch.no_grad():
        for seed in range(3):
            for side in range(32, 100, 2):
                model(image(seed, (side, side)))
        assert not is_recorded(model)
        for side in range(32, 60, 2):
            for seed in range(3):
                model(image(seed, (side, side)))
        assert is_recorded(model) == 8
        kept = set(model._graphs._recordings)
        # nor do they take each other's place, unless one was idle for long
        for seed in range(6):
            model(image(seed, (132, 132)))
        assert set(model._graphs._recordings) == kept
        model._graphs._calls += 1000
        for seed in range(3):
            model(image(seed, (132, 132)))
        assert is_recorded(model) == 8
        assert len(kept & set(model._graphs._recordings)) == 7


def test_copies_start_without_recordings():
    model = make(True).eval()
    with torch.no_grad():
        for _ in range(4):
            expected = model(image(0))
        for other in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
            assert not is_recorded(other)
            assert all(torch.equal(a, b) for a, b in zip(other(image(0)), expected, strict=True))


@needs_gpu
def test_memory_does_not_grow():
    model = make(True)
    for seed in range(5):
        step(model, image(seed))
    torch.cuda.synchronize()
    before = torch.cuda.memory_allocated()
    for seed in range(5):
        step(model, image(seed))
    assert torch.cuda.memory_allocated() == before


@needs_gpu
def test_a_recording_that_fails_is_said_and_training_goes_on(monkeypatch):
    model, plain = make(True), make(False)
    original = model._maps

    def fails_in_a_recording(*arguments):
        if torch.cuda.is_current_stream_capturing():
            torch.cuda.synchronize()
        return original(*arguments)

    monkeypatch.setattr(model, '_maps', fails_in_a_recording)
    results = []
    for m in (model, plain):
        torch.manual_seed(1)
        results.append([step(m, image(seed)) for seed in range(5)])
    assert_same(*results)
    assert not is_recorded(model)
    torch.rand(3, device='cuda')


def test_an_image_with_a_gradient_gets_it_after_recordings():
    model = make(True, drop_path_rate=0.0)
    for seed in range(4):
        step(model, image(seed))
    pixels = image(5).requires_grad_()
    sum(x.square().mean() for x in model(pixels)).backward()
    assert pixels.grad.any()


def test_an_evaluation_between_forward_and_backward():
    found = []
    for cuda_graphs in (True, False):
        model = make(cuda_graphs, drop_path_rate=0.0)
        for seed in range(4):
            step(model, image(seed))
        with torch.no_grad():
            for seed in range(4):
                model(image(seed))
        model.zero_grad()
        with torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
            maps = model(image(7))
        with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16, enabled=ON_GPU):
            model(image(8))
        sum(x.square().mean() for x in maps).backward()
        found.append([[parameter.grad for parameter in model.parameters()]])
    assert_same(*found)


def test_checkpointing_is_recorded_too():
    found = []
    for cuda_graphs in (True, False):
        model = make(cuda_graphs, with_cp=True)
        torch.manual_seed(1)
        found.append([step(model, image(seed)) for seed in range(6)])
        assert bool(is_recorded(model)) == cuda_graphs
    assert_same(*found)
