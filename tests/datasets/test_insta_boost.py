"""InstaBoost reads every annotation of COCO, and says what it needs."""

import importlib.util
import sys
from types import ModuleType

import numpy as np
import pycocotools.mask as rle_codec
import pytest

import swin_mmdet.compat  # noqa: F401

# isort: split
from swin_mmdet.datasets.transforms import InstaBoost, LoadAnnotations
from tests.structures.annotations import compressed, polygon, sample, uncompressed

OPTIONS = dict(aug_ratio=1.0, color_prob=0.0)


class Package(ModuleType):
    """In place of instaboostfast: keeps what it is given, moves every object two columns to the right."""

    InstaBoostConfig = staticmethod(lambda *options: options)

    def get_new_data(self, anns, img, _, background):
        assert background is None
        self.given = anns
        for ann in anns:
            # what the package does with a segmentation
            shape = img.shape[:2]
            rles = rle_codec.frPyObjects(ann['segmentation'], *shape)
            ann['mask'] = rle_codec.decode(rle_codec.merge(rles) if isinstance(rles, list) else rles)
        moved = [ann | dict(segmentation=compressed(np.roll(ann['mask'], 2, axis=1))) for ann in anns]
        return moved, np.roll(img, 2, axis=1)


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> Package:
    package = Package('instaboostfast')
    monkeypatch.setitem(sys.modules, 'instaboostfast', package)
    return package


@pytest.mark.parametrize('corner', [0, 1])
def test_compressed_rle_is_read(package: Package, corner: int):
    rng = np.random.default_rng(0)
    bitmaps = (rng.random((3, 30, 40)) < 0.5).astype(np.uint8)
    bitmaps[:, 0, 0] = corner
    bitmaps[1] = corner
    results = sample(rng, 30, 40, [compressed(bitmaps[0]), uncompressed(bitmaps[1]), compressed(bitmaps[2])])
    image = results['img'].copy()
    results = InstaBoost(**OPTIONS)(results)
    np.testing.assert_array_equal([ann['mask'] for ann in package.given], bitmaps)
    np.testing.assert_array_equal(results['img'], np.roll(image, 2, axis=1))
    loaded = LoadAnnotations(with_bbox=True, with_mask=True)(results)
    np.testing.assert_array_equal(loaded['gt_masks'].to_ndarray(), np.roll(bitmaps, 2, axis=2))


def test_polygons_stay_and_crowds_are_left_alone(package: Package):
    rng = np.random.default_rng(1)
    shapes = [[polygon(rng, 30, 40)], [polygon(rng, 30, 40)], [polygon(rng, 30, 40)], compressed(np.eye(30, 40))]
    results = sample(rng, 30, 40, shapes)  # the fourth is to be ignored
    kept = results['instances'][3]
    instances = InstaBoost(**OPTIONS)(results)['instances']
    assert [ann['segmentation'] for ann in package.given] == shapes[:3]
    assert len(instances) == 4
    assert instances[3] is kept


def test_without_the_package_there_is_a_remedy(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'instaboostfast', None)
    with pytest.raises(ImportError, match='pip install instaboostfast'):
        InstaBoost()


@pytest.mark.skipif(not importlib.util.find_spec('instaboostfast'), reason='instaboostfast is not installed')
def test_the_package_itself_moves_objects():
    np.random.seed(0)
    rng = np.random.default_rng(2)
    square = np.zeros((80, 100), np.uint8)
    square[20:50, 30:60] = 1
    results = InstaBoost(**OPTIONS)(sample(rng, 80, 100, [compressed(square)]))
    masks = LoadAnnotations(with_bbox=True, with_mask=True)(results)['gt_masks'].to_ndarray()
    assert masks.shape == (1, 80, 100)
    assert masks.any()
