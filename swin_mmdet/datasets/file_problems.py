"""Problems that an annotation file and its image folder have by themselves, whatever the config."""

from dataclasses import dataclass

from swin_mmdet.datasets.coco_file import CocoFile
from swin_mmdet.datasets.problems import ERROR, WARNING, Problem, count, some


@dataclass(frozen=True)
class Rule:
    """How to report a fault: what it counts, what is wrong with them, the remedy and the level."""

    noun: str
    what: str
    remedy: str
    level: str


DROP = 'correct or remove them in the file'
RULES = {
    'image_keys': Rule('image', "without one of the keys 'id', 'file_name', 'height', 'width'", DROP, ERROR),
    'image_id_twice': Rule('image', 'with the id of another image, which takes its annotations',
                           'number the images anew', ERROR),
    'annotation_id_twice': Rule('annotation', 'with the id of another annotation; mmdet refuses the file',
                                "number the annotations anew: ann['id'] = 1, 2, 3, ...", ERROR),
    'annotation_id_missing': Rule('annotation', "without the key 'id'",
                                  "number the annotations: ann['id'] = 1, 2, 3, ...", ERROR),
    'image_unknown': Rule('annotation', "on images that are not in 'images'; they are ignored",
                          'remove them, or add the images', WARNING),
    'category_unknown': Rule('annotation', "with a category that is not in 'categories'; they are ignored",
                             "add the category to 'categories' or correct category_id", ERROR),
    'box': Rule('annotation', "without a 'bbox' of four numbers", 'add bbox=[x, y, width, height] in pixels', ERROR),
    'box_small': Rule('box', 'narrower or lower than 1 pixel; mmdet skips them',
                      'remove them; boxes are [x, y, width, height] in pixels, not fractions of the image', WARNING),
    'box_outside': Rule('box', 'outside of the image; mmdet skips them',
                        "correct the boxes, or 'width' and 'height' of the images", WARNING),
    'area_missing': Rule('annotation', "without 'area', which mmdet requires", "add ann['area'] = the mask's area, or "
                         'width * height of the box', ERROR),
    'area_zero': Rule('annotation', "with 'area' 0; mmdet skips them silently", "write the mask's area in pixels",
                      WARNING),
}
# a few boxes over the border are careless drawing, many are another box format
BEYOND_SHARE = 0.1


def file_problems(coco: CocoFile, where: str) -> list[Problem]:
    """Faults of the annotations that no config can make good."""
    found = []
    if not coco.file_names:
        found.append(Problem(where, f"{coco.path} lists no images", 'use a file with images'))
    if not coco.categories:
        found.append(Problem(where, f"{coco.path} lists no categories", "add categories=[dict(id=1, name='...')]"))
    names = coco.class_names
    for name in sorted({name for name in names if names.count(name) > 1}):
        ids = [id for id, other in coco.categories if other == name]
        unused = [id for id in ids if not coco.instances[id]]
        found.append(Problem(
            where,
            f"{len(ids)} categories are named '{name}' (ids {some(ids)}), so the labels of mmdet shift",
            f"remove category {unused[0]}, which has no annotations, from 'categories'" if unused else
            'give every category its own name',
        ))
    for kind, rule in RULES.items():
        if kind in coco.faults:
            fault = coco.faults[kind]
            what = f'{count(fault.count, rule.noun)} {rule.what} (ids {some(fault.examples)}) in {coco.path}'
            found.append(Problem(where, what, rule.remedy, rule.level))
    beyond = coco.faults.get('box_beyond')
    if beyond and beyond.count > BEYOND_SHARE * coco.num_annotations:
        what = f'{beyond.count} of {coco.num_annotations} boxes reach beyond their image in {coco.path}'
        found.append(Problem(where, what, 'bbox is [x, y, width, height], not two corners', WARNING))
    return found


def annotation_problems(coco: CocoFile, where: str) -> list[Problem]:
    """No annotations, none that mmdet would use, or categories without any."""
    if coco.num_annotations == 0:
        what = f'{coco.path} has no annotations'
        return [Problem(where, what, 'use a file with annotations (an image_info file serves only for predictions)')]
    found = []
    if coco.num_usable == 0:
        what = f'mmdet would skip each of the {coco.num_annotations} annotations of {coco.path}'
        found.append(Problem(where, what, 'correct the boxes, areas and ids named above'))
    empty = [name for id, name in coco.categories if not coco.instances[id] and not coco.is_root(id, name)]
    if empty:
        what = f'{len(empty)} of {len(coco.categories)} categories have no annotations in {coco.path}: {some(empty)}'
        found.append(Problem(where, what, 'nothing to do if this is known; their AP cannot be measured', WARNING))
    return found


def mask_problems(coco: CocoFile, where: str, needed_by: str) -> list[Problem]:
    """Annotations without a usable 'segmentation' where masks are needed."""
    found = []
    if 'mask_missing' in coco.faults:
        fault = coco.faults['mask_missing']
        what = (f"{fault.count} of {coco.num_annotations} annotations have no 'segmentation' (ids "
                f'{some(fault.examples)}) in {coco.path}, but {needed_by}')
        found.append(Problem(where, what, 'add masks to the file, or train a box detector: a model without mask_head, '
                             "LoadAnnotations(with_bbox=True), metric='bbox'"))
    if 'mask_size' in coco.faults:
        fault = coco.faults['mask_size']
        what = f"{fault.count} masks with another 'size' than their image (ids {some(fault.examples)}) in {coco.path}"
        found.append(Problem(where, what, "'size' of an RLE is [height, width] of the image"))
    if 'mask_unreadable' in coco.faults:
        fault = coco.faults['mask_unreadable']
        what = (f"{fault.count} masks are neither polygons of at least 3 points nor RLE with 'counts' and 'size' (ids "
                f'{some(fault.examples)}) in {coco.path}; mmdet ignores their objects')
        found.append(Problem(where, what, DROP, WARNING))
    return found
