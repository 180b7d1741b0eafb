"""Packages that only some configs need, found missing before anything slow starts."""

from importlib.util import find_spec

from launch import UserError, nodes
from mmengine.config import Config

PANOPTIC = 'panopticapi', 'git+https://github.com/cocodataset/panopticapi.git'
# type -> the package, and what pip installs it from
NEEDED = {
    'InstaBoost': ('instaboostfast', 'instaboostfast'),
    'LoadPanopticAnnotations': PANOPTIC,
    'CocoPanopticMetric': PANOPTIC,
}


def check_packages(cfg: Config) -> None:
    """
    Raises:
        UserError: a transform or metric of the config needs a package that is not installed.
    """
    for node in nodes(cfg.to_dict()):
        name = str(node.get('type')).split('.')[-1]
        package, source = NEEDED.get(name, ('', ''))
        if package and not find_spec(package):
            raise UserError(
                f'{name} of this config needs the package {package}: pip install {source}, or use a config without it'
            )
