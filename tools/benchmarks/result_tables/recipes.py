"""Tables of recipes on real images."""

from pathlib import Path
from statistics import mean, median

from result_tables.rows import NOT_YET, link, markdown, read_all

# before it, what is compiled or cached once is made
FIRST = 40
LAST = 400


def recipe_table(here: Path) -> str:
    """What `recipe.py` measured, a row for each peer, over the iterations that all peers of a file have."""
    table = []
    for path, rows in read_all('recipe-*.csv').items():
        runs: dict[tuple[str, str, str], list[dict[str, str]]] = {}
        for row in rows:
            runs.setdefault((row['config'], row['batch'], row['peer']), []).append(row)
        last = min(LAST, *map(len, runs.values()))
        seconds = {key: [float(row['seconds']) for row in run[FIRST:last]] for key, run in runs.items()}
        for (config, batch, peer), own in seconds.items():
            theirs = seconds.get((config, batch, 'mmdet'))
            is_new = [row['new size'] == 'True' for row in runs[config, batch, peer][FIRST:last]]
            known = [x for x, flag in zip(own, is_new, strict=True) if not flag]
            new = [x for x, flag in zip(own, is_new, strict=True) if flag]
            ratio = f'{mean(own) / mean(theirs):.2f}' if theirs else ''
            numbers = f'{mean(own):.3f}', ratio, f'{median(known):.3f}', f'{mean(new):.3f}', len(new)
            table.append((config, batch, link(peer, path, here), f'{FIRST} to {last}', *numbers))
    names = (
        'config', 'batch', 'parts', 'iterations', 's, mean', 'to mmdet', 's of a size met before, median',
        's of a new size, mean', 'new sizes',
    )  # fmt: skip
    return markdown(names, table) if table else NOT_YET
