"""Today's PyTorch, numpy, setuptools and Python under a framework of 2024: importing this applies every patch.

One file (or folder) per breakage; each says what breaks, since when, and when it can go. A patch that is not needed
does nothing; a patch whose library is not installed does nothing. None imports its library: it waits until somebody
does (`on_import.py`). An installed swin_mmdet applies them by itself (`swin_mmdet/startup.py`); the import is for a
checkout that was not installed, or where that is switched off.
"""

from swin_mmdet.compat import (
    attention_dropout,
    build_models,
    config_scope,
    config_text,
    find_loader,
    full_names,
    loading_pipeline,
    openmim,
    package_paths,
    pil_images,
    safe_load,
)
from swin_mmdet.compat.mmcv_ops import install as mmcv_ops

mmcv_ops.apply()
safe_load.apply()
package_paths.apply()
config_scope.apply()
config_text.apply()
find_loader.apply()
full_names.apply()
loading_pipeline.apply()
openmim.apply()
pil_images.apply()
build_models.apply()
attention_dropout.apply()
