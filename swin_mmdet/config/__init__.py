"""What a config says: its dicts and their types, and whether each name in it is known before a run starts."""

from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.config.files import read_config
from swin_mmdet.config.nearest import meant, nearest
from swin_mmdet.config.nodes import keyed_nodes, kind_name, nodes, type_name

__all__ = [
    'EverydayOptions',
    'keyed_nodes',
    'kind_name',
    'meant',
    'nearest',
    'nodes',
    'read_config',
    'type_name',
]
