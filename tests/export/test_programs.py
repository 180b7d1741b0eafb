"""The program of each family finds what mmdet's own prediction finds, before anything is exported."""

import pytest
import torch

from swin_mmdet.export.families import family_of
from swin_mmdet.export.pictures import batches
from swin_mmdet.export.proof import LIMITS, prove
from swin_mmdet.export.runtime import Detector
from tests.export.small import small_detector

pytestmark = pytest.mark.long

CONFIGS = {
    'Mask R-CNN': 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py',
    'Mask R-CNN of mmdet': 'quickstart/mask-rcnn_swin-micro_shapes.py',
    'Cascade Mask R-CNN': 'swin_v2/cascade-mask-rcnn_swinv2-t-p4-w8_fpn_3x_coco.py',
    'HTC': 'htc/htc-without-semantic_swin-t-p4-w7_fpn_1x_coco.py',
    'Sparse R-CNN': 'sparse_rcnn/sparse-rcnn_swin-t-p4-w7_fpn_300-proposals_3x_coco.py',
    'RetinaNet': 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py',
    'ATSS': 'atss/atss_swin-t-p4-w7_fpn_3x_coco.py',
    'RTMDet': 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py',
    'Deformable DETR': 'deformable_detr/deformable-detr_swin-t_16xb2-50e_coco.py',
    'DINO': 'dino/dino-4scale_swin-t_8xb2-12e_coco.py',
    'Mask2Former': 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py',
}


class ProgramItself(Detector):
    """A program in the place of its file."""

    def __init__(self, program):
        self.program = program

    def detect(self, batch):
        with torch.no_grad():
            found = self.program(torch.from_numpy(batch.images), torch.from_numpy(batch.sizes))
        return {name: one.numpy() for name, one in zip(self.program.names, found, strict=True)}


@pytest.mark.parametrize('name', CONFIGS)
def test_a_program_finds_what_the_detector_finds(name, repository):
    model, _ = small_detector(repository / 'configs' / CONFIGS[name])
    family = family_of(model)
    # a whole image, one that is padded and one without objects
    differences = prove(model, ProgramItself(family(model)), batches([(96, 128)]), LIMITS, 0.0)
    assert all(one.within(LIMITS) for one in differences), differences
    assert all(one.pairs >= 10 for one in differences)
