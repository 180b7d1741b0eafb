"""Weights that a model starts from: found wherever they stand, and refused by the setting that names them."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.backbones import swin
from mmdet.registry import MODELS
from mmengine.config import Config

from swin_mmdet.checkpoint import files
from swin_mmdet.engine.pretrained import check_pretrained, pretrained
from swin_mmdet.errors import UserError
from swin_mmdet.models import SwinTransformer, SwinTransformerV2

SMALL = {'embed_dims': 8, 'depths': (1, 1), 'num_heads': (1, 1), 'window_size': 4, 'out_indices': (0, 1)}


@pytest.fixture(autouse=True)
def _mmdets_own(monkeypatch):
    """Under its name, of which the drop-in, which another test has imported, makes ours."""
    monkeypatch.setitem(MODELS.module_dict, 'SwinTransformer', swin.SwinTransformer)


def starts(**backbone) -> Config:
    return Config(dict(model=dict(type='Any', backbone=backbone)))


def weights(file, **more):
    return dict(type='Pretrained', checkpoint=str(file)) | more


@pytest.fixture
def saved(tmp_path):
    """Version -> a file of its backbone."""
    found = {}
    for version, cls in ((1, SwinTransformer), (2, SwinTransformerV2)):
        found[version] = tmp_path / f'v{version}.pth'
        torch.save(cls(**SMALL).state_dict(), found[version])
    return found


def test_every_file_is_found_with_its_place():
    cfg = Config(dict(model=dict(
        type='Any',
        backbone=dict(type='swin_mmdet.SwinTransformerV2', init_cfg=weights('a.pth', prefix='backbone.')),
        other=dict(type='SwinTransformer', init_cfg=[dict(type='Xavier'), weights('b.pth')]),
        neck=[dict(type='FPN', init_cfg=dict(type='PretrainedInit', checkpoint='c.pth'))],
        head=dict(type='Head', init_cfg=dict(type='Normal', checkpoint='never')),
        last=dict(init_cfg=dict(type='Pretrained', checkpoint=None)),
    )))  # fmt: skip
    found = {one.key: (one.source, one.version, one.is_ours, one.prefix) for one in pretrained(cfg)}
    assert found == {
        'model.backbone.init_cfg.checkpoint': ('a.pth', 2, True, 'backbone.'),
        'model.other.init_cfg.1.checkpoint': ('b.pth', 1, False, None),
        'model.neck.0.init_cfg.checkpoint': ('c.pth', None, False, None),
    }


@pytest.mark.parametrize('version', [1, 2])
def test_a_swin_takes_a_file_of_its_version(version, saved):
    name = {1: 'swin_mmdet.SwinTransformer', 2: 'swin_mmdet.SwinTransformerV2'}[version]
    check_pretrained(starts(type=name, init_cfg=weights(saved[version])))
    other = saved[3 - version]
    message = (
        rf'^model\.backbone\.init_cfg\.checkpoint: {other} holds a SwinV{3 - version}, the model has a SwinV{version}; '
        'take weights of that, or another type of backbone$'
    )
    with pytest.raises(UserError, match=message):
        check_pretrained(starts(type=name, init_cfg=weights(other)))
    # of another part any file of weights will do, and mmdet's own reads a part of one by its prefix
    check_pretrained(starts(type='ResNet', init_cfg=weights(other)))
    check_pretrained(starts(type='SwinTransformer', init_cfg=weights(saved[2], prefix='backbone.')))
    # ours takes a part by its prefix, and looks at its version
    torch.save({f'backbone.{key}': value for key, value in torch.load(other).items()}, other)
    with pytest.raises(UserError, match=message):
        check_pretrained(starts(type=name, init_cfg=weights(other, prefix='backbone.')))


def test_a_file_that_is_not_there_is_named_with_its_setting():
    cfg = starts(type='swin_mmdet.SwinTransformer', init_cfg=weights('gone.pth'))
    with pytest.raises(UserError, match=r'^model\.backbone\.init_cfg\.checkpoint: .*gone\.pth.*; or set another file: '
                                        r'--cfg-options model\.backbone\.init_cfg\.checkpoint=FILE '
                                        r'\(model\.backbone\.init_cfg=None begins with random weights\)$'):  # fmt: skip
        check_pretrained(cfg)


def test_local_files_are_looked_at_before_anything_is_fetched(monkeypatch):
    def fetch(*_):
        raise AssertionError('fetched')

    monkeypatch.setattr(files, 'download', fetch)
    cfg = starts(type='ResNet', init_cfg=[weights('https://a.org/a1.pth'), weights('gone.pth')])
    with pytest.raises(UserError, match=r'init_cfg\.1\.checkpoint: .*gone'):
        check_pretrained(cfg)


def test_a_file_of_another_part_is_put_where_mmengine_looks(monkeypatch, saved, tmp_path):
    fetched = []
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    monkeypatch.setattr(files, 'download', lambda url, path: fetched.append((url, path)) or saved[1])
    check_pretrained(starts(type='ResNet', init_cfg=weights('https://a.org/b/model.pth')))
    assert fetched == [('https://a.org/b/model.pth', tmp_path / 'hub/checkpoints/model.pth')]
    check_pretrained(starts(type='ResNet', init_cfg=weights('s3://bucket/model.pth')))
    assert len(fetched) == 1
