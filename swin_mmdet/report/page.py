"""Pages of one file: a template, the style and the script, all in it."""

import math
from contextlib import suppress
from functools import lru_cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from swin_mmdet.errors import UserError

TEMPLATES = Path(__file__).parent / 'templates'
NOTHING = '\u2013'


def render(template: str, **values: object) -> str:
    """The HTML of a template of this room; texts in `values` are escaped, `Markup` is not."""
    return _environment().get_template(template).render(**values)


def write_page(out: Path, page: str, option: str) -> Path:
    """Write a page as a whole.

    Args:
        option: of the program, by which another file is named.

    Raises:
        UserError: it cannot be written.
    """
    beside = out.with_name(f'{out.name}.part')
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page, encoding='utf-8', errors='replace')
        beside.replace(out)
    except OSError as error:
        with suppress(OSError):
            beside.unlink()
        raise UserError(f'{out} cannot be written ({error.strerror}); name another file: {option} FILE') from error
    return out


@lru_cache(maxsize=1)
def _environment() -> Environment:
    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= dict(percent=percent, number=number, duration=duration, count=count)
    environment.globals |= {name: Markup((TEMPLATES / file).read_text())
                            for name, file in (('style', 'style.css'), ('script', 'script.js'))}  # fmt: skip
    return environment


def percent(value: float | None, digits: int = 1) -> str:
    """A share in percent; a dash for what cannot be measured (None, NaN and COCO's -1)."""
    if value is None or not math.isfinite(value) or value == -1:
        return NOTHING
    return f'{100 * value:.{digits}f}'


def number(value: float | None, digits: int = 4) -> str:
    """A number with this many digits that count."""
    return NOTHING if value is None or not math.isfinite(value) else f'{value:.{digits}g}'


def count(value: int) -> str:
    """A whole number, its thousands apart by a space that does not break."""
    return f'{value:,}'.replace(',', '\u202f')


def duration(seconds: float) -> str:
    """Such as '2 d 3 h', '1 h 05 min', '3 min 56 s'."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f'{days} d {hours} h'
    if hours:
        return f'{hours} h {minutes:02} min'
    return f'{minutes} min {seconds:02} s' if minutes else f'{seconds} s'
