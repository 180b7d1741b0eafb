"""Tables of recipes on real images."""

from pathlib import Path
from statistics import mean, median

from result_tables.rows import NOT_YET, link, markdown, read_all

# before it, what is compiled or cached once is made, and most sizes are new
FIRST = 50
LONG = 400
# of a run that ended by itself, these were profiled
PROFILED = 12


def recipe_table(here: Path) -> str:
    """What `recipe.py` measured: each peer up to the last iteration of all peers, and to `LONG`.

    Ratios are to mmdet over all iterations of its own.
    """
    table = []
    for path, rows in read_all('recipe-*.csv').items():
        runs: dict[tuple[str, str, str], list[dict[str, str]]] = {}
        for row in rows:
            runs.setdefault((row['config'], row['batch'], row['peer']), []).append(row)
        ends = {
            key: (len(run) - (0 if run[-1]['GPU busy'] in ('', 'None') else PROFILED)) // 10 * 10
            for key, run in runs.items()
        }
        for last in sorted({min(ends.values()), LONG}):
            for (config, batch, peer), run in runs.items():
                if ends[config, batch, peer] < last:
                    continue
                theirs = runs.get((config, batch, 'mmdet'))
                whole = theirs and _seconds(theirs[FIRST : ends[config, batch, 'mmdet']])
                means = _means(run[FIRST:last], whole)
                table.append((config, batch, link(peer, path, here), f'{FIRST} to {last}', *means))
    names = (
        'config', 'batch', 'parts', 'iterations', 's, mean', 'to mmdet', 's of a size met before, median',
        's of a new size, mean', 'new sizes',
    )  # fmt: skip
    return markdown(names, table) if table else NOT_YET


def _means(run: list[dict[str, str]], theirs: list[float] | None) -> tuple[object, ...]:
    known, new = (_seconds([row for row in run if (row['new size'] == 'True') == is_new]) for is_new in (False, True))
    own = mean(_seconds(run))
    ratio = f'{own / mean(theirs):.2f}' if theirs else ''
    return f'{own:.3f}', ratio, f'{median(known):.3f}', f'{mean(new):.3f}' if new else '', len(new)


def _seconds(run: list[dict[str, str]]) -> list[float]:
    return [float(row['seconds']) for row in run]
