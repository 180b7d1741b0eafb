"""Images that are in memory already, as a config's pipeline would have read them from a file."""

from pathlib import Path
from tempfile import TemporaryDirectory

import cv2
import numpy as np
import torch
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from PIL import Image, ImageOps

from swin_mmdet.datasets.read_image import ImageReader
from swin_mmdet.datasets.transforms.load_image import LoadImageFromFile
from swin_mmdet.errors import UserError

CHANNELS = 1, 3, 4
PLAIN = MMCVLoadImageFromFile, LoadImageFromFile
# of PIL, beside 'L', 'RGB' and 'RGBA': what each mode is seen as
SEEN_AS = {'1': 'L', 'La': 'LA', 'CMYK': 'RGB', 'YCbCr': 'RGB', 'HSV': 'RGB', 'RGBX': 'RGB', 'RGBa': 'RGBA'}
DEEP = 'I;16', 'I;16L', 'I;16B', 'I;16N'


def array_of(image: object) -> np.ndarray:
    """An array, a tensor [channels, H, W] or a PIL image as an array [H, W] or [H, W, channels], colours as RGB.

    Raises:
        UserError: it is none of these, or none that can be a picture; says why.
    """
    if isinstance(image, Image.Image):
        return _of_pil(image)
    if isinstance(image, torch.Tensor):
        if image.ndim == 3 and image.shape[0] in CHANNELS:
            return array_of(image.detach().cpu().permute(1, 2, 0).contiguous().numpy())
        raise UserError(f'a tensor must be [3, H, W] uint8 in RGB, got {image.dtype} {list(image.shape)}')
    if not isinstance(image, np.ndarray):
        raise UserError(
            f'an image of type {type(image).__name__}; give a path, an array [H, W, 3] in RGB, a PIL image, '
            'a tensor [3, H, W], or a list of them'
        )
    got = f'got {image.dtype} {list(image.shape)}'
    if image.ndim not in (2, 3) or not image.size:
        raise UserError(f'an array must be [H, W, 3] uint8 in RGB, {got}')
    if image.ndim == 3 and image.shape[0] in CHANNELS and image.shape[2] not in CHANNELS:
        raise UserError(f'an array must be [H, W, 3] in RGB, {got}; give image.transpose(1, 2, 0)')
    return image


def read_array(image: np.ndarray, reader: ImageReader) -> np.ndarray:
    """What a pipeline gets of a file with these pixels, in its order of colours.

    Args:
        image: as `array_of` gives it.

    Raises:
        UserError: no file that the pipeline reads could hold it.
    """
    step, got = reader.step, f'got {image.dtype} {list(image.shape)}'
    as_picture = not reader.is_usual or (step.color_type == 'color' and step.imdecode_backend != 'tifffile')
    channels = 1 if image.ndim == 2 else image.shape[2]
    fits = image.dtype in (np.uint8, np.uint16) and channels in CHANNELS
    if as_picture and not fits:
        raise UserError(
            f'an array must be [H, W, 3] uint8 in RGB (or grey, with alpha, or uint16), {got}'
            + ('; scale its values to 0..255 and give image.astype(np.uint8)' if channels in CHANNELS else '')
        )
    if type(step) in PLAIN and as_picture and image.dtype == np.uint8 and channels == 3:
        image = np.ascontiguousarray(image[..., ::-1])
        return image.astype(np.float32) if step.to_float32 else image
    if not fits or step.imdecode_backend == 'tifffile':
        # bands, which have no order but that of their files
        return image
    if not reader.is_local:
        raise UserError(f'an array must be [H, W, 3] uint8 in RGB where images are not on this file system, {got}')
    with TemporaryDirectory() as folder:
        file = Path(folder, 'image.png')
        cv2.imwrite(str(file), _in_bgr(image), [cv2.IMWRITE_PNG_COMPRESSION, 1])
        return reader.read(file)


def _in_bgr(image: np.ndarray) -> np.ndarray:
    """[H, W] or [H, W, 1, 3 or 4] with colours as OpenCV writes them."""
    if image.ndim == 2 or image.shape[2] == 1:
        return image
    return image[..., [2, 1, 0, 3][: image.shape[2]]]


def _of_pil(image: Image.Image) -> np.ndarray:
    image = ImageOps.exif_transpose(image)
    if image.mode in DEEP:
        return np.asarray(image).astype(np.uint16)
    if image.mode in ('P', 'PA') or 'transparency' in image.info:
        image = image.convert('RGBA' if image.mode == 'PA' or 'transparency' in image.info else 'RGB')
    image = image.convert(SEEN_AS.get(image.mode, image.mode))
    if image.mode == 'LA':
        image = image.convert('RGBA')
    if image.mode not in ('L', 'RGB', 'RGBA'):
        raise UserError(f"a PIL image of mode {image.mode!r}; give image.convert('RGB'), its values scaled to 0..255")
    return np.asarray(image)
