"""Is the data of a config there at all? Asked before anything is read or fetched."""

from swin_mmdet.config.files import existing
from swin_mmdet.config.nodes import keyed_nodes
from swin_mmdet.datasets.loaders import LOADERS
from swin_mmdet.errors import UserError

REMEDY = 'take other data with `--data FOLDER`, or name the place of these with `--cfg-options data_root=FOLDER`'


def check_folders(cfg) -> None:
    """Every `data_root` of the data sets is a folder.

    Raises:
        UserError: names the setting, the folder and the two ways to give another.
    """
    for loader in LOADERS:
        for key, node in keyed_nodes(cfg.get(loader), loader):
            root = node.get('data_root')
            if isinstance(root, str) and root and '://' not in root and not _is_elsewhere(node):
                try:
                    existing(root, f'data ({key}.data_root)', '')
                except UserError as error:
                    raise UserError(f'{str(error).rstrip("; ")}; {REMEDY}') from None


def _is_elsewhere(node: dict) -> bool:
    """Whether a data set is read from a server."""
    return (node.get('backend_args') or {}).get('backend', 'local') != 'local'
