"""Today's PyTorch, numpy, setuptools and Python under a framework of 2024: importing this applies every patch.

One file (or folder) per breakage; each says what breaks, since when, and when it can go. A patch that is not needed
does nothing; a patch whose library is not installed does nothing.
"""

from swin_mmdet.compat import find_loader, full_names, package_paths, safe_load
from swin_mmdet.compat.mmcv_ops import install as mmcv_ops

mmcv_ops.apply()
safe_load.apply()
package_paths.apply()
find_loader.apply()
full_names.apply()
