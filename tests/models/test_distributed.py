"""Two processes (gloo): freezing and checkpointing under DDP without `find_unused_parameters`."""

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch.nn.parallel import DistributedDataParallel

from swin_mmdet.models import SwinTransformer
from tests.numerics import assert_equal_to_definition

ARCH = {'embed_dims': 8, 'depths': (2, 2, 2), 'num_heads': (1, 2, 2)}
STEPS = 2


def make_model(options):
    torch.manual_seed(0)
    return SwinTransformer(arch=ARCH, drop_path_rate=0.0, **options).double().train()


def make_images(rank):
    # another size on every process, as aspect-ratio groups give
    generator = torch.Generator().manual_seed(rank)
    return torch.randn(1, 3, 40 + 24 * rank, 56, generator=generator, dtype=torch.float64)


def loss_of(model, images):
    return sum(x.pow(2).mean() for x in model(images))


OPTIONS = (
    {'out_indices': (0, 1, 2)},
    {'out_indices': (1,), 'frozen_stages': 0},
    {'out_indices': (0, 1, 2), 'frozen_stages': 2, 'with_cp': True},
    {'out_indices': (0, 2), 'with_cp': (0, 1), 'use_abs_pos_embed': True},
)


def trained(model):
    return [parameter for parameter in model.parameters() if parameter.requires_grad]


def work(rank, world_size, folder):
    torch.set_num_threads(1)
    dist.init_process_group('gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=world_size)
    for number, options in enumerate(OPTIONS):
        model = make_model(options)
        wrapped = DistributedDataParallel(model)
        optimizer = torch.optim.SGD(trained(model), lr=0.1)
        for _ in range(STEPS):
            optimizer.zero_grad()
            loss_of(wrapped, make_images(rank)).backward()
            optimizer.step()
        torch.save(model.state_dict(), f'{folder}/{number}-rank{rank}.pth')
    dist.destroy_process_group()


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """The folder with the weights that each of two processes ends with, for every option: one start serves all."""
    folder = tmp_path_factory.mktemp('distributed')
    mp.spawn(work, (2, folder), nprocs=2)
    return folder


@pytest.mark.parametrize('number', range(len(OPTIONS)), ids=lambda number: str(OPTIONS[number]))
def test_two_processes_train_as_one_does(number, two_processes):
    model = make_model(OPTIONS[number])
    initial = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = torch.optim.SGD(trained(model), lr=0.1)
    for _ in range(STEPS):
        optimizer.zero_grad()
        (sum(loss_of(model, make_images(rank)) for rank in range(2)) / 2).backward()
        optimizer.step()
    for rank in range(2):
        weights = torch.load(two_processes / f'{number}-rank{rank}.pth')
        for name, expected in model.state_dict().items():
            assert_equal_to_definition(weights[name], expected, name)
    frozen = {name for name, parameter in model.named_parameters() if not parameter.requires_grad}
    for name, value in model.state_dict().items():
        assert torch.equal(value, initial[name]) == (name in frozen), name
