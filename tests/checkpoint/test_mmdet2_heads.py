"""Names of mmdet 2.28's heads against mmdet 3.3's models.

`mmdet2_keys.json` holds the keys and shapes of detectors built with mmdet 2.28.2 from its own configs, without the
backbone and with one layer of each stack.
"""

import json
import re
from pathlib import Path

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.registry import MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.utils import get_installed_path
from torch import nn

from swin_mmdet.checkpoint.from_mmdet2_heads import to_mmdet3_heads

MMDET2 = json.loads((Path(__file__).parent / 'mmdet2_keys.json').read_text())
STACKED = re.compile(r'\.layers\.[1-9]\d*\.|(bbox_head|mask_head|cls_branches|reg_branches)\.[1-9]')


def mmdet3_shapes(name: str) -> dict[str, list[int]]:
    register_all_modules()
    cfg = Config.fromfile(Path(get_installed_path('mmdet'), '.mim', 'configs', f'{name}.py')).model
    cfg.pop('init_cfg', None)
    cfg.backbone.init_cfg = None
    with torch.device('meta'):
        model: nn.Module = MODELS.build(cfg)
    return {
        key: list(value.shape)
        for key, value in model.state_dict().items()
        if not key.startswith('backbone.') and not STACKED.search(key)
    }


@pytest.mark.parametrize('name', MMDET2, ids=lambda name: name.split('/')[0])
def test_renamed_heads_have_the_keys_and_shapes_of_mmdet_3(name: str):
    heads = {key: torch.empty(shape, device='meta') for key, shape in MMDET2[name].items()}
    heads['ema_neck_weight'] = torch.empty(1)
    renamed, dropped = to_mmdet3_heads(heads)
    assert dropped == {'ema_neck_weight': 'a buffer of the EMA hook of mmcv 1.x'}
    assert {key: list(value.shape) for key, value in renamed.items()} == mmdet3_shapes(name)


def test_heads_of_mmdet_3_keep_their_names():
    for name in ('mask2former/mask2former_r50_8xb2-lsj-50e_coco', 'detr/detr_r50_8xb2-150e_coco'):
        heads = {key: torch.empty(shape, device='meta') for key, shape in mmdet3_shapes(name).items()}
        assert list(to_mmdet3_heads(heads)[0]) == list(heads)
