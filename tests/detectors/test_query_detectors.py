"""Deformable DETR and DINO against mmdet's with the same weights."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models.layers import DeformableDetrTransformerEncoder as MMDetEncoder

from swin_mmdet.detectors import deformable_transformer
from swin_mmdet.detectors.deformable_detr import pyramid_of
from swin_mmdet.ops import pyramid as pyramids
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation
from tests.detectors.query_detectors import CHANNELS, NAMES, build, losses_and_gradients, maps, twins
from tests.detectors.query_heads import CLASSES, DIFFERENT, EQUAL, assert_alike, ground_truth
from tests.detectors.same_noise import SameNoise

every_detector = pytest.mark.parametrize('name', NAMES)
shapes_of_images = pytest.mark.parametrize('shapes', [EQUAL, DIFFERENT], ids=['equal', 'different'])


@every_detector
@pytest.mark.parametrize(
    ('counts', 'shapes'),
    [('none', EQUAL), ('some', DIFFERENT), ('one', DIFFERENT)],
    ids=['none, equal', 'some, different', 'one, different'],
)
def test_losses_and_gradients_are_those_of_mmdet(name, shapes, counts, monkeypatch):
    samples = ground_truth(counts, shapes)
    SameNoise(samples, CLASSES).install(monkeypatch)
    assert_alike(*(losses_and_gradients(detector, samples) for detector in twins(name)))


@every_detector
@shapes_of_images
def test_detections_are_those_of_mmdet(name, shapes):
    samples = ground_truth('some', shapes)
    results = []
    for detector in twins(name):
        detector.eval()
        with torch.no_grad():
            given = detector.forward_transformer(maps(samples), samples)
            results.append(detector.bbox_head.predict(**given, batch_data_samples=samples, rescale=True))
    for one, other in zip(*results, strict=True):
        assert len(one) == len(other) == 15
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-3)
        assert torch.equal(one.labels, other.labels)


def test_hidden_features_are_made_for_some_pixels_at_a_time(monkeypatch):
    """Not for all, where no gradient wants them; the result is the same."""
    detector, samples, rows = build('DINO').eval(), ground_truth('some', DIFFERENT), []
    features = maps(samples)
    for layer in detector.encoder.layers:
        layer.ffn.register_forward_pre_hook(lambda _, given: rows.append(given[0].numel() // CHANNELS))

    def memory():
        rows.clear()
        with torch.no_grad():
            encoder, _ = detector.pre_transformer(features, samples)
            return detector.forward_encoder(**encoder)['memory']

    expected, every = memory(), rows[0]
    assert rows == [every] * len(detector.encoder.layers)
    channels = detector.encoder.layers[0].ffn.feedforward_channels
    monkeypatch.setattr(deformable_transformer, 'HIDDEN_AT_ONCE', 100 * channels)
    torch.testing.assert_close(memory(), expected, rtol=1e-5, atol=1e-5)
    assert max(rows) == 100
    assert sum(rows) == every * len(detector.encoder.layers)


@every_detector
def test_a_step_and_an_inference_ask_the_gpu_nothing(name):
    """When the sizes have come before; but for what it costs to match, which is on the way to the host."""
    samples = ground_truth('some', DIFFERENT)
    detector, _ = twins(name)
    losses_and_gradients(detector, samples)
    with NoSynchronisation():
        losses_and_gradients(detector, samples)
        detector.eval()
        with torch.no_grad():
            given = detector.forward_transformer(maps(samples), samples)
            detector.bbox_head.predict(**given, batch_data_samples=samples, rescale=True)


@every_detector
def test_coordinates_are_float32_under_autocast_and_all_parameters_are_trained(name):
    samples = ground_truth('some', DIFFERENT)
    detector, _ = twins(name)
    sampled = []
    attention = detector.decoder.layers[-1].cross_attn
    attention.register_forward_pre_hook(
        lambda _, __, kwargs: sampled.append(kwargs['reference_points'].dtype), with_kwargs=True
    )
    expected, expected_gradients = losses_and_gradients(detector, samples)
    with torch.autocast(DEVICE, torch.bfloat16):
        given = detector.forward_transformer(maps(samples), samples)
        found, gradients = losses_and_gradients(detector, samples)
    coordinates = [*given['references'], *(given[key] for key in ('enc_outputs_coord',) if given[key] is not None)]
    assert {*sampled, *(one.dtype for one in (*coordinates, *found.values()))} == {torch.float32}
    for key, gradient in expected_gradients.items():
        # weights in low precision that were kept without a gradient would have none
        assert bool(gradient.any()) == bool(gradients[key].any()), key
    # of denoising the noise is another each time
    for key in [key for key in expected if 'dn_' not in key]:
        torch.testing.assert_close(found[key], expected[key], rtol=0.1, atol=0.05)


@pytest.mark.parametrize('name', ['DeformableDETR, two stages', 'DINO'])
def test_checkpoints_of_the_encoder_change_nothing_and_need_no_fairscale(name, monkeypatch):
    samples = ground_truth('some', DIFFERENT)
    SameNoise(samples, CLASSES).install(monkeypatch)
    detector, checkpointed = (build(name, checkpoints=number) for number in (0, 1))
    calls = []
    for layer in checkpointed.encoder.layers:
        layer.register_forward_pre_hook(lambda layer, _: calls.append(layer))
    assert_alike(*(losses_and_gradients(one, samples) for one in (checkpointed, detector)))
    first, second = checkpointed.encoder.layers
    assert (calls.count(first), calls.count(second)) == (2, 1)


@pytest.mark.parametrize('name', ['DeformableDETR, two stages', 'DINO'])
def test_too_few_places_are_named(name):
    samples = ground_truth('some', ((8, 16), (8, 16)))
    detector = build(name)
    small = [torch.zeros(2, CHANNELS, 1, 2 + level, device=DEVICE) for level in range(3)]
    message = 'num_queries=20 are to be chosen of 9 pixels, in maps of 1x2, 1x3, 1x4: use larger images'
    with pytest.raises(ValueError, match=message):
        detector.forward_transformer(small, samples)


@pytest.mark.parametrize('stride', [8, 16, 64, 7], ids=str)
@pytest.mark.parametrize(
    'shapes', [((96, 128), (96, 128)), ((61, 200), (90, 33)), ((1, 1), (3, 224)), ((95, 127), (96, 1))], ids=str
)
def test_places_of_a_pyramid_are_those_of_mmdet(shapes, stride):
    samples = ground_truth('some', shapes)
    ours, theirs = twins('DINO')
    padded = samples[0].batch_input_shape
    levels = [torch.zeros(2, CHANNELS, -(-padded[0] // s), -(-padded[1] // s), device=DEVICE) for s in (stride, 8, 32)]
    expected, _ = theirs.pre_transformer(levels, samples)
    found = pyramid_of([level.shape[-2:] for level in levels], padded, shapes)
    device = levels[0].device
    for one, key in zip(pyramids.level_shapes(found.sizes, device), ('spatial_shapes', 'level_start_index')):
        assert torch.equal(one, expected[key])
    mask = pyramids.padding(found, device)
    if expected['feat_mask'] is None:
        assert mask is None
    else:
        assert torch.equal(mask, expected['feat_mask'])
    torch.testing.assert_close(pyramids.filled_shares(found, device), expected['valid_ratios'])
    points = MMDetEncoder.get_encoder_reference_points(
        expected['spatial_shapes'], expected['valid_ratios'], device=DEVICE
    )
    torch.testing.assert_close(pyramids.reference_points(found, device), points, rtol=1e-6, atol=1e-6)
    inside = torch.ones(points.shape[:2], dtype=torch.bool, device=DEVICE) if mask is None else ~mask
    positions = ours._positions(found, device).expand(2, -1, -1)
    torch.testing.assert_close(positions[inside], expected['feat_pos'][inside], rtol=1e-5, atol=1e-5)
    memory = torch.ones(2, points.shape[1], CHANNELS, device=DEVICE)
    _, boxes = theirs.gen_encoder_output_proposals(memory, expected['feat_mask'], expected['spatial_shapes'])
    own, nothing = pyramids.proposals(found, device)
    torch.testing.assert_close(own.expand_as(boxes), boxes, rtol=1e-5, atol=1e-5)
    assert torch.equal(nothing.expand(boxes.shape[:2]), boxes.isinf().all(-1))
