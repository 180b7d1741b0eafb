"""Pages and metafiles of the configs of a checkout, from published.csv, folders.csv and what was counted here.

The list of these metafiles is the package's `.mim/model-index.yml`, without which mmengine loads no config of it.
"""

import ast
import csv
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import yaml
from mmengine.config import Config

from swin_mmdet.config import nodes
from swin_mmdet.errors import UserError

FIGURES = {
    'params_m': 'parameters, M',
    'gflops': 'GFLOPs at 1280x800',
    'memory_gb': 'GB per GPU',
    'box_ap': 'box AP',
    'mask_ap': 'mask AP',
    'other': 'other',
}
COLUMNS = 'config', 'schedule', 'crops', 'counted here', *FIGURES.values(), 'by', 'note', 'rerun by us'
# beside configs/
COUNTED = 'tools/benchmarks/results/model_complexity.csv'
INDEX = 'swin_mmdet/.mim/model-index.yml'
MOST_GPUS = 8
RESULTS = 'tools/benchmarks/README.md#training-runs'


@dataclass(frozen=True)
class Entry:
    """A config, what was published of it, one dict of published.csv for each who did, and its line of COUNTED."""

    path: Path
    cfg: Config
    published: list[dict[str, str]]
    counted: dict[str, str]

    @cached_property
    def summary(self) -> str:
        """The first line of its docstring."""
        return (ast.get_docstring(ast.parse(self.path.read_text())) or '').partition('\n')[0]

    @property
    def name(self) -> str:
        return f'configs/{self.path.parent.name}/{self.path.name}'

    @property
    def is_coco(self) -> bool:
        """Whether it trains on the whole of COCO."""
        return self.cfg.get('data_root') == 'data/coco/'

    @property
    def length(self) -> tuple[str, int]:
        loop = self.cfg.train_cfg
        return ('iterations', loop.max_iters) if 'max_iters' in loop else ('epochs', loop.max_epochs)

    @property
    def per_gpu(self) -> int:
        return self.cfg.train_dataloader.batch_size

    @property
    def batch(self) -> int:
        """Images in a step of the recipe, on all GPUs.

        Raises:
            UserError: the config does not say it, or says less than one GPU's images.
        """
        batch = self.cfg.get('auto_scale_lr', {}).get('base_batch_size', 0)
        if batch < self.per_gpu:
            raise UserError(f'{self.name}: auto_scale_lr.base_batch_size={batch}, but {self.per_gpu} images a GPU')
        return batch

    @property
    def schedule(self) -> str:
        unit, number = self.length
        precision = 'AMP' if self.cfg.optim_wrapper.type == 'AmpOptimWrapper' else 'float32'
        return f'{number} {unit}, batch {self.batch}, {precision}'

    @property
    def crops(self) -> bool:
        return any('Crop' in str(node.get('type')) for node in nodes(self.cfg.train_dataloader))

    @property
    def cost(self) -> str:
        """Such as '47.8M, 266.6G'."""
        if not self.counted.get('params_m'):
            return ''
        return f'{float(self.counted["params_m"]):.1f}M, {self.counted["gflops_paper"]}G'

    def commands(self) -> str:
        """The line for one GPU and, of COCO, the line for several; each keeps the recipe's batch."""
        lines = [f'python tools/train.py {self.name}{self._accumulate(1)}']
        if self.is_coco:
            gpus = min(MOST_GPUS, self.batch // self.per_gpu)
            lines.append(f'bash tools/dist_train.sh {self.name} {gpus}{self._accumulate(gpus)}')
        return '\n'.join([f'# {self.summary}', *lines])

    def _accumulate(self, gpus: int) -> str:
        return ' --accumulate auto' if gpus * self.per_gpu < self.batch else ''


def readme(about: dict[str, str], entries: list[Entry]) -> str:
    """What a folder is, a table of what was published, and commands."""
    parts = [f'# {about["title"]}', about['about']]
    if about['paper']:
        parts.append(f'Paper: [{about["paper"]}]({about["url"]})')
    if any(entry.is_coco for entry in entries):
        parts += [
            'Results on COCO val2017 as others published them; there are no weights of our own. Counted here are '
            f'parameters and FLOPs at 1280x800, in the convention of the published ones ([model_complexity.csv]'
            f'(../../{COUNTED}), by `tools/analyze_model.py`).',
            table(COLUMNS, [row for entry in entries for row in rows(entry)]),
        ]
    else:
        parts.append(f'Results: [{RESULTS}](../../{RESULTS})')
    commands = '\n\n'.join(entry.commands() for entry in entries)
    return '\n\n'.join([*parts, '## Training', f'```bash\n{commands}\n```']) + '\n'


def rows(entry: Entry) -> Iterable[list[str]]:
    """One for each who published a result."""
    for line in entry.published:
        first = [f'[{entry.path.stem}]({entry.path.name})', entry.schedule, 'yes' if entry.crops else 'no']
        yield [*first, entry.cost, *(line[key] for key in FIGURES), credit(line), line['note'], 'no']


def credit(line: dict[str, str]) -> str:
    """Who published it, with a link to where."""
    if not line['by']:
        return ''
    url, _, place = address(line['source']).partition(', ')
    return f'[{line["by"]}]({url})' + (f', {place}' if place else '')


def address(source: str) -> str:
    """'arXiv 2103.14030, table 2' -> 'https://arxiv.org/abs/2103.14030, table 2'; a URL stays."""
    return re.sub(r'^arXiv (\S+?)(?=,|$)', r'https://arxiv.org/abs/\1', source)


def table(names: Sequence[str], rows: list[list[str]]) -> str:
    """Markdown, without columns that are empty."""
    kept = [index for index in range(len(names)) if any(row[index] for row in rows)]
    lines = [names, ['---'] * len(names), *rows]
    return '\n'.join('| ' + ' | '.join(line[index] for index in kept) + ' |' for line in lines)


def metafile(about: dict[str, str], entries: list[Entry]) -> str:
    """The folder in OpenMMLab's model index; there are no weights to name."""
    readme_path = f'configs/{about["folder"]}/README.md'
    collection = dict(
        Name=about['title'],
        Metadata={'Training Data': 'COCO', 'Architecture': ['Swin Transformer']},
        Paper=dict(URL=about['url'], Title=about['paper']),
        README=readme_path,
    )
    models = [model(about['title'], entry) for entry in entries]
    return yaml.safe_dump(dict(Collections=[collection], Models=models), sort_keys=False, width=120)


def model(collection: str, entry: Entry) -> dict:
    """An entry of the model index with the first of the published results."""
    line, (unit, number) = entry.published[0], entry.length
    techniques = [entry.cfg.optim_wrapper.optimizer.type]
    if entry.cfg.optim_wrapper.type == 'AmpOptimWrapper':
        techniques.append('Mixed Precision')
    metadata: dict[str, Any] = {'Training Data': 'COCO', unit.capitalize(): number, 'Batch Size': entry.batch}
    metadata['Training Techniques'] = techniques
    for key, name in (('params_m', 'Parameters (M)'), ('gflops', 'FLOPs (G)'), ('memory_gb', 'Training Memory (GB)')):
        if line[key]:
            metadata[name] = float(line[key])
    found = {'In Collection': collection, 'Config': entry.name, 'Metadata': metadata}
    tasks = (('Object Detection', 'box AP', 'box_ap'), ('Instance Segmentation', 'mask AP', 'mask_ap'))
    results = [
        dict(Task=task, Dataset='COCO', Metrics={metric: float(line[key])}) for task, metric, key in tasks if line[key]
    ]
    if line['by']:
        metadata['Published By'], metadata['Source'] = line['by'], line['source']
    return {'Name': entry.path.stem, **found, **(dict(Results=results) if results else {})}


def read_csv(path: Path) -> list[dict[str, str]]:
    with path.open(newline='') as file:
        return list(csv.DictReader(file))


def find_entries(configs: Path, read: Callable[[Path], Config]) -> dict[str, list[Entry]]:
    """Of each folder its configs, in the order of published.csv.

    Raises:
        UserError: a config without a line, a line without a config, or one that is half filled in.
    """
    published: dict[str, list[dict[str, str]]] = {}
    for line in read_csv(configs / 'published.csv'):
        published.setdefault(line['config'], []).append(line)
        figures = any(line[key] for key in ('box_ap', 'mask_ap', 'other'))
        if figures != bool(line['by']) or figures != bool(line['source']):
            raise UserError(f'published.csv: {line["config"]}: a result needs `by` and `source`, and they a result')
    paths = {f'{path.parent.name}/{path.stem}': path for path in configs.glob('*/*.py') if path.parent.name != '_base_'}
    for names, what in ((paths.keys() - published, 'no line for'), (published.keys() - paths, 'no config')):
        if names:
            raise UserError(f'published.csv: {what} {", ".join(sorted(names))}')
    counted = {line['config']: line for line in read_csv(configs.parent / COUNTED)}
    folders: dict[str, list[Entry]] = {}
    for name, lines in published.items():
        entry = Entry(paths[name], read(paths[name]), lines, counted.get(name, {}))
        folders.setdefault(name.split('/')[0], []).append(entry)
    return folders


def render(configs: Path, read: Callable[[Path], Config] = Config.fromfile) -> dict[Path, str]:
    """The text of each file that is written.

    Raises:
        UserError: the tables and the configs do not fit together.
    """
    folders = find_entries(configs, read)
    about = {line['folder']: line for line in read_csv(configs / 'folders.csv')}
    if about.keys() != folders.keys():
        raise UserError(f'folders.csv: a line without a folder or the reverse: {sorted(about.keys() ^ folders.keys())}')
    texts = {}
    for folder, entries in folders.items():
        texts[configs / folder / 'README.md'] = readme(about[folder], entries)
        if any(entry.is_coco for entry in entries):
            texts[configs / folder / 'metafile.yml'] = metafile(about[folder], entries)
    metafiles = sorted(f'configs/{path.parent.name}/{path.name}' for path in texts if path.name == 'metafile.yml')
    if metafiles:
        texts[configs.parent / INDEX] = yaml.safe_dump(dict(Import=metafiles))
    return texts
