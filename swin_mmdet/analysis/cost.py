"""Parameters, multiply-adds and memory of each part of a detector."""

from collections import Counter
from dataclasses import dataclass

import torch
from torch import nn

from swin_mmdet.analysis.inference import make_image, run_parts
from swin_mmdet.analysis.operations import OperationCounter
from swin_mmdet.analysis.parts import OTHER, PartTracker, parts_of
from swin_mmdet.analysis.saved_tensors import SavedTensors

OBJECTS = 32


@dataclass(frozen=True)
class PartCost:
    """What a part of a detector costs for one image.

    Attributes:
        parameters, trained: numbers, all and those that are not frozen.
        macs: multiply-adds of matrix products and convolutions in an inference, as this project computes them.
        paper_macs: what the Swin papers call FLOPs, see `OperationCounter`.
        saved_bytes: what autograd keeps of a training step's forward pass, for an image with 32 objects in float32,
            module by module, with the attention as two products and a softmax. Fused operations keep less.
    """

    name: str
    parameters: int
    trained: int
    macs: int
    paper_macs: int
    saved_bytes: int


def measure_cost(model: nn.Module, height: int, width: int) -> list[PartCost]:
    """The cost of each part of an mmdet detector for an image of this size, without computing any product.

    The model is in training mode, on the reference attention and without augmentation of batches afterwards.
    """
    macs, paper_macs = count_macs(model, height, width)
    saved = count_saved_bytes(model, height, width)
    parts = parts_of(model)
    sizes = {name: [(x.numel(), x.requires_grad) for x in part.parameters()] for name, part in parts.items()}
    own = {id(x) for part in parts.values() for x in part.parameters()}
    sizes[OTHER] = [(x.numel(), x.requires_grad) for x in model.parameters() if id(x) not in own]
    return [
        PartCost(
            name,
            sum(size for size, _ in numbers),
            sum(size for size, trained in numbers if trained),
            macs[name],
            paper_macs[name],
            saved[name],
        )
        for name, numbers in sizes.items()
    ]


def count_macs(model: nn.Module, height: int, width: int) -> tuple[Counter[str], Counter[str]]:
    """`macs` and `paper_macs` of each part, see `PartCost`."""
    use_reference_attention(model.eval())
    data = model.data_preprocessor(make_image(model, height, width, objects=1), False)
    with PartTracker(parts_of(model)) as tracker:
        counter = OperationCounter(tracker)
        with torch.no_grad(), counter.watch(model):
            run_parts(model, data['inputs'], data['data_samples'])
    return counter.macs, counter.paper_macs


def count_saved_bytes(model: nn.Module, height: int, width: int) -> Counter[str]:
    """`saved_bytes` of each part, see `PartCost`."""
    use_reference_attention(model.train())
    # they would change the size
    model.data_preprocessor.batch_augments = None
    data = model.data_preprocessor(make_image(model, height, width, OBJECTS), True)
    with PartTracker(parts_of(model)) as tracker:
        saved = SavedTensors(tracker, model)
        with OperationCounter(tracker).watch(model), saved:
            model(**data, mode='loss')
    return saved.bytes


def use_reference_attention(model: nn.Module) -> None:
    """The one whose products have formulas and whose tensors autograd sees."""
    for module in model.modules():
        if hasattr(module, 'attn_backend'):
            module.attn_backend = 'reference'
