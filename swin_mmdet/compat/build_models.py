"""mmdet's detectors build backbone and neck apart, so a config has to say the channels between them in each of both.

Since when: always. Can go: when mmdet asks the backbone. Until then a config may say `in_channels='from_backbone'`
(`swin_mmdet/backbone_channels.py`) in any part of a detector, and whoever builds the detector gets the numbers.
"""

from collections.abc import Callable
from functools import wraps
from types import ModuleType
from typing import Any

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmengine's registries."""
    on_import.after('mmengine.registry.root', fill_in_channels)


def fill_in_channels(root: ModuleType) -> None:
    """Of models, in the registry that hands its function to those of mmdet and others, and in those that have it."""
    for registry in (root.MODELS, *root.MODELS.children.values()):
        registry.build_func = with_channels(registry.build_func)


def with_channels(build: Callable) -> Callable:
    """A build function that gets the numbers."""

    @wraps(build)
    def build_filled(cfg: Any, *args: Any, **kwargs: Any) -> Any:
        from swin_mmdet.backbone_channels import fill_in

        return build(fill_in(cfg), *args, **kwargs)

    return build_filled
