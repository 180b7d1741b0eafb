"""The proof of an export: what the file finds beside what the detector itself finds, on images of several sizes."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass

import numpy as np
import torch
import torch.nn.functional as F
from mmdet.models.detectors.base import BaseDetector
from mmdet.structures import DetDataSample
from torch import Tensor, nn

from swin_mmdet.errors import UserError
from swin_mmdet.export.runtime import Batch, Detector, Found


@dataclass(frozen=True)
class Limits:
    """The most that the two may differ."""

    boxes: float  # pixels
    scores: float
    masks: float  # the least overlap (IoU)
    border: float = 0.0  # pixels: of small masks, how far the border may move

    def __str__(self) -> str:
        return f'boxes {self.boxes} px, scores {self.scores}, masks {self.masks} IoU'


@dataclass(frozen=True)
class Difference:
    """Between what two found in an image of `size`: the most of pairs, and how many have no partner."""

    size: tuple[int, int]
    pairs: int
    boxes: float
    scores: float
    masks: float | None
    alone: int

    def within(self, limits: Limits) -> bool:
        """Whether the two are the same."""
        masks = self.masks is None or self.masks >= limits.masks
        return not self.alone and self.boxes <= limits.boxes and self.scores <= limits.scores and masks

    def __str__(self) -> str:
        masks = '' if self.masks is None else f', masks {self.masks:.4f} IoU'
        alone = f', {self.alone} without a partner' if self.alone else ''
        height, width = self.size
        return (
            f'{height}x{width}: {self.pairs} detections, boxes {self.boxes:.2g} px, scores {self.scores:.2g}'
            f'{masks}{alone}'
        )


LIMITS = Limits(boxes=0.1, scores=1e-3, masks=0.99)
# of half precision
WIDE_LIMITS = Limits(boxes=0.1, scores=1e-2, masks=0.99, border=0.1)
# of 8 bits: who is whose partner
LOOSE_LIMITS = Limits(boxes=5.0, scores=0.1, masks=0.0)


@contextmanager
def exact_convolutions() -> Iterator[None]:
    """Within it a GPU convolves in float32, and not in TF32, of which each program makes something else."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before


@torch.no_grad()
@exact_convolutions()
def prove(
    model: BaseDetector, detector: Detector, batches: Sequence[Batch], limits: Limits, score_thr: float
) -> list[Difference]:
    """The differences on each batch.

    Detections that just one of the two has only count where their scores are not just those of the threshold, or of
    the last that there was room for.
    """
    differences = []
    for batch in batches:
        output = detector.detect(batch)
        size = tuple(batch.sizes[0].tolist())
        # in pixels of what both see, which is an image without its padding
        found = detector.in_image(output, batch._replace(resized=size), size)
        undecided = _undecided(detector, output, batch._replace(resized=size), limits.scores)
        expected = eager(model, batch)
        room = output['scores'].shape[1]
        cuts = [one.scores.min() for one in (found, expected) if len(one.scores) >= room]
        differences.append(compare(found, expected, size, limits, max([score_thr, *cuts]), undecided))
    return differences


def _undecided(detector: Detector, output: dict[str, np.ndarray], batch: Batch, most: float) -> np.ndarray | None:
    """Of the masks of `in_image`, the pixels whose probability is nearer to a half than `most`: bool [n, H, W]."""
    # of a logit around 0, a probability is a quarter
    steps = {name: step for name, step in (('masks', most), ('mask_logits', 4 * most)) if name in output}
    shifted = (output | {name: output[name] + sign * step for name, step in steps.items()} for sign in (-1, 1))
    less, more = (detector.in_image(one, batch, batch.resized).masks for one in shifted)
    return None if less is None or more is None else less ^ more


def eager(model: BaseDetector, batch: Batch) -> Found:
    """What the detector itself finds in a batch, by its own `predict`."""
    inputs, sample = inputs_of(model.data_preprocessor, batch)
    found = model.predict(inputs, [sample], rescale=True)[0].pred_instances.cpu()
    masks = np.asarray(torch.as_tensor(found.masks)).astype(bool) if 'masks' in found else None
    return Found(found.bboxes.numpy(), found.scores.numpy(), found.labels.numpy(), masks)


def inputs_of(preprocessor: nn.Module, batch: Batch) -> tuple[Tensor, DetDataSample]:
    """What a detector's preprocessor makes of a batch of one image: [1, 3, H, W] and its sample."""
    (height, width), padded = batch.sizes[0].tolist(), batch.images.shape[2:]
    image = torch.from_numpy(batch.images)[0, :, :height, :width]
    sample = DetDataSample(metainfo={
        'img_shape': (height, width), 'ori_shape': (height, width), 'scale_factor': (1.0, 1.0), 'img_id': 0,
    })  # fmt: skip
    # images in a file are BGR
    data = preprocessor({'inputs': [image.flip(0)], 'data_samples': [sample]}, False)
    inputs = data['inputs'][:, :, :height, :width]
    inputs = F.pad(inputs, (0, padded[1] - width, 0, padded[0] - height), value=preprocessor.pad_value)
    sample.set_metainfo({'batch_input_shape': tuple(padded), 'pad_shape': tuple(padded)})
    return inputs, sample


def compare(
    found: Found,
    expected: Found,
    size: tuple[int, int],
    limits: Limits,
    cut: float,
    undecided: np.ndarray | None = None,
) -> Difference:
    """Each detection with the nearest of its class and score that is left; see `prove` for those without.

    Pixels of the masks of `found` that are `undecided` may be either.
    """
    free = np.ones(len(found.scores), bool)
    boxes, scores, masks, alone, pairs = 0.0, 0.0, 1.0, 0, 0
    for at in np.argsort(-expected.scores, kind='stable'):
        apart = np.abs(found.boxes - expected.boxes[at]).max(1) if len(free) else np.zeros(0)
        change = np.abs(found.scores - expected.scores[at])
        same = free & (found.labels == expected.labels[at]) & (change <= limits.scores) & (apart <= limits.boxes)
        if not same.any():
            alone += bool(expected.scores[at] > cut + limits.scores)
            continue
        twin = np.where(same, apart, np.inf).argmin()
        free[twin] = False
        pairs += 1
        boxes, scores = max(boxes, float(apart[twin])), max(scores, float(change[twin]))
        if expected.masks is not None:
            x1, y1, x2, y2 = expected.boxes[at].tolist()
            allowed = max(1.0, limits.border * 2 * (x2 - x1 + y2 - y1))
            if found.masks is None:
                masks = 0.0
                continue
            mask, other = found.masks[twin], expected.masks[at]
            mask = mask if undecided is None else np.where(undecided[twin], other, mask)
            masks = min(masks, _overlap(mask, other, allowed))
    alone += int((found.scores[free] > cut + limits.scores).sum())
    return Difference(size, pairs, boxes, scores, None if expected.masks is None else masks, alone)


def _overlap(one: np.ndarray, other: np.ndarray, allowed: float) -> float:
    """IoU of two masks, in which so many pixels, of a probability of a half, may differ."""
    different = int((one ^ other).sum())
    return 1.0 if different <= allowed else 1 - (different - allowed) / int((one | other).sum())


def check(differences: Sequence[Difference], limits: Limits, what: str) -> list[dict]:
    """The report as it is kept.

    Raises:
        UserError: the two differ by more.
    """
    failed = [one for one in differences if not one.within(limits)]
    if failed:
        raise UserError(
            f'{what} is not kept: it does not find what the detector finds (limits: {limits}): '
            + '; '.join(map(str, failed))
        )
    return [asdict(one) for one in differences]
