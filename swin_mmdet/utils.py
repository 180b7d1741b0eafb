"""`mmengine.hub.get_model('swin_mmdet::...')` calls `register_all_modules` of this module, by these two names."""

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.utils import register_all_modules

# our configs are mmdet's: it makes mmdet the scope of their parts, and registries find ours by their prefix
__all__ = ['register_all_modules']
