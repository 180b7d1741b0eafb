"""Learned proposals: mmdet's, but for the sizes of images in mixed precision."""

import pytest
import torch
from mmdet.models.dense_heads import EmbeddingRPNHead as MMDetEmbeddingRPNHead
from mmdet.structures import DetDataSample

from swin_mmdet.detectors import EmbeddingRPNHead

SHAPES = [(800, 1333), (747, 1201)]


def proposals(cls, dtype):
    torch.manual_seed(0)
    head = cls(num_proposals=5, proposal_feature_channel=8)
    head.init_weights()
    samples = [DetDataSample(metainfo={'img_shape': shape}) for shape in SHAPES]
    losses, found = head.loss_and_predict([torch.zeros(2, 8, 4, 4, dtype=dtype)], samples)
    assert losses == {}
    return found


def test_proposals_are_mmdets():
    ours, theirs = (proposals(cls, torch.float32) for cls in (EmbeddingRPNHead, MMDetEmbeddingRPNHead))
    for image, other in zip(ours, theirs, strict=True):
        assert image.keys() == other.keys()
        assert all(torch.equal(image[name], other[name]) for name in image.all_keys())


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_sizes_are_exact_whatever_the_maps_are(dtype):
    for image, (height, width) in zip(proposals(EmbeddingRPNHead, dtype), SHAPES, strict=True):
        assert image.bboxes.dtype == image.imgs_whwh.dtype == torch.float32
        # the first proposal is the whole image
        assert image.bboxes[0].tolist() == [0, 0, width, height]
        assert image.imgs_whwh.tolist() == [[width, height, width, height]] * 5
