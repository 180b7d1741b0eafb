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
        """The arguments; an unknown one is refused with the nearest that there is."""
        known, unknown = self.parse_known_args(args, namespace)
        if unknown:
            self.error(self._unknown(unknown))
        return known

    def _unknown(self, words: list[str]) -> str:
        options = [word for word in words if word.startswith('-')]
        if options:
            name = options[0].partition('=')[0]
            return f'no argument {name}' + meant(name, self._option_string_actions)
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
        for text in values:
            key, equals, value = text.partition('=')
            if not equals or not key:
                parser.error(f'{option_string} {text}: give KEY=VALUE, such as optim_wrapper.optimizer.lr=0.0002')
            try:
                settings[key] = DictAction._parse_iterable(value)
            except AssertionError as error:
                parser.error(f'{option_string} {text}: {error}')
        setattr(namespace, self.dest, settings)
