"""Problems that an annotation file and its image folder have by themselves, whatever the config."""

from collections import defaultdict
from collections.abc import Sequence
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
    'image_id': Rule('image', 'with an id that is neither a number nor text', 'number the images: 1, 2, 3, ...', ERROR),
    'image_name': Rule('image', "with a 'file_name' that is no text", 'name the image file in it', ERROR),
    'image_size': Rule('image', "with a 'width' or 'height' that is no number of pixels",
                       "write both as numbers without quotation marks, such as 'width': 640", ERROR),
    'category_keys': Rule('category', "without an 'id' (a number or text) or a 'name' (text)",
                          "write such as dict(id=1, name='cat')", ERROR),
    'image_name_twice': Rule('image', "with the 'file_name' of another image, so that each has a part of its objects",
                             'list every file once, with all of its annotations', ERROR),
    'image_id_type': Rule('annotation', 'whose image_id is text where the id of the image is a number, or the other '
                          'way round', 'write both as numbers without quotation marks', ERROR),
    'category_id_type': Rule('annotation', 'whose category_id is text where the id of the category is a number, or the '
                             'other way round', 'write both as numbers without quotation marks', ERROR),
    'category_id_twice': Rule('category', 'with the id of another category, which takes its annotations',
                              'give every category its own id, and category_id of its annotations', ERROR),
    'image_id_twice': Rule('image', 'with the id of another image, which takes its annotations',
                           'number the images anew', ERROR),
    'annotation_id_twice': Rule('annotation', 'with the id of another annotation; mmdet refuses the file',
                                "number the annotations anew: ann['id'] = 1, 2, 3, ...", ERROR),
    'annotation_id_missing': Rule('annotation', "without the key 'id'",
                                  "number the annotations: ann['id'] = 1, 2, 3, ...", ERROR),
    'annotation_id': Rule('annotation', 'with an id that is neither a number nor text',
                          "number the annotations: ann['id'] = 1, 2, 3, ...", ERROR),
    'annotation_of': Rule('annotation', "without 'image_id' or 'category_id', or with one that is no number or text",
                          'write the id of its image and of its category', ERROR),
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
    'area_value': Rule('annotation', "with an 'area' that is no number",
                       "write it without quotation marks: the mask's area in pixels", ERROR),
    'iscrowd_value': Rule('annotation', "with an 'iscrowd' that is neither 0 nor 1; text counts as 1, whatever it says",
                          'write 0 for an object, 1 for a crowd', ERROR),
    'ignore_value': Rule('annotation', "with an 'ignore' that is neither 0 nor 1; text counts as 1, whatever it says",
                         "write 0, or leave 'ignore' out, where the annotation is to be used", ERROR),
    'area_fraction': Rule('annotation', "with an 'area' of at most 1 and a box of many pixels: a fraction?",
                          "write the mask's area in pixels: it decides which objects count as small, medium and large",
                          ERROR),
    'area_other': Rule('annotation', "with an 'area' that is not that of an object in its box",
                       "write the mask's area in pixels: it decides which objects count as small, medium and large",
                       WARNING),
    'area_zero': Rule('annotation', "with 'area' 0; mmdet skips them silently", "write the mask's area in pixels",
                      WARNING),
}
MASKS = {
    'mask_missing': (
        "have no 'segmentation'",
        'add masks to the file, or train a box detector: a model without mask_head, LoadAnnotations(with_bbox=True), '
        "metric='bbox'",
    ),
    'mask_flat': (
        'have a mask that is a flat list of coordinates', 'put the list into another: [[x1, y1, x2, y2, ...]]',
    ),
    'mask_points': ('have polygons of points [x, y]', 'write polygons as flat lists: [[x1, y1, x2, y2, ...]]'),
    'mask_numbers': ('have polygons with NaN, null, text or numbers far beyond any image', DROP),
    'mask_type': ('have a mask that is neither a list of polygons nor an RLE', DROP),
    'mask_size': (
        "have masks with another 'size' than their image", "'size' of an RLE is [height, width] of the image",
    ),
    'mask_counts': (
        "have an RLE whose 'counts' do not fill the image, as if cut off",
        "'counts' are run lengths of background and object in turn, column by column; their sum is height * width",
    ),
    'mask_path': (
        'have the name of a file as their mask',
        "write polygons or run lengths into 'segmentation'; pycocotools.mask.encode makes them from an image",
    ),
    'mask_bytes': (
        "have an RLE whose 'counts' are the text of a bytes object (b'...')",
        "write rle['counts'].decode() when the file is made, not str(rle['counts'])",
    ),
    'mask_bitmap': (
        'have a mask that is a table of 0 and 1', 'write polygons or run lengths: pycocotools.mask.encode makes them',
    ),
    'mask_empty': ('have masks without a single pixel', 'correct or remove them in the file'),
    'mask_elsewhere': (
        'have masks that lie elsewhere than their boxes',
        "correct 'bbox' or 'segmentation': both are in pixels of the image, x before y",
    ),
    'mask_unreadable': (
        "have masks that are neither polygons of at least 3 points nor RLE with 'counts' and 'size'", DROP,
    ),
}  # fmt: skip
# a few boxes over the border are careless drawing
BEYOND_SHARE = 0.1
# more are no careless drawing
WRONG_SHARE = 0.5
# masks without a pixel: COCO itself has some
FEW_EMPTY = 0.01
# in COCO it is one of a hundred; some programs write it for every mask in run lengths
MANY_CROWDS = 0.5


