"""Sizes, boxes, areas and flags: of other formats and types, and sound ones."""

from collections.abc import Callable

from PIL import Image

from .case import accepted, refused, warned
from .data import HEIGHT, WIDTH, Data, Seen, annotation, picture


def sizes(change: Callable[[dict], dict]) -> Callable[[Data], object]:
    return lambda data: [image.update(change(image)) for image in data.train['images']]


def each(change: Callable[[dict], dict], masks: bool = True) -> Callable[[Data], object]:
    """Of every annotation of the training; without masks, of both files."""

    def spoil(data: Data) -> None:
        if not masks:
            without_masks(data)
        for ann in data.anns:
            ann.update(change(ann))

    return spoil


def one(**changes: object) -> Callable[[Data], object]:
    return lambda data: data.anns[0].update(changes)


def without_masks(data: Data) -> None:
    for content in data.both():
        for ann in content['annotations']:
            del ann['segmentation']
            ann['area'] = ann['bbox'][2] * ann['bbox'][3]
    data.settings['masks'] = False


def corners(ann: dict) -> dict:
    x, y, w, h = ann['bbox']
    return {'bbox': [x, y, x + w, y + h]}


def centres(ann: dict) -> dict:
    x, y, w, h = ann['bbox']
    return {'bbox': [x + w / 2, y + h / 2, w, h]}


def fractions(ann: dict) -> dict:
    return {'bbox': [value / (WIDTH, HEIGHT)[index % 2] for index, value in enumerate(ann['bbox'])]}


def yolo(ann: dict) -> dict:
    return fractions(centres(ann))


def exchanged(ann: dict) -> dict:
    x, y, w, h = ann['bbox']
    return {'bbox': [y, x, h, w]}


def of_original(factor: float, sized: bool) -> Callable[[Data], object]:
    """Annotations, and the sizes if wanted, of images that were made smaller by the factor."""

    def spoil(data: Data) -> None:
        for image in data.train['images'] if sized else ():
            image.update(width=round(WIDTH * factor), height=round(HEIGHT * factor))
        for ann in data.anns:
            ann['bbox'] = [value * factor for value in ann['bbox']]
            ann['area'] *= factor**2
            x, y, w, h = ann['bbox']
            ann['segmentation'] = [[x, y, x + w, y, x + w, y + h]]

    return spoil


def other_picture(data: Data) -> None:
    Image.fromarray(picture(5, 64, 90)).save(data.image())


