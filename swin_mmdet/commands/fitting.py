"""The arguments of train.py that fit settings to data: a short name for a config, and what follows from it."""

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

from swin_mmdet.commands.say import say
from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.config.files import existing
from swin_mmdet.config.model_names import NamedModel, listed_models, model_of_config, named_model
from swin_mmdet.errors import UserError

if TYPE_CHECKING:
    from mmengine.config import Config

# of a command line: what a run is trained with, and so what a resumed one is asked for again
DEFINE_THE_RUN = (
    *('model', 'data', 'split', 'drop_in', 'cfg_options', 'amp', 'auto_scale_lr', 'accumulate', 'ema', 'freeze'),
    *('epochs', 'iters', 'batch_size', 'lr', 'img_scale', 'seed'),
)
# at the end of its name
FITTED = '_fitted'
# variable of a written config
COMMAND = 'fitted_by'


class ListModels(argparse.Action):
    """Prints the short names and ends."""

    def __call__(self, parser: argparse.ArgumentParser, *_: Any) -> None:  # type: ignore[override]  # reads no value
        print('\n'.join(listed_models()))
        parser.exit()


def add_fitting_arguments(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('settings that fit the data')
    group.add_argument(
        '--model',
        metavar='NAME',
        help='in place of a config: one of the short names of --list, with --data; image scale, anchors, batch, '
        'learning rate, length and warm-up are fitted to the data and the GPU',
    )
    group.add_argument('--list', action=ListModels, nargs=0, help='print the short names and end')
    group.add_argument('--fit', action='store_true', help='with a config and --data: fit its settings in the same way')
    group.add_argument(
        '--fit-only', action='store_true', help='write the fitted config into the work-dir and end, without a training'
    )


def choose_config(args: argparse.Namespace) -> NamedModel | None:
    """Put the config of `--model` into the arguments; the row of it, or of the config that was given.

    Raises:
        UserError: an unknown name, neither a config nor a name, or both; fitting without data, or in several processes.
    """
    if args.model and args.config:
        raise UserError(f'CONFIG {args.config} and --model {args.model} both name a config: give one')
    if not args.model and not args.config:
        raise UserError('required: config, or --model NAME --data FOLDER (--list prints the names)')
    named = named_model(args.model) if args.model else model_of_config(args.config)
    if args.model:
        args.config = str(named.path)  # type: ignore[union-attr]  # one of them
    args.fit = args.fit or args.fit_only or bool(args.model)
    if args.fit_only and args.resume:
        raise UserError('--fit-only writes a config, and --resume goes on with a training: give one')
    if args.fit and not args.data:
        option = f'--model {args.model}' if args.model else '--fit'
        raise UserError(
            f'{option}: settings are fitted to --data FOLDER; for the data of the config itself: train.py {args.config}'
        )
    if args.fit and args.launcher != 'none':
        raise UserError(
            f'--launcher {args.launcher}: settings are fitted by one process; first train.py ... --fit-only without a '
            'launcher, then start the processes with the config that it writes'
        )
    return named


def run_name(args: argparse.Namespace) -> str:
    """Of the work-dir and of the written config."""
    return getattr(args, 'model', None) or Path(args.config).stem


def written_config(args: argparse.Namespace) -> Path:
    """Where the fitted config of these arguments is written."""
    folder = args.work_dir or args.cfg_options.get('work_dir') or Path('work_dirs', run_name(args))
    return Path(folder, f'{run_name(args)}{FITTED}.py')


def name_of_copy(config: str, work_dir: str) -> str:
    """A file by whose name the whole config is kept in the work-dir: not that of a fitted one, which is for people."""
    path = Path(config)
    if path.stem.endswith(FITTED) and path.resolve().parent == Path(work_dir).resolve():
        return str(path.with_name(path.stem.removesuffix(FITTED) + path.suffix))
    return config


def go_on_with(args: argparse.Namespace, written: Path) -> EverydayOptions:
    """Let a resumed run have the settings that it began with, of its written config; the options left to apply.

    Raises:
        UserError: it was begun with other options, or with `--resume FILE` there is no written config.
    """
    from swin_mmdet.config.files import read_config

    remedy = f'give its config: train.py CONFIG --resume {args.resume}'
    existing(str(written), 'fitted config of the run to resume', remedy)
    before, now = read_config(str(written)).get(COMMAND) or {}, command_of(args)
    for name in DEFINE_THE_RUN:
        if before.get(name) != now.get(name):
            option = f'--{name.replace("_", "-")}'
            raise UserError(
                f'--resume: {written} was fitted with {option} {before.get(name, "not given")}, now it is '
                f'{now.get(name, "not given")}; give the same, or another --work-dir'
            )
    say(f'--resume: settings are those of {written}')
    args.work_dir, args.config = str(written.parent), str(written)
    args.data = args.split = args.amp = args.auto_scale_lr = args.accumulate = args.ema = None
    args.fit, args.freeze, args.cfg_options = False, [], {}
    return EverydayOptions(workers=int(args.workers) if args.workers is not None else None)


def command_of(args: argparse.Namespace) -> dict[str, Any]:
    """The options that define a run, those that were given."""
    given = {name: getattr(args, name) for name in DEFINE_THE_RUN}
    return {name: value for name, value in given.items() if value not in (None, [], {}, False)}


def fit_and_write(
    cfg: 'Config', args: argparse.Namespace, named: NamedModel | None, options: EverydayOptions, written: Path
) -> None:
    """Fit a config whose data are checked, in place; say each setting and write it all into the work-dir."""
    from mmengine.device import get_device

    from swin_mmdet.config.files import read_config
    from swin_mmdet.fitting import fit, write_config
    from swin_mmdet.fitting.fit import images_of_recipe

    recipe = read_config(args.config)
    say(f'settings of {run_name(args)} for {args.data}:')
    fitted = fit(
        cfg, recipe, options, args.cfg_options, recipe_images=images_of_recipe(recipe, named), device=get_device(),
        accumulated=args.accumulate, say=lambda line: say(f'  {line}'),
    )  # fmt: skip
    say(*fitted.lines)
    if args.drop_in:
        imports = cfg.get('custom_imports') or dict(imports=[], allow_failed_imports=False)
        cfg.custom_imports = dict(imports, imports=[*imports['imports'], 'swin_mmdet.drop_in'])
    cfg[COMMAND] = command_of(args)
    write_config(written, cfg, args.config, f'{run_name(args)}, fitted to {args.data}.', fitted.settings)
    say(f'config: {written} trains the same ({_own_name()} {written})')


def _own_name() -> str:
    """This program, as it was called."""
    return sys.argv[0] if sys.argv[0].startswith('swin-mmdet ') else 'python tools/train.py'
