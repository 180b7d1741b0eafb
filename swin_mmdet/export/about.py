"""What an exported file says of itself."""

import hashlib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from mmengine.config import Config

import swin_mmdet
from swin_mmdet.config import type_name
from swin_mmdet.errors import UserError
from swin_mmdet.export.options import ExportOptions
from swin_mmdet.export.runtime import FORMAT

PACKAGES = 'torch', 'torchvision', 'mmdet', 'mmengine', 'onnx', 'onnxscript', 'onnxruntime', 'openvino'
# steps of a test pipeline that change nothing of the image that the runtime does not do
PLAIN = 'LoadImageFromFile', 'LoadImageFromNDArray', 'LoadAnnotations', 'PackDetInputs', 'Resize', 'Pad'


def preprocessing_of(pipeline: list[dict]) -> dict:
    """How a test pipeline resizes and pads: `scale`, `keep_ratio`, and `pad` with size and value, or None.

    Raises:
        UserError: it does something else.
    """
    found: dict[str, Any] = {'scale': None, 'keep_ratio': True, 'pad': None}
    for step in pipeline:
        name = type_name(step)
        if name not in PLAIN:
            raise UserError(f'the test pipeline has {name}, which an export does not know; it knows {", ".join(PLAIN)}')
        if name == 'Resize':
            if not step.get('scale'):
                raise UserError(f'Resize of the test pipeline has no scale: {dict(step)}')
            found |= {'scale': list(step['scale']), 'keep_ratio': step.get('keep_ratio', False)}
        if name == 'Pad':
            if not step.get('size'):
                raise UserError(f'Pad of the test pipeline has no size: {dict(step)}')
            value = step.get('pad_val', 0)
            value = value.get('img', 0) if isinstance(value, dict) else value
            values = list(value) if isinstance(value, tuple | list) else [value] * 3
            # of mmdet: width and height; the values are of BGR
            found['pad'] = {'size': list(step['size'])[::-1], 'value': values[::-1]}
    if found['scale'] is None:
        raise UserError('the test pipeline has no Resize; an export takes images of any size')
    return found


def about(
    cfg: Config, options: ExportOptions, outputs: tuple[str, ...], classes: tuple[str, ...], checkpoint: str, least: int
) -> dict:
    """What there is to say of a detector, all but the proof."""
    return {
        'detector': type_name(cfg.model),
        'classes': list(classes),
        'preprocessing': preprocessing_of(cfg.test_dataloader.dataset.pipeline),
        **about_any('detector', cfg, options, outputs, checkpoint, least),
    }


def about_any(
    part: str, cfg: Config, options: ExportOptions, outputs: tuple[str, ...], checkpoint: str, least: int
) -> dict:
    """The same of what is just a part of one."""
    return {
        'format': FORMAT,
        'part': part,
        'backbone': type_name(cfg.model.backbone),
        'to': options.to,
        'precision': options.precision,
        'device': options.device,
        'size': list(options.size) if options.size else None,
        'free': options.free(least),
        'outputs': list(outputs),
        'config': Path(cfg.filename).name if cfg.filename else None,
        'checkpoint': {'name': Path(checkpoint).name, 'sha256': _sha256(checkpoint)},
        'versions': {'swin_mmdet': swin_mmdet.__version__, **_versions()},
    }


def _sha256(path: str) -> str | None:
    if not Path(path).is_file():
        return None
    with open(path, 'rb') as file:
        return hashlib.file_digest(file, 'sha256').hexdigest()


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found
