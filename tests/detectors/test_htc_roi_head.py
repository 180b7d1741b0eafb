"""Training of HTC: mmdet's, from proposals of a batch, and what it says without semantic maps."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData, PixelData

from swin_mmdet.detectors.batch import BatchedProposals
from swin_mmdet.detectors.sampled_regions import boxes_of
from tests.detectors.two_stage import CLASSES, build, features, proposals, roi_head_config

STAGE = {
    'assigner': {'type': 'MaxIoUAssigner', 'pos_iou_thr': 0.3, 'neg_iou_thr': 0.3, 'min_pos_iou': 0.3},
    'sampler': {'type': 'RandomSampler', 'num': 16, 'pos_fraction': 0.25, 'add_gt_as_proposals': True},
    'mask_size': 28,
    'pos_weight': -1,
}


def training_samples(with_maps: bool) -> list[DetDataSample]:
    """Of an image with an object and of one without."""
    made = []
    for count in (1, 0):
        sample = DetDataSample(metainfo=dict(img_shape=(96, 128), img_path=f'{count}.jpg'))
        sample.gt_instances = InstanceData(
            bboxes=torch.tensor([[10.0, 20, 60, 80]])[:count],
            labels=torch.full((count,), CLASSES - 1),
            masks=BitmapMasks(torch.ones(count, 96, 128, dtype=torch.uint8).numpy(), 96, 128),
        )
        sample.ignored_instances = InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long))
        if with_maps:
            sample.gt_sem_seg = PixelData(sem_seg=torch.randint(0, 183, (1, 128, 128)))
        made.append(sample)
    return made


def both(name: str) -> list[torch.nn.Module]:
    """mmdet's head and ours with the same weights."""
    heads = []
    for prefix in ('', 'swin_mmdet.'):
        config = roi_head_config(name)
        config.type = prefix + config.type
        config.train_cfg = [STAGE] * 3
        heads.append(build(config).train())
    return heads


@pytest.mark.filterwarnings('ignore:Default ``avg_non_ignore``')
@pytest.mark.parametrize('name', ['htc', 'htc semantic'])
def test_losses_are_mmdets(name: str):
    theirs, ours = both(name)
    boxes, valid = boxes_of(proposals([30, 20]))
    found = []
    for head, given in ((theirs, proposals([30, 20])), (ours, BatchedProposals(boxes, valid.float(), valid))):
        torch.manual_seed(5)
        samples = training_samples(name == 'htc semantic')
        torch.manual_seed(6)  # what the sampler draws
        losses = head.loss(features(2), given, samples)
        sum(loss.sum() for key, loss in losses.items() if 'loss' in key).backward()
        found.append({key: loss.detach() for key, loss in losses.items()})
    assert found[0].keys() == found[1].keys()
    assert ('loss_semantic_seg' in found[0]) == (name == 'htc semantic')
    for key, expected in found[0].items():
        torch.testing.assert_close(found[1][key], expected, msg=lambda text, key=key: f'{key}: {text}')
    for (key, weight), (_, other) in zip(ours.named_parameters(), theirs.named_parameters(), strict=True):
        torch.testing.assert_close(weight.grad, other.grad, msg=lambda text, key=key: f'{key}: {text}')


def test_a_missing_semantic_map_is_named():
    _, ours = both('htc semantic')
    with pytest.raises(ValueError, match=r"none of 1\.jpg: set data_prefix\['seg'\]"):
        ours.loss(features(2), proposals([30, 20]), training_samples(with_maps=False))