# what boxes of another format bring with them
EXPLAINED_BY_FORMAT = {'box_small', 'box_outside'}


def file_problems(coco: CocoFile, where: str) -> list[Problem]:
    """Faults of the annotations that no config can make good."""
    found = []
    if not coco.file_names:
        found.append(Problem(where, f"{coco.path} lists no images", 'use a file with images', kind='no_images'))
    if not coco.categories:
        found.append(Problem(where, f"{coco.path} lists no categories", "add categories=[dict(id=1, name='...')]",
                             kind='no_categories'))
    names = coco.class_names
    for name in sorted({name for name in names if names.count(name) > 1}):
        ids = [id for id, other in coco.categories if other == name]
        unused = [id for id in ids if not coco.instances[id]]
        found.append(Problem(
            where,
            f"{len(ids)} categories are named '{name}' (ids {some(ids)}), so the labels of mmdet shift",
            f"remove category {unused[0]}, which has no annotations, from 'categories'" if unused else
            'give every category its own name',
            kind='category_name_twice',
        ))
    found += _similar_names(coco, where)
    for kind, rule in RULES.items():
        if kind in coco.faults and not (coco.box_format and kind in EXPLAINED_BY_FORMAT):
            fault = coco.faults[kind]
            values = f'; such as {some(fault.values)}' if fault.values else ''
            what = f'{count(fault.count, rule.noun)} {rule.what} (ids {some(fault.examples)}{values}) in {coco.path}'
            most = kind == 'image_unknown' and fault.count > WRONG_SHARE * coco.num_annotations
            found.append(Problem(where, what, rule.remedy, ERROR if most else rule.level, kind))
    return found + _box_problems(coco, where)


def _similar_names(coco: CocoFile, where: str) -> list[Problem]:
    """Names that differ only in capital letters or spaces."""
    alike = defaultdict(list)
    for name in dict.fromkeys(coco.class_names):
        alike[' '.join(name.split()).casefold()].append(name)
    return [
        Problem(where, f'categories with nearly the same name in {coco.path}: {some([repr(name) for name in names])}',
                'nothing to do if they differ in meaning; else give their annotations one category', WARNING,
                'category_similar')
        for names in alike.values()
        if len(names) > 1
    ]  # fmt: skip


def _box_problems(coco: CocoFile, where: str) -> list[Problem]:
    """Boxes of another format, or many over the border of their images."""
    if coco.box_format:
        what = f'the boxes of {coco.path} are {coco.box_format.words}: {coco.box_format.evidence}'
        return [Problem(where, what, 'write bbox=[x, y, width, height] in pixels', ERROR, 'box_format')]
    beyond, outside = (coco.faults[kind].count if kind in coco.faults else 0 for kind in ('box_beyond', 'box_outside'))
    number, all_of_them = beyond + outside, coco.num_annotations
    if number <= (BEYOND_SHARE if beyond else WRONG_SHARE) * all_of_them:
        return []
    what = f'{number} of {all_of_them} boxes reach beyond their image in {coco.path}'
    remedy = 'bbox is [x, y, width, height] in pixels of the image, not two corners, and not of a larger original'
    many = number > WRONG_SHARE * all_of_them
    return [Problem(where, what, remedy, ERROR if many else WARNING, 'box_beyond')]


