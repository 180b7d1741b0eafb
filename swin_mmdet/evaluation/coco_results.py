"""Detections in the format of COCO's result files, with names added."""

import json
from pathlib import Path

from mmdet.structures import DetDataSample
from mmdet.structures.mask import encode_mask_results

from swin_mmdet.errors import UserError


class CocoIds:
    """Image and category ids: those of an annotation file, else 1, 2, 3 ... in order.

    Args:
        classes: of the model, in the order of its labels.
        ann_file: where ids are taken from, by the names of images and categories.

    Raises:
        UserError: the file has no category of a class.
    """

    def __init__(self, classes: tuple[str, ...], ann_file: str | None) -> None:
        self.classes = classes
        self.images: dict[str, int] | None = None
        self.categories = {name: number for number, name in enumerate(classes, start=1)}
        if ann_file is None:
            return
        content = json.loads(Path(ann_file).read_text())
        self.images = {Path(image['file_name']).name: image['id'] for image in content['images']}
        self.categories = {category['name']: category['id'] for category in content['categories']}
        unknown = [name for name in classes if name not in self.categories]
        if unknown:
            raise UserError(f'{ann_file} has no category for these classes of the model: {", ".join(unknown)}')

    def image(self, path: Path, index: int) -> int:
        if self.images is None:
            return index
        if path.name not in self.images:
            raise UserError(f'{path.name} is not an image of the annotation file; leave --ann-file out')
        return self.images[path.name]

    def category(self, label: int) -> int:
        return self.categories[self.classes[label]]


def coco_results(sample: DetDataSample, path: Path, image_id: int, ids: CocoIds, score_thr: float) -> list[dict]:
    """Detections of one image in the COCO result format, masks as compressed RLE."""
    predictions = sample.pred_instances
    predictions = predictions[predictions.scores >= score_thr].cpu().numpy()
    masks = encode_mask_results(predictions.masks) if 'masks' in predictions else [None] * len(predictions.scores)
    rows = []
    boxes, scores, labels = (predictions[name].tolist() for name in ('bboxes', 'scores', 'labels'))
    for box, score, label, mask in zip(boxes, scores, labels, masks):
        left, top, right, bottom = box
        row = dict(
            image_id=image_id,
            file_name=path.name,
            category_id=ids.category(label),
            category_name=ids.classes[label],
            bbox=[left, top, right - left, bottom - top],
            score=score,
        )
        if mask is not None:
            row['segmentation'] = dict(size=list(mask['size']), counts=mask['counts'].decode())
        rows.append(row)
    return rows
