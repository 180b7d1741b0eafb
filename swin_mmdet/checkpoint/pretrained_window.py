"""The window that a SwinV2's position MLP was trained for: files say it in a buffer, models in their arguments."""

import re
from collections.abc import Mapping

from torch import Tensor

COORDS_TABLE = re.compile(r'^stages\.(\d+)\.blocks\.\d+\.attn\.relative_coords_table$')


def pretrained_windows(tables: Mapping[str, Tensor]) -> dict[int, int]:
    """Stage -> pretrained window, read off the tables [1, 2w-1, 2w-1, 2] among canonical keys.

    The largest value of a table is log2(1 + 8 * (w - 1) / (pretrained - 1)) / 3, see
    `swin_mmdet.ops.relative_position.relative_coords_table`. A table without offsets (window 1) says nothing.
    """
    windows = {}
    for key, table in tables.items():
        stage = COORDS_TABLE.match(key)
        edge = table.abs().max().item() if table.numel() else 0.0
        if stage and edge > 0:
            reach = (table.shape[1] - 1) // 2
            windows[int(stage[1])] = 1 + round(8 * reach / (2 ** (3 * edge) - 1))
    return windows


def check_pretrained_windows(file: Mapping[int, int], model: Mapping[int, int]) -> None:
    """Refuse a model that would read the file's position MLP on another scale: shapes agree, values would not.

    Raises:
        ValueError: with the argument to set.
    """
    if any(model.get(stage, window) != window for stage, window in file.items()):
        windows = tuple(file[stage] for stage in sorted(file))
        raise ValueError(
            f'its position MLP was trained for windows of {windows} in the stages, the model reads it for '
            f'{tuple(model[stage] for stage in sorted(model))}: set pretrained_window_size='
            f'{windows[0] if len(set(windows)) == 1 else windows}'
        )
