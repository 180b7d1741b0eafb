"""Curves and histograms as SVG that takes its colours and letters from the page around it."""

import io
import math
import re
from collections.abc import Mapping, Sequence

import matplotlib
import numpy as np
from markupsafe import Markup
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, MaxNLocator, NullFormatter

from swin_mmdet.datasets.describe import MEDIUM, SMALL
from swin_mmdet.report.history import History, Series
from swin_mmdet.report.statistics import SplitStatistics

# stand for variables of the page's style, one colour for each
INK, MUTED, GRID = '#0a0b01', '#0a0b02', '#0a0b03'
SERIES = tuple(f'#0a0b1{number}' for number in range(8))
FAINT = '#0a0b20'
VARIABLES = {INK: 'ink', MUTED: 'muted', GRID: 'line', FAINT: 'faint'} | {
    colour: f's{number}' for number, colour in enumerate(SERIES)
}
SIZE, UNITS = (4.6, 2.9), 72  # inches, and the units of an SVG in each
# names in a line of a legend, and its share of the height
IN_LINE, LEGEND_LINE = 4, 0.07
STYLE = {
    'svg.fonttype': 'none',
    'svg.hashsalt': 'swin_mmdet',
    'font.family': 'sans-serif',
    'font.sans-serif': ['DejaVu Sans'],
    'font.size': 9,
    'text.color': INK,
    'axes.edgecolor': GRID,
    'axes.labelcolor': MUTED,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.grid': True,
    'axes.axisbelow': True,
    'grid.color': GRID,
    'grid.linewidth': 0.6,
    'xtick.color': GRID,
    'ytick.color': GRID,
    'xtick.labelcolor': MUTED,
    'ytick.labelcolor': MUTED,
    'lines.linewidth': 1.6,
    'legend.frameon': False,
    'legend.labelcolor': INK,
    'legend.fontsize': 8,
    # names of classes and losses are text, whatever is in them
    'text.parse_math': False,
    'path.simplify': True,
}
PLAIN = {'Date': None, 'Creator': None, 'Format': None, 'Type': None}
# spread over more than this, values are drawn on a logarithmic axis
WIDE = 30
HISTOGRAM_BINS = 30
# less is written as 1e-4
SMALLEST = 0.001
# below this ratio, a logarithmic axis has too few numbers on it
NARROW = 6


def loss_figure(history: History) -> Markup | None:
    """All losses; the sum of them is the strongest line."""
    losses = {name: series for name, series in history.training.items() if name == 'loss' or 'loss' in name}
    names = sorted(losses, key=lambda name: (name != 'loss', name))
    if len(names) > len(SERIES):
        # a loss for each layer of a decoder, and the like
        names = names[:1] + sorted(names[1:], key=lambda name: -abs(losses[name].values[-1]))[: len(SERIES) - 1]
    return _over_iterations('losses', {name: losses[name] for name in names}, history.resumed, strong='loss',
                            may_be_log=True)  # fmt: skip


def rate_figure(history: History) -> Markup | None:
    name = 'base_lr' if 'base_lr' in history.training else 'lr'
    return _over_iterations('rate', _some(history.training, (name,)), history.resumed, legend=False)


def norm_figure(history: History) -> Markup | None:
    return _over_iterations('norm', _some(history.training, ('grad_norm',)), history.resumed, legend=False)


def ap_figure(history: History) -> Markup | None:
    """AP and AP50 of boxes and masks."""
    titles = {'bbox_mAP': 'box AP', 'bbox_mAP_50': 'box AP50', 'segm_mAP': 'mask AP', 'segm_mAP_50': 'mask AP50'}
    shown = {title: history.evaluations[name] for name, title in titles.items() if name in history.evaluations}
    return _over_iterations('ap', shown, history.resumed, marker='o')


def _some(series: Mapping[str, Series], names: Sequence[str]) -> dict[str, Series]:
    return {name: series[name] for name in names if name in series}


