"""mmdet's `inference_detector` and `DetInferencer` refuse a PIL image: a bare AssertionError, NotImplementedError.

Since when: always; they take paths and BGR arrays. Can go: when they take PIL images, turned as their EXIF says.
"""

import sys
from functools import wraps
from types import ModuleType

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmdet's doors."""
    on_import.after('mmdet.apis.inference', open_function)
    on_import.after('mmdet.apis.det_inferencer', open_class)


def open_function(inference: ModuleType) -> None:
    """Give `inference_detector` arrays, also in the package that may have it already."""
    detect = inference.inference_detector

    @wraps(detect)
    def inference_detector(model: object, imgs: object, *args: object, **kwargs: object) -> object:
        return detect(model, as_arrays(imgs), *args, **kwargs)

    for module in (inference, sys.modules.get('mmdet.apis')):
        if module is not None and vars(module).get('inference_detector') is detect:
            vars(module)['inference_detector'] = inference_detector


def open_class(det_inferencer: ModuleType) -> None:
    """The same for `DetInferencer`."""
    inferencer = det_inferencer.DetInferencer
    to_list = inferencer._inputs_to_list

    @wraps(to_list)
    def inputs_to_list(self: object, inputs: object) -> list:
        return to_list(self, as_arrays(inputs))

    inferencer._inputs_to_list = inputs_to_list


def as_arrays(images: object) -> object:
    """The same with uint8 arrays [H, W, 3] in BGR for PIL images."""
    import numpy as np
    from PIL import Image, ImageOps

    if isinstance(images, list | tuple):
        return [as_arrays(image) for image in images]
    if not isinstance(images, Image.Image):
        return images
    return np.ascontiguousarray(np.asarray(ImageOps.exif_transpose(images).convert('RGB'))[..., ::-1])
