"""Encoded masks behave as the bool tensor they stand for, in whatever reads the masks of a prediction."""

import copy
import json
import pickle

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.apis import DetInferencer
from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from mmdet.evaluation import DumpDetResults
from mmdet.evaluation.metrics import LVISMetric
from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results
from mmdet.visualization import DetLocalVisualizer
from mmengine.structures import InstanceData
from pycocotools import mask as mask_utils

from swin_mmdet.evaluation import CocoMetric
from swin_mmdet.structures import EncodedMasks

HEIGHT, WIDTH, COUNT = 23, 31, 5


@pytest.fixture
def bitmaps():
    """[N, H, W] bool: blobs, one of them empty, one full."""
    torch.manual_seed(0)
    rough = torch.randn(COUNT, 1, 4, 4)
    bitmaps = torch.nn.functional.interpolate(rough, (HEIGHT, WIDTH), mode='bilinear')[:, 0] > 0
    bitmaps[1], bitmaps[2] = False, True
    return bitmaps


@pytest.fixture
def masks(bitmaps):
    return EncodedMasks(encode_mask_results(bitmaps.numpy()), HEIGHT, WIDTH)


@pytest.fixture
def undecodable(masks, monkeypatch):
    """`masks`, for what must not decode them."""

    def refuse(_rle):
        raise AssertionError('masks were decoded')

    monkeypatch.setattr(mask_utils, 'decode', refuse)
    return masks


def prediction(masks):
    """A prediction of boxes around places of falling scores."""
    corner = torch.arange(COUNT)[:, None] + torch.tensor([1.0, 2.0])
    return InstanceData(
        bboxes=torch.cat((corner, corner + 10), dim=1), scores=torch.linspace(0.9, 0.1, COUNT),
        labels=torch.arange(COUNT) % 2, masks=masks,
    )


def test_pixels_are_those_encoded(masks, bitmaps):
    assert type(masks.decode()) is torch.Tensor
    assert torch.equal(masks, bitmaps)
    assert isinstance(masks, torch.Tensor)
    assert (masks.shape, masks.dtype, masks.device, len(masks)) == (bitmaps.shape, torch.bool, bitmaps.device, COUNT)


def test_runs_give_the_encoding_of_pycocotools(masks):
    runs = [[3, 4, HEIGHT * WIDTH - 7], [HEIGHT * WIDTH], [0, HEIGHT * WIDTH]]
    encoded = EncodedMasks.from_runs(runs, HEIGHT, WIDTH)
    assert encoded.rles[1:] == masks.rles[1:3]
    assert torch.equal(encoded[0].T.flatten().nonzero()[:, 0], torch.arange(3, 7))


def test_masks_of_another_size_are_refused(masks):
    with pytest.raises(ValueError, match='for images of'):
        EncodedMasks(masks.rles, WIDTH, HEIGHT + 1)


def test_none_at_all():
    masks = EncodedMasks.from_runs([], HEIGHT, WIDTH)
    assert masks.numpy().shape == (0, HEIGHT, WIDTH)
    assert masks[torch.zeros(0, dtype=torch.bool)].shape == (0, HEIGHT, WIDTH)


