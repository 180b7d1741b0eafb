"""Replayed predictions are the same predictions; what a recording cannot stand for is predicted as ever.

On a GPU with CUDA graphs; on a CPU with recordings that run Python again, so that their rules are tested anywhere.
"""

import copy
import pickle
import time

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.detectors import TwoStageDetector
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData

from swin_mmdet.models import SwinTransformer
from swin_mmdet.recording import recorded_prediction
from swin_mmdet.recording.capture import Capture
from swin_mmdet.recording.recorded_prediction import may_be_recorded
from tests.recording.small_detectors import small_detector

ON_GPU = torch.cuda.is_available()
DEVICE = 'cuda' if ON_GPU else 'cpu'
needs_gpu = pytest.mark.skipif(not ON_GPU, reason='is about CUDA graphs themselves')
NAMES = ['mask', 'cascade mask', 'faster']
ONE, TWO = ((64, 96), (50, 90)), ((96, 64), (96, 60))


class PythonGraph:
    """Stands for a CUDA graph: the same memory, filled by running the prediction again."""

    def __init__(self, function):
        self.function, self.found = function, function().clone()

    def replay(self):
        new = self.function()
        for mine, x in zip(tensors(self.found), tensors(new), strict=True):
            mine.copy_(x)


def tensors(found):
    return [*found.detections, found.most, *([] if found.masks is None else [found.masks])]


@pytest.fixture(autouse=True)
def _record_without_a_gpu(monkeypatch):
    if ON_GPU:
        pytest.importorskip('triton')
        return

    def capture(_, function, _device):
        graph = PythonGraph(function)
        return graph, graph.found, []

    monkeypatch.setattr(Capture, '__call__', capture)
    monkeypatch.setattr(SwinTransformer, 'why_not_fused', lambda *_: None)
    monkeypatch.setattr(recorded_prediction, 'is_on_gpu', lambda images: type(images) is torch.Tensor)


def detector(name='mask', **options):
    model = small_detector(name, **options).to(DEVICE).eval()
    heads = model.roi_head.bbox_head if name == 'cascade mask' else [model.roi_head.bbox_head]
    for head in heads:
        # sure of some, whatever its weights
        head.fc_cls.weight.data.mul_(30)
    model.roi_head.test_cfg.update(score_thr=0.4, max_per_img=30)
    return model


def images(sizes, seed=0):
    """What a preprocessor gives: normalised images of one batch, and samples of their sizes."""
    generator = torch.Generator().manual_seed(seed)
    size = [max(one[axis] for one in sizes) for axis in (0, 1)]
    samples = []
    for index, (height, width) in enumerate(sizes):
        factor = (0.5, 0.75) if index % 2 else (2.0, 1.6)
        original = round(height / factor[1]), round(width / factor[0])
        samples.append(
            DetDataSample(metainfo={'img_shape': (height, width), 'ori_shape': original, 'scale_factor': factor})
        )
    return torch.randn(len(sizes), 3, *size, generator=generator).to(DEVICE), samples


def launch(model, sizes, seed=0, rescale=True):
    """Detections that nobody has looked at."""
    batch, samples = images(sizes, seed)
    with torch.no_grad():
        return [one.pred_instances for one in model.predict(batch, samples, rescale)]


def predict(*given, **options):
    found = launch(*given, **options)
    assert all(len(one) >= 0 for one in found)
    return found


def plainly(model, sizes, seed=0, rescale=True):
    batch, samples = images(sizes, seed)
    with torch.no_grad():
        found = TwoStageDetector.predict(model, batch, samples, rescale)
    return [one.pred_instances for one in found]


def assert_same(found, expected):
    assert len(found) == len(expected)
    for one, other in zip(found, expected, strict=True):
        assert set(one.keys()) == set(other.keys())
        torch.testing.assert_close(one.labels, other.labels)
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-4, atol=1e-3)
        if 'masks' in other:
            assert one.masks.shape == other.masks.shape
            # a pixel at the threshold may fall to either side
            assert (one.masks.decode() != other.masks.decode()).sum() <= 1e-3 * other.masks.numel()


def recordings(model):
    return len(model._recorded._kinds)


