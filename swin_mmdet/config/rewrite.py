"""Parts of a config replaced by what means the same on one process, or in float32."""

from typing import TYPE_CHECKING

from swin_mmdet.config.nodes import nodes, type_name

if TYPE_CHECKING:
    from mmengine.config import Config

# names of the layer, and that of its class
SYNC_BN = ('SyncBN', 'MMSyncBN', 'SyncBatchNorm')


def use_plain_bn(cfg: 'Config') -> bool:
    """Replace SyncBN by BN, which is the same on one process; whether there was any."""
    norms = [node for node in nodes(cfg.model) if type_name(node) in SYNC_BN]
    for node in norms:
        node['type'] = 'BN'
    return bool(norms)


def use_full_precision(cfg: 'Config') -> None:
    """Replace the AMP optimizer wrapper by the plain one."""
    cfg.optim_wrapper.type = 'OptimWrapper'
    for key in ('loss_scale', 'dtype', 'use_fsdp'):
        cfg.optim_wrapper.pop(key, None)
