"""Each problem that the check of a file or of a config finds: its level, kind, place, words and remedy."""

import copy
import io
import json
import logging
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from PIL import Image

from swin_mmdet.datasets import read_coco
from swin_mmdet.datasets.check import check_file, find_problems
from swin_mmdet.datasets.problems import Problem
from tests.datasets.words import words_of

WIDTH, HEIGHT = 60, 40
POLYGON = [10, 20, 30, 20, 30, 26, 10, 26]
GOOD = dict(image_id=1, category_id=3, bbox=[10, 20, 20, 6], area=120, iscrowd=0, segmentation=[POLYGON])
RLE = dict(size=[HEIGHT, WIDTH], counts=[420, 6, WIDTH * HEIGHT - 426])
LARGE = dict(width=2 * WIDTH, height=2 * HEIGHT)


def data(*anns: dict, names=('a.png',), categories=('cat',), **image) -> dict:
    """A COCO file of images with these names, each of WIDTH x HEIGHT unless `image` says more of them."""
    size = dict(width=WIDTH, height=HEIGHT) | image
    return dict(
        images=[dict(id=id, file_name=name, **size) for id, name in enumerate(names, 1)],
        categories=[dict(id=id, name=name) for id, name in enumerate(categories, 3)],
        annotations=[dict(id=id) | GOOD | dict(one) for id, one in enumerate(anns or ({},), 1)],
    )


def many(number: int, wrong: int, **changes) -> dict:
    """Annotations of which the first `wrong` ones have other values."""
    return data(*[changes if id < wrong else {} for id in range(number)])


def without(what: str, key: str) -> dict:
    made = data()
    del made[what][0][key]
    return made


