"""Image files are looked into before a run: their headers, not their pixels."""

import pytest
from PIL import Image

from swin_mmdet.datasets import image_problems
from swin_mmdet.datasets.check import DatasetCheckError, check_config, find_problems
from swin_mmdet.datasets.image_problems import image_size


@pytest.mark.parametrize('content', [b'', b'<html>404</html>', b'\xff\xd8\xff'], ids=['empty', 'html', 'cut off'])
def test_a_file_that_is_no_image_is_an_error_with_its_name(config, tmp_path, content):
    cfg = config()
    (tmp_path / 'train2017/2.jpg').write_bytes(content)
    with pytest.raises(DatasetCheckError, match=r'1 of 3 images in .*train2017 cannot be read: 2\.jpg'):
        check_config(cfg)


def test_an_image_of_another_size_is_a_warning_with_both_sizes(config, tmp_path):
    cfg = config()
    Image.new('L', (50, 100)).save(tmp_path / 'train2017/2.jpg')
    problems, _ = find_problems(cfg)
    (problem,) = problems
    assert problem.level == 'warning'
    assert '2.jpg is 50x100, not 100x100' in problem.what


def test_images_that_val_and_test_share_are_opened_once_and_reported_for_both(config, tmp_path, monkeypatch):
    cfg = config()
    cfg.test_dataloader, cfg.test_evaluator = cfg.val_dataloader, cfg.val_evaluator
    (tmp_path / 'val2017/2.jpg').write_bytes(b'')
    opened = []
    monkeypatch.setattr(image_problems, 'image_size', lambda path: opened.append(path) or image_size(path))
    (problem,) = find_problems(cfg)[0]
    assert problem.where == 'val_dataloader.dataset and test_dataloader.dataset'
    assert len(opened) == len(set(opened)) == 6


@pytest.mark.parametrize(('orientation', 'size'), [(1, (30, 20)), (3, (30, 20)), (6, (20, 30)), (8, (20, 30))])
def test_the_size_is_that_of_the_image_as_mmcv_loads_it(tmp_path, orientation, size):
    mmcv = pytest.importorskip('mmcv')
    path = tmp_path / 'photo.jpg'
    exif = Image.Exif()
    exif[0x0112] = orientation
    Image.new('RGB', (30, 20)).save(path, exif=exif)
    assert image_size(path) == size == mmcv.imread(str(path)).shape[1::-1]


@pytest.mark.parametrize('name', ['coco_mini', 'nuclei'])
def test_real_images_pass(shared_data, name):
    images = sorted((shared_data / name / 'val2017').iterdir())
    assert len(images) > 50
    assert all(image_size(path) for path in images)
