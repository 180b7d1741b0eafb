"""Every family goes through `torch.export` and ONNX, for images of one size and of all, and its files find the same."""

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.export import ExportOptions, export_detector
from swin_mmdet.export.families import family_of
from swin_mmdet.export.pictures import batches
from swin_mmdet.export.proof import eager
from swin_mmdet.export.trace import trace
from tests.export.small import FAMILIES, forget, small_detector

SIZES = {'fixed': (64, 96), 'free': None}
# free sizes take three times as long to trace, those of DETRs and Mask2Former minutes: the ordinary run has three kinds
# of programs. Mask2Former's proof turns on single pixels of small masks, which some processors round to the other side
FREE = 'Mask R-CNN of mmdet', 'Sparse R-CNN', 'RetinaNet'


@pytest.mark.parametrize(('name', 'sizes'), [
    pytest.param(name, sizes, marks=() if sizes == 'fixed' or name in FREE else pytest.mark.long)
    for name in FAMILIES for sizes in SIZES
])  # fmt: skip
def test_files_of_every_family_find_what_the_detector_finds(name, sizes, repository, tmp_path):
    """Of V1 where the size is fixed, of V2 where it is free; the proof is `export_detector`'s own.

    What the detector itself finds is afterwards, to the last bit, what it found before it was traced.
    """
    pytest.importorskip('onnxscript')
    pytest.importorskip('onnxruntime')
    size = SIZES[sizes]
    model, cfg = small_detector(repository / 'configs' / FAMILIES[name], '' if size else 'V2')
    cfg.test_dataloader.dataset.pipeline[1].scale = (224, 160)
    batch = batches([(64, 96) if size else (256, 256)])[0]
    with torch.no_grad():
        before = eager(model, batch)
        forget()
        family = family_of(model)
        traced = trace(family(model), ExportOptions(size=size, most=256), family.least(model))
        after = eager(model, batch)
    assert len(before.scores) >= 5
    for one, other in zip(before, after, strict=True):
        assert one is other is None or np.array_equal(one, other)
    for kind, suffix in (('torch', '.pt2'), ('onnx', '.onnx')):
        options = ExportOptions(to=kind, size=size, most=256)
        differences = export_detector(model, cfg, tmp_path / f'model{suffix}', options, traced=traced)
        # whole images, one that is padded and one without objects
        assert len({one.size for one in differences}) == (2 if size else 5)
        assert all(one.pairs >= 5 for one in differences)
