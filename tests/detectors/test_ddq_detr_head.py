"""DDQ DETR: losses, gradients and detections are mmdet's; in half precision mmdet's head ends in an error."""

from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.dense_heads import DDQDETRHead as MMDetDDQDETRHead
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config

from swin_mmdet.detectors import DDQDETRHead
from swin_mmdet.ops.to_device import AsyncHostCopy
from tests.configs.small import shrink_model
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation
from tests.detectors.query_heads import (
    CHANNELS,
    CLASSES,
    COUNTS,
    DIFFERENT,
    EQUAL,
    FOCAL,
    LAYERS,
    QUERIES,
    assert_alike,
    ground_truth,
    twins,
)

CONFIG = Path(__file__).resolve().parents[2] / 'configs/ddq/ddq-detr-4scale_swinl_8xb2-30e_coco.py'


@pytest.fixture(scope='module')
def detector():
    """Small, with the smallest backbone."""
    register_all_modules()
    model = Config.fromfile(CONFIG).model
    model.backbone.update(arch='tiny', window_size=7)
    model.neck.in_channels = [192, 384, 768]
    shrink_model(model)
    torch.manual_seed(0)
    made = MODELS.build(model)
    made.init_weights()
    return made.to(DEVICE)


@pytest.fixture
def images():
    samples = ground_truth('some', ((96, 128), (96, 128)))
    return torch.randn(2, 3, 96, 128, generator=torch.Generator().manual_seed(0)).to(DEVICE), samples


def losses(detector, images, low):
    torch.manual_seed(0)
    detector.train().zero_grad()
    with torch.autocast(DEVICE, torch.bfloat16, enabled=low):
        found = detector.loss(*images)
    total, named = detector.parse_losses(found)
    total.backward()
    return named


def test_it_trains_in_half_precision_with_float32s_losses(detector, images):
    assert type(detector.bbox_head) is DDQDETRHead
    expected, found = (losses(detector, images, low) for low in (False, True))
    assert found.keys() == expected.keys()
    assert {loss.dtype for loss in found.values()} == {torch.float32}
    torch.testing.assert_close(found['loss'], expected['loss'], rtol=0.02, atol=0)
    assert all(one.grad is None or one.grad.isfinite().all() for one in detector.parameters())


def test_boxes_are_float32_in_half_precision(detector, images):
    detector.eval()
    with torch.no_grad(), torch.autocast(DEVICE, torch.bfloat16):
        found = detector.predict(*images)
    for sample in found:
        assert sample.pred_instances.bboxes.dtype == torch.float32
        assert len(sample.pred_instances)


def test_mmdets_head_does_not(detector, images, monkeypatch):
    """As a check of the check."""
    monkeypatch.setattr(detector.bbox_head, '__class__', MMDetDDQDETRHead)
    with pytest.raises(RuntimeError, match='dtypes match'):
        losses(detector, images, True)


def test_in_float32_losses_of_the_detector_are_mmdets(detector, images, monkeypatch):
    found = losses(detector, images, False)
    monkeypatch.setattr(detector.bbox_head, '__class__', MMDetDDQDETRHead)
    expected = losses(detector, images, False)
    assert list(found) == list(expected)
    for name, loss in expected.items():
        assert (found[name] - loss).abs() <= 1e-5 * max(1, loss.abs()), name


HEADS, DENSE = 2, 40
# mmdet's wants a dense query for each object at least
MANY = 320


def heads(kept, dense=DENSE):
    """Ours and mmdet's, of a decoder that found `kept` queries of each image distinct in the later layers."""
    made = twins('DDQDETRHead', loss_cls=FOCAL, num_pred_layer=LAYERS + 1, as_two_stage=True, sync_cls_avg_factor=True)
    generator = torch.Generator().manual_seed(5)
    masks = []
    for _ in range(LAYERS - 1):
        distinct = torch.rand(2, 1, QUERIES, generator=generator).argsort(-1) < kept
        masks.append(distinct.repeat_interleave(HEADS, 0).expand(-1, QUERIES, -1).to(DEVICE))
    for head in made:
        head.cache_dict = {'num_heads': HEADS, 'num_dense_queries': dense, 'distinct_query_mask': masks}
        head.train()
    return made


