"""Image and category ids of COCO's result files."""

import json
from pathlib import Path

from swin_mmdet.errors import UserError


class CocoIds:
    """Ids: those of an annotation file, else 1, 2, 3 ... in order.

    Args:
        classes: of the model, in the order of its labels.
        ann_file: where ids are taken from, by the names of images and categories.

    Raises:
        UserError: the file has no category of a class.
    """

    def __init__(self, classes: tuple[str, ...], ann_file: str | None) -> None:
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

    def image(self, path: Path | None, index: int) -> int:
        """Of a file, which is the image number `index` of a run.

        Raises:
            UserError: it is not in the annotation file.
        """
        if self.images is None:
            return index
        if path is None or path.name not in self.images:
            raise UserError(f'{path} is not an image of the annotation file; leave --ann-file out')
        return self.images[path.name]
