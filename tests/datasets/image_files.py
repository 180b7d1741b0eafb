"""Image files of every kind that users have."""

import io
import struct

import cv2
import numpy as np
from PIL import Image

HEIGHT, WIDTH = 20, 30


def pixels(bands=3, dtype=np.uint8, height=HEIGHT, width=WIDTH):
    """[height, width, bands]."""
    return (np.random.default_rng(0).random((height, width, bands)) * 200).astype(dtype)


def tiff(image):
    """A plain TIFF of an array [H, W, bands], which neither cv2 nor PIL writes for many bands."""
    height, width, bands = image.shape
    shorts = struct.Struct(f'<{bands}H')
    later = {
        258: shorts.pack(*[8 * image.itemsize] * bands),
        338: shorts.pack(*[0] * bands)[2:],
        339: shorts.pack(*[3 if image.dtype.kind == 'f' else 1] * bands),
        273: image.tobytes(),
    }
    # tag, type, number of values, value: sizes, bits, no compression, grey, where the pixels are, one strip
    entries = [
        (256, 4, 1, width), (257, 4, 1, height), (258, 3, bands, None), (259, 3, 1, 1), (262, 3, 1, 1),
        (273, 4, 1, None), (277, 3, 1, bands), (278, 4, 1, height), (279, 4, 1, image.nbytes), (284, 3, 1, 1),
        (338, 3, bands - 1, None), (339, 3, bands, None),
    ]  # fmt: skip
    place = 8 + 2 + 12 * len(entries) + 4
    table = b''
    for tag, kind, count, value in entries:
        table += struct.pack('<HHII', tag, kind, count, place if value is None else value)
        place += len(later.get(tag, b''))
    data = b''.join(later.get(tag, b'') for tag, *_ in entries)
    return b'II*\0' + struct.pack('<IH', 8, len(entries)) + table + bytes(4) + data


def cv2_file(suffix, image):
    return cv2.imencode(suffix, image)[1].tobytes()


def pil_file(kind, mode='RGB', orientation=None, size=(WIDTH, HEIGHT), **options):
    file = io.BytesIO()
    exif = Image.Exif()
    if orientation:
        exif[0x0112] = orientation
    Image.effect_noise(size, 60).convert(mode).save(file, kind, exif=exif, **options)
    return file.getvalue()


FILES = {
    'jpeg': lambda: pil_file('JPEG'),
    'jpeg grey': lambda: pil_file('JPEG', 'L'),
    'jpeg cmyk': lambda: pil_file('JPEG', 'CMYK'),
    'jpeg turned': lambda: pil_file('JPEG', orientation=6),
    'jpeg upside down': lambda: pil_file('JPEG', orientation=3),
    'png': lambda: pil_file('PNG'),
    'png grey': lambda: pil_file('PNG', 'L'),
    'png palette': lambda: pil_file('PNG', 'P'),
    'png bits': lambda: pil_file('PNG', '1'),
    'png alpha': lambda: pil_file('PNG', 'RGBA'),
    'png turned': lambda: pil_file('PNG', orientation=8),
    'png 16 bits': lambda: cv2_file('.png', pixels(3, np.uint16)),
    'png 16 bits grey': lambda: cv2_file('.png', pixels(1, np.uint16)),
    'tiff': lambda: pil_file('TIFF'),
    'tiff turned': lambda: pil_file('TIFF', orientation=6),
    'tiff 16 bits': lambda: cv2_file('.tiff', pixels(3, np.uint16)),
    'tiff float': lambda: cv2_file('.tiff', pixels(3, np.float32)),
    'tiff float grey': lambda: cv2_file('.tiff', pixels(1, np.float32)),
    'tiff 8 bands': lambda: tiff(pixels(8)),
    'tiff 12 bands 16 bits': lambda: tiff(pixels(12, np.uint16)),
    'webp': lambda: pil_file('WEBP'),
    'webp turned': lambda: pil_file('WEBP', orientation=6),
    'bmp': lambda: pil_file('BMP'),
    'gif': lambda: pil_file('GIF', 'P'),
    'jpeg 2000': lambda: pil_file('JPEG2000'),
    'empty': lambda: b'',
    'html': lambda: b'<html>404</html>',
    'only the beginning of a jpeg': lambda: b'\xff\xd8\xff',
    'jpeg cut off': lambda: pil_file('JPEG', size=(320, 240))[:-9000],
    'jpeg cut off early': lambda: pil_file('JPEG')[:100],
    'png cut off': lambda: pil_file('PNG', size=(320, 240))[:-9000],
}
