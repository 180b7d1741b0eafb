"""torch.compile: no graph breaks, in training and evaluation, and at changing sizes on the Triton backend."""

import pytest
import torch
from torch._dynamo.testing import CompileCounterWithBackend

from swin_mmdet.models import SwinTransformer, SwinTransformerV2

# the kernels take CPU tensors only where there is no GPU, through the interpreter
DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
pytestmark = pytest.mark.filterwarnings('ignore::UserWarning')


@pytest.fixture(autouse=True)
def _fresh():
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


def make(cls, backend, **options):
    torch.manual_seed(0)
    model = cls(
        embed_dims=16,
        depths=(2, 1),
        num_heads=(1, 2),
        out_indices=(0, 1),
        window_size=4,
        attn_backend=backend,
        **options,
    )
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return model.to(DEVICE)


def assert_same_maps_and_gradients(model, compiled, size):
    image = torch.randn(2, 3, *size, device=DEVICE)
    results = []
    for run in (model, compiled):
        model.zero_grad()
        maps = run(image)
        sum(x.square().mean() for x in maps).backward()
        results.append([*maps, *(parameter.grad.clone() for parameter in model.parameters())])
    for expected, found in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-5 * max(1, expected.abs().max().item()))


@pytest.mark.parametrize('backend', ['sdpa', 'tiled', pytest.param('triton', marks=pytest.mark.long)])
@pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])
def test_the_whole_model_is_one_graph(cls, backend):
    if backend == 'triton':
        pytest.importorskip('triton')
    if backend == 'tiled' and DEVICE != 'cpu':
        pytest.skip('it is for a CPU')
    model = make(cls, backend, drop_path_rate=0.0)
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend='aot_eager')
    assert_same_maps_and_gradients(model, compiled, (50, 36))


@pytest.mark.long
def test_sizes_change_without_compiling_for_each():
    """Padding inside the kernels is no question of the graph; an odd map before a merging and a first size are."""
    pytest.importorskip('triton')
    model = make(SwinTransformer, 'triton', drop_path_rate=0.0)
    counter = CompileCounterWithBackend('aot_eager')
    compiled = torch.compile(model, fullgraph=True, dynamic=True, backend=counter)
    for size in ((48, 64), (56, 40), (64, 64), (72, 88), (40, 96)):
        assert_same_maps_and_gradients(model, compiled, size)
    assert counter.frame_count <= 2


def test_stochastic_depth_and_checkpointing_compile():
    model = make(SwinTransformer, 'sdpa', drop_path_rate=0.5, with_cp=True).train()
    compiled = torch.compile(model, fullgraph=True, dynamic=False, backend='aot_eager')
    sum(x.square().mean() for x in compiled(torch.randn(2, 3, 48, 64, device=DEVICE))).backward()
    assert all(torch.isfinite(parameter.grad).all() for parameter in model.parameters())
