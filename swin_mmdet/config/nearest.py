"""The known name that a misspelled one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches

# what the official detection code and mmdet 2 call the same
ONCE = {
    'ape': 'use_abs_pos_embed',
    'use_checkpoint': 'with_cp',
    'pretrained': 'init_cfg',
    'flip_ratio': 'prob',
    'samples_per_gpu': 'batch_size',
    'workers_per_gpu': 'num_workers',
}
LIKELY, CERTAIN = 0.7, 0.85  # shares of equal letters; from the second on, a name that nothing reads is a slip


def nearest(name: str, known: Iterable[str], cutoff: float = LIKELY) -> str | None:
    """The most similar of the known names, whatever their case, or None."""
    # of several spellings the first
    spellings: dict[str, str] = {}
    for other in known:
        spellings.setdefault(other.lower(), other)
    found = get_close_matches(name.lower(), spellings, n=1, cutoff=cutoff)
    return spellings[found[0]] if found else None


def meant(name: str, known: Iterable[str], otherwise: str = '', cutoff: float = LIKELY) -> str:
    """'; did you mean NAME?', or what to say where no known name is similar."""
    known = list(known)
    near = ONCE[name] if ONCE.get(name) in known else nearest(name, known, cutoff)
    return f'; did you mean {near}?' if near else otherwise
