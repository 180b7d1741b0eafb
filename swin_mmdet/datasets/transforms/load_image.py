"""Images of more than 8 bits, or with transparent pixels, as a person sees them; others as mmcv reads them.

mmcv keeps the highest 8 bits of 16, which are empty where a camera fills 10, 12 or 14 of them, and shows what is hidden
behind transparent pixels. What is no picture without further knowledge is refused with a remedy.
"""

import io
import warnings

import cv2
import mmcv
import numpy as np
from mmcv.transforms import LoadImageFromFile as MMCVLoadImageFromFile
from mmengine import fileio
from PIL import Image, ImageOps

from swin_mmdet.registry import TRANSFORMS

JPEG, PNG = b'\xff\xd8', b'\x89PNG\r\n\x1a\n'
TRANSPARENT = 'RGBA', 'RGBa', 'LA', 'La', 'PA'
ORIENTATION, BITS_PER_SAMPLE = 0x0112, 258
# how cameras hold what is stored, as they write it: whether axes are exchanged, then which of them are turned round
TURNS = {2: (0, 1), 3: (0, 0, 1), 4: (0, 0), 5: (1,), 6: (1, 1), 7: (1, 0, 1), 8: (1, 0)}
KEEP = (
    "convert it to 8 or 16 bits, or keep its values: LoadImageFromFile(color_type='unchanged', "
    "imdecode_backend='tifffile'), with as many in_channels of the backbone, and mean and std of them"
)


@TRANSFORMS.register_module()
class LoadImageFromFile(MMCVLoadImageFromFile):
    """mmcv's step, where it reads in colour with cv2.

    Args:
        bits: of 16, those that the values of the files use, such as 10, 12, 14 or 16.
        background: behind transparent pixels, (red, green, blue); white as viewers show it.
    """

    def __init__(self, *args, bits: int = 16, background: tuple[int, int, int] = (255, 255, 255), **kwargs) -> None:
        super().__init__(*args, **kwargs)
        if not isinstance(bits, int) or not 8 <= bits <= 16:
            raise ValueError(f'bits={bits!r}: give 8 to 16')
        if len(background) != 3 or not all(0 <= value <= 255 for value in background):
            raise ValueError(f'background={background!r}: give red, green and blue from 0 to 255')
        self.bits = bits
        red, green, blue = background
        self.background = (red, green, blue)

    def transform(self, results: dict) -> dict | None:
        """The image as uint8 [H, W, 3] in BGR.

        Raises:
            ValueError: it is no picture, or cannot be decoded.
        """
        if self.color_type != 'color' or self.imdecode_backend != 'cv2' or self.file_client_args is not None:
            return super().transform(results)
        path = results['img_path']
        try:
            content = fileio.get(path, backend_args=self.backend_args)
            image = read_picture(content, self.bits, self.background)
        except Exception as error:
            if self.ignore_empty:
                return None
            if isinstance(error, ValueError):
                raise ValueError(f'{path}: {error}') from error
            raise
        if self.to_float32:
            image = image.astype(np.float32)
        results['img'] = image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def __repr__(self) -> str:
        return f'{super().__repr__()[:-1]}, bits={self.bits}, background={self.background})'


def read_picture(content: bytes, bits: int = 16, background: tuple[int, int, int] = (255, 255, 255)) -> np.ndarray:
    """The content of an image file as uint8 [H, W, 3] in BGR, turned as the camera says.

    Raises:
        ValueError: it is no picture, or cannot be decoded.
    """
    is_deep, image = False, None
    if not content.startswith(JPEG):  # which has neither
        is_deep, image = _header(content)
    if is_deep:
        return _deep(content, bits, background, image)
    if image is not None and (image.mode in TRANSPARENT or 'transparency' in image.info):
        return _over(image, background)
    decoded = mmcv.imfrombytes(content, flag='color', backend='cv2') if content else None
    if decoded is None:
        raise ValueError('the file cannot be decoded')
    return decoded


def what_is_needed(content: bytes) -> tuple[int | None, bool]:
    """Of the content of an image file: the bits that its values use, None where there are no 16, and transparency.

    None and False as well where no step can read it.
    """
    if content.startswith(JPEG):
        return None, False
    try:
        is_deep, image = _header(content)
        if not is_deep and image is not None:
            has_alpha = image.mode in TRANSPARENT or 'transparency' in image.info
            return None, has_alpha and image.convert('RGBA').getchannel('A').getextrema()[0] < 255
        stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
        if stored is None or stored.dtype != np.uint16:
            return None, False
        stored = np.atleast_3d(stored)
        see_through = stored.shape[2] == 4 and int(stored[..., 3].min()) < 65535
        return int(stored[..., :3].max()).bit_length(), see_through
    except (OSError, ValueError, SyntaxError, cv2.error, Image.DecompressionBombError):
        return None, False


def _header(content: bytes) -> tuple[bool, Image.Image | None]:
    """Whether values have more than 8 bits or cannot be judged, and what PIL opens, without its pixels."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter('ignore', Image.DecompressionBombWarning)
            image = Image.open(io.BytesIO(content))
    except Exception:  # its plugins raise anything; cv2 has the last word
        return True, None
    if image.mode == 'LAB':
        raise ValueError('its colours are Lab; convert it to RGB')
    if content.startswith(PNG):
        return content[24] == 16, image
    stored = getattr(image, 'tag_v2', {}).get(BITS_PER_SAMPLE, (8,))
    return max(stored if isinstance(stored, tuple) else (stored,)) > 8, image


def _over(image: Image.Image, background: tuple[int, int, int]) -> np.ndarray:
    image = ImageOps.exif_transpose(image).convert('RGBA')
    image = Image.alpha_composite(Image.new('RGBA', image.size, (*background, 255)), image)
    return cv2.cvtColor(np.asarray(image), cv2.COLOR_RGBA2BGR)


def _deep(content: bytes, bits: int, background: tuple[int, int, int], header: Image.Image | None) -> np.ndarray:
    stored = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED) if content else None
    if stored is None:
        raise ValueError(f'the file cannot be decoded as a picture; if it is sound, {KEEP}')
    stored = np.atleast_3d(stored)
    channels = stored.shape[2]
    if stored.dtype not in (np.uint8, np.uint16):
        raise ValueError(f'its values are {stored.dtype}, of which none is known to be white; {KEEP}')
    if channels not in (1, 3, 4):
        raise ValueError(f'it has {channels} channels; {KEEP}')
    white = 255 if stored.dtype == np.uint8 else 2**bits - 1
    image = (stored * np.float32(255 / white)).clip(0, 255)
    if channels == 1:
        image = image.repeat(3, axis=2)
    elif channels == 4:
        alpha = stored[..., 3:] / np.float32(np.iinfo(stored.dtype).max)
        image = image[..., :3] * alpha + np.float32(background[::-1]) * (1 - alpha)
    image = image.round().astype(np.uint8)
    # cv2 turns what it decodes of TIFF, and of others not
    turn = header.getexif().get(ORIENTATION, 1) if header is not None and header.format != 'TIFF' else 1
    return _turned(image, turn)


def _turned(image: np.ndarray, orientation: int) -> np.ndarray:
    exchanged, *reversed_axes = TURNS.get(orientation, (0,))
    axes = tuple(reversed_axes)
    image = image.swapaxes(0, 1) if exchanged else image
    return np.ascontiguousarray(np.flip(image, axes) if axes else image)
