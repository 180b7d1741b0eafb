"""Two processes (gloo): losses are divided by what all processes have, in one exchange, as in mmdet's heads."""

from datetime import timedelta
from unittest.mock import patch

import pytest
import torch
import torch.distributed as dist
import torch.multiprocessing as mp

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.utils import register_all_modules

from tests.detectors import mask_heads
from tests.detectors.query_heads import DIFFERENT, HEADS, ground_truth, losses_and_gradients, twins

# objects of the two images of each process
COUNTS = ((3, 7), (0, 1))
OPTIONS = [(name, {'sync_cls_avg_factor': sync}) for name in HEADS for sync in (False, True)]
NAMES = [*map(str, OPTIONS), 'Mask2FormerHead']


def with_exchanges(head, run, *arguments):
    """The losses, and how often numbers were exchanged."""
    with patch.object(dist, 'all_reduce', wraps=dist.all_reduce) as exchange:
        losses, _ = run(head, *arguments)
    return {key: loss.detach().reshape(()) for key, loss in losses.items()}, exchange.call_count


def work(rank, folder):
    """Of every head the losses of ours and mmdet's, and how often each exchanged numbers."""
    # where the other process ends before it comes here, this one does not wait for half an hour
    dist.init_process_group(
        'gloo', init_method=f'file://{folder}/rendezvous', rank=rank, world_size=2, timeout=timedelta(minutes=2)
    )
    try:
        samples = ground_truth(COUNTS[rank], DIFFERENT)
        found = [
            with_exchanges(head, losses_and_gradients, name, samples)
            for name, options in OPTIONS
            for head in twins(name, **options)
        ]
        samples = mask_heads.ground_truth(COUNTS[rank], mask_heads.DIFFERENT)
        for head in mask_heads.twins():
            with patch.object(torch, 'rand', mask_heads.SamePoints(samples, COUNTS[rank])):
                found.append(with_exchanges(head, mask_heads.losses_and_gradients, samples))
        return found
    finally:
        dist.destroy_process_group()


def work_of_another_process(_number, folder):
    torch.set_num_threads(1)
    register_all_modules()
    torch.save(work(1, folder), f'{folder}/1.pth')


@pytest.fixture(scope='module')
def two_processes(tmp_path_factory):
    """What `work` has found in this process and in another: one start, of mmdet too, serves all."""
    folder = tmp_path_factory.mktemp('distributed')
    register_all_modules()
    other = mp.spawn(work_of_another_process, (folder,), nprocs=1, join=False)
    found = work(0, folder)
    other.join()
    return [found, torch.load(folder / '1.pth')]


@pytest.mark.parametrize('rank', range(2))
@pytest.mark.parametrize('number', range(len(NAMES)), ids=NAMES.__getitem__)
def test_losses_are_divided_by_what_all_processes_have(number, rank, two_processes):
    (found, exchanges), (expected, several) = two_processes[rank][2 * number : 2 * number + 2]
    assert list(found) == list(expected)
    for key, loss in expected.items():
        torch.testing.assert_close(found[key], loss, rtol=1e-5, atol=1e-6, msg=lambda text, key=key: f'{key}: {text}')
    assert exchanges == 1
    assert several > 1


def test_alone_they_are_divided_by_less(two_processes):
    """As a check of the check."""
    number = OPTIONS.index(('DINOHead', {'sync_cls_avg_factor': True}))
    alone, _ = losses_and_gradients(twins('DINOHead')[0], 'DINOHead', ground_truth(COUNTS[1], DIFFERENT))
    assert alone['loss_bbox'] > 2 * two_processes[1][2 * number][0]['loss_bbox']
