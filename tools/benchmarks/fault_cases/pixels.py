"""Image files: cut, of other formats, dark, of odd shapes, and sound ones beside them."""

import io
import struct
import zlib
from collections.abc import Callable
from functools import partial

import cv2
import numpy as np
from PIL import Image

from .case import accepted, refused, warned
from .data import HEIGHT, WIDTH, Data, picture

NAME = '0002.jpg'
END = b'\xff\xd9'


def bytes_of(array: np.ndarray, kind: str, **options: object) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(array).save(buffer, kind, **options)
    return buffer.getvalue()


def put(content: bytes) -> Callable[[Data], object]:
    """In the place of one image."""
    return lambda data: data.image().write_bytes(content)


def changed(change: Callable[[bytes], bytes]) -> Callable[[Data], object]:
    return lambda data: data.image().write_bytes(change(data.image().read_bytes()))


def renamed(suffix: str, content: bytes) -> Callable[[Data], object]:
    """An image of another name and format in its place."""

    def spoil(data: Data) -> None:
        data.image().unlink()
        data.train['images'][1]['file_name'] = f'0002{suffix}'
        data.image('train', f'0002{suffix}').write_bytes(content)

    return spoil


def named_back(seen: dict, suffix: str) -> dict:
    return {name.replace(NAME, f'0002{suffix}'): objects for name, objects in seen.items()}


def all_png(seen: dict) -> dict:
    return {name.replace('.jpg', '.png'): objects for name, objects in seen.items()}


def cut(share: float, tail: bytes = b'') -> Callable[[Data], object]:
    return changed(lambda content: content[: int(len(content) * share)] + tail)


