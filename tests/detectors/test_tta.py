"""Test-time augmentation by hand, against single predictions, and under what must not change it."""

import copy

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.structures import InstanceData

from swin_mmdet.detectors import DetTTAModel, tta
from swin_mmdet.structures import EncodedMasks
from tests.detectors.two_stage import CHANNELS, CLASSES, STRIDES, roi_head_config

HEADS = ['faster', 'mask', 'cascade mask', 'htc semantic']
OURS = {'faster': 'StandardRoIHead', 'mask': 'StandardRoIHead', 'cascade mask': 'CascadeRoIHead',
        'htc semantic': 'HybridTaskCascadeRoIHead'}  # fmt: skip
HEIGHT, WIDTH = 96, 128


def detector(name='mask', ours=True, change=None):
    """A small R-CNN whose scores, boxes and masks differ from place to place."""
    roi_head = roi_head_config(name)
    if ours:
        roi_head.type = f'swin_mmdet.{OURS[name]}'
    rcnn = roi_head.pop('test_cfg')
    rcnn.update(score_thr=0.3, max_per_img=20)
    if change:
        change(roi_head, rcnn)
    kind = {'cascade mask': 'CascadeRCNN', 'htc semantic': 'HybridTaskCascade', 'faster': 'FasterRCNN'}
    torch.manual_seed(0)
    model = MODELS.build(
        ConfigDict(
            type=kind.get(name, 'MaskRCNN'),
            data_preprocessor=dict(type='swin_mmdet.DetDataPreprocessor', mean=[127.0] * 3, std=[60.0] * 3,
                                   pad_size_divisor=32),
            backbone=dict(type='swin_mmdet.SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1),
                          num_heads=(1, 1, 2, 2), window_size=4),
            neck=dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=CHANNELS, num_outs=4),
            rpn_head=dict(
                type='swin_mmdet.RPNHead' if ours else 'RPNHead', in_channels=CHANNELS, feat_channels=CHANNELS,
                anchor_generator=dict(type='AnchorGenerator', scales=[4], ratios=[0.5, 1.0], strides=STRIDES),
            ),
            roi_head=roi_head,
            train_cfg=None,
            test_cfg=dict(
                rpn=dict(nms_pre=50, max_per_img=40, nms=dict(type='nms', iou_threshold=0.7), min_bbox_size=0),
                rcnn=rcnn,
            ),
        )
    ).eval()  # fmt: skip
    for key, weight in model.named_parameters():
        if key.startswith(('neck', 'rpn_head', 'roi_head')) and weight.ndim > 1:
            # scores that differ and are less than 1, for equal ones come in any order
            factors = {'reg': 0.03, 'semantic': 0.3}
            torch.nn.init.kaiming_normal_(weight)
            weight.data *= next((factor for part, factor in factors.items() if part in key), 1)
        elif 'conv_logits.bias' in key and 'mask_head' in key:
            torch.nn.init.ones_(weight)  # no empty masks
    return model


def picture(seed=0, height=HEIGHT, width=WIDTH):
    """uint8 [3, H, W], not the same anywhere."""
    return torch.from_numpy(np.random.default_rng(seed).integers(0, 256, (3, height, width), dtype=np.uint8))


def view_of(image, size=None, flip=None):
    """Image and sample as a pipeline with Resize and RandomFlip makes them; sizes are (height, width)."""
    height, width = image.shape[1:]
    size = size or (height, width)
    seen = torch.nn.functional.interpolate(image[None].float(), size, mode='bilinear')[0].round().byte()
    seen = seen.flip({'horizontal': [2], 'vertical': [1], 'diagonal': [1, 2]}[flip]) if flip else seen
    meta = dict(img_id=0, ori_shape=(height, width), img_shape=size, flip=flip is not None, flip_direction=flip,
                scale_factor=(size[1] / width, size[0] / height))  # fmt: skip
    return seen, DetDataSample(metainfo=meta)


def batch(*images, views=((None, None),)):
    """What a dataloader of `TestTimeAug` gives: of each view the list of images."""
    pairs = [[view_of(image, *view) for image in images] for view in views]
    inputs, samples = ([[pair[kind] for pair in one] for one in pairs] for kind in (0, 1))
    return dict(inputs=inputs, data_samples=samples)


