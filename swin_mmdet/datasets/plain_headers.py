"""Headers of everyday JPEGs and PNGs, from the first bytes of a file: what Pillow says of them, many times faster.

Whatever is not everyday (several pictures, CMYK, 16 bits, strange segments, damage) is left to Pillow.
"""

import re
import zlib
from dataclasses import dataclass
from typing import Literal

JPEG, PNG = b'\xff\xd8\xff', b'\x89PNG\r\n\x1a\n'
APP1, APP2, DQT, SOS = 0xE1, 0xE2, 0xDB, 0xDA
# baseline, extended sequential and progressive
FRAMES = 0xC0, 0xC1, 0xC2
# segments with nothing to look at: tables, restarts, comments, what programs add
OTHERS = {0xC4, 0xDD, 0xFE, *range(0xE0, 0xF0)}
EXIF, XMP, SEVERAL = b'Exif\0\0', b'http://ns.adobe.com/xap/1.0/', b'MPF\0'
# modes of Pillow by number of components, and by type of colour
OF_JPEG = {1: 'L', 3: 'RGB'}
OF_PNG = {0: 'L', 2: 'RGB', 3: 'P', 4: 'LA', 6: 'RGBA'}
CHUNKS = {b'PLTE', b'tRNS', b'gAMA', b'pHYs', b'sRGB', b'cHRM', b'bKGD', b'tIME', b'sBIT', b'hIST', b'tEXt'}


@dataclass(frozen=True)
class Plain:
    """A header: format, mode, size and orientation as Pillow has them."""

    format: str
    mode: str
    size: tuple[int, int]
    orientation: int = 1


def plain_header(start: bytes) -> Plain | None:
    """Of a file that begins so; None where Pillow has to look, or more of the file is needed."""
    if start.startswith(JPEG):
        return _jpeg(start)
    return _png(start) if start.startswith(PNG) else None


def _jpeg(start: bytes) -> Plain | None:
    place, size, mode, orientation = 2, None, '', 0
    while place + 4 <= len(start):
        mark, kind = start[place], start[place + 1]
        if mark != 0xFF:
            return None
        length = start[place + 2] << 8 | start[place + 3]
        body, place = place + 4, place + 2 + length
        if length < 2 or place > len(start):
            return None
        if kind == SOS:
            return Plain('JPEG', mode, size, orientation or 1) if size else None
        if kind in FRAMES:
            size, mode = _frame(start[body:place])
            if not mode or 0 in size:
                return None
        elif kind == DQT:
            if (length - 2) % 65:
                return None
        elif kind == APP1 and start.startswith(EXIF, body):
            found = _orientation(start[body + len(EXIF) : place])
            if found is None or orientation:
                return None
            orientation = found
        elif kind not in OTHERS or _is_strange(kind, start[body:place]):
            return None
    return None


def _is_strange(kind: int, segment: bytes) -> bool:
    """Several pictures in one file, or an orientation outside of Exif."""
    if kind == APP2:
        return segment.startswith(SEVERAL)
    return kind == APP1 and segment.startswith(XMP) and b'Orientation' in segment


def _frame(segment: bytes) -> tuple[tuple[int, int], str]:
    """Size and mode, '' for none that is known."""
    number = segment[5] if len(segment) > 5 else 0
    if len(segment) != 6 + 3 * number or segment[0] != 8:
        return (0, 0), ''
    height, width = int.from_bytes(segment[1:3], 'big'), int.from_bytes(segment[3:5], 'big')
    return (width, height), OF_JPEG.get(number, '')


def _orientation(exif: bytes) -> int | None:
    """Of a block as TIFF has it, 1 where it says none, None where it is not as it should be."""
    order: Literal['little', 'big']
    if exif[:4] == b'II*\0':
        order = 'little'
    elif exif[:4] == b'MM\0*':
        order = 'big'
    else:
        return None
    table = int.from_bytes(exif[4:8], order)
    entries = exif[table + 2 : table + 2 + 12 * int.from_bytes(exif[table : table + 2], order)]
    if table < 8 or table + 2 > len(exif) or len(entries) % 12:
        return None
    tag, found = (0x0112).to_bytes(2, order), 1
    for at in range(0, len(entries), 12):
        if entries[at : at + 2] == tag:
            if entries[at + 2 : at + 8] != (3).to_bytes(2, order) + (1).to_bytes(4, order):
                return None
            found = int.from_bytes(entries[at + 8 : at + 10], order)
    return found or None


def _png(start: bytes) -> Plain | None:
    place, header = len(PNG), None
    while place + 12 <= len(start):
        length, name = int.from_bytes(start[place : place + 4], 'big'), start[place + 4 : place + 8]
        if name == b'IDAT':
            return header
        end = place + 12 + length
        if end > len(start) or zlib.crc32(start[place + 4 : end - 4]) != int.from_bytes(start[end - 4 : end], 'big'):
            return None
        if header is None:
            header = _first_chunk(name, start[place + 8 : end - 4])
        if header is None or name not in CHUNKS | {b'IHDR'}:
            return None
        place = end
    return None


def _first_chunk(name: bytes, body: bytes) -> Plain | None:
    if name != b'IHDR' or not re.fullmatch(rb'.{8}\x08[\0\2\3\4\6]\0\0[\0\1]', body, re.DOTALL):
        return None
    size = int.from_bytes(body[:4], 'big'), int.from_bytes(body[4:8], 'big')
    return Plain('PNG', OF_PNG[body[9]], size) if all(0 < side < 2**31 for side in size) else None