def all_deep(bits: int, suffix: str = '.png') -> Callable[[Data], object]:
    """Every image of both splits as 16 bits, of which `bits` are used."""

    def spoil(data: Data) -> None:
        for split, content in (('train', data.train), ('val', data.val)):
            for image in content['images']:
                values = picture(image['id']).astype(np.uint16) * (2**bits // 256)
                data.image(split, image['file_name']).unlink()
                image['file_name'] = image['file_name'].replace('.jpg', suffix)
                cv2.imwrite(str(data.image(split, image['file_name'])), values)

    return spoil


def resized(width: int, height: int) -> Callable[[Data], object]:
    """An image of a size that its entry has as well, without objects."""

    def spoil(data: Data) -> None:
        last = data.train['images'][-1]
        last |= {'width': width, 'height': height}
        data.image('train', last['file_name']).write_bytes(bytes_of(picture(9, width, height), 'JPEG', quality=90))

    return spoil


def bomb() -> bytes:
    """A PNG of 60,000 x 60,000 pixels in its header."""
    size = struct.pack('>II', 60_000, 60_000) + b'\x08\x02\x00\x00\x00'
    chunks = [(b'IHDR', size), (b'IDAT', zlib.compress(b'\0' * 1000)), (b'IEND', b'')]
    parts = [
        struct.pack('>I', len(body)) + name + body + struct.pack('>I', zlib.crc32(name + body)) for name, body in chunks
    ]
    return b'\x89PNG\r\n\x1a\n' + b''.join(parts)


def flat(data: Data) -> None:
    data.image().write_bytes(bytes_of(np.full((HEIGHT, WIDTH, 3), 128, np.uint8), 'JPEG'))


def rotated(data: Data) -> None:
    """As a camera held upright stores it: the file lies, its EXIF says to turn it."""
    turned = Image.fromarray(np.rot90(picture(2)))
    exif = Image.Exif()
    exif[0x0112] = 6
    turned.save(data.image(), 'JPEG', quality=92, exif=exif.tobytes())


PICTURE = picture(2)
PNG = bytes_of(PICTURE, 'PNG')
GREY = np.array(Image.fromarray(PICTURE).convert('L'))
JPEG_CUT = r'0002\.jpg'
READS_WITHOUT_END = cv2.imdecode(np.frombuffer(bytes_of(PICTURE, 'JPEG')[:-2], np.uint8), 1) is not None
# a folder's images are read as a person sees them; a config has to say so
AS_SEEN = dict(folder='accepted', data_option='accepted')
as_png = partial(named_back, suffix='.png')

CASES = [
    refused('pixels', 'jpeg cut in the middle', cut(0.5), JPEG_CUT),
    refused('pixels', 'jpeg cut after a tenth', cut(0.1), JPEG_CUT),
    refused('pixels', 'jpeg cut in its header', changed(lambda content: content[:100]), JPEG_CUT),
    refused('pixels', 'jpeg cut and closed again', cut(0.5, END), JPEG_CUT),
    refused('pixels', 'jpeg cut and filled with zeros', cut(0.5, bytes(500) + END), JPEG_CUT),
    refused('pixels', 'jpeg short of its last bytes', changed(lambda content: content[:-12]), JPEG_CUT),
    refused('pixels', 'jpeg short, closed again', changed(lambda content: content[:-12] + END), JPEG_CUT),
    refused('pixels', 'jpeg with a garbled middle',
            changed(lambda c: c[: len(c) // 2] + b'\xff\xd3' * 30 + c[len(c) // 2 + 60 :]), JPEG_CUT),
    (warned if READS_WITHOUT_END else refused)(
        'pixels', 'jpeg without its end mark', changed(lambda content: content[:-2]), JPEG_CUT),
    refused('pixels', 'progressive jpeg cut',
            put(bytes_of(PICTURE, 'JPEG', progressive=True)[:1500]), JPEG_CUT),
    refused('pixels', 'progressive jpeg cut and closed',
            put(bytes_of(PICTURE, 'JPEG', progressive=True)[:1500] + END), JPEG_CUT),
    refused('pixels', 'png cut', renamed('.png', PNG[:-300]), r'0002\.png'),
    refused('pixels', 'png cut and closed', renamed('.png', PNG[:-300] + PNG[-12:]), r'0002\.png'),
    refused('pixels', 'png with a wrong byte', renamed('.png', PNG[:3000] + b'?' + PNG[3001:]), r'0002\.png'),
    refused('pixels', 'bmp cut', renamed('.bmp', bytes_of(PICTURE, 'BMP')[:-900]), r'0002\.bmp'),
    refused('pixels', 'webp cut', renamed('.webp', bytes_of(PICTURE, 'WEBP')[:-300]), r'0002\.webp'),
    refused('pixels', 'tiff cut', renamed('.tif', bytes_of(PICTURE, 'TIFF')[:-900]), r'0002\.tif'),
    refused('pixels', 'empty file', put(b''), JPEG_CUT),
    refused('pixels', 'zeros', put(bytes(4000)), 'nothing but zeros'),
    refused('pixels', 'web page', put(b'<!DOCTYPE html><html>404</html>'), 'HTML'),
    refused('pixels', 'git lfs pointer', put(b'version https://git-lfs.github.com/spec/v1\noid sha256:0'),
            'git lfs pull'),
    refused('pixels', 'pdf', put(b'%PDF-1.7 ...'), 'PDF'),
    refused('pixels', 'heic photo', put(b'\0\0\0\x18ftypheic' + bytes(100)), 'HEIC'),
    refused('pixels', 'text', put(b'no image'), JPEG_CUT),
    refused('pixels', 'decompression bomb', lambda data: data.image().write_bytes(bomb()),
            r'0002\.jpg \(it has 3600000000 pixels'),
    refused('pixels', 'decompression bomb in png', renamed('.png', bomb()), r'it has 3600000000 pixels'),
    warned('pixels', 'png named jpg', put(PNG), '0002.jpg is a PNG'),
    warned('pixels', 'webp named jpg', put(bytes_of(PICTURE, 'WEBP', quality=95)), '0002.jpg is a WEBP'),
    warned('pixels', 'bmp named jpg', put(bytes_of(PICTURE, 'BMP')), '0002.jpg is a BMP'),
    warned('pixels', 'gif named jpg', put(bytes_of(PICTURE, 'GIF')), '0002.jpg is a GIF'),
    refused('pixels', '12 bits of 16 in png', all_deep(12), 'nearly black', sees=all_png, **AS_SEEN),
    refused('pixels', '12 bits of 16 in tiff', all_deep(12, '.tif'), 'nearly black', sees=None, **AS_SEEN),
    refused('pixels', '10 bits of 16 in png', all_deep(10), 'nearly black', sees=all_png, **AS_SEEN),
    warned('pixels', 'an image in the dark', put(bytes_of(PICTURE // 24, 'JPEG', quality=95)), 'nearly black'),
    warned('pixels', 'an image of one colour', flat, 'one colour'),
    refused('pixels', '1 x 1', resized(1, 1), r'0006\.jpg'),
    refused('pixels', '1 x 80', resized(1, 80), r'0006\.jpg'),
    refused('pixels', '2 x 2', resized(2, 2), r'0006\.jpg'),
    refused('pixels', '4000 x 10', resized(4000, 10), 'times as long'),
    refused('pixels', '9 x 1200', resized(9, 1200), 'times as long'),
    warned('pixels', '1200 x 40', resized(1200, 40), 'times as long'),
    # healthy neighbours
    accepted('pixels', 'jpeg with something behind it', changed(lambda content: content + b'maker' * 40)),
    accepted('pixels', 'progressive jpeg', put(bytes_of(PICTURE, 'JPEG', progressive=True, quality=92))),
    accepted('pixels', 'grey jpeg', put(bytes_of(GREY, 'JPEG', quality=92))),
    accepted('pixels', 'png', renamed('.png', PNG), sees=as_png),
    accepted('pixels', 'grey png', renamed('.png', bytes_of(GREY, 'PNG')), sees=as_png),
    accepted('pixels', '16 bits that are used', all_deep(16), sees=all_png),
    accepted('pixels', 'a jpeg turned by exif', rotated),
    accepted('pixels', 'a panorama', resized(800, 60)),
    accepted('pixels', 'a small image', resized(40, 36)),
    accepted('pixels', 'black borders', put(bytes_of(np.where(np.arange(HEIGHT)[:, None, None] < 40, PICTURE, 0)
                                                     .astype(np.uint8), 'JPEG', quality=92))),
]  # fmt: skip
