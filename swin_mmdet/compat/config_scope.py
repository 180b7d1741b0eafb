"""mmengine refuses `swin_mmdet::swin/...` as a base: "mmengine does not support to load swin_mmdet config".

Since when: always; mmengine loads configs of the packages in its own table only. Can go: when it loads those of any
package with a `.mim` folder. `mmengine.hub.get_config` and `get_model` read the same table. The parts of a base are
looked up in the scope with the name of its package; a part without a prefix is mmdet's in our configs.
"""

from functools import wraps
from types import ModuleType

from swin_mmdet.compat import on_import

PACKAGE = 'swin_mmdet'
SCOPE = 'mmdet'


def apply() -> None:
    """Wait for mmengine's table and for its Config."""
    on_import.after('mmengine.config.utils', enter)
    on_import.after('mmengine.config.config', name_scope)


def enter(utils: ModuleType) -> None:
    """Under the name of its module, which is that of its distribution."""
    for table in ('MODULE2PACKAGE', 'PKG2PROJECT'):  # two names of one dict, the older one before mmengine 0.8
        getattr(utils, table, {}).setdefault(PACKAGE, PACKAGE)


def name_scope(config: ModuleType) -> None:
    """Give the parts of our configs mmdet's scope."""
    find = config.Config._get_cfg_path

    @wraps(find)
    def find_with_scope(cfg_path: str, filename: str) -> tuple[str, str | None]:
        path, scope = find(cfg_path, filename)
        return path, SCOPE if scope == PACKAGE else scope

    config.Config._get_cfg_path = staticmethod(find_with_scope)