def plain(model, *images):
    inputs, samples = zip(*[view_of(image) for image in images])
    with torch.no_grad():
        samples = model.test_step(dict(inputs=list(inputs), data_samples=list(samples)))
    return [sample.pred_instances for sample in samples]


def augmented(model, *images, views, **options):
    samples = DetTTAModel(module=model, **options).test_step(batch(*images, views=views))
    return [sample.pred_instances for sample in samples]


def assert_close(found, expected, exact=False):
    assert found.keys() == expected.keys()
    assert torch.equal(found.labels, expected.labels)
    for key in ('bboxes', 'scores'):
        torch.testing.assert_close(found[key], expected[key], rtol=0, atol=0 if exact else 1e-3)
    if 'masks' in expected:
        ours, theirs = torch.as_tensor(found.masks[:]), torch.as_tensor(expected.masks[:])
        assert ours.shape == theirs.shape
        different = (ours != theirs).sum()
        assert different <= (0 if exact else 1e-3 * ours.numel()), int(different)


@pytest.mark.parametrize('ours', [True, False], ids=['our heads', "mmdet's heads"])
@pytest.mark.parametrize('name', HEADS)
def test_one_view_gives_the_plain_prediction(name, ours):
    model = detector(name, ours)
    images = picture(0), picture(1)
    expected = plain(model, *images)
    found = augmented(model, *images, views=[(None, None)])
    for one, other in zip(found, expected, strict=True):
        assert len(one) > 5
        assert_close(one, other)
    if name != 'faster':
        assert isinstance(found[0].masks, EncodedMasks)
        # masks that are neither empty nor the whole of their boxes
        share = found[0].masks.float().sum((1, 2)) / (found[0].bboxes[:, 2:] - found[0].bboxes[:, :2]).prod(1)
        assert 0.2 < share.mean() < 0.95


def soften(_, rcnn):
    rcnn.nms = dict(type='soft_nms', iou_threshold=0.3, min_score=0.05)


def other_nms(_, rcnn):
    rcnn.nms = dict(type='soft_nms', iou_threshold=0.3, min_score=0.05, offset=1)


def agnostic(roi_head, _):
    roi_head.bbox_head.reg_class_agnostic = roi_head.mask_head.class_agnostic = True


@pytest.mark.parametrize('change', [soften, other_nms, agnostic])
def test_one_view_gives_the_plain_prediction_under(change):
    model = detector(change=change)
    (found,), (expected,) = augmented(model, picture(), views=[(None, None)]), plain(model, picture())
    assert len(found) > 5
    assert_close(found, expected)


@pytest.mark.parametrize('direction', ['horizontal', 'vertical', 'diagonal'])
@pytest.mark.parametrize('name', HEADS)
def test_a_mirrored_image_gives_mirrored_predictions(name, direction):
    # the set of views is the same for both
    model, views = detector(name), [(None, None), (None, direction)]
    image = picture()
    axes = {'horizontal': [2], 'vertical': [1], 'diagonal': [1, 2]}[direction]
    (found,), (mirrored,) = augmented(model, image, views=views), augmented(model, image.flip(axes), views=views)
    assert len(found) > 5
    boxes = tta.bbox_flip(mirrored.bboxes, (HEIGHT, WIDTH), direction)
    order = [mirrored.scores.argsort(descending=True, stable=True), found.scores.argsort(descending=True, stable=True)]
    assert torch.equal(mirrored.labels[order[0]], found.labels[order[1]])
    torch.testing.assert_close(boxes[order[0]], found.bboxes[order[1]], rtol=0, atol=1e-2)
    if 'masks' in found:
        bits, expected = mirrored.masks.decode().flip(axes)[order[0]], found.masks.decode()[order[1]]
        assert (bits != expected).float().mean() < 1e-3
        assert expected.any()


