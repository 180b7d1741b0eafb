"""Detections of an evaluation that stay: the files, what is known of them, and disks that are full."""

import json
from datetime import datetime
from pathlib import Path

import pytest

from swin_mmdet.errors import UserError
from swin_mmdet.evaluation import evaluate_coco, kept_detections
from swin_mmdet.evaluation.kept_detections import forget_detections, move_detections
from tests.evaluation.coco_samples import feed, metric_on, noisy, rectangle


@pytest.fixture
def detections(two_boxes: dict) -> list[dict]:
    return [one | {'segmentation': rectangle([int(side) for side in one['bbox']])} for one in noisy(two_boxes, 3, 1.0)]


def evaluated(two_boxes: dict, detections: list[dict], tmp_path: Path, **options) -> dict:
    metric = feed(metric_on(two_boxes, tmp_path, metric=['bbox', 'segm'], **options), two_boxes, detections)
    metric.keep_detections(tmp_path / 'run', 'iteration 7')
    return metric.evaluate(2)


def test_what_is_kept_measures_the_same(two_boxes: dict, detections: list[dict], tmp_path: Path):
    values = evaluated(two_boxes, detections, tmp_path)
    kept = kept_detections(tmp_path / 'run')
    assert kept.values == {name.removeprefix('coco/'): value for name, value in values.items()}
    assert (kept.classes, kept.cat_ids, kept.weights) == (('cat', 'dog'), (7, 3), 'iteration 7')
    assert abs((datetime.now() - datetime.strptime(kept.time, '%Y-%m-%d %H:%M:%S')).total_seconds()) < 600
    truth = json.loads(Path(kept.ann_file).read_text())
    for iou_type in ('bbox', 'segm'):
        scores = evaluate_coco(truth, kept.load(iou_type), iou_type, cat_ids=kept.cat_ids, max_dets=kept.max_dets,
                               iou_thrs=kept.iou_thrs)  # fmt: skip
        assert scores.named['mAP'] == pytest.approx(kept.values[f'{iou_type}_mAP'], abs=1e-12)


def test_a_later_evaluation_takes_the_place_of_an_earlier_one(two_boxes: dict, detections: list[dict], tmp_path: Path):
    evaluated(two_boxes, detections, tmp_path)
    metric = feed(metric_on(two_boxes, tmp_path, metric='bbox'), two_boxes, detections[:1])
    metric.keep_detections(tmp_path / 'run', 'other.pth')
    metric.evaluate(2)
    kept = kept_detections(tmp_path / 'run')
    assert (kept.weights, set(kept.files)) == ('other.pth', {'bbox'})
    assert len(kept.load('bbox')) == 1
    assert sorted(path.name for path in (tmp_path / 'run').iterdir()) == ['detections']


def test_a_metric_keeps_nothing_unless_it_is_told_to(two_boxes: dict, detections: list[dict], tmp_path: Path):
    feed(metric_on(two_boxes, tmp_path, metric='bbox'), two_boxes, detections).evaluate(2)
    assert kept_detections(tmp_path) is None


def test_a_full_disk_is_a_warning(
    two_boxes: dict, detections: list[dict], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, logged
):
    def full(*_: object) -> None:
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr('shutil.copyfile', full)
    values = evaluated(two_boxes, detections, tmp_path)
    assert 'coco/bbox_mAP' in values
    assert 'could not be kept in' in logged()
    assert 'No space left on device' in logged()
    assert kept_detections(tmp_path / 'run') is None
    assert list((tmp_path / 'run').iterdir()) == []


@pytest.mark.parametrize('text', ['', '{', '[]', '{"classes": 3}'])
def test_what_is_known_of_them_cannot_be_read(two_boxes: dict, detections: list[dict], tmp_path: Path, text: str):
    evaluated(two_boxes, detections, tmp_path)
    (tmp_path / 'run/detections/about.json').write_text(text)
    with pytest.raises(UserError, match=r'about\.json cannot be read .* evaluate again with test\.py'):
        kept_detections(tmp_path / 'run')


def test_a_new_run_forgets_those_of_the_one_before(two_boxes: dict, detections: list[dict], tmp_path: Path):
    evaluated(two_boxes, detections, tmp_path)
    forget_detections(tmp_path / 'run')
    assert list((tmp_path / 'run').iterdir()) == []
    forget_detections(tmp_path / 'run')


def test_they_move_to_another_run(two_boxes: dict, detections: list[dict], tmp_path: Path):
    evaluated(two_boxes, detections, tmp_path)
    (tmp_path / 'other/detections').mkdir(parents=True)
    (tmp_path / 'other/detections/old').write_text('')
    assert move_detections(tmp_path / 'run', tmp_path / 'other')
    assert kept_detections(tmp_path / 'run') is None
    assert kept_detections(tmp_path / 'other').load('bbox')
    assert not (tmp_path / 'other/detections/old').exists()
    assert not move_detections(tmp_path / 'run', tmp_path / 'other')
