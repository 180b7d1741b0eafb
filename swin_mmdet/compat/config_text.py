"""A config becomes text for its copies, the log and the checkpoints: five times a run, of which yapf takes 1.5 s each.

Since when: always. Can go: when mmengine keeps the text. Until then what was formatted last is not formatted again.
"""

from collections.abc import Callable
from functools import lru_cache, wraps
from types import ModuleType
from typing import Any

from swin_mmdet.compat import on_import

# texts of 50 kB
MAX_KEPT = 8


def apply() -> None:
    """Wait for mmengine's configs."""
    on_import.after('mmengine.config.config', keep_texts)


def keep_texts(config: ModuleType) -> None:
    """In place of yapf's function, as mmengine calls it."""
    vars(config).update(FormatCode=remembered(config.FormatCode))


def remembered(format_code: Callable[..., tuple[str, bool]]) -> Callable[..., tuple[str, bool]]:
    """yapf's function for a style that is a dictionary."""

    @lru_cache(maxsize=MAX_KEPT)
    def keep(text: str, style: tuple, options: tuple) -> tuple[str, bool]:
        return format_code(text, style_config=dict(style), **dict(options))

    @wraps(format_code)
    def formatted(text: str, style_config: Any = None, **options: Any) -> tuple[str, bool]:
        if not isinstance(style_config, dict):
            return format_code(text, style_config=style_config, **options)
        return keep(text, tuple(style_config.items()), tuple(options.items()))

    return formatted