def _over_iterations(
    name: str,
    series: Mapping[str, Series],
    resumed: Sequence[int],
    strong: str = '',
    marker: str = '',
    legend: bool = True,
    may_be_log: bool = False,
) -> Markup | None:
    if not series:
        return None
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure('iteration', legend=len(series) if legend else 0)
        lines = {}
        for colour, (title, one) in zip(SERIES, series.items()):
            width = 2.2 if title == strong else 1.4
            dashed = '--' if title.endswith('50') else '-'
            # a line of one point is none
            points = marker or 'o' * (len(one.values) == 1)
            lines[title] = axes.plot(one.iterations, one.values, dashed, color=colour, linewidth=width,
                                     marker=points, markersize=3.5, label=title, zorder=3 if title == strong else 2)[0]
        values = np.array([value for one in series.values() for value in one.values], float)
        values = values[np.isfinite(values)]
        if marker:
            axes.set_ylim(0, None)
        elif may_be_log and len(values) and values.min() > 0 and values.max() > WIDE * values.min():
            axes.set_yscale('log')
        axes.yaxis.set_major_formatter(FuncFormatter(_short))
        axes.yaxis.set_minor_formatter(NullFormatter())
        for iteration in resumed:
            axes.axvline(iteration, color=MUTED, linewidth=0.8, linestyle=':')
        axes.xaxis.set_major_locator(MaxNLocator(6, integer=True))
        if legend:
            _legend(figure, list(lines.values()))
        return as_svg(figure, name)


def _short(value: float, _: int | None = None) -> str:
    """A number for which there is room beside an axis: '0.05', '1.88e-4'."""
    if value and abs(value) < SMALLEST:
        digits, exponent = f'{value:.2e}'.split('e')
        return f'{float(digits):g}e{int(exponent)}'
    return f'{value:.6g}'


def class_curves_figure(
    name: str, x: np.ndarray, of_classes: Sequence[np.ndarray | None], together: np.ndarray, axis: str
) -> Markup:
    """A faint line [X] for each class, to be found by the page as `NAME-class-INDEX`, and a strong one for all.

    together: of all classes, or their mean.
    """
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(axis)
        axes.plot(x, together, color=SERIES[0], linewidth=2.2, gid='together')
        axes.set_xlim(0, 1)
        axes.set_ylim(0, 1.02)
        page = str(as_svg(figure, name))
        paths = [
            f'<g id="{name}-class-{index}"><path class="faint" d="{_path(axes, x, values)}"/></g>'
            for index, values in enumerate(of_classes)
            if values is not None
        ]
    # lines of matplotlib's own take seconds where there are hundreds
    place = page.index(f'<g id="{name}-together">')
    return Markup(page[:place] + '\n'.join(paths) + page[place:])


def _path(axes: Axes, x: np.ndarray, values: np.ndarray) -> str:
    """A line as the path of an SVG, without the inner points of what is level; NaN are gaps."""
    flat = np.zeros(len(values), bool)
    flat[1:-1] = (values[1:-1] == values[:-2]) & (values[1:-1] == values[2:])
    height = SIZE[1] * UNITS
    points = axes.transData.transform(np.stack([x, values], axis=1)[~flat])
    words, pen = [], 'M'
    for across, up in points.tolist():
        if np.isfinite(up):
            words.append(f'{pen}{across:.1f} {height - up:.1f}')
            pen = 'L'
        else:
            pen = 'M'
    return ' '.join(words)