EMPTY = data() | dict(annotations=[])
FOREST = dict(bbox=[40, 0, 10, 9], area=90, segmentation=[[40, 0, 50, 0, 50, 9, 40, 9]])
FILES = {
    'nothing': data(),
    'no images': data() | dict(images=[], annotations=[]),
    'no categories': data() | dict(categories=[], annotations=[]),
    'no annotations': EMPTY,
    'one category without annotations': data(categories=('cat', 'dog')),
    'a name twice': data(categories=('cat', 'dog', 'cat')),
    'a name twice, both in use': data({}, dict(category_id=4), categories=('cat', 'cat')),
    'names nearly the same': data({}, dict(category_id=4), categories=('cat', 'Cat ')),
    'two unknown images of three': data(dict(image_id=8), dict(image_id=9), {}),
    'one unknown image of two': data(dict(image_id=8), {}),
    'unknown category': data(dict(category_id=8), dict(category_id=8), {}),
    'ids twice': data(dict(id=2), {}),
    'none is usable': data(dict(area=0)),
    **{f'{number} of 20 boxes beyond': many(20, number, bbox=[10, 20, 60, 6], area=360, segmentation=[
        [10, 20, 69, 20, 69, 26, 10, 26]]) for number in (2, 3, 10, 11)},
    **{f'{number} of 4 boxes outside': many(4, number, bbox=[70, 20, 20, 6], segmentation=[
        [70, 20, 90, 20, 90, 26, 70, 26]]) for number in (2, 3)},
    'boxes are corners': many(3, 3, bbox=[10, 20, 30, 26]),
    **{f'{number} of 4 are crowds': many(4, number, iscrowd=1) for number in (2, 3, 4)},
    'areas': data(dict(area=1), dict(area=1.01), dict(area=0.2, bbox=[10, 20, 4, 3.9], segmentation=[
        [10, 20, 14, 20, 14, 23.9, 10, 23.9]]), dict(area=148), dict(area=149), dict(area='5'), dict(area=None)),
    'small areas': data({}, dict(FOREST, area=1.5), dict(bbox=[0, 0, 60, 40], area=4.7, segmentation=None),
                        dict(bbox=[0, 0, 60, 40], area=4.9, segmentation=None)),
    'flags': data(dict(iscrowd='0'), dict(ignore='no'), dict(iscrowd=None), dict(ignore=1), {}),
    'masks of another object': data(dict(segmentation=[[40, 0, 50, 0, 50, 9]]), {}),
    'masks a little to the side': data(dict(segmentation=[[28, 20, 48, 20, 48, 26, 28, 26]]), dict(segmentation=[
        [26, 20, 46, 20, 46, 26, 26, 26]]), {}),
    **{f'mask {name}': data(dict(segmentation=mask), {}) for name, mask in dict(
        missing=None, flat=POLYGON, points=[[[10, 20], [30, 20], [30, 26]]], numbers=[[None] * 6], type=7,
        size=dict(size=[WIDTH, HEIGHT], counts=[2400]), counts=dict(size=[HEIGHT, WIDTH], counts=[5]), path='a.PNG',
        bytes=dict(size=[HEIGHT, WIDTH], counts='b"x"'), bitmap=np.zeros((HEIGHT, WIDTH), int).tolist(),
        empty=[[70, 1, 80, 1, 80, 9]], unreadable=[[1, 2, 3, 4]],
    ).items()},
    'masks unreadable, most': data(*[dict(segmentation=[[1, 2, 3, 4]])] * 2, {}),
    'masks empty, one of a hundred': many(100, 1, segmentation=[[70, 1, 80, 1, 80, 9]]),
    'masks empty, two of a hundred': many(100, 2, segmentation=[[70, 1, 80, 1, 80, 9]]),
    'masks of none': data(dict(segmentation=None)),
    'image missing': data(names=('a.png', 'b.png')),
    'images missing, most': data(names=('a.png', 'b.png', 'c.png')),
    'image outside': data(names=('../a.png', '../a.png')),
    'images outside': data(names=('../c.png', '../a.png')),
    'images of addresses': data(names=('https://host/z.png',)),
    'images with backslashes': data(names=('sub\\d.png', 'sub\\e.png')),
    'images encoded': data(names=('b%20c.png',)),
    'images with spaces': data(names=(' a.png ',)),
    'images in capital letters': data(names=('A.PNG',)),
    'images of the folder': data(names=('images/a.png',)),
    'images of a folder between': data(names=('x/a.png',)),
    'images of a sibling': data(names=('other.png',)),
    'image of another size': data(names=('a.png', 'wide.png')),
    'images of another size, turned': data(width=HEIGHT, height=WIDTH),
    'images of another size, scaled': data(**LARGE),
    'images of another size, by one pixel': data(width=WIDTH + 1),
    'image that is none': data(names=('a.png', 'none.png')),
    'image that is tiny': data(names=('tiny.png',), width=9, height=2),
    'images that are long': data(names=('long.png', 'longer.png'), width=0, height=0),
    'images of one colour': data(names=('blank.png', 'a.png')),
    'images that are dark': data(names=('dark.png', 'a.png')),
    'images of few bits of many': data(names=('deep.png',)),
    'images of other formats': data(names=('a.png', 'jpeg.png')),
    'images of several pictures': data(names=('several.tif', 'a.png')),
    **{f'without {key}': without('annotations', key) for key in ('id', 'image_id', 'category_id', 'bbox', 'area')},
    **{f'image without {key}': without('images', key) for key in ('id', 'file_name', 'width')},
    **{f'category without {key}': without('categories', key) for key in ('id', 'name')},
}  # fmt: skip


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Images, and beside their folder that of another split."""
    top = tmp_path_factory.mktemp('top')
    path = top / 'images'
    (path / 'sub').mkdir(parents=True)
    (top / 'others').mkdir()
    rng = np.random.default_rng(0)

    def noise(height=HEIGHT, width=WIDTH, most=256, dtype=np.uint8):
        return rng.integers(0, most, (height, width)).astype(dtype)

    for name in ('a', 'b c', 'sub/d', 'sub/e', '../others/other'):
        Image.fromarray(noise()).save(path / f'{name}.png')
    for name, size in dict(wide=(30, 70), tiny=(2, 9), long=(3, 61), longer=(3, 301)).items():
        Image.fromarray(noise(*size)).save(path / f'{name}.png')
    Image.fromarray(noise() // 64).save(path / 'dark.png')
    Image.new('L', (WIDTH, HEIGHT), 7).save(path / 'blank.png')
    cv2.imwrite(str(path / 'deep.png'), noise(most=4096, dtype=np.uint16))
    Image.fromarray(noise()).save(path / 'jpeg.png', 'JPEG')
    Image.fromarray(noise()).save(path / 'several.tif', save_all=True, append_images=[Image.fromarray(noise())])
    (path / 'none.png').write_bytes(b'<html>')
    return path


def lines(problems: list[Problem], folder: Path, tmp_path: Path) -> list[str]:
    made = [f'{one.level} {one.kind or "-"} | {one.where} | {one.what} | {one.remedy!r}' for one in problems]
    return [line.replace(str(folder.parent), 'TOP').replace(str(tmp_path), 'DATA') for line in made]


def told_of_file(content: dict, folder: Path, tmp_path: Path) -> list[str]:
    (tmp_path / 'a.json').write_text(json.dumps(content))
    return lines(check_file(read_coco(tmp_path / 'a.json'), folder), folder, tmp_path)


@pytest.mark.parametrize('case', FILES)
def test_problems_of_a_file_word_for_word(case: str, folder: Path, tmp_path: Path):
    assert told_of_file(FILES[case], folder, tmp_path) == words_of('check_file')[case]


LOADING = [dict(type='LoadImageFromFile'), dict(type='LoadAnnotations', with_bbox=True, with_mask=True)]
TWO = data({}, dict(category_id=4), categories=('cat', 'dog'))
VAL = data({}, dict(category_id=4), categories=('cat', 'dog'), names=('b c.png',))


def config(train: dict | None = None, val: dict | None = None, *, evaluator: dict | None = None, **settings) -> tuple:
    """Contents of the two annotation files and settings: dotted keys of a config with values."""
    made = {key.replace('__', '.'): value for key, value in settings.items()}
    for key, value in (evaluator or {}).items():
        made |= {f'{split}_evaluator.{key}': value for split in ('val', 'test')}
    return train or TWO, val or VAL, made


def everywhere(key: str, value: object) -> dict:
    return {f'{split}_dataloader.dataset.{key}': value for split in ('train', 'val', 'test')}


DATASET = 'train_dataloader__dataset__'
ONE_OF_TWO = data({}, {}, categories=('cat', 'dog'))
CONFIGS = {
    'nothing': config(),
    'heads': config(model__roi_head__bbox_head=[dict(num_classes=80)] * 2),
    'heads of one class': config(model__roi_head__mask_head__num_classes=1),
    'no classes': config(**everywhere('metainfo', {})),
    'a letter is a class': config(**{f'{DATASET}metainfo': dict(classes='cat')}),
    'classes are a text of no class': config(**{f'{DATASET}metainfo': dict(classes='bird')}),
    'classes missing': config(**{f'{DATASET}metainfo': dict(classes=('cat', 'bird', 'cow'))}),
    'classes left out': config(**{f'{DATASET}metainfo': dict(classes=('cat',))}),
    'classes in another order': config(**{f'{DATASET}metainfo': dict(classes=('dog', 'cat'))}),
    'val in another order': config(val=VAL | dict(categories=VAL['categories'][::-1])),
    'val of other classes': config(val=data(names=('b c.png',))),
    'no annotations': config(val=VAL | dict(annotations=[])),
    'no annotations, format_only': config(val=VAL | dict(annotations=[]), evaluator=dict(format_only=True)),
    'all are too small': config(**{f'{DATASET}filter_cfg': dict(min_size=41)}),
    'none is too small': config(**{f'{DATASET}filter_cfg': dict(min_size=40)}),
    'some are too small': config(
        train=data({}, dict(image_id=2, category_id=4), names=('a.png', 'wide.png'), categories=('cat', 'dog'))
        | dict(images=[dict(id=1, file_name='a.png', width=60, height=40),
                       dict(id=2, file_name='wide.png', width=70, height=30)]),
        **{f'{DATASET}filter_cfg': dict(min_size=31)}),
    'none has an object of the classes': config(
        train=ONE_OF_TWO, **{f'{DATASET}filter_cfg': dict(filter_empty_gt=True), f'{DATASET}metainfo': dict(
            classes=('dog',))}),
    'masks missing in train': config(train=data({}, dict(category_id=4, segmentation=None), categories=('cat', 'dog'))),
    'masks missing in val': config(
        val=data({}, dict(category_id=4, segmentation=None), categories=('cat', 'dog'), names=('b c.png',))),
    'masks unreadable in val': config(
        val=data({}, dict(category_id=4, segmentation=[[1, 2]]), categories=('cat', 'dog'), names=('b c.png',))),
    'masks unreadable in train': config(
        train=data({}, dict(category_id=4, segmentation=[[1, 2]]), categories=('cat', 'dog'))),
    'masks not loaded': config(**{f'{DATASET}pipeline': [dict(type='LoadImageFromFile')]}),
    'polygons alone': config(
        train=data({}, dict(category_id=4, segmentation=RLE, bbox=[10, 20, 1, 6], area=6), categories=('cat', 'dog')),
        **{f'{DATASET}pipeline': [LOADING[0], LOADING[1] | dict(poly2mask=False)]}),
    'no images of train': config(**{f'{DATASET}data_prefix': dict()}),
    'no annotation file': config(**{f'{DATASET}ann_file': 'nowhere.json'}),
    'no image folder': config(**{f'{DATASET}data_prefix': dict(img='nowhere')}),
    'images missing in train': config(train=data(
        {}, dict(category_id=4), names=('a.png', 'z.png', 'b c.png', 'wide.png'), categories=('cat', 'dog'))),
    'images missing where they may be': config(
        train=data({}, dict(category_id=4), names=('a.png', 'b c.png', 'z.png'), categories=('cat', 'dog')),
        **{f'{DATASET}pipeline': [dict(type='LoadImageFromFile', ignore_empty=True), LOADING[1]]}),
    'a step that cannot be built': config(
        **{f'{DATASET}pipeline': [dict(type='LoadImageFromFile', nonsense=1), LOADING[1]]}),
    'the evaluator reads another file': config(evaluator=dict(ann_file='elsewhere.json')),
    'a list of evaluators': config(test_evaluator=[dict(type='Other'), dict(
        type='CocoMetric', metric='segm', ann_file='elsewhere.json')]),
    "mmdet's metric": config(
        val=data(dict(iscrowd=None, id=0), dict(category_id=4), categories=('cat', 'dog'), names=('b c.png',)),
        evaluator=dict(type='CocoMetric')),
    "mmdet's metric, format_only": config(
        val=data(dict(iscrowd=None, id=0), dict(category_id=4), categories=('cat', 'dog'), names=('b c.png',)),
        evaluator=dict(type='CocoMetric', format_only=True)),
    'more objects than detections': config(
        val=data(*[dict(category_id=3 + id % 2) for id in range(4)], categories=('cat', 'dog'), names=('b c.png',)),
        model__test_cfg=dict(rcnn=dict(max_per_img=3), rpn=dict(max_per_img=1))),
    'as many objects as detections': config(
        val=data(*[dict(category_id=3 + id % 2) for id in range(4)], categories=('cat', 'dog'), names=('b c.png',)),
        model__test_cfg=dict(rcnn=dict(max_per_img=4)), evaluator=dict(proposal_nums=(1, 2, 4))),
    'more objects than are counted': config(
        val=data(*[dict(category_id=3 + id % 2) for id in range(4)], categories=('cat', 'dog'), names=('b c.png',)),
        evaluator=dict(proposal_nums=(1, 3))),
    'one file for both': config(val=TWO, **{'val_dataloader.dataset.ann_file': 'train.json'}),
    'one file for both, other images': config(
        **{'val_dataloader.dataset.ann_file': 'train.json', 'val_dataloader.dataset.data_prefix': dict(img='copy')}),
    'images of train in val': config(
        val=data({}, dict(category_id=4), categories=('cat', 'dog'), names=('a.png', 'b c.png'))),
    'images of the same bytes': config(
        val=data({}, dict(category_id=4), categories=('cat', 'dog'), names=('copy.png', 'b c.png')),
        **{f'{split}_dataloader.dataset.data_prefix': dict(img='copy') for split in ('val', 'test')}),
    'semantic maps': config(
        model__roi_head__semantic_head=dict(num_classes=9), **{f'{DATASET}data_prefix': dict(img='images', seg='maps'),
                                             f'{DATASET}pipeline': [LOADING[0], LOADING[1] | dict(with_seg=True)]}),
    'other data': config(train_dataloader__dataset__type='LVISV1Dataset'),
    'data on a server': config(train_dataloader__dataset__ann_file='s3://bucket/a.json'),
    'images on a server': config(
        train_dataloader__dataset__pipeline=[
            dict(type='LoadImageFromFile', backend_args=dict(backend='petrel')), LOADING[1]]),
    'no step reads images': config(train_dataloader__dataset__pipeline=LOADING[1:]),
    'a mask head with class weights': config(model=dict(panoptic_head=dict(
        num_things_classes=2, num_stuff_classes=1, loss_cls=dict(class_weight=[1.0] * 80 + [0.1])))),
}  # fmt: skip


def told_of_config(case: tuple, folder: Path, tmp_path: Path) -> list[str]:
    train, val, settings = case
    for split, content in (('train', train), ('val', val)):
        (tmp_path / f'{split}.json').write_text(json.dumps(content))
    for name in ('copy/a.png', 'copy/copy.png', 'copy/b c.png', 'maps/b c.png'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        source = folder / ('b c.png' if name == 'copy/b c.png' else 'a.png')
        (tmp_path / name).write_bytes(source.read_bytes())
    (tmp_path / 'images').symlink_to(folder)

    def dataset(split):
        return dict(
            type='CocoDataset', data_root=str(tmp_path), ann_file=f'{split}.json', data_prefix=dict(img='images'),
            metainfo=dict(classes=('cat', 'dog')), pipeline=copy.deepcopy(LOADING),
        )  # fmt: skip

    evaluator = dict(type='swin_mmdet.CocoMetric', metric=['bbox', 'segm'], ann_file=str(tmp_path / 'val.json'))
    heads = dict(bbox_head=dict(num_classes=2), mask_head=dict(num_classes=2))
    cfg = Config(dict(
        model=dict(type='MaskRCNN', rpn_head=dict(num_classes=1), roi_head=heads),
        **{f'{split}_dataloader': dict(dataset=dataset('train' if split == 'train' else 'val'))
           for split in ('train', 'val', 'test')},
        **{f'{split}_evaluator': copy.deepcopy(evaluator) for split in ('val', 'test')},
    ))  # fmt: skip
    for key, value in settings.items():
        if key == 'model':
            cfg.model = value
        elif key.endswith(('metainfo', 'data_prefix', 'pipeline', 'test_evaluator')):
            *inner, last = key.split('.')
            node = cfg
            for part in inner:
                node = node[part]
            node[last] = value
        else:
            cfg.merge_from_dict({key: value})
    logged = io.StringIO()
    handler = logging.StreamHandler(logged)
    handler.setLevel(logging.INFO)
    logger = MMLogger.get_current_instance()
    logger.addHandler(handler)
    try:
        found = lines(find_problems(cfg)[0], folder, tmp_path)
    finally:
        logger.removeHandler(handler)
    return [f'log | {line}'.replace(str(tmp_path), 'DATA') for line in logged.getvalue().splitlines()] + found


@pytest.mark.parametrize('case', CONFIGS)
def test_problems_of_a_config_word_for_word(case: str, folder: Path, tmp_path: Path):
    assert told_of_config(CONFIGS[case], folder, tmp_path) == words_of('check_config')[case]
