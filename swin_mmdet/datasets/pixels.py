"""Are all pixels of an image there? Told by decoding it with a decoder that fills nothing up."""

import warnings
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import numpy as np
from PIL import Image

# of the largest value that a file can hold
DARK = 1 / 16
END_OF_JPEG = b'\xff\xd9'
# libjpeg-turbo decodes fastest to an eighth of each side, and every bit of the file is read for it
SMALLEST = dict(colorspace='GRAY', min_height=1, min_width=1, fastdct=True)
JPEGS = ('JPEG', 'MPO')


@dataclass(frozen=True)
class Pixels:
    """damage: what is wrong with the file, '' for nothing; `harmless` if no pixel is lost by it.

    low, high: the smallest and the largest value, as shares of the largest that there can be.
    """

    damage: str = ''
    harmless: bool = False
    low: float = 0.0
    high: float = 1.0

    @property
    def is_dark(self) -> bool:
        """Nearly black as it is read."""
        return self.high < DARK

    @property
    def is_blank(self) -> bool:
        """Of one colour."""
        return self.low == self.high


def look_at_pixels(path: str | Path, kind: str, content: bytes | None = None) -> Pixels:
    """Decode a file of a format that PIL knows by the name `kind`; `content` is all of it, where it is at hand."""
    if kind in JPEGS:
        try:
            import simplejpeg
        except ImportError:
            return _by_pil(path)  # misses files that are cut and closed again
        return _jpeg(Path(path).read_bytes() if content is None else content, simplejpeg)
    return _by_pil(path)


def _jpeg(content: bytes, simplejpeg: ModuleType) -> Pixels:
    try:
        return Pixels('', False, *_range(simplejpeg.decode_jpeg(content, strict=True, **SMALLEST)))
    except ValueError as error:
        damage = str(error)
    try:
        grey = simplejpeg.decode_jpeg(content + END_OF_JPEG, strict=True, **SMALLEST)
    except ValueError:
        return Pixels(damage)
    return Pixels('the mark of its end is missing', True, *_range(grey))


def _range(grey: np.ndarray) -> tuple[float, float]:
    return float(grey.min()) / 255, float(grey.max()) / 255


def _by_pil(path: str | Path) -> Pixels:
    try:
        with warnings.catch_warnings(), Image.open(path) as image:
            warnings.simplefilter('ignore')
            image.load()
            # in grey, as a JPEG: one colour is one value
            grey = image.convert('L') if image.mode in ('RGB', 'RGBA') else image
            mode, extrema = grey.mode, grey.getextrema()
    except Exception as error:  # its plugins raise anything
        return Pixels(f'{type(error).__name__}: {error}')
    if mode in ('P', '1') or not extrema:
        return Pixels()  # numbers of colours
    bands = extrema if isinstance(extrema[0], tuple) else [extrema]
    bands = bands[:-1] if mode in ('LA', 'PA', 'RGBa', 'La') else bands
    if mode == 'CMYK':
        return Pixels()  # of ink
    largest = 65535 if mode.startswith('I') else 255 if mode != 'F' else max(bands[0][1], 1.0)
    return Pixels('', False, min(low for low, _ in bands) / largest, max(high for _, high in bands) / largest)