def histogram_figure(
    name: str, groups: Mapping[str, np.ndarray], axis: str, log: bool = False, borders: Sequence[float] = ()
) -> Markup | None:
    """How often values occur, as shares of each group; whole numbers have bars of their own where there are few.

    borders: where to draw a line.
    """
    groups = {title: values[np.isfinite(values) & ((values > 0) if log else True)] for title, values in groups.items()}
    groups = {title: values for title, values in groups.items() if len(values)}
    if not groups:
        return None
    together = np.concatenate(list(groups.values()))
    low, high = together.min(), together.max()
    if log and high <= NARROW * low:
        log, low, high = False, 0.0, 1.1 * high
    if log:
        bins = np.geomspace(low * 0.99, high * 1.01, HISTOGRAM_BINS + 1)
    elif high - low <= HISTOGRAM_BINS:
        bins = np.arange(np.floor(low), np.floor(high) + 2) - 0.5
    else:
        bins = np.linspace(low, high, HISTOGRAM_BINS + 1)
    with matplotlib.rc_context(STYLE):
        figure, axes = _figure(axis, 'share in %', len(groups) if len(groups) > 1 else 0)
        for colour, (title, values) in zip(SERIES, groups.items()):
            shares = 100 * np.histogram(values, bins)[0] / len(values)
            axes.stairs(shares, bins, fill=True, color=colour, alpha=0.25)
            axes.stairs(shares, bins, color=colour, linewidth=1.4, label=title)
        for border in borders:
            if bins[0] < border < bins[-1]:
                axes.axvline(border, color=MUTED, linewidth=0.8, linestyle=':')
        if log:
            axes.set_xscale('log')
            ticks = [tick for tick in (2**power for power in range(20))
                     if bins[0] <= tick <= bins[-1]]  # fmt: skip
            axes.set_xticks(ticks, [str(tick) for tick in ticks])
            axes.minorticks_off()
        else:
            axes.xaxis.set_major_locator(MaxNLocator(8, integer=True))
        axes.set_ylim(0, None)
        if len(groups) > 1:
            handles = [Line2D([], [], color=colour, label=title) for colour, title in zip(SERIES, groups)]
            _legend(figure, handles)
        return as_svg(figure, name)


def data_figures(splits: Sequence[SplitStatistics]) -> list[tuple[str, Markup]]:
    """Histograms of the objects and images of each annotation file."""
    drawn = (
        ('Size of objects', histogram_figure(
            'sizes', {split.name: split.sides for split in splits}, 'side of a box in pixels', True, (SMALL, MEDIUM))),
        ('Objects on an image', histogram_figure(
            'objects', {split.name: split.per_image.astype(float) for split in splits}, 'objects')),
        ('Size of images', histogram_figure(
            'images', {split.name: split.image_sizes.max(axis=1, initial=0) for split in splits},
            'longer side in pixels', True)),
    )  # fmt: skip
    return [(title, figure) for title, figure in drawn if figure]


def _figure(axis: str, value: str = '', legend: int = 0) -> tuple[Figure, Axes]:
    """A figure with axes below a legend of so many names."""
    # without pyplot, which keeps figures and asks for a display; laying out by itself takes half of the time
    figure = Figure(figsize=SIZE, dpi=UNITS)
    axes = figure.add_axes((0.13, 0.16, 0.84, 0.8 - LEGEND_LINE * math.ceil(legend / IN_LINE)))
    axes.set_xlabel(axis)
    axes.set_ylabel(value)
    axes.tick_params(length=0)
    return figure, axes


def _legend(figure: Figure, handles: Sequence[Line2D]) -> None:
    figure.legend(handles=handles, loc='upper left', ncols=min(len(handles), IN_LINE), handlelength=1.4,
                  columnspacing=1.0, borderaxespad=0.2)  # fmt: skip


def as_svg(figure: Figure, name: str) -> Markup:
    """The SVG of a figure inside of a page: colours are variables, its ids begin with `name`."""
    written = io.StringIO()
    figure.savefig(written, format='svg', transparent=True, metadata=PLAIN)
    text = written.getvalue()
    text = text[text.index('<svg') :]
    # of the whole page, where it stands inside of it
    text = re.sub(r'<defs>\s*<style.*?</style>\s*</defs>', '', text, count=1, flags=re.DOTALL)
    text = re.sub(r' (width|height)="[\d.]+pt"', '', text, count=2)
    text = re.sub(r'font-family: [^;"]+;? ?', '', text)
    text = re.sub(r'(?<= d=")[^"]+', lambda found: ' '.join(found[0].split()), text)
    text = re.sub(r'\n\s*', '\n', text)
    text = re.sub(r'\b(id="|url\(#|href="#)', rf'\1{name}-', text)
    text = re.sub('|'.join(VARIABLES), lambda found: f'var(--{VARIABLES[found[0]]})', text)
    return Markup(text.replace('<svg ', '<svg class="figure" role="img" ', 1))
