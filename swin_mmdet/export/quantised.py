"""ONNX files that compute in 8 bits: linear layers and convolutions, by the ranges of numbers of given images."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from PIL import Image

from swin_mmdet.errors import UserError
from swin_mmdet.export.runtime import Detector

SUFFIXES = '.jpg', '.jpeg', '.png', '.bmp', '.webp'
# ranges hardly change with more
MOST_IMAGES = 32


def images_in(folder: str) -> list[Path]:
    """The first of a folder by name.

    Raises:
        UserError: there is none.
    """
    if not Path(folder).is_dir():
        raise UserError(f'--int8 {folder}: no such folder; give one with images like those that will come')
    found = [path for path in sorted(Path(folder).iterdir()) if path.suffix.lower() in SUFFIXES]
    if not found:
        raise UserError(f'--int8 {folder}: no image ({", ".join(SUFFIXES)}) is in it')
    return found[:MOST_IMAGES]


def quantise(bare: Path, out: Path, detector: Detector, images: Sequence[Path]) -> None:
    """Write `bare`, of which `detector` is, with weights in 8 bits a channel and inputs in 8 bits a tensor.

    Norms, softmax, the products inside attention and what follows the heads stay in float32.
    """
    from onnxruntime import quantization

    class Reader(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.rest = iter(images)

        def get_next(self) -> dict[str, np.ndarray] | None:
            for path in islice(self.rest, 1):
                batch = detector.batch(np.asarray(Image.open(path).convert('RGB')))
                return {'images': batch.images, 'sizes': batch.sizes}
            return None

    with TemporaryDirectory(dir=out.parent) as folder:
        prepared = Path(folder, 'prepared.onnx')
        quantization.quant_pre_process(bare, prepared, skip_symbolic_shape=True, skip_onnx_shape=True)
        quantization.quantize_static(
            prepared,
            out,
            Reader(),
            quant_format=quantization.QuantFormat.QDQ,
            op_types_to_quantize=['Conv', 'Gemm', 'MatMul'],
            per_channel=True,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            extra_options={'MatMulConstBOnly': True},
        )