def losses_and_gradients(head, samples):
    generator = torch.Generator().manual_seed(3)

    def random(*shape):
        return torch.randn(*shape, generator=generator).to(DEVICE).requires_grad_()

    most, dense = max(len(sample.gt_instances) for sample in samples), head.cache_dict['num_dense_queries']
    groups = max(1, 12 // max(1, most))
    noisy = 2 * groups * most
    queries = noisy + QUERIES + dense
    leaves = [random(LAYERS, 2, queries, CHANNELS), random(2, QUERIES, CLASSES), random(2, QUERIES, 4)]
    leaves += [random(2, dense, CLASSES), random(2, dense, 4)]
    references = [random(2, queries, 4).detach().sigmoid() for _ in range(LAYERS)]
    head.zero_grad()
    found = head.loss(
        leaves[0], references, leaves[1], leaves[2].sigmoid(), samples,
        {'num_denoising_queries': noisy, 'num_denoising_groups': groups, 'num_dense_queries': dense},
        aux_enc_outputs_class=leaves[3], aux_enc_outputs_coord=leaves[4].sigmoid(),
    )  # fmt: skip
    found = {name: torch.stack(loss) if isinstance(loss, list) else loss for name, loss in found.items()}
    sum(loss.sum() for loss in found.values()).backward()
    gradients = {f'input {place}': leaf.grad for place, leaf in enumerate(leaves)}
    gradients |= {name: parameter.grad for name, parameter in head.named_parameters()}
    return found, {key: torch.zeros(()) if value is None else value for key, value in gradients.items()}


@pytest.mark.parametrize('kept', [QUERIES, 12, 4], ids='{} distinct queries'.format)
@pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal sizes', 'different sizes'])
@pytest.mark.parametrize('counts', COUNTS)
def test_losses_and_gradients_are_those_of_mmdet(counts, shapes, kept):
    """Where there are more objects than distinct queries, too."""
    samples = ground_truth(counts, shapes)
    dense = MANY if counts == 'three hundred' else DENSE
    assert_alike(*(losses_and_gradients(head, samples) for head in heads(kept, dense)))


def test_what_is_set_otherwise_trains_as_in_mmdet():
    ours, theirs = heads(12)
    for head in (ours, theirs):
        head.aux_loss_for_dense.loss_cls.activated = False
    assert 'loss_cls' in ours._why_not_batched()
    samples = ground_truth('some', EQUAL)
    assert_alike(*(losses_and_gradients(head, samples) for head in (ours, theirs)))


def test_a_step_asks_for_the_costs_of_all_layers_once(monkeypatch):
    """And for nothing else, when the sizes have come before."""
    (ours, _), samples = heads(12), ground_truth('some', EQUAL)
    asked, wait = [], AsyncHostCopy.wait
    monkeypatch.setattr(AsyncHostCopy, 'wait', lambda copy: (asked.append(1), wait(copy))[1])
    losses_and_gradients(ours, samples)
    asked.clear()
    with NoSynchronisation():
        losses_and_gradients(ours, samples)
    assert len(asked) == 1


def test_detections_are_those_of_mmdet():
    """The queries that are not distinct are none, whatever their scores."""
    found = []
    samples = ground_truth('some', DIFFERENT)
    for head in heads(7):
        generator = torch.Generator().manual_seed(3)
        states = torch.randn(LAYERS, 2, QUERIES, CHANNELS, generator=generator).to(DEVICE)
        references = [torch.rand(2, QUERIES, 4, generator=generator).to(DEVICE) for _ in range(LAYERS)]
        with torch.no_grad():
            found.append(head.eval().predict(states, references, samples))
    for ours, theirs in zip(*found, strict=True):
        assert len(ours) == 15
        torch.testing.assert_close(ours.scores, theirs.scores)
        assert torch.equal(ours.labels, theirs.labels)
        torch.testing.assert_close(ours.bboxes, theirs.bboxes, rtol=1e-5, atol=1e-4)
