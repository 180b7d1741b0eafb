"""ONNX files that compute in 8 bits: linear layers and convolutions, by the ranges of numbers of given images."""

from collections.abc import Sequence
from itertools import islice
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np

from swin_mmdet.export.pictures import read
from swin_mmdet.export.runtime import Detector


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
                batch = detector.batch(read(path))
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
