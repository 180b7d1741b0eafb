"""Programs that keep curves of trainings, by one option each; a missing package is said before anything slow."""

import argparse
from importlib.util import find_spec

from swin_mmdet.errors import UserError

# options of the parser, which are packages and extras of this one as well
TRACKERS = 'tensorboard', 'wandb', 'mlflow'


def add_tracker_arguments(parser: argparse.ArgumentParser) -> None:
    """--tensorboard, --wandb [PROJECT] and --mlflow [URI_OR_EXPERIMENT]."""
    parser.add_argument(
        '--tensorboard', action='store_const', const='', help='write curves for TensorBoard into the work-dir'
    )
    parser.add_argument(
        '--wandb',
        nargs='?',
        const='',
        metavar='PROJECT',
        help='send curves to Weights & Biases, under the name of the work-dir (WANDB_MODE=offline keeps them here)',
    )
    parser.add_argument(
        '--mlflow',
        nargs='?',
        const='',
        metavar='URI_OR_EXPERIMENT',
        help='send curves to MLflow: to a server (http://...) or another store (sqlite:///FILE), or as an experiment '
        'of that name in the work-dir',
    )


def read_trackers(args: argparse.Namespace) -> dict[str, str]:
    """Those that were asked for, with what followed.

    Raises:
        UserError: the package of one is not installed.
    """
    wanted = {name: getattr(args, name) for name in TRACKERS if getattr(args, name) is not None}
    for name in wanted:
        if find_spec(name) is None:
            raise UserError(f'--{name}: the package {name} is not installed: pip install {name}')
    return wanted
