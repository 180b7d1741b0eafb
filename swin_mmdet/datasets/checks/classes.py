"""Do the annotation file, `metainfo['classes']` and the heads of the model mean the same classes?"""

from collections.abc import Sequence

from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.heads import class_weights, head_classes
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, count, some
from swin_mmdet.datasets.sources import CocoSource


def as_config(classes: Sequence[str]) -> str:
    """Text to paste into a dataset's dict."""
    return f'metainfo=dict(classes={tuple(classes)!r})'


def intended_classes(source: CocoSource, coco: CocoFile) -> tuple[str, ...]:
    """The classes that the labels should mean: the configured ones where the file has them all, else the file's."""
    in_file = coco.classes_for(source.classes)
    if isinstance(source.classes, str) or set(source.classes) - set(in_file):
        return in_file
    return source.classes if source.by_name else tuple(name for name in in_file if name in source.classes)


def class_problems(source: CocoSource, coco: CocoFile) -> list[Problem]:
    """Differences between the configured classes and the categories of the file."""
    where, in_file = source.key, coco.classes_for(source.classes)
    if isinstance(source.classes, str):
        what = f"metainfo['classes'] is the text '{source.classes}', so every letter would be a class"
        names = [source.classes] if source.classes in in_file else in_file
        return [Problem(where, what, f'give it {as_config(names)}  # a tuple of one name needs its comma')]

    missing = [name for name in source.classes if name not in in_file]
    if missing:
        origin = f'the default of {source.type_name}' if source.is_default else "metainfo['classes']"
        what = (f'{len(missing)} of the {count(len(source.classes), "class")} ({origin}) are not in {coco.path}: '
                f'{some(missing)}; the file has {count(len(in_file), "class")}: {some(in_file)}')
        return [Problem(where, what, f'give it {as_config(in_file)}')]

    problems = []
    chosen = [name for name in in_file if name in source.classes]
    if not source.by_name and list(dict.fromkeys(chosen)) != list(source.classes):
        what = (f"metainfo['classes'] has another order than the categories of {coco.path}, and mmdet numbers labels "
                'in the order of the file: predictions would get wrong names')
        remedy = f"give it {as_config(chosen)}, or type='swin_mmdet.CocoDataset', which numbers labels by name"
        problems.append(Problem(where, what, remedy))
    left_out = {name: coco.instances[id] for id, name in coco.categories if name not in source.classes}
    if any(left_out.values()):
        what = (f"categories of {coco.path} that are not in metainfo['classes']: {some(list(left_out))}; their "
                f'{sum(left_out.values())} annotations are ignored')
        remedy = f'nothing to do if this is meant; else give it {as_config(in_file)}'
        problems.append(Problem(where, what, remedy, WARNING))
    return problems


def agreement_problems(classes: dict[str, tuple[str, ...]]) -> list[Problem]:
    """Data sets (config key -> intended classes) that number different classes."""
    items = list(classes.items())
    return [_disagreement(key, names, *items[0]) for key, names in items[1:] if names != items[0][1]]


def _disagreement(key: str, names: Sequence[str], first: str, expected: Sequence[str]) -> Problem:
    what = f'its classes ({some(names)}) are not those of {first} ({some(expected)})'
    lacks, more = set(expected) - set(names), set(names) - set(expected)
    if not lacks and not more:
        return Problem(key, f'{what} in the same order', "give both the same metainfo['classes']")
    parts = [f'{word} {some(sorted(those))}' for word, those in (('it lacks', lacks), ('it adds', more)) if those]
    remedy = "let the annotation files list the same 'categories'"
    return Problem(key, f'{what}: {", ".join(parts)}', remedy, ERROR, 'categories_differ')


def head_problems(model: dict, classes: Sequence[str]) -> list[Problem]:
    """Heads whose number of classes is not that of the data."""
    wrong = [head for head in head_classes(model) if head.value != len(classes)]
    problems = []
    if wrong:
        values = sorted({head.value for head in wrong})
        what = (f'the data has {count(len(classes), "class")}, but {count(len(wrong), "head")} of the model '
                f'{"has" if len(wrong) == 1 else "have"} num_classes {some(values)}')
        settings = '\n'.join(f'{head.key}={len(classes)}' for head in wrong)
        problems.append(Problem('model', what, f'set (in the config, or after --cfg-options)\n{settings}'))
    for weights in class_weights(model):
        if weights.fits != len(classes):
            what = (f'{weights.key} has {len(weights.values)} weights, which fit {weights.fits} classes, '
                    f'but the data has {len(classes)}')
            remedy = f'set {weights.key}=[1.0] * {len(classes) + weights.stuff} + [0.1]'
            problems.append(Problem('model', what, remedy, ERROR))
    return problems