def annotation_problems(coco: CocoFile, where: str) -> list[Problem]:
    """No annotations, none that mmdet would use, or categories without any."""
    if coco.num_annotations == 0:
        what = f'{coco.path} has no annotations'
        return [Problem(where, what, 'use a file with annotations (an image_info file serves only for predictions)',
                        kind='no_annotations')]
    found = []
    if coco.num_usable == 0 and not coco.box_format:
        what = f'mmdet would skip each of the {coco.num_annotations} annotations of {coco.path}'
        found.append(Problem(where, what, 'correct the boxes, areas and ids named above', kind='none_usable'))
    if coco.num_crowds > MANY_CROWDS * coco.num_annotations:
        what = f'{coco.num_crowds} of {coco.num_annotations} annotations of {coco.path} have iscrowd=1'
        what += ': groups of objects, from which nothing is learnt and on which nothing is measured'
        level = ERROR if coco.num_crowds == coco.num_annotations else WARNING
        found.append(Problem(where, what, 'write iscrowd=0 for single objects, also for those with RLE masks', level,
                             'many_crowds'))
    empty = [name for id, name in coco.categories if not coco.instances[id] and not coco.is_root(id, name)]
    if empty:
        what = f'{len(empty)} of {len(coco.categories)} categories have no annotations in {coco.path}: {some(empty)}'
        remedy = 'nothing to do if this is known: such a class is neither learnt nor measured there'
        found.append(Problem(where, what, remedy, WARNING, 'category_empty'))
    return found


def filter_problems(coco: CocoFile, where: str, classes: Sequence[str], filter_cfg: dict) -> list[Problem]:
    """No image that `filter_cfg` of a training data set lets pass, and many that it does not."""
    least = filter_cfg.get('min_size') or 0
    small = int((coco.image_sizes.min(axis=1) < least).sum()) if len(coco.image_sizes) else 0
    of_classes = sum(number for id, number in coco.instances.items() if dict(coco.categories).get(id) in classes)
    what = f'filter_cfg leaves no image of {coco.path}: '
    if small and small == len(coco.image_sizes):
        return [Problem(where, f'{what}all are smaller than min_size={least}', 'set filter_cfg.min_size=0')]
    if filter_cfg.get('filter_empty_gt') and coco.num_annotations and not of_classes:
        return [Problem(where, f'{what}none has an object of the classes {some(list(classes))}', 'correct the classes')]
    if small:
        what = f'filter_cfg leaves out {small} of {len(coco.image_sizes)} images, smaller than min_size={least}'
        return [Problem(where, f'{what}, in {coco.path}', 'set filter_cfg.min_size=0 to train on them', WARNING)]
    return []


def mask_problems(coco: CocoFile, where: str, needed_by: str, *, measured: bool = False) -> list[Problem]:
    """Annotations without a usable 'segmentation' where masks are needed, also for evaluation if `measured`."""
    found = []
    for kind, (what, remedy) in MASKS.items():
        if kind in coco.faults:
            fault = coco.faults[kind]
            number = f'{fault.count} of {coco.num_annotations} annotations'
            what = f'{number} {what} (ids {some(fault.examples)}) in {coco.path}'
            if kind == 'mask_missing':
                what += f', but {needed_by}'
            some_only = fault.count <= WRONG_SHARE * coco.num_annotations
            ignored = kind == 'mask_unreadable' and not measured and some_only
            few = kind == 'mask_empty' and fault.count <= FEW_EMPTY * coco.num_annotations
            found.append(Problem(where, what + '; mmdet ignores their objects' * ignored, remedy,
                                 WARNING if ignored or few else ERROR, kind))
    return found
