"""What a config says: its dicts and their types, and whether each name in it is known before a run starts."""

from swin_mmdet.config.nearest import meant, nearest
from swin_mmdet.config.nodes import keyed_nodes, kind_name, nodes, type_name

__all__ = ['keyed_nodes', 'kind_name', 'meant', 'nearest', 'nodes', 'type_name']