def portrait(data: Data) -> None:
    """A file that a camera has turned, with annotations of the picture as it is stored."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(picture(2)).save(data.image(), 'JPEG', quality=92, exif=exif.tobytes())


def at_the_border(data: Data) -> None:
    data.anns[0] = annotation(2, 1, 8, (76, 60, 20, 20))
    data.anns[0]['bbox'] = [76.5, 60.5, 20.4, 20.2]


def upper_left(data: Data) -> None:
    """Where corners and sides are nearly the same numbers."""
    for content in data.both():
        content['annotations'] = [
            annotation(ann['id'], ann['image_id'], ann['category_id'], (1, 2, 40 + index, 30 + index))
            for index, ann in enumerate(content['annotations'])
        ]


def whole_images(data: Data) -> None:
    for content in data.both():
        content['annotations'] = [
            annotation(ann['id'], ann['image_id'], ann['category_id'], (0, 0, WIDTH, HEIGHT))
            for ann in content['annotations']
        ]


def without_one(index: int) -> Callable[[Seen], Seen]:
    """The first image without its first or second object."""

    def sees(seen: Seen) -> Seen:
        return seen | {'0001.jpg': [obj for place, obj in enumerate(seen['0001.jpg']) if place != index]}

    return sees


def few_crowds(data: Data) -> None:
    data.anns[2]['iscrowd'] = 1


def floats(data: Data) -> None:
    for image in data.train['images']:
        image.update(width=float(WIDTH), height=float(HEIGHT))
    for ann in data.anns:
        ann['image_id'] = float(ann['image_id'])


CASES = [
    refused('numbers', 'sizes as text', sizes(lambda _: {'width': '96', 'height': '80'}), "'width' or 'height'"),
    refused('numbers', 'sizes as null', sizes(lambda _: {'width': None}), "'width' or 'height'"),
    refused('numbers', 'sizes of zero', sizes(lambda _: {'height': 0}), "'width' or 'height'"),
    refused('numbers', 'negative sizes', sizes(lambda _: {'height': -80}), "'width' or 'height'"),
    refused('numbers', 'sizes missing', lambda data: [image.pop('width') for image in data.train['images']], "'width'"),
    refused('numbers', 'width and height exchanged', sizes(lambda _: {'width': 80, 'height': 96}),
            "exchanged|another 'size'"),
    refused('numbers', 'everything of a larger original', of_original(4, True), r'0001\.jpg is 96x80, not 384x320'),
    refused('numbers', 'everything of a smaller copy', of_original(0.5, True), r'0001\.jpg is 96x80, not 48x40'),
    refused('numbers', 'sizes alone of an original', sizes(lambda _: {'width': 192, 'height': 160}),
            "96x80, not|another 'size'"),
    refused('numbers', 'boxes of a larger original', of_original(3, False), 'larger original'),
    refused('numbers', 'another picture', other_picture, r'0002\.jpg is 64x90, not 96x80'),
    refused('numbers', 'turned by exif', portrait, r'0002\.jpg is 80x96.*EXIF'),
    refused('numbers', 'boxes as corners', each(corners), r'are \[x1, y1, x2, y2\]'),
    refused('numbers', 'boxes as corners without masks', each(corners, False), r'are \[x1, y1, x2, y2\]'),
    refused('numbers', 'boxes by their centres', each(centres), r'are \[centre x'),
    refused('numbers', 'boxes by their centres without masks', each(centres, False), r'are \[centre x|beyond'),
    refused('numbers', 'boxes as fractions', each(fractions), 'in fractions of the image'),
    refused('numbers', 'boxes as fractions without masks', each(fractions, False), 'in fractions of the image'),
    refused('numbers', 'boxes as of yolo', each(yolo), r'are \[centre x.*in fractions'),
    refused('numbers', 'boxes with y before x', each(exchanged), 'elsewhere|box'),
    refused('numbers', 'a box of three numbers', one(bbox=[1, 2, 3]), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box of text', one(bbox=['10', '20', '30', '40']), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box of null', one(bbox=None), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box with nan', one(bbox=[1, 2, float('nan'), 3]), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box with infinity', one(bbox=[1, 2, float('inf'), 3]), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box as an object', one(bbox={'x': 1, 'y': 2}), "'bbox' of four numbers.*ids 2"),
    refused('numbers', 'a box without bbox', lambda data: data.anns[0].pop('bbox'), "'bbox' of four numbers.*ids 2"),
    warned('numbers', 'a box of no width', one(bbox=[40, 30, 0, 20]), 'ids 2', sees=None),
    warned('numbers', 'a box outside', lambda data: (without_masks(data), one(bbox=[300, 300, 20, 20])(data)), 'ids 2',
           sees=None),
    refused('numbers', 'areas as fractions', each(lambda _: {'area': 0.05}), 'a fraction'),
    refused('numbers', 'areas as text', each(lambda ann: {'area': str(ann['area'])}), "'area' that is no number"),
    refused('numbers', 'areas missing', lambda data: [ann.pop('area') for ann in data.anns], "without 'area'"),
    refused('numbers', 'areas of nan', each(lambda _: {'area': float('nan')}), "'area' that is no number"),
    refused('numbers', 'areas of zero', each(lambda _: {'area': 0}), 'skip each'),
    warned('numbers', 'an area of zero', one(area=0), 'ids 2', sees=None),
    warned('numbers', 'areas of a larger image', each(lambda ann: {'area': ann['area'] * 16}), 'not that of an object'),
    refused('numbers', 'iscrowd as text', each(lambda _: {'iscrowd': '0'}), 'neither 0 nor 1'),
    refused('numbers', 'iscrowd as false in text', each(lambda _: {'iscrowd': 'false'}), 'neither 0 nor 1'),
    refused('numbers', 'iscrowd of 2', one(iscrowd=2), 'neither 0 nor 1.*ids 2'),
    refused('numbers', 'ignore as text', each(lambda _: {'ignore': 'no'}), 'neither 0 nor 1'),
    refused('numbers', 'everything a crowd', each(lambda _: {'iscrowd': 1}), '10 of 10 annotations'),
    warned('numbers', 'most a crowd', lambda data: [ann.update(iscrowd=1) for ann in data.anns[:7]],
           '7 of 10 annotations', sees=None),
    # healthy neighbours
    accepted('numbers', 'boxes at the upper left', upper_left, sees=None),
    accepted('numbers', 'boxes of whole images', whole_images, sees=None),
    accepted('numbers', 'a box at the border', at_the_border, sees=None),
    accepted('numbers', 'a crowd among objects', few_crowds, sees=None),
    accepted('numbers', 'whole numbers as floats', floats),
    accepted('numbers', 'iscrowd as booleans', each(lambda _: {'iscrowd': False})),
    accepted('numbers', 'iscrowd missing', lambda data: [ann.pop('iscrowd') for ann in data.anns]),
    accepted('numbers', 'boxes without masks', without_masks,
             sees=lambda seen: {name: [(label, box, 0) for label, box, _ in found] for name, found in seen.items()}),
    accepted('numbers', 'whole numbers', each(lambda ann: {'bbox': [int(value) for value in ann['bbox']]})),
]  # fmt: skip