def test_logits_of_a_flipped_view_by_hand(monkeypatch):
    # a box over a whole image of 4 x 4 pixels, seen as it is and flipped; masks of 2 x 2
    model = detector(change=lambda _, rcnn: rcnn.update(score_thr=0.05))
    monkeypatch.setattr(model, 'extract_feat', lambda inputs: (inputs,))
    monkeypatch.setattr(model.rpn_head, 'predict', lambda *_, **__: [])
    classes = torch.tensor([[0.0, 0.0, 0.9, 0.0, 0.0, 0.1]])
    raw = [
        InstanceData(bboxes=box.repeat(1, CLASSES), scores=score * classes)
        for box, score in ((torch.tensor([[0.0, 0, 4, 4]]), 1.0), (torch.tensor([[0.0, 0, 4, 4]]), 0.5))
    ]
    seen = iter([raw[:1], raw[1:]])
    monkeypatch.setattr(model.roi_head, 'predict_bbox', lambda *_, **__: next(seen))
    logits = [torch.tensor([[2.0, -1.0], [1.0, 4.0]]), torch.tensor([[3.0, 1.0], [-2.0, -5.0]])]
    asked = []

    def mask_forward(_, rois):
        asked.append(rois)
        every = torch.full((len(rois), CLASSES, 2, 2), 9.0)
        every[:, 2] = logits[len(asked) - 1]
        return dict(mask_preds=every)

    monkeypatch.setattr(model.roi_head, '_mask_forward', mask_forward)
    (found,) = augmented(model, picture(0, 4, 4), views=[(None, None), (None, 'horizontal')])
    # the box of the second view is the same object, less sure
    assert found.bboxes.tolist() == [[0, 0, 4, 4]]
    assert found.labels.tolist() == [2]
    torch.testing.assert_close(found.scores, torch.tensor([0.9]))
    assert [rois.tolist() for rois in asked] == [[[0, 0, 0, 4, 4]]] * 2
    # unflipped the second are [[1, 3], [-5, -2]]: means [[1.5, 1], [-2, 1]], of which these are the probabilities
    masks = torch.tensor([[0.818, 0.731], [0.119, 0.731]])
    # pixel centres lie a quarter and three quarters from the centres of the mask, where a mask is 0 outside
    weights = torch.tensor([[0.75, 0.0], [0.75, 0.25], [0.25, 0.75], [0.0, 0.75]])
    expected = weights @ masks @ weights.T >= 0.5
    assert expected.tolist() == [
        [False, True, True, False], [False, True, True, True], [False, False, True, True], [False] * 4,
    ]  # fmt: skip
    assert torch.equal(found.masks.decode()[0], expected)


def test_boxes_of_scaled_and_flipped_views_come_back(monkeypatch):
    model = detector('faster')
    monkeypatch.setattr(model, 'extract_feat', lambda inputs: (inputs,))
    monkeypatch.setattr(model.rpn_head, 'predict', lambda *_, **__: [])
    # already in pixels of the original image of 40 x 60, in the second view of the flipped one
    first, second = torch.tensor([[5.0, 6, 15, 26]]), torch.tensor([[30.0, 10, 50, 30]])
    scores = torch.tensor([[0.9, 0, 0, 0, 0, 0.1]])
    seen = iter([first, second])
    monkeypatch.setattr(
        model.roi_head, 'predict_bbox', lambda *_, **__: [InstanceData(bboxes=next(seen), scores=scores)]
    )
    (found,) = augmented(model, picture(0, 40, 60), views=[(None, None), ((80, 120), 'diagonal')])
    assert sorted(found.bboxes.tolist()) == [[5, 6, 15, 26], [10, 10, 30, 30]]


@pytest.mark.parametrize('name', HEADS)
def test_images_of_a_batch_are_as_alone(name):
    model, images = detector(name), (picture(0), picture(1), picture(2))
    views = [((64, 96), None), (None, 'horizontal')]
    together = augmented(model, *images, views=views)
    for image, found in zip(images, together, strict=True):
        (alone,) = augmented(model, image, views=views)
        assert len(alone) > 5
        assert_close(found, alone)


def test_low_precision_finds_the_same():
    model, views = detector('htc semantic'), [(None, None), (None, 'horizontal')]
    (expected,) = augmented(model, picture(), views=views)
    with torch.autocast('cpu', torch.bfloat16):
        (found,) = augmented(model, picture(), views=views)
    assert found.bboxes.dtype == found.scores.dtype == torch.float32
    # 8 bits: scores near each other change places
    assert abs(found.scores.mean() - expected.scores.mean()) < 0.02
    assert found.masks.shape == (len(found), HEIGHT, WIDTH)


