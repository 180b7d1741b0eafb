"""Detections that are still to be fetched are what they will be, whatever is asked of them first."""

import copy
import pickle
import threading

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from swin_mmdet.recording.pending_instances import PendingBatch


def made():
    return [InstanceData(bboxes=torch.arange(4.0 * n).view(n, 4), scores=torch.ones(n)) for n in (2, 3)]


class Fetch:
    def __init__(self, fails=0):
        self.times, self.fails = 0, fails

    def __call__(self):
        self.times += 1
        if self.times <= self.fails:
            raise RuntimeError('CUDA out of memory')
        return made()


def pending(fetch):
    return PendingBatch(fetch, threading.RLock()).instances(2)


ASKED = {
    'a field': lambda one: one.bboxes, 'length': len, 'text': repr, 'a copy': copy.copy, 'a deep copy': copy.deepcopy,
    'pickled': lambda one: pickle.loads(pickle.dumps(one)), 'an index': lambda one: one[0],
    'get': lambda one: one.get('scores'), 'new': lambda one: one.new(),
    'membership': lambda one: 'bboxes' in one, 'on a device': lambda one: one.to('cpu'), 'keys': lambda one: one.keys(),
    'a dictionary': lambda one: one.to_dict(), 'joined': lambda one: InstanceData.cat([one, one]),
    'set': lambda one: setattr(one, 'more', torch.ones(2)), 'popped': lambda one: one.pop('scores'),
    'deleted': lambda one: delattr(one, 'scores'), 'its attributes': vars, 'of numpy': lambda one: one.numpy(),
}  # fmt: skip


@pytest.mark.parametrize('ask', ASKED.values(), ids=ASKED)
def test_whatever_is_asked_first(ask):
    fetch, expected = Fetch(), made()[0]
    one, _ = pending(fetch)
    sample = DetDataSample()
    sample.pred_instances = one
    assert isinstance(one, InstanceData)
    assert fetch.times == 0
    results = repr(ask(one)), repr(ask(expected))
    assert results[0].split(' at 0x')[0] == results[1].split(' at 0x')[0]
    assert fetch.times == 1
    assert type(one) is InstanceData
    assert one.keys() == expected.keys()
    assert all(torch.equal(one[key], expected[key]) for key in list(expected.keys()))
    assert sample.pred_instances is one


def test_a_batch_is_fetched_once():
    fetch = Fetch()
    one, other = pending(fetch)
    assert (len(one), len(other)) == (2, 3)
    assert fetch.times == 1
    assert other.bboxes[2, 3] == 11


def test_what_failed_is_tried_again():
    fetch = Fetch(fails=1)
    one, other = pending(fetch)
    with pytest.raises(RuntimeError, match='out of memory'):
        len(one)
    assert len(one) == 2
    assert len(other) == 3
    assert fetch.times == 2


def test_threads_fetch_once():
    fetch = Fetch()
    found = pending(fetch)
    lengths = []
    threads = [threading.Thread(target=lambda one=one: lengths.append(len(one))) for one in found * 4]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(lengths) == [2] * 4 + [3] * 4
    assert fetch.times == 1