OPERATIONS = {
    'sum': lambda x: x.sum((1, 2)),
    'method': lambda x: x.float().mean(),
    'argument by name': lambda x: torch.sum(input=x, dim=0),
    'not': lambda x: ~x,
    'and': lambda x: x & torch.ones_like(x),
    'cat': lambda x: torch.cat([x, x]),
    'stack of items': lambda x: torch.stack(list(x)),
    'to': lambda x: x.to(torch.uint8),
    'numpy': lambda x: torch.from_numpy(x.numpy()),
    'detached numpy': lambda x: torch.from_numpy(x.detach().cpu().numpy()),
    'asarray': lambda x: torch.from_numpy(np.asarray(x)),
    'nonzero': lambda x: torch.nonzero(x),
    'transpose': lambda x: x.mT,
    'data': lambda x: x.data,
    'clone': lambda x: x.clone(),
    'list': lambda x: torch.tensor(x.tolist()),
    'deepcopy': copy.deepcopy,
    'pickle': lambda x: pickle.loads(pickle.dumps(x)),
    'item': lambda x: x[2],
    'last item': lambda x: x[-1],
    'slice': lambda x: x[1:4],
    'step': lambda x: x[::2],
    'bools': lambda x: x[torch.arange(COUNT) % 2 == 0],
    'numbers': lambda x: x[torch.tensor([3, 0, 3])],
    'no numbers': lambda x: x[torch.zeros(0, dtype=torch.long)],
    'list of numbers': lambda x: x[[4, 1]],
    'list of bools': lambda x: x[[True, False, False, True, True]],
    'array': lambda x: x[np.array([1, 2])],
    'one number': lambda x: x[torch.tensor(1)],
    'tuple': lambda x: x[1:3, :, 4],
    'pixels': lambda x: x[x],
    'none': lambda x: x[None],
}


@pytest.mark.parametrize('name', OPERATIONS)
def test_operations_see_the_pixels(name, masks, bitmaps):
    result, expected = OPERATIONS[name](masks), OPERATIONS[name](bitmaps)
    assert result.shape == expected.shape
    assert torch.equal(result, expected)


def test_an_item_that_is_not_there(masks):
    for index in (COUNT, -COUNT - 1):
        with pytest.raises(IndexError):
            masks[index]


def test_a_write_is_refused_for_it_would_be_lost(masks, bitmaps):
    with pytest.raises(TypeError, match='__setitem__'):
        masks[0] = True
    with pytest.raises(TypeError, match='zero_'):
        masks.zero_()
    assert torch.equal(bitmaps.clone().copy_(masks), bitmaps)


@pytest.mark.parametrize(
    'choose', [lambda x: x[x.scores > 0.4], lambda x: x[1:3], lambda x: x[torch.tensor([4, 0])], lambda x: x[2]]
)
def test_a_choice_of_instances_decodes_nothing(choose, undecodable, bitmaps, monkeypatch):
    chosen = choose(prediction(undecodable)).cpu().detach()
    monkeypatch.undo()
    assert isinstance(chosen.masks, EncodedMasks)
    assert torch.equal(chosen.masks, choose(prediction(bitmaps)).masks)


def test_instances_are_joined(masks, bitmaps):
    joined = InstanceData.cat([prediction(masks), prediction(masks)])
    assert torch.equal(joined.masks, torch.cat([bitmaps, bitmaps]))


def annotation_file(folder, bitmaps):
    path = folder / 'annotations.json'
    annotations = [
        dict(id=i + 1, image_id=7, category_id=i % 2, iscrowd=0, bbox=[1, 2, 10, 10], area=int(bitmap.sum()),
             segmentation=rle | dict(counts=rle['counts'].decode()))
        for i, (bitmap, rle) in enumerate(zip(bitmaps, encode_mask_results(bitmaps.numpy())))
    ]
    images = [dict(id=7, height=HEIGHT, width=WIDTH, file_name='7.jpg')]
    path.write_text(json.dumps(dict(
        images=images, annotations=annotations, categories=[dict(id=0, name='a'), dict(id=1, name='b')]
    )))  # fmt: skip
    return str(path)


def scores(metric_type, path, masks):
    metric = metric_type(ann_file=path, metric=['bbox', 'segm'])
    metric.dataset_meta = dict(classes=('a', 'b'))
    sample = DetDataSample(metainfo=dict(img_id=7, ori_shape=(HEIGHT, WIDTH)), pred_instances=prediction(masks))
    metric.process({}, [sample.to_dict()])
    return metric.evaluate(size=1)


def test_our_metric_decodes_nothing(undecodable, tmp_path, bitmaps):
    rles = copy.deepcopy(undecodable.rles)
    values = scores(CocoMetric, annotation_file(tmp_path, bitmaps), undecodable)
    assert values['coco/segm_mAP'] > 0
    assert undecodable.rles == rles


