"""Ids, names, splits and the order of classes."""

import shutil
from collections.abc import Callable

from .case import accepted, refused, warned
from .data import Data, Seen, annotation, truth


def images(change: Callable[[dict], object]) -> Callable[[Data], object]:
    return lambda data: [change(image) for image in data.train['images']]


def both(change: Callable[[dict], object]) -> Callable[[Data], object]:
    return lambda data: [change(content) for content in data.both()]


def one(**changes: object) -> Callable[[Data], object]:
    return lambda data: data.anns[0].update(changes)


def category(index: int, **changes: object) -> Callable[[Data], object]:
    """Of both files."""
    return both(lambda content: content['categories'][index].update(changes))


def renumber(content: dict, numbers: dict) -> None:
    for one in content['categories']:
        one['id'] = numbers[one['id']]
    for ann in content['annotations']:
        ann['category_id'] = numbers[ann['category_id']]


def double(data: Data) -> None:
    """One file as two images, each with a part of its objects."""
    data.train['images'].append(data.train['images'][0] | {'id': 77})
    data.anns[1]['image_id'] = 77


def empty_double(data: Data) -> None:
    data.train['images'].append(data.train['images'][0] | {'id': 77})


def all_text(content: dict) -> None:
    for image in content['images']:
        image['id'] = str(image['id'])
    for ann in content['annotations']:
        ann['image_id'] = str(ann['image_id'])


def root(content: dict) -> None:
    """As Roboflow writes it."""
    content['categories'].insert(0, {'id': 0, 'name': 'animals', 'supercategory': 'none'})
    for one in content['categories'][1:]:
        one['supercategory'] = 'animals'


def same_file(data: Data) -> None:
    data.raw['val'] = data.raw['train'] = __import__('json').dumps(data.train).encode()


def same_everything(data: Data) -> None:
    same_file(data)
    data.settings['val_images'] = 'train2017'


def same_images(data: Data) -> None:
    """Two images of the training under their names, by a folder that both share."""
    for image in data.train['images'][:2]:
        name = f'shared_{image["file_name"]}'
        for split in ('train', 'val'):
            shutil.copy(data.image('train', image['file_name']), data.image(split, name))
        data.val['images'].append(image | {'id': image['id'] + 500, 'file_name': name})
        image['file_name'] = name


def same_content(data: Data) -> None:
    for number, image in enumerate(data.train['images'][:2]):
        name = f'other_{number}.jpg'
        shutil.copy(data.image('train', image['file_name']), data.image('val', name))
        data.val['images'].append(image | {'id': image['id'] + 500, 'file_name': name})


def val_for_train(data: Data) -> None:
    data.train, data.val = data.val, data.val | {'info': 'again'}


