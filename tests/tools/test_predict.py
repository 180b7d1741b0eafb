"""predict.py draws, writes COCO results and survives a broken image."""

import importlib
import json
from pathlib import Path

import cv2
import pytest
from pycocotools import mask as rle
from pycocotools.coco import COCO


@pytest.fixture(scope='module')
def predicted(trained: Path, shapes: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[int, Path, Path]:
    """Exit code, output folder and annotation file of a run over two images and a broken one."""
    folder = tmp_path_factory.mktemp('predict')
    broken = folder / 'broken.jpg'
    broken.write_bytes(b'not an image')
    ann_file = shapes / 'annotations/instances_val2017.json'
    arguments = [
        trained / 'tiny.py', trained / 'epoch_3.pth', broken, shapes / 'val2017', '--out-dir', folder / 'out',
        '--score-thr', '0', '--device', 'cpu',
    ]  # fmt: skip
    code = importlib.import_module('predict').main([str(argument) for argument in arguments])
    return code, folder / 'out', ann_file


def test_a_broken_image_is_skipped_and_the_exit_code_says_so(predicted: tuple[int, Path, Path]):
    code, out, _ = predicted
    assert code == 1
    assert not (out / 'vis/broken.jpg').exists()


def test_every_other_image_is_drawn(predicted: tuple[int, Path, Path], shapes: Path):
    drawn = sorted((predicted[1] / 'vis').iterdir())
    assert [path.name for path in drawn] == sorted(path.name for path in (shapes / 'val2017').iterdir())
    assert all(cv2.imread(str(path)) is not None for path in drawn)


def test_results_are_coco_results(predicted: tuple[int, Path, Path]):
    _, out, ann_file = predicted
    rows = json.loads((out / 'results.json').read_text())
    assert rows
    for row in rows:
        assert rle.decode(row['segmentation']).shape == (96, 96)
        assert row['category_name'] == ('circle', 'square', 'triangle')[row['category_id'] - 1]
    # the broken image was the first, so the ids of the others are 2 and 3
    assert {row['image_id'] for row in rows} <= {2, 3}
    ids = {image['file_name']: image['id'] for image in json.loads(ann_file.read_text())['images']}
    COCO(str(ann_file)).loadRes([row | dict(image_id=ids[row['file_name']]) for row in rows])
