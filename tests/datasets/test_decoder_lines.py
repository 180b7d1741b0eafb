"""What decoders print is kept from the console, whatever else is printed is not."""

import io
import os
from contextlib import suppress

import cv2
import numpy as np
import pytest
from PIL import Image

from swin_mmdet.api.detector import _read
from swin_mmdet.api.pictures import Picture
from swin_mmdet.datasets.decoder_lines import decoder_lines
from swin_mmdet.datasets.read_image import ImageReader


def cut_jpeg() -> bytes:
    """Closed again: libjpeg fills it up, with a line to stderr."""
    file = io.BytesIO()
    Image.effect_noise((64, 48), 60).convert('RGB').save(file, 'JPEG')
    return file.getvalue()[:1500] + b'\xff\xd9'


def decode(content: bytes) -> np.ndarray:
    return cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_COLOR)


def test_a_decoder_s_line_is_caught(capfd: pytest.CaptureFixture):
    decode(cut_jpeg())
    assert 'JPEG' in capfd.readouterr().err  # so it does by itself
    with decoder_lines() as lines:
        decode(cut_jpeg())
    assert 'JPEG' in ''.join(lines)
    assert capfd.readouterr().err == ''


def test_other_lines_and_later_ones_are_printed(capfd: pytest.CaptureFixture):
    with decoder_lines() as lines:
        os.write(2, b'of another\nCorrupt JPEG data: bad Huffman code\nwithout an end')
    os.write(2, b'later\n')
    assert lines == ['Corrupt JPEG data: bad Huffman code']
    assert capfd.readouterr().err == 'of another\nwithout an endlater\n'


def test_they_may_stand_in_each_other_and_leave_no_descriptor(capfd: pytest.CaptureFixture):
    before = len(os.listdir('/proc/self/fd'))
    with decoder_lines() as outer:
        os.write(2, b'Premature end of JPEG file\n')
        with suppress(KeyError), decoder_lines() as inner:
            os.write(2, b'libpng error: bad\nmine\n')
            raise KeyError
    assert (outer, inner) == (['Premature end of JPEG file'], ['libpng error: bad'])
    assert capfd.readouterr().err == 'mine\n'
    assert len(os.listdir('/proc/self/fd')) == before


def test_a_damaged_image_is_named_where_it_is_looked_at(tmp_path, capfd: pytest.CaptureFixture):
    path = tmp_path / 'cut.jpg'
    path.write_bytes(cut_jpeg())
    reader = ImageReader()
    assert reader.read(path).shape == (48, 64, 3)
    assert reader.damage == 'Corrupt JPEG data: premature end of data segment'
    with pytest.warns(UserWarning, match='cut.jpg is damaged, and read as far as it goes: Corrupt JPEG data: '):
        assert _read(Picture(path), reader).shape == (48, 64, 3)
    assert capfd.readouterr().err == ''
    whole = tmp_path / 'whole.png'
    Image.new('RGB', (3, 2)).save(whole)
    reader.read(whole)
    assert reader.damage == ''
