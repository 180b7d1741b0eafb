"""The images with the worst errors, with what is there and what was detected side by side."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from swin_mmdet.datasets.read_image import UnreadableImageError
from swin_mmdet.progress import with_progress
from swin_mmdet.report.errors import CLASSIFICATION, KINDS, MISSED, Errors
from swin_mmdet.report.images import Images
from swin_mmdet.report.matching import Matching
from swin_mmdet.report.pictures import Drawn, class_colour, data_uri, draw, short

RIGHT_COLOUR, IGNORED_COLOUR = (70, 200, 90), (150, 150, 150)
# of a detection by its kind of error, as in the page; of an object that is missed
ERROR_COLOURS = ((230, 80, 200), (245, 160, 40), (200, 120, 60), (90, 170, 250), (235, 70, 70), (255, 225, 60))


@dataclass(frozen=True)
class Card:
    """One image of the gallery.

    counts: (kind, how many) of the errors that it has.
    marks: KIND:CLASS of its errors, as words that the page filters by.
    weight: scores of the wrong detections, and 1 for each missed object.
    truth, found: addresses of pictures, '' where the image could not be read.
    size: width and height of each of them.
    problem: why it could not.
    """

    name: str
    counts: tuple[tuple[int, int], ...]
    marks: str
    weight: float
    truth: str = ''
    found: str = ''
    size: tuple[int, int] = (0, 0)
    problem: str = ''


def worst_images(matching: Matching, errors: Errors, limit: int) -> list[int]:
    """Positions of at most `limit` images, the worst of each kind of error in turn, so that every kind is there."""
    weights = np.zeros((len(KINDS), len(matching.img_ids)))
    wrong = errors.kind >= 0
    np.add.at(weights, (errors.kind[wrong], matching.image[wrong]), matching.score[wrong])
    np.add.at(weights[MISSED], matching.object_image[errors.missed], 1)
    queues = [[int(image) for image in np.argsort(-row, kind='stable') if row[image] > 0] for row in weights]
    chosen: dict[int, None] = {}
    for place in range(max(map(len, queues))):
        for queue in queues:
            if place < len(queue) and len(chosen) < limit:
                chosen.setdefault(queue[place])
    total = weights.sum(axis=0)
    return sorted(chosen, key=lambda image: -total[image])


def gallery(
    matching: Matching,
    errors: Errors,
    ground_truth: dict,
    detections: Sequence[dict],
    images: Images,
    min_score: float,
    limit: int = 48,
) -> list[Card]:
    """Cards of the worst images, the worst first.

    Args:
        errors: of the detections with `min_score` at least.
        ground_truth, detections: what was matched.
        images: where they are.
        limit: how many.
    """
    by_id = {image['id']: image for image in ground_truth['images']}
    names = {category['id']: str(category['name']) for category in ground_truth['categories']}
    painter = _Painter(matching, errors, ground_truth['annotations'], detections,
                       [names[id] for id in matching.cat_ids], min_score)  # fmt: skip
    cards = []
    chosen = worst_images(matching, errors, limit)
    for index in with_progress(chosen, len(chosen), 'drawing'):
        name = str(by_id[matching.img_ids[index]].get('file_name', matching.img_ids[index]))
        card = painter.card(index, name)
        try:
            picture = images.read(name)
        except UnreadableImageError as error:
            cards.append(replace(card, problem=str(error)))
            continue
        truth, found = painter.pictures(index, picture)
        height, width = truth.shape[:2]
        cards.append(replace(card, truth=data_uri(truth), found=data_uri(found), size=(width, height)))
    return cards


class _Painter:
    """Draws the objects and the detections of an image."""

    def __init__(
        self,
        matching: Matching,
        errors: Errors,
        annotations: Sequence[dict],
        detections: Sequence[dict],
        names: list[str],
        min_score: float,
    ) -> None:
        self.matching, self.errors, self.min_score = matching, errors, min_score
        self.annotations, self.rows, self.names = annotations, detections, names
        self.objects, self.detections = defaultdict(list), defaultdict(list)
        for index, image in enumerate(matching.object_image.tolist()):
            self.objects[image].append(index)
        for index in np.flatnonzero(matching.score >= min_score).tolist():
            self.detections[int(matching.image[index])].append(index)

    def card(self, image: int, name: str) -> Card:
        """Its errors; one of the class of another object is found under both classes."""
        matching, kinds, marks, weight = self.matching, Counter(), set(), 0.0
        for index in self.detections[image]:
            kind = int(self.errors.kind[index])
            if kind < 0:
                continue
            kinds[kind] += 1
            weight += float(matching.score[index])
            marks.add((kind, int(matching.label[index])))
            if kind == CLASSIFICATION:
                marks.add((kind, int(matching.object_class[matching.other_object[index]])))
        for index in self.objects[image]:
            if self.errors.missed[index]:
                kinds[MISSED] += 1
                weight += 1
                marks.add((MISSED, int(matching.object_class[index])))
        words = ' '.join(f'{kind}:{label}' for kind, label in sorted(marks))
        return Card(name, tuple(sorted(kinds.items())), words, weight)

    def pictures(self, image: int, picture: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """What is there and what was detected, drawn on an image [H, W, 3]."""
        truth = [self._object(index) for index in self.objects[image]]
        # right ones below, the errors of the highest scores last
        order = sorted(self.detections[image], key=lambda i: (self.errors.kind[i] >= 0, self.matching.score[i]))
        return draw(picture, truth), draw(picture, [self._detection(i) for i in order])

    def _object(self, index: int) -> Drawn:
        ann = self.annotations[int(self.matching.object_row[index])]
        label = self.matching.object_class[index]
        missed = bool(self.errors.missed[index])
        text = short(self.names[label]) + (' missed' if missed else '')
        colour = ERROR_COLOURS[MISSED] if missed else class_colour(int(label))
        return Drawn(_box(ann), ann.get('segmentation'), text, colour, missed)

    def _detection(self, index: int) -> Drawn:
        row = self.rows[int(self.matching.row[index])]
        kind = int(self.errors.kind[index])
        text = f'{short(self.names[self.matching.label[index]])} {100 * self.matching.score[index]:.0f}%'
        if kind >= 0:
            text += f' {KINDS[kind].word}'
        colour = ERROR_COLOURS[kind] if kind >= 0 else IGNORED_COLOUR if self.matching.ignored[index] else RIGHT_COLOUR
        return Drawn(_box(row), row.get('segmentation'), text, colour, kind >= 0)


def _box(thing: dict) -> Sequence[float]:
    return thing.get('bbox') or (0, 0, 0, 0)
