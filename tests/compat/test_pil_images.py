"""mmdet's own doors take PIL images."""

import sys
from types import ModuleType

import numpy as np
import pytest
from PIL import Image

from swin_mmdet.compat.pil_images import as_arrays, open_class, open_function


@pytest.fixture
def image() -> Image.Image:
    return Image.fromarray(np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8))


def test_arrays_are_bgr_and_turned(image: Image.Image):
    rgb = np.asarray(image)
    np.testing.assert_array_equal(as_arrays(image), rgb[..., ::-1])
    grey, path = as_arrays([image.convert('L'), 'a.jpg'])
    assert (grey.shape, path) == ((5, 7, 3), 'a.jpg')
    image.getexif()[0x0112] = 6
    np.testing.assert_array_equal(as_arrays(image), np.rot90(rgb, -1)[..., ::-1])
    assert as_arrays(rgb) is rgb


def test_both_doors_are_opened_also_where_a_package_has_them_already(image: Image.Image, monkeypatch):
    inference, package, inferencer = ModuleType('inference'), ModuleType('apis'), ModuleType('det_inferencer')
    inference.inference_detector = package.inference_detector = lambda model, imgs, **options: (model, imgs, options)
    inferencer.DetInferencer = type('DetInferencer', (), {'_inputs_to_list': lambda _, inputs: [inputs]})
    monkeypatch.setitem(sys.modules, 'mmdet.apis', package)
    open_function(inference)
    open_class(inferencer)
    for module in (inference, package):
        model, array, options = module.inference_detector('model', image, text_prompt='cat')
        assert (model, array.shape, options) == ('model', (5, 7, 3), {'text_prompt': 'cat'})
    (array,) = inferencer.DetInferencer()._inputs_to_list(image)
    assert array.shape == (5, 7, 3)
