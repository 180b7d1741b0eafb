"""Does the evaluator of a split read the same annotations as its dataloader?"""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from swin_mmdet.config.nodes import keyed_nodes
from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, count, some
from swin_mmdet.datasets.sources import CocoSource


@dataclass(frozen=True)
class CocoEvaluator:
    """A CocoMetric of a config; `is_ours` where it is swin_mmdet's; it looks at so many detections of an image."""

    key: str
    ann_file: str | None
    metrics: tuple[str, ...]
    format_only: bool
    is_ours: bool
    most_detections: int


def evaluators(cfg, split: str) -> list[CocoEvaluator]:
    """The COCO metrics of `{split}_evaluator`, a dict or a list of dicts."""
    config = cfg.get(f'{split}_evaluator') or []
    several = isinstance(config, (list, tuple))
    listed = []
    for index, item in enumerate(config if several else [config]):
        kind = item.get('type')
        module, _, name = f'{kind.__module__}.{kind.__name__}'.rpartition('.') if isinstance(kind, type) else \
            str(kind).rpartition('.')
        if name != 'CocoMetric':
            continue
        metric = item.get('metric', 'bbox')
        listed.append(CocoEvaluator(
            key=f'{split}_evaluator.{index}' if several else f'{split}_evaluator',
            ann_file=item.get('ann_file'),
            metrics=(metric,) if isinstance(metric, str) else tuple(metric),
            format_only=bool(item.get('format_only')),
            is_ours=module.startswith('swin_mmdet'),
            most_detections=max(item.get('proposal_nums') or (100, 300, 1000)),
        ))
    return listed


def writes_only(cfg, split: str) -> bool:
    """Whether the split only writes predictions, so that it needs no annotations."""
    listed = evaluators(cfg, split)
    return bool(listed) and all(evaluator.format_only for evaluator in listed)


def evaluator_problems(cfg, source: CocoSource, coco: CocoFile) -> list[Problem]:
    """Evaluators that read another file, and faults of the file that only evaluation minds."""
    if source.split == 'train':
        return []
    problems = _limit_problems(cfg, source, coco)
    for evaluator in evaluators(cfg, source.split):
        if evaluator.ann_file and Path(evaluator.ann_file).resolve() != coco.path:
            what = f'{evaluator.key}.ann_file is {evaluator.ann_file}, but {source.key} reads {source.ann_file}'
            problems.append(Problem(evaluator.key, what, f"set {evaluator.key}.ann_file='{source.ann_file}'"))
        if evaluator.is_ours or evaluator.format_only:
            continue
        remedy = f"set {evaluator.key}.type='swin_mmdet.CocoMetric', which counts them right, or correct the file"
        if 'iscrowd_missing' in coco.faults:
            fault = coco.faults['iscrowd_missing']
            what = (f"{fault.count} annotations of {coco.path} (ids {some(fault.examples)}) have no 'iscrowd', which "
                    "mmdet's CocoMetric reads")
            problems.append(Problem(source.key, what, remedy, ERROR))
        if 'annotation_id_zero' in coco.faults:
            what = f"an annotation of {coco.path} has id 0, which mmdet's CocoMetric takes for 'not found'"
            problems.append(Problem(source.key, what, remedy, WARNING))
    return problems


def detection_limits(cfg) -> Iterator[tuple[dict, str, str]]:
    """Where a model limits the detections of an image: the dict, the name in it, and both as one key of the config."""
    for key, node in keyed_nodes((cfg.get('model') or {}).get('test_cfg') or {}, 'model.test_cfg'):
        for name in ('max_per_img', 'max_per_image'):
            if isinstance(node.get(name), int) and not key.endswith('.rpn'):
                yield node, name, f'{key}.{name}'


def _limit_problems(cfg, source: CocoSource, coco: CocoFile) -> list[Problem]:
    """Images with more objects than detections are counted: no detector could find them all."""
    limits = [(one.most_detections, f'{one.key}.proposal_nums') for one in evaluators(cfg, source.split)]
    if not limits:
        return []
    limits += [(node[name], key) for node, name, key in detection_limits(cfg)]
    limit, key = min(limits)
    crowded = int((coco.objects > limit).sum())
    if not crowded:
        return []
    most = int(coco.objects.max())
    what = f'{count(crowded, "image")} of {coco.path} {"has" if crowded == 1 else "have"} more objects, up to {most}, '
    what += f'than detections are counted: {limit} ({key})'
    return [Problem(source.key, what, f'set {key} to {most} or more; else their recall cannot reach 1', WARNING)]