@pytest.mark.parametrize('rescale', [True, False])
@pytest.mark.parametrize('name', NAMES)
def test_replayed_predictions_are_those_without(name, rescale):
    model = detector(name)
    for seed in range(4):
        found, expected = (run(model, ONE, seed, rescale) for run in (predict, plainly))
        assert_same(found, expected)
        assert sum(map(len, found)) > 10
    assert recordings(model) == 1
    assert all(x.bboxes.device.type == DEVICE for x in found)


@needs_gpu
@pytest.mark.parametrize('name', NAMES)
def test_under_autocast_too(name):
    model = detector(name)
    for seed in range(4):
        with torch.autocast('cuda', torch.bfloat16):
            found, expected = (run(model, ONE, seed) for run in (predict, plainly))
        assert [len(one) for one in found] == [len(one) for one in expected]
    assert recordings(model) == 1


def test_kinds_of_batches_have_recordings_of_their_own():
    model = detector()
    for sizes in (ONE, TWO, ONE, TWO, ONE[:1], ONE[:1], TWO, ONE):
        assert_same(predict(model, sizes), plainly(model, sizes))
    assert recordings(model) == 3


def test_a_size_that_comes_once_is_not_recorded():
    model = detector()
    for side in range(32, 320, 32):
        predict(model, [(64, side)])
    assert recordings(model) == 0


def test_no_more_recordings_than_allowed(monkeypatch):
    monkeypatch.setattr(recorded_prediction, 'MAX_KINDS', 2)
    model = detector()
    for sizes in (ONE, ONE, TWO, TWO, ONE, [(32, 32)], [(32, 32)]):
        predict(model, sizes)
    # the one that was idle longest made room
    assert [tuple(name[0][2:]) for name in model._recorded._kinds] == [(64, 96), (32, 32)]


def test_images_without_detections():
    model = detector()
    model.roi_head.test_cfg.score_thr = 0.9999
    for _ in range(3):
        found = predict(model, ONE)
    assert recordings(model) == 1
    assert_same(found, plainly(model, ONE))
    assert [len(one) for one in found] == [0, 0]
    # of the images as they were
    assert [tuple(one.masks.shape) for one in found] == [(0, 40, 48), (0, 67, 180)]


def test_more_candidates_than_there_is_room_for(monkeypatch):
    monkeypatch.setattr(recorded_prediction, 'STEP', 3)
    model = detector()
    expected, rooms, kept = plainly(model, ONE), [], []
    for _ in range(4):
        assert_same(predict(model, ONE), expected)
        rooms.append(model._recorded._room)
        kept.append(recordings(model))
    assert rooms[0] == 3
    assert rooms[1] == rooms[3] > 3
    assert rooms[1] % 3 == 0
    assert kept == [0, 0, 1, 1]


def _weight(model):
    model.roi_head.bbox_head.fc_cls.weight.data.mul_(-1)


def _threshold(model):
    model.roi_head.test_cfg.score_thr = 0.99


def _proposals(model):
    model.rpn_head.test_cfg.max_per_img = 20


def _layer(model):
    old = model.roi_head.bbox_head.fc_cls
    model.roi_head.bbox_head.fc_cls = torch.nn.Linear(old.in_features, old.out_features).to(DEVICE)


def _memory(model):
    model.roi_head.bbox_head.fc_cls.weight = torch.nn.Parameter(-model.roi_head.bbox_head.fc_cls.weight.detach())


def _hook(model):
    model.neck.register_forward_hook(lambda _module, _inputs, maps: tuple(-x for x in maps))


def _forward(model):
    forward = model.roi_head.bbox_head.forward
    model.roi_head.bbox_head.forward = lambda x: (forward(-x))


def _nms(model):
    model.roi_head.test_cfg.nms = type(model.roi_head.test_cfg)(type='soft_nms', iou_threshold=0.1, min_score=0.05)


def _test_cfg(model):
    model.roi_head.test_cfg = copy.deepcopy(model.roi_head.test_cfg)
    model.roi_head.test_cfg.max_per_img = 5


CHANGES = [_weight, _threshold, _proposals, _layer, _memory, _hook, _forward, _nms, _test_cfg]