def test_logits_of_low_precision_are_near_those_of_the_same_boxes():
    augmentation = DetTTAModel(module=detector('htc semantic'))
    inputs, samples = (one[0] for one in batch(picture(), views=[(None, 'horizontal')]).values())
    boxes, labels = torch.tensor([[10.0, 8, 90, 60], [40, 30, 70, 90]]), torch.tensor([0, CLASSES - 1])
    logits = []
    for enabled in (False, True):
        with torch.no_grad(), torch.autocast('cpu', torch.bfloat16, enabled=enabled):
            view = augmentation._look(inputs, copy.deepcopy(samples))
            logits.append(augmentation._logits(view, 0, boxes, labels).float())
    torch.testing.assert_close(*logits[::-1], rtol=0, atol=0.05 * logits[0].abs().max().item())


def test_more_views_change_what_is_found():
    model = detector()
    views = [(None, None), ((128, 160), 'horizontal')]
    (one,), (two,) = (augmented(model, picture(), views=chosen) for chosen in (views[:1], views))
    assert one.bboxes.shape != two.bboxes.shape or not torch.allclose(one.bboxes, two.bboxes)
    # only boxes of the same scale and place remain of each class
    assert two.masks.shape[1:] == (HEIGHT, WIDTH)


@pytest.mark.parametrize('name', HEADS)
def test_nothing_is_found(name):
    model = detector(name, change=lambda _, rcnn: rcnn.update(score_thr=1.0))
    found = augmented(model, picture(0), picture(1), views=[(None, None), ((64, 96), 'vertical')])
    for one in found:
        assert (one.bboxes.shape, one.scores.shape, one.labels.shape) == ((0, 4), (0,), (0,))
        assert name == 'faster' or one.masks.shape == (0, HEIGHT, WIDTH)


def test_no_proposals(monkeypatch):
    model = detector()
    none = InstanceData(bboxes=torch.zeros(0, 4), scores=torch.zeros(0), labels=torch.zeros(0, dtype=torch.long))
    monkeypatch.setattr(model.rpn_head, 'predict', lambda *_, **__: [copy.deepcopy(none)])
    (found,) = augmented(model, picture(), views=[(None, None), (None, 'horizontal')])
    assert (found.bboxes.shape, found.scores.shape, found.masks.shape) == ((0, 4), (0,), (0, HEIGHT, WIDTH))


def test_settings_of_its_own_win():
    model = detector()
    (found,) = augmented(model, picture(), views=[(None, None)], tta_cfg=dict(max_per_img=3))
    assert len(found) == 3
    assert model.test_cfg.rcnn.max_per_img == 20


def retinanet():
    torch.manual_seed(0)
    return MODELS.build(
        ConfigDict(
            type='RetinaNet',
            data_preprocessor=dict(type='DetDataPreprocessor', pad_size_divisor=32),
            backbone=dict(type='swin_mmdet.SwinTransformer', embed_dims=8, depths=(1, 1, 1, 1),
                          num_heads=(1, 1, 2, 2), window_size=4),
            neck=dict(type='FPN', in_channels=[8, 16, 32, 64], out_channels=8, num_outs=5),
            bbox_head=dict(type='RetinaHead', num_classes=3, in_channels=8, feat_channels=8, stacked_convs=1),
            test_cfg=dict(nms_pre=50, min_bbox_size=0, score_thr=0.0, nms=dict(type='nms', iou_threshold=0.5),
                          max_per_img=10),
        )
    ).eval()  # fmt: skip


def test_boxes_of_other_detectors_are_merged_as_in_mmdet(monkeypatch):
    said = []
    monkeypatch.setattr(tta, 'log_once', said.append)
    (found,) = augmented(retinanet(), picture(), views=[(None, None), ((64, 96), 'horizontal')])
    assert found.bboxes.shape == (10, 4)
    assert ['RetinaNet' in line for line in said] == [True]


def test_what_cannot_be_merged_is_refused():
    with pytest.raises(ValueError, match=r'mask_thr_binary >= 0\.5, got 0\.3'):
        DetTTAModel(module=detector(change=lambda _, rcnn: rcnn.update(mask_thr_binary=0.3)))
    model = detector()

    class OwnHead(type(model.roi_head)):
        def predict_mask(self, *args, **kwargs):
            return super().predict_mask(*args, **kwargs)

    model.roi_head.__class__ = OwnHead
    with pytest.raises(NotImplementedError, match='OwnHead has a predict_mask of its own'):
        augmented(model, picture(), views=[(None, None)])