def many_objects(data: Data) -> None:
    """120 objects on an image of the evaluation, of which a detector may name 100."""
    data.val['annotations'] += [
        annotation(3000 + 3 * number, 101, 3, (2 + 7 * (number % 12), 2 + 7 * (number // 12), 6, 6))
        for number in range(120)
    ]


def without_annotations(seen: Seen) -> Seen:
    return seen | {'0001.jpg': seen['0001.jpg'][:1]}


IDS = [
    refused('ids', 'two categories with one id', category(1, id=3), 'id of another category.*ids 3'),
    refused('ids', 'names that are numbers', category(1, name=2), "'name' \\(text\\).*ids 8"),
    refused('ids', 'a name missing', both(lambda content: content['categories'][1].pop('name')), 'ids 8'),
    refused('ids', 'an empty name', category(1, name=''), 'ids 8'),
    refused('ids', 'a name of spaces', category(1, name='  '), 'ids 8'),
    refused('ids', 'a category without id', both(lambda content: content['categories'][1].pop('id')), "'id'"),
    refused('ids', 'no categories', both(lambda content: content.update(categories=[])), 'no categories'),
    refused('ids', 'two categories with one name', both(lambda content: content['categories'].append(
        {'id': 9, 'name': 'cat'})), "named 'cat'"),
    refused('ids', 'a category of an annotation missing', one(category_id=77), 'such as 77'),
    refused('ids', 'category ids from 0', lambda data: [ann.update(category_id=ann['category_id'] - 3)
                                                       for ann in data.anns], 'such as (0|5)'),
    refused('ids', 'category ids as text', lambda data: [ann.update(category_id=str(ann['category_id']))
                                                         for ann in data.anns], 'category_id is text'),
    refused('ids', 'category id null', one(category_id=None), 'ids 2'),
    refused('ids', 'category id a list', one(category_id=[3]), 'ids 2'),
    refused('ids', 'image ids as text in images', images(lambda image: image.update(id=str(image['id']))),
            'image_id is text'),
    refused('ids', 'image ids as text in annotations', lambda data: [ann.update(image_id=str(ann['image_id']))
                                                                     for ann in data.anns], 'image_id is text'),
    refused('ids', 'two images with one id', lambda data: data.train['images'][1].update(id=1), 'id of another image'),
    refused('ids', 'an image without id', lambda data: data.train['images'][1].pop('id'), "'id'"),
    refused('ids', 'one file as two images', double, r"file_name.*another image.*0001\.jpg"),
    refused('ids', 'one file as two images, one empty', empty_double, r'another image.*0001\.jpg'),
    refused('ids', 'two annotations with one id', one(id=3), 'id of another annotation.*ids 3'),
    refused('ids', 'annotations without ids', lambda data: [ann.pop('id') for ann in data.anns], "key 'id'"),
    refused('ids', 'annotations of images that are not there', lambda data: [ann.update(image_id=ann['image_id'] + 1000)
                                                                            for ann in data.anns], 'such as 1001'),
    warned('ids', 'an annotation of an image that is not there', one(image_id=900), 'such as 900',
           sees=without_annotations),
    refused('ids', 'val lacks a category', lambda data: (
        data.val['categories'].pop(),
        data.val.update(annotations=[ann for ann in data.val['annotations'] if ann['category_id'] == 3])),
        'dog'),
    refused('ids', 'val has another name', lambda data: data.val['categories'][1].update(name='Hund'), 'Hund'),
    warned('ids', 'names that differ in capitals', lambda data: (
        both(lambda content: content['categories'].append({'id': 9, 'name': 'Dog '}))(data),
        setattr(data, 'classes', ('cat', 'dog', 'Dog '))), 'nearly the same name'),
    accepted('ids', 'val numbers the names differently', lambda data: renumber(data.val, {3: 8, 8: 3})),
    accepted('ids', 'val has other ids', lambda data: renumber(data.val, {3: 1, 8: 2})),
    accepted('ids', 'image ids as text in both', both(all_text)),
    accepted('ids', 'category ids as text in both', both(lambda content: renumber(content, {3: '3', 8: '8'}))),
    accepted('ids', "a root category as Roboflow's", both(root)),
    accepted('ids', 'names of other scripts', lambda data: (
        category(0, name='猫')(data), setattr(data, 'classes', ('猫', 'dog'))),
        sees=lambda seen: {name: [(label.replace('cat', '猫'), *rest) for label, *rest in found]
                           for name, found in seen.items()}),
]  # fmt: skip
SPLITS = [
    refused('splits', "val's annotations for the images of train", val_for_train,
            'annotations of another split|images of train|annotations of train', folder='warned',
            data_option='warned', sees=lambda _: truth('val')),
    refused('splits', "train's annotations for the images of val",
            lambda data: setattr(data, 'val', data.train | {'info': 'again'}),
            'annotations of another split|6 of its 6', folder='warned', data_option='warned'),
    refused('splits', 'one annotation file for two folders', same_file, 'annotations of', folder='warned',
            data_option='warned'),
    warned('splits', 'one annotation file and folder for both', same_everything, 'annotations of'),
    warned('splits', 'two images in both, by name and content', same_images, '2 of its 6 images', sees=None),
    warned('splits', 'two images in both, by content', same_content, '2 of its 6 images.*same bytes'),
    warned('splits', 'more objects than detections', many_objects, '1 images? .*more objects', folder='accepted'),
    accepted('splits', 'the same names in two folders', lambda data: [
        (shutil.move(data.image('val', image['file_name']), data.image('val', f'{number:04}.jpg')),
         image.update(file_name=f'{number:04}.jpg')) for number, image in enumerate(data.val['images'], 1)]),
    accepted('splits', 'the same ids in two files', lambda data: [
        ann.update(image_id=ann['image_id'] - 100) for ann in data.val['annotations']] and [
        image.update(id=image['id'] - 100) for image in data.val['images']]),
]  # fmt: skip
HEALTHY = [
    accepted('healthy', 'as it is', lambda _: None),
    accepted('healthy', 'classes in another order than the file',
             lambda data: setattr(data, 'classes', ('dog', 'cat'))),
    accepted('healthy', 'categories of both files in another order',
             both(lambda content: content['categories'].reverse())),
    accepted('healthy', 'categories of val in another order', lambda data: data.val['categories'].reverse()),
    accepted('healthy', 'categories of train in another order', lambda data: data.train['categories'].reverse()),
    accepted('healthy', 'another order and other ids in val', lambda data: (
        data.val['categories'].reverse(), renumber(data.val, {3: 20, 8: 10}))),
    accepted('healthy', 'images without objects', lambda data: data.train.update(
        annotations=[ann for ann in data.anns if ann['image_id'] != 2]),
        sees=lambda seen: seen | {'0002.jpg': []}),
    accepted('healthy', 'keys that nobody knows', lambda data: [
        ann.update(attributes={'occluded': False}, score=None) for ann in data.anns]),
    accepted('healthy', 'without info and licences', both(lambda content: content.pop('info', None))),
    accepted('healthy', 'annotations in another order', lambda data: data.anns.reverse()),
]  # fmt: skip
CASES = IDS + SPLITS + HEALTHY