@pytest.mark.parametrize('change', CHANGES)
def test_a_change_of_the_model_is_seen_in_the_next_prediction(change):
    model = detector()
    for _ in range(3):
        before = predict(model, ONE)
    (_, recording), = model._recorded._kinds.values()
    change(model)
    after = predict(model, ONE)
    assert_same(after, plainly(model, ONE))
    # what a replay reads may change; anything else is recorded anew
    kept = [one for _, one in model._recorded._kinds.values() if one is recording]
    assert bool(kept) == (change is _weight)
    lengths = [len(one) for one in before], [len(one) for one in after]
    assert lengths[0] != lengths[1] or not torch.equal(before[0].scores, after[0].scores)


def test_a_part_that_is_in_training_mode_is_not_replayed():
    model = detector('cascade mask')
    norm = next(one for one in model.roi_head.modules() if isinstance(one, torch.nn.BatchNorm2d))
    norm.running_mean.fill_(3.0)
    for _ in range(4):
        before = predict(model, ONE)
    assert recordings(model) == 1
    norm.train()
    after = predict(model, ONE)
    assert recordings(model) == 0
    assert_same(after, plainly(model, ONE))
    assert not torch.equal(before[0].scores, after[0].scores)


def test_a_training_step_in_between():
    model = detector()
    for _ in range(3):
        predict(model, ONE)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(0.001 * torch.randn_like(parameter))
    assert_same(predict(model, ONE), plainly(model, ONE))
    assert recordings(model) == 1
    # whose memory recordings do not keep
    model.train()
    assert recordings(model) == 0
    model.eval()
    for _ in range(3):
        assert_same(predict(model, ONE), plainly(model, ONE))
    assert recordings(model) == 1


def test_results_are_the_callers_own():
    model = detector()
    for seed in range(3):
        predict(model, ONE, seed)
    first = predict(model, ONE, 0)
    kept = copy.deepcopy([(one.bboxes, one.scores, one.labels) for one in first])
    predict(model, ONE, 5)
    for one, old in zip(first, kept, strict=True):
        for x, y in zip((one.bboxes, one.scores, one.labels), old, strict=True):
            torch.testing.assert_close(x, y, rtol=0, atol=0)


@pytest.mark.parametrize('copied', [copy.deepcopy, lambda model: pickle.loads(pickle.dumps(model))])
def test_a_copy_has_recordings_of_its_own(copied):
    model = detector()
    for _ in range(3):
        predict(model, ONE)
    other = copied(model)
    assert recordings(other) == 0
    _weight(other)
    for _ in range(4):
        for one in (other, model):
            assert_same(predict(one, ONE), plainly(one, ONE))
    assert recordings(other) == 1


@pytest.mark.parametrize('modes', [(torch.no_grad, torch.inference_mode), (torch.inference_mode, torch.no_grad)])
def test_a_recording_serves_both_modes_without_gradients(modes):
    model = detector()
    expected = plainly(model, ONE)
    for mode in modes:
        for _ in range(2):
            batch, samples = images(ONE)
            with mode():
                found = model.predict(batch, samples)
            assert_same([one.pred_instances for one in found], expected)
    assert recordings(model) == 1


def test_what_is_not_recorded():
    model = detector()
    batch, samples = images(ONE)
    for _ in range(3):
        model.predict(batch, samples)
    assert recordings(model) == 0, 'with gradients'
    flipped = [sample.clone() for sample in samples]
    for sample in flipped:
        sample.set_metainfo({'flip': True, 'flip_direction': 'horizontal'})
    with torch.no_grad():
        for _ in range(3):
            model.predict(batch, flipped)
    assert recordings(model) == 0, 'flipped'
    proposed = [sample.clone() for sample in samples]
    for sample in proposed:
        sample.proposals = InstanceData(bboxes=torch.tensor([[5.0, 5.0, 40.0, 40.0]], device=DEVICE))
    with torch.no_grad():
        for _ in range(3):
            model.predict(batch, proposed)
    assert recordings(model) == 0, 'with proposals'
    replica = model._replicate_for_data_parallel()
    with torch.no_grad():
        assert may_be_recorded(model, batch, samples)
        assert not may_be_recorded(replica, batch, samples), 'of nn.DataParallel'
        assert not may_be_recorded(model.train(), batch, samples)
    model.eval()
    other = detector(cuda_graphs=False)
    for _ in range(3):
        predict(other, ONE)
    assert recordings(other) == 0
    assert other._recorded._reason == 'the backbone has cuda_graphs=False'


