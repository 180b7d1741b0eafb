"""Labels that are positions in `metainfo['classes']`, whatever the order of the categories in the annotation file.

mmdet's CocoDataset numbers labels in the order of the file, so that classes in another order give wrong names to
predictions, and a validation file in another order gives wrong labels.
"""

from collections.abc import Sequence

from mmdet.datasets import CocoDataset as MMDetCocoDataset
from mmdet.datasets.api_wrappers import COCO

from swin_mmdet.registry import DATASETS

# of a data set's metainfo, for the metric, which has to number labels as the data set does
BY_NAME = 'labels_by_name'


def in_order_of_names(coco: COCO, ids: Sequence, names: Sequence[str]) -> list:
    """Ids of categories in the order of their names, those of one name in the order of the file."""
    place = {name: index for index, name in reversed(list(enumerate(names)))}
    return sorted(ids, key=lambda id: place.get(coco.cats[id]['name'], len(place)))


class NamedCOCO(COCO):
    """mmdet's COCO with the ids of categories in the order in which their names were asked for."""

    def get_cat_ids(self, cat_names: Sequence[str] = (), sup_names: Sequence[str] = (), cat_ids: Sequence = ()) -> list:
        ids = super().get_cat_ids(cat_names, sup_names, cat_ids)
        return ids if isinstance(cat_names, str) else in_order_of_names(self, ids, cat_names)


@DATASETS.register_module()
class CocoDataset(MMDetCocoDataset):
    """mmdet's data set with labels that are positions in `metainfo['classes']`."""

    COCOAPI = NamedCOCO

    def load_data_list(self) -> list[dict]:
        self._metainfo[BY_NAME] = True
        return super().load_data_list()
