"""Key names as templates that are read in both directions.

A template is a key with linear forms of a stage `i` or a block `j` in braces: `features.{2i+1}.{j}.mlp.0.` names the
first MLP layer of block j in stage i in torchvision's files. A template that ends with a dot stands for everything
below it.
"""

import re
from collections.abc import Iterable
from functools import cache

FORM = re.compile(r'\{(\d*)([ij])(?:\+(\d+))?\}')
Numbers = dict[str, int]


def match(template: str, key: str) -> tuple[Numbers, str] | None:
    """The numbers of a key that the template names, and what follows the template in it; None for any other key."""
    found = _pattern(template).match(key)
    if found is None:
        return None
    numbers: Numbers = {}
    for (factor, name, offset), text in zip(_forms(template), found.groups()[:-1], strict=True):
        number, rest = divmod(int(text) - offset, factor)
        if rest or number < 0 or numbers.setdefault(name, number) != number:
            return None
    return numbers, found.groups()[-1]


def fill(template: str, numbers: Numbers) -> str:
    """The template with its numbers: the inverse of `match`."""
    return FORM.sub(lambda form: str(int(form[1] or 1) * numbers[form[2]] + int(form[3] or 0)), template)


def rename(key: str, pairs: Iterable[tuple[str, str]]) -> str:
    """The key with the first (source, target) pair applied whose source names it; as it is without one."""
    for source, target in pairs:
        found = match(source, key)
        if found is not None:
            numbers, rest = found
            return fill(target, numbers) + rest
    return key


@cache
def _forms(template: str) -> list[tuple[int, str, int]]:
    return [(int(form[1] or 1), form[2], int(form[3] or 0)) for form in FORM.finditer(template)]


@cache
def _pattern(template: str) -> re.Pattern:
    # re.split with three groups in FORM gives literal, factor, name, offset, literal, ...
    literals = [re.escape(text) for text in FORM.split(template)[::4]]
    return re.compile(r'(\d+)'.join(literals) + ('(.+)' if template.endswith('.') else '()') + r'\Z')
