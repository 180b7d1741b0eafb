"""nn.DataParallel: its replicas have no parameters of their own, so nothing is recorded for them or replayed."""

import pytest
import torch
from torch import nn

from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from swin_mmdet.models.fused import why_not_fused_stage
from swin_mmdet.models.step_graphs import StepGraphs

ARCH = {'embed_dims': 16, 'depths': (2, 1), 'num_heads': (1, 2), 'out_indices': (0, 1), 'drop_path_rate': 0.0}
BOTH = pytest.mark.parametrize('cls', [SwinTransformer, SwinTransformerV2])


def make(cls, **options):
    torch.manual_seed(0)
    return cls(**ARCH, **options)


def replicate(model):
    """What `torch.nn.parallel.replicate` makes, on the same device: each parameter a tensor that leads to it."""
    parts = list(model.modules())
    copies = {id(part): part._replicate_for_data_parallel() for part in parts}
    for part in parts:
        replica = copies[id(part)]
        replica._former_parameters = {}
        for name, child in part._modules.items():
            if child is not None:
                setattr(replica, name, copies[id(child)])
        for name, parameter in part._parameters.items():
            if parameter is None:
                replica._parameters[name] = None
            else:
                setattr(replica, name, parameter * 1)
                replica._former_parameters[name] = getattr(replica, name)
    return copies[id(model)]


@BOTH
def test_replicas_train_the_model_and_are_not_recorded(cls, monkeypatch):
    recorded = []
    monkeypatch.setattr(StepGraphs, 'accepts', lambda *_: True)
    monkeypatch.setattr(
        StepGraphs, '__call__', lambda _, model, forward, *images: recorded.append(model) or forward(*images)
    )
    model, plain = make(cls), make(cls, cuda_graphs=False)
    for seed in range(5):
        image = torch.randn(2, 3, 40, 48, generator=torch.Generator().manual_seed(seed))
        found = []
        for one in (model, plain):
            one.zero_grad()
            parts = [replicate(one), replicate(one)] if one is model else [one, one]
            maps = [part(half) for part, half in zip(parts, image.split(1), strict=True)]
            sum(x.square().mean() for half in maps for x in half).backward()
            found.append([parameter.grad for parameter in one.parameters()])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other)
    assert not recorded
    model(image)
    assert recorded  # the model itself is


@BOTH
def test_replicas_run_on_fused_operations(cls):
    pytest.importorskip('triton')
    model = make(cls, attn_backend='triton')
    replica = replicate(model)
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    x = torch.zeros(1, 8, 8, 16, device=device)
    assert not list(replica.parameters())
    assert why_not_fused_stage(replica.stages[0].to(device), x, replica.norm0) is None


def test_a_shallow_copy_s_weights_are_not_those_that_were_watched():
    """It shares the recordings of the model that it was made of."""
    from swin_mmdet.models.watched_model import WatchedModel

    model = make(SwinTransformer)
    watched = WatchedModel(model)
    assert watched.is_of(model)
    assert not watched.is_of(replicate(model))


@pytest.mark.skipif(torch.cuda.device_count() < 2, reason='nn.DataParallel makes replicas on two GPUs or more')
@BOTH
def test_two_gpus(cls):
    """Steps of one size again and again, in training and between them in evaluation, equal those of one GPU."""
    model, single = (make(cls).cuda() for _ in range(2))
    parallel = nn.DataParallel(model, device_ids=[0, 1])
    optimizers = [torch.optim.SGD(one.parameters(), lr=0.05) for one in (model, single)]
    for seed in range(8):
        image = torch.randn(4, 3, 64, 96, generator=torch.Generator().manual_seed(seed)).cuda()
        found = []
        for run, one, optimizer in zip((parallel, single), (model, single), optimizers, strict=True):
            maps = run(image)
            sum(x.square().mean() for x in maps).backward()
            optimizer.step()
            optimizer.zero_grad()
            with torch.no_grad():
                found.append([*maps, *run(image), *one(image)])
        for one, other in zip(*found, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-3 * other.abs().max().item())
