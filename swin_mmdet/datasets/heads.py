"""The numbers of classes that a model config states, head by head."""

from collections.abc import Iterator
from dataclasses import dataclass

from swin_mmdet.config.nodes import keyed_nodes

# these count something else than the classes of the data: foreground alone, stuff, features, language tokens
NOT_HEADS = ('rpn_head', 'semantic_head', 'fused_semantic_head', 'backbone', 'neck', 'data_preprocessor', 'init_cfg')
COUNTS = ('num_classes', 'num_things_classes')


@dataclass(frozen=True)
class HeadClasses:
    """`key` such as 'model.roi_head.bbox_head.0.num_classes', and the number that the config gives it."""

    key: str
    value: int


def head_classes(model: dict) -> list[HeadClasses]:
    """Every number that has to be the number of classes, through lists (Cascade) and nested detectors.

    A model with a language model reads its classes from a text, so it has none.
    """
    return [] if 'language_model' in model else list(_walk(model, 'model'))


@dataclass(frozen=True)
class ClassWeights:
    """`key` of a list with a weight for each thing, each of `stuff` kinds and, last, for 'no object'."""

    key: str
    values: tuple[float, ...]
    stuff: int

    @property
    def fits(self) -> int:
        """The number of classes."""
        return len(self.values) - 1 - self.stuff

    def fitted(self, classes: int) -> list[float] | None:
        """The list for so many classes, if all but the last weight are the same."""
        *weights, of_none = self.values
        return weights[:1] * (classes + self.stuff) + [of_none] if len(set(weights)) == 1 else None


def class_weights(model: dict) -> list[ClassWeights]:
    """The lists `loss_cls.class_weight` of Mask2Former-like heads."""
    weights = []
    for key, node in keyed_nodes(model, 'model', NOT_HEADS):
        weight = (node.get('loss_cls') or {}).get('class_weight')
        if 'num_things_classes' in node and isinstance(weight, (list, tuple)):
            weights.append(
                ClassWeights(f'{key}.loss_cls.class_weight', tuple(weight), node.get('num_stuff_classes', 0))
            )
    return weights


def roi_head_has(model: dict, part: str) -> bool:
    """Whether a two-stage model has such a part: 'mask_head', or 'semantic_head', which trains on semantic maps."""
    return any(node.get(part) for key, node in keyed_nodes(model, 'model', NOT_HEADS) if key.endswith('roi_head'))


def _walk(model: dict, key: str) -> Iterator[HeadClasses]:
    for path, node in keyed_nodes(model, key, NOT_HEADS):
        if node.get('class_agnostic'):
            continue  # one mask for all classes, whatever the number
        for name in COUNTS:
            if isinstance(node.get(name), int):
                yield HeadClasses(f'{path}.{name}', node[name])
