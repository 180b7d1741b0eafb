"""Packages that only some configs need, found missing before anything slow starts."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from swin_mmdet.config.nodes import nodes, type_name
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

PANOPTIC = 'panopticapi', 'git+https://github.com/cocodataset/panopticapi.git'
# type -> the package, and what pip installs it from
NEEDED = {
    'InstaBoost': ('instaboostfast', 'instaboostfast'),
    'LoadPanopticAnnotations': PANOPTIC,
    'CocoPanopticMetric': PANOPTIC,
}


def check_packages(cfg: 'Config') -> None:
    """Every package that the config needs must be there.

    Raises:
        UserError: a transform, metric or encoder of the config needs a package that is not installed.
    """
    is_dropped_in = 'swin_mmdet.drop_in' in (cfg.get('custom_imports') or {}).get('imports', ())
    for node in nodes(cfg):
        name = type_name(node)
        if name in NEEDED:
            _check(name, *NEEDED[name], 'use a config without it')
        layers = (node.get('encoder') or {}).get('num_cp', -1)
        if layers > 0 and not str(node.get('type')).startswith('swin_mmdet.') and not is_dropped_in:
            # activation checkpointing of mmdet's encoders; ours have PyTorch's
            _check(f'num_cp={layers}', 'fairscale', 'fairscale', 'set it to -1, which takes more memory')


def _check(what: str, package: str, source: str, otherwise: str) -> None:
    if not find_spec(package):
        raise UserError(f'{what} of this config needs the package {package}: pip install {source}, or {otherwise}')
