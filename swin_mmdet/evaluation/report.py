"""Readable tables of a COCO evaluation."""

from collections.abc import Hashable

from swin_mmdet.evaluation.scores import AREAS, CocoScores


def summary_table(scores: CocoScores) -> str:
    """Every COCO number, times 100; '-' where there is no ground truth to measure on."""
    return _table([f'{scores.iou_type} x 100', ''], [[name, _percent(value)] for name, value in scores.named.items()])


def class_table(scores: CocoScores, names: dict[Hashable, str]) -> str:
    """A row per category: its name, number of instances without crowds, AP, AP50, AP75, AP per area and AR, times 100.

    names: category id -> name, in the order of the rows.
    """
    areas = [area for area in AREAS if area != 'all']
    header = [f'{scores.iou_type} x 100', 'instances', 'AP', 'AP50', 'AP75', *(f'AP {area}' for area in areas), 'AR']
    rows = [
        [
            name,
            str(scores.num_instances.get(cat_id, 0)),
            _percent(scores.ap(cat_id=cat_id)),
            _percent(scores.ap(iou=0.5, cat_id=cat_id)),
            _percent(scores.ap(iou=0.75, cat_id=cat_id)),
            *(_percent(scores.ap(area=area, cat_id=cat_id)) for area in areas),
            _percent(scores.ar(cat_id=cat_id)),
        ]
        for cat_id, name in names.items()
    ]
    return _table(header, rows)


def _percent(value: float) -> str:
    return '-' if value == -1 else f'{100 * value:.1f}'


def _table(header: list[str], rows: list[list[str]]) -> str:
    """Markdown table, the first column to the left and the others to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows)]
    lines = [
        '| ' + ' | '.join(cell.rjust(width) if index else cell.ljust(width)
                          for index, (cell, width) in enumerate(zip(row, widths))) + ' |'
        for row in (header, *rows)
    ]
    rule = '|' + '|'.join('-' * (width + 1) + (':' if index else '-') for index, width in enumerate(widths)) + '|'
    return '\n'.join([lines[0], rule, *lines[1:]])
