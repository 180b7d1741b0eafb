"""The program of each family finds what mmdet's own prediction finds, before anything is exported."""

import pytest
import torch

from swin_mmdet.export.families import family_of
from swin_mmdet.export.pictures import batches
from swin_mmdet.export.proof import LIMITS, prove
from swin_mmdet.export.runtime import Detector
from tests.export.small import FAMILIES, small_detector


class ProgramItself(Detector):
    """A program in the place of its file."""

    def __init__(self, program):
        self.program = program
        self.about = {'size': (64, 96)}

    def detect(self, batch):
        with torch.no_grad():
            found = self.program(torch.from_numpy(batch.images), torch.from_numpy(batch.sizes))
        return {name: one.numpy() for name, one in zip(self.program.names, found, strict=True)}


@pytest.mark.parametrize('name', FAMILIES)
def test_a_program_finds_what_the_detector_finds(name, repository):
    model, _ = small_detector(repository / 'configs' / FAMILIES[name])
    family = family_of(model)
    # a whole image, one that is padded and one without objects
    differences = prove(model, ProgramItself(family(model)), batches([(64, 96)]), LIMITS, 0.0)
    assert all(one.within(LIMITS) for one in differences), differences
    assert all(one.pairs >= 10 for one in differences)