def test_a_failed_recording_is_given_up(monkeypatch, caplog):
    def fail(*_):
        raise RuntimeError('cannot be captured')

    monkeypatch.setattr(Capture, '__call__', fail)
    model = detector()
    with caplog.at_level('WARNING'):
        for _ in range(4):
            assert_same(predict(model, ONE), plainly(model, ONE))
    assert model._recorded._failed
    assert recordings(model) == 0


@needs_gpu
def test_a_recorded_prediction_waits_for_nothing_until_somebody_looks():
    model = detector()
    for _ in range(3):
        predict(model, ONE)
    batch, samples = images(ONE)
    torch.cuda.synchronize()
    torch.cuda.set_sync_debug_mode('error')
    try:
        with torch.no_grad():
            torch.cuda._sleep(10**9)
            start = time.perf_counter()
            found = model.predict(batch, samples)
            launched = time.perf_counter() - start
    finally:
        torch.cuda.set_sync_debug_mode('default')
    assert recordings(model) == 1
    assert_same([one.pred_instances for one in found], plainly(model, ONE))
    assert launched < 0.2 < time.perf_counter() - start


@needs_gpu
def test_a_batch_is_fetched_beside_the_next():
    model = detector()
    for _ in range(3):
        predict(model, ONE)
    expected = plainly(model, ONE, 1)
    first = launch(model, ONE, 1)
    event = torch.cuda.Event()
    with torch.no_grad():
        torch.cuda._sleep(3 * 10**9)
        event.record()
        rles = [one.masks.rles for one in first]
        assert not event.query()
    assert sum(map(len, rles)) > 0
    assert_same(first, expected)


def test_one_batch_at_most_is_still_to_be_fetched(monkeypatch):
    model, fetched = detector(), []
    known = recorded_prediction.RecordedPrediction._fetch
    monkeypatch.setattr(
        recorded_prediction.RecordedPrediction, '_fetch', lambda *given: fetched.append(1) or known(*given)
    )
    for _ in range(3):
        predict(model, ONE)
    before = len(fetched)
    kept = [launch(model, ONE, seed) for seed in range(5)]
    assert len(fetched) == before + 4
    for seed, found in enumerate(kept):
        assert_same(found, plainly(model, ONE, seed))
    assert len(fetched) == before + 5


def test_detections_that_nobody_wants_are_not_fetched(monkeypatch):
    model = detector()
    monkeypatch.setattr(recorded_prediction.RecordedPrediction, '_fetch', lambda *_: pytest.fail('fetched'))
    for seed in range(4):
        launch(model, ONE, seed)
    assert recordings(model) == 1


def test_batches_without_room_that_are_looked_at_late(monkeypatch):
    monkeypatch.setattr(recorded_prediction, 'STEP', 3)
    model = detector()
    expected = [plainly(model, ONE, seed) for seed in range(5)]
    kept = [launch(model, ONE, seed) for seed in range(5)]
    for found, one in zip(kept, expected, strict=True):
        assert_same(found, one)
    assert_same(predict(model, ONE, 0), expected[0])


def test_what_is_still_to_be_fetched_is_of_the_weights_that_it_was_predicted_with(monkeypatch):
    monkeypatch.setattr(recorded_prediction, 'STEP', 3)
    model = detector()
    expected = plainly(model, ONE)
    # more candidates than there is room for, so that it is predicted once more
    launch(model, ONE)
    found = launch(model, ONE)
    model.train()
    _weight(model)
    assert_same(found, expected)


@needs_gpu
def test_recordings_share_the_memory_of_one_prediction():
    model = detector()
    before = torch.cuda.memory_reserved()
    for side in (512, 512, 512, 480, 480, 448, 448, 416, 416, 384, 384):
        predict(model, [(side, side)] * 2)
        if side == 512:
            first = torch.cuda.memory_reserved() - before
    assert recordings(model) == 5
    assert torch.cuda.memory_reserved() - before - first < first / 2
