"""`--tta` of test.py and predict.py."""

import importlib
import json
import pickle
from pathlib import Path

import numpy as np

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from pycocotools import mask as rle

ONE_VIEW = """
_base_ = {base!r}

tta_model = dict(type='swin_mmdet.DetTTAModel', tta_cfg=dict(max_per_img=3))
tta_pipeline = [
    dict(type='LoadImageFromFile'),
    dict(type='TestTimeAug', transforms=[
        [dict(type='Resize', scale=(192, 192), keep_ratio=True)],
        [dict(type='LoadAnnotations', with_bbox=True, with_mask=True)],
        [dict(type='PackDetInputs')],
    ]),
]
"""


def evaluate(work_dir: Path, config: Path, checkpoint: Path, shapes: Path, *options: str) -> list[dict]:
    """What test.py predicts for each image."""
    out = work_dir / 'results.pkl'
    arguments = [config, checkpoint, '--data', shapes, '--work-dir', work_dir, '--out', out, *options]
    importlib.import_module('swin_mmdet.commands.test').main([str(argument) for argument in arguments])
    return [sample['pred_instances'] for sample in pickle.loads(out.read_bytes())]


def test_three_scales_and_flips_are_evaluated(trained: Path, shapes: Path, tmp_path: Path):
    found = evaluate(tmp_path, trained / 'tiny.py', trained / 'epoch_3.pth', shapes, '--tta')
    assert len(found) == 2
    for one in found:
        assert len(one['scores']) == len(one['masks']) == 5
        assert all(rle.decode(mask).shape == (96, 96) for mask in one['masks'])
    (metrics,) = tmp_path.glob('[0-9]*/*.json')
    assert {'coco/bbox_mAP', 'coco/segm_mAP'} <= json.loads(metrics.read_text()).keys()


def test_the_configs_own_views_and_settings_are_taken(trained: Path, shapes: Path, tmp_path: Path):
    config = tmp_path / 'one_view.py'
    config.write_text(ONE_VIEW.format(base=str(trained / 'tiny.py')))
    plain, views = (
        evaluate(tmp_path / name, config, trained / 'epoch_3.pth', shapes, *options)
        for name, options in (('plain', ()), ('views', ('--tta',)))
    )
    for one, other in zip(plain, views, strict=True):
        assert len(other['scores']) == 3
        for key in ('bboxes', 'scores', 'labels'):
            np.testing.assert_allclose(other[key], one[key][:3], atol=1e-3)
        assert rle.iou(other['masks'], one['masks'][:3], [0] * 3).diagonal().min() > 0.99


def test_images_are_predicted_in_views(trained: Path, shapes: Path, tmp_path: Path):
    arguments = [trained / 'tiny.py', trained / 'epoch_3.pth', shapes / 'val2017', '--out-dir', tmp_path,
                 '--score-thr', 0, '--device', 'cpu', '--tta']  # fmt: skip
    assert importlib.import_module('swin_mmdet.commands.predict').main([str(argument) for argument in arguments]) == 0
    rows = json.loads((tmp_path / 'results.json').read_text())
    assert {row['image_id'] for row in rows} == {1, 2}
    assert all(rle.decode(row['segmentation']).shape == (96, 96) for row in rows)
