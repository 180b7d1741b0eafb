"""Files of any known format into a detector, and one error that names the file."""

import pytest
import torch
from torch import nn

from swin_mmdet.engine.load_weights import load_weights, read_weights
from swin_mmdet.errors import CheckpointError, UserError
from swin_mmdet.models import SwinTransformer

SMALL = {'embed_dims': 8, 'depths': (1, 1), 'num_heads': (1, 1), 'window_size': 4, 'out_indices': (0, 1)}


class Detector(nn.Module):
    def __init__(self, classes=3) -> None:
        super().__init__()
        # not `head`: a classifier's stands beside its backbone
        self.backbone, self.bbox_head = SwinTransformer(**SMALL), nn.Linear(8, classes)


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    torch.save({'state_dict': Detector().state_dict()}, tmp_path / 'a.pth')
    return tmp_path / 'a.pth'


@pytest.mark.parametrize('strict', [True, False])
@pytest.mark.parametrize('read_before', [True, False])
def test_a_file_becomes_a_detector(strict, read_before, saved):
    model = Detector()
    load_weights(model, read_weights(str(saved), 'weights') if read_before else saved, strict)
    expected = torch.load(saved)['state_dict']
    assert all(torch.equal(value, expected[key]) for key, value in model.state_dict().items())


def test_a_head_of_other_classes_keeps_its_own_unless_every_weight_must_fit(saved):
    model = Detector(classes=5)
    before = model.bbox_head.weight.detach().clone()
    load_weights(model, saved, strict=False)
    assert torch.equal(model.bbox_head.weight, before)
    assert torch.equal(model.backbone.norm0.weight, torch.load(saved)['state_dict']['backbone.norm0.weight'])
    with pytest.raises(CheckpointError, match=r'a\.pth: it does not fit the model of .*bbox_head') as caught:
        load_weights(model, saved, strict=True)
    assert caught.value.source == str(saved)


def test_a_model_without_swin_takes_its_keys_as_they_are(tmp_path):
    torch.save({'state_dict': {'weight': torch.ones(2, 2), 'bias': torch.ones(2)}}, tmp_path / 'b.pth')
    model = nn.Linear(2, 2)
    load_weights(model, tmp_path / 'b.pth', strict=True)
    assert torch.equal(model.weight, torch.ones(2, 2))
    with pytest.raises(CheckpointError, match=r'b\.pth: it does not fit the model of this config'):
        load_weights(nn.Linear(3, 2), tmp_path / 'b.pth', strict=True)


def test_what_is_no_file_is_named_as_the_user_knows_it(tmp_path):
    with pytest.raises(UserError, match=r'no checkpoint to test at .*gone\.pth'):
        read_weights(str(tmp_path / 'gone.pth'), 'checkpoint to test')
