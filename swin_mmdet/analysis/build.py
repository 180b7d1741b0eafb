"""A config's detector as it is analyzed: on a CPU, with nothing downloaded."""

from mmdet.registry import MODELS
from mmengine.config import Config
from mmengine.registry import init_default_scope
from torch import nn

from swin_mmdet.config.nodes import nodes
from swin_mmdet.config.rewrite import use_plain_bn


def build_without_weights(cfg: Config) -> nn.Module:
    """The detector with the weights of its constructors; takes the names of weights out of the config."""
    init_default_scope(cfg.get('default_scope') or 'mmdet')
    for node in nodes(cfg.model):
        node.pop('init_cfg', None)
        node.pop('pretrained', None)
    use_plain_bn(cfg)
    return MODELS.build(cfg.model)
