"""The lines that describe a file, whole."""

from pathlib import Path

from swin_mmdet.datasets.coco_file import summarise
from swin_mmdet.datasets.describe import describe


def coco(sides: list[float], categories: str = 'ab', crowds: int = 0) -> dict:
    return dict(
        images=[dict(id=1, file_name='a', width=600, height=400), dict(id=2, file_name='b', width=640, height=480),
                dict(id=3, file_name='c', width=300, height=200)],
        categories=[dict(id=id, name=name * id) for id, name in enumerate(categories, 1)],
        annotations=[dict(id=id, image_id=1, category_id=2 if id > 1 else 1, bbox=[0, 0, side, side], area=side**2,
                          iscrowd=int(id <= crowds)) for id, side in enumerate(sides, 1)],
    )  # fmt: skip


def test_a_file_whole():
    found = describe(summarise(Path('a.json'), coco([10, 31.9, 32, 95.9, 96], crowds=1)))
    assert found.splitlines() == [
        'a.json',
        '  images       3, 2 without annotations',
        '  annotations  5, 1 of them crowds',
        '  image sizes  min 300 x 200, median 600 x 400, max 640 x 480',
        '  object sizes min 10, 10 % 19, median 32, 90 % 96, max 96 px (square root of the box area); '
        '40% small, 40% medium, 20% large',
        '  classes      2',
        '    bb  4',
        '    a   1',
    ]


def test_as_many_classes_as_asked_for():
    found = summarise(Path('a.json'), coco([10, 20, 20], 'abcd'))
    assert describe(found, max_classes=2).splitlines()[-4:] == [
        '  classes      4', '    bb  2', '    a   1', '    and 2 more classes with 0 annotations']  # fmt: skip
    assert describe(found, max_classes=4).splitlines()[-1] == '    dddd  0'
    assert describe(found, max_classes=1).splitlines()[-1] == '    and 3 more classes with 1 annotations'
    many = summarise(Path('a.json'), coco([10], 'a' * 21))
    assert describe(many).splitlines()[-1] == '    and 1 more classes with 0 annotations'


def test_a_file_of_nothing():
    found = describe(summarise(Path('a.json'), dict(images=[], categories=[], annotations=[])))
    assert found.splitlines() == [
        'a.json', '  images       0, 0 without annotations', '  annotations  0, 0 of them crowds', '  classes      0',
    ]  # fmt: skip
