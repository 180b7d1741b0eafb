"""Settings of a training that fit its data and its GPU: sizes, anchors, batch, length, each with its reason."""

import swin_mmdet.compat  # noqa: F401  mmdet can be imported only after it
from swin_mmdet.fitting.fit import Fitted, fit
from swin_mmdet.fitting.fitted_config import fitted_config
from swin_mmdet.fitting.setting import Setting
from swin_mmdet.fitting.written import write_config

__all__ = ['Fitted', 'Setting', 'fit', 'fitted_config', 'write_config']
