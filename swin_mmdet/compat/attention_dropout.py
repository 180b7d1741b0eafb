"""mmcv's `MultiheadAttention` writes a given `dropout` into the default of its own argument, a dict that all share.

Every one built later in the process, of other detectors too, drops as much after its attention: Sparse R-CNN built
after Conditional DETR is another model than Sparse R-CNN alone. Since when: mmcv 2.0. Can go: when it writes a copy.
"""

import inspect
from copy import copy
from functools import wraps
from types import ModuleType

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmcv's class."""
    on_import.after('mmcv.cnn.bricks.transformer', give_each_its_own)


def give_each_its_own(transformer: ModuleType) -> None:
    """Hand the class a copy of the dict, of a caller's too."""
    attention = transformer.MultiheadAttention
    init = attention.__init__
    signature = inspect.signature(init)
    if 'dropout_layer' not in signature.parameters:
        return

    @wraps(init)
    def init_with_a_copy(*args: object, **kwargs: object) -> None:
        given = signature.bind(*args, **kwargs)
        given.apply_defaults()
        given.arguments['dropout_layer'] = copy(given.arguments['dropout_layer'])
        init(*given.args, **given.kwargs)

    attention.__init__ = init_with_a_copy
