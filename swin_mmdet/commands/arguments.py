"""Arguments of the programs: a mistake is one sentence that names the nearest argument, and `KEY=VALUE` settings."""

import argparse
import sys
from collections.abc import Sequence
from typing import Any, NoReturn

from swin_mmdet.commands.run import USER_ERROR
from swin_mmdet.config.nearest import meant


class ArgumentParser(argparse.ArgumentParser):
    """argparse's parser that says what is wrong in one line, without the usage of every argument.

    Names are not abbreviated: half of one is more often a slip.
    """

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{'allow_abbrev': False} | options)

    def error(self, message: str) -> NoReturn:
        """Exit with code 2."""
        print(f'error: {message} (--help lists the arguments)', file=sys.stderr)
        raise SystemExit(USER_ERROR)

    def parse_args(  # type: ignore[override]  # of one kind of namespace
        self, args: Sequence[str] | None = None, namespace: Any = None
    ) -> argparse.Namespace:
        """The arguments; unknown ones are refused, each with the nearest that there is."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return known

    def _unknown(self, words: list[str]) -> str:
        # a number behind an unknown argument may be negative
        options = [word.partition('=')[0] for word in words if word[:1] == '-' and not word[1:2].isdigit()]
        if options:
            return '\n'.join(f'no argument {name}' + meant(name, self._option_string_actions) for name in options)
        takes_settings = '--cfg-options' in self._option_string_actions
        if takes_settings and '=' in words[0]:
            return f'{words[0]}: settings of the config follow --cfg-options'
        return f'unexpected argument {words[0]}'


class Settings(argparse.Action):
    """KEY=VALUE ... into a dict of numbers, texts, None, and lists and tuples of them, as mmengine's DictAction."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,
        values: Any,
        option_string: str | None = None,
    ) -> None:
        from mmengine.config import DictAction

        settings = dict(getattr(namespace, self.dest) or {})
        mistakes = []
        for text in values:
            key, equals, value = text.partition('=')
            if not equals or not key:
                mistakes.append(f'{option_string} {text}: give KEY=VALUE, such as optim_wrapper.optimizer.lr=0.0002')
                continue
            try:
                settings[key] = DictAction._parse_iterable(value)
            except AssertionError as error:
                mistakes.append(f'{option_string} {text}: {error}')
        if mistakes:
            parser.error('\n'.join(mistakes))
        setattr(namespace, self.dest, settings)


def add_config_arguments(parser: argparse.ArgumentParser) -> None:
    """What changes the config of a detector before it is built, for programs that train nothing."""
    parser.add_argument('--cfg-options', nargs='+', action=Settings, default={}, metavar='KEY=VALUE')
    parser.add_argument('--drop-in', action='store_true', help="use swin_mmdet's parts in mmdet's configs")