@pytest.mark.parametrize('metric_type', [CocoMetric, MMDetCocoMetric])
def test_coco_metrics_see_the_same_masks(metric_type, masks, bitmaps, tmp_path):
    path = annotation_file(tmp_path, bitmaps)
    assert scores(metric_type, path, masks) == scores(metric_type, path, bitmaps)


@pytest.mark.parametrize('metric', [DumpDetResults, LVISMetric])
def test_other_metrics_of_mmdet_take_them(metric, masks, bitmaps, tmp_path, monkeypatch):
    monkeypatch.setattr(LVISMetric, '__init__', lambda self: setattr(self, 'results', []))
    collected = []
    for each in (masks, bitmaps):
        collector = metric(str(tmp_path / 'dump.pkl')) if metric is DumpDetResults else metric()
        collector._lvis_api = True
        sample = DetDataSample(metainfo=dict(img_id=7, ori_shape=(HEIGHT, WIDTH)), pred_instances=prediction(each))
        collector.process({}, [sample.to_dict()])
        result = collector.results[0]
        collected.append(result['pred_instances']['masks'] if metric is DumpDetResults else result[1]['masks'])
    assert collected[0] == collected[1]


def test_the_visualizer_draws_them(masks, bitmaps):
    drawn = []
    for each in (masks, bitmaps):
        np.random.seed(0)  # the visualizer jitters colours
        visualizer = DetLocalVisualizer()
        visualizer.dataset_meta = dict(classes=('a', 'b'), palette=[(220, 20, 60), (0, 90, 200)])
        sample = DetDataSample(pred_instances=prediction(each))
        image = np.zeros((HEIGHT, WIDTH, 3), dtype=np.uint8)
        visualizer.add_datasample('x', image, sample, draw_gt=False, pred_score_thr=0.3)
        drawn.append(visualizer.get_image())
    assert drawn[0].any()
    assert np.array_equal(*drawn)


def test_the_inferencer_writes_them(masks, bitmaps):
    inferencer = DetInferencer.__new__(DetInferencer)
    written = [inferencer.pred2dict(DetDataSample(pred_instances=prediction(each))) for each in (masks, bitmaps)]
    assert written[0] == written[1]
    assert len(written[0]['masks']) == COUNT


@pytest.mark.skipif(not torch.cuda.is_available(), reason='needs a GPU')
def test_pixels_are_on_the_device_of_the_boxes(masks, bitmaps):
    there = EncodedMasks(masks.rles, HEIGHT, WIDTH, 'cuda')
    assert there.is_cuda
    assert torch.equal(there & bitmaps.cuda(), bitmaps.cuda())
    assert torch.equal(there.cpu(), bitmaps)


def test_masks_of_another_device_are_told_to_come_to_the_cpu(masks):
    elsewhere = EncodedMasks(masks.rles, HEIGHT, WIDTH, device='meta')
    assert elsewhere[:2].device.type == elsewhere[[0]].device.type == elsewhere.detach().device.type == 'meta'
    assert (elsewhere.cpu().device.type, elsewhere.cpu().rles) == ('cpu', masks.rles)


def test_runs_are_packed_when_they_are_asked_for(monkeypatch):
    from pycocotools import mask as mask_utils

    calls, pack = [], mask_utils.frPyObjects
    monkeypatch.setattr(mask_utils, 'frPyObjects', lambda *given: (calls.append(len(given[0])), pack(*given))[1])
    masks = EncodedMasks.from_runs([[0, 2, 4], [3, 3], [6]], 2, 3)
    part = masks.cpu().detach()[1:][[1, 0]]
    assert (tuple(part.shape), tuple(masks.shape), calls) == ((2, 2, 3), (3, 2, 3), [])
    assert part.decode().tolist() == [[[False] * 3] * 2, [[False, False, True], [False, True, True]]]
    assert part.rles is part.rles
    assert calls == [2]
    assert masks[0].tolist() == [[True, False, False], [True, False, False]]
