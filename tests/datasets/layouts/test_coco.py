"""COCO files under any names and in any folders; their content stays as it is."""

import pytest

SQUARE = [4.0, 3.0, 20.0, 3.0, 20.0, 18.0, 4.0, 18.0]
CAT = ('cat', [4.0, 3.0, 16.0, 15.0], [SQUARE])


def coco(*names, **more):
    images = [{'id': id, 'file_name': name, 'width': 40, 'height': 30} for id, name in enumerate(names, 7)]
    anns = [{'id': image['id'], 'image_id': image['id'], 'category_id': 3, 'bbox': CAT[1], 'area': 240, 'iscrowd': 0,
             'segmentation': CAT[2]} for image in images]  # fmt: skip
    categories = [{'id': 3, 'name': 'cat'}]
    return {'info': {'year': 2026}, 'images': images, 'categories': categories, 'annotations': anns, **more}


@pytest.mark.parametrize(
    ('files', 'expected'),
    [
        # CVAT
        (
            {
                'annotations/instances_Train.json': coco('a.jpg'),
                'images/Train/a.jpg': None,
                'annotations/instances_Validation.json': coco('a.jpg'),
                'images/Validation/a.jpg': None,
            },
            {'train': ['images/Train/a.jpg'], 'val': ['images/Validation/a.jpg']},
        ),
        ({'annotations/instances_default.json': coco('a.jpg'), 'images/a.jpg': None}, {'train': ['images/a.jpg']}),
        # Label Studio
        ({'result.json': coco('images/0a-a.jpg'), 'images/0a-a.jpg': None}, {'train': ['images/0a-a.jpg']}),
        ({'result.json': coco('images\\a.jpg'), 'images/a.jpg': None}, {'train': ['images/a.jpg']}),
        (
            {'result.json': coco('../../files/data/media/upload/1/a.jpg'), 'images/a.jpg': None},
            {'train': ['images/a.jpg']},
        ),
        # Roboflow, in one more folder, with a test split
        *[
            (
                {f'x/{split}/_annotations.coco.json': coco('a.jpg') for split in ('train', 'valid', 'test')}
                | {f'x/{split}/a.jpg': None for split in ('train', 'valid', 'test')},
                {'train': ['x/train/a.jpg'], 'val': ['x/valid/a.jpg'], 'test': ['x/test/a.jpg']},
            )
        ],
        # deeper than COCO's own, with files of other tasks beside
        (
            {
                'c/annotations/instances_train2014.json': coco('a.jpg'),
                'c/images/train2014/a.jpg': None,
                'c/annotations/instances_val2014.json': coco('b.jpg'),
                'c/images/val2014/b.jpg': None,
                'c/annotations/person_keypoints_train2014.json': coco('a.jpg'),
                'c/annotations/captions_train2014.json': coco(
                    'a.jpg', annotations=[{'id': 1, 'image_id': 7, 'caption': 'x'}]
                ),
            },
            {'train': ['c/images/train2014/a.jpg'], 'val': ['c/images/val2014/b.jpg']},
        ),
        (
            {'my labels.json': coco('deep/er/a.jpg', 'b.jpg'), 'p/deep/er/a.jpg': None, 'q/b.jpg': None},
            {'train': ['p/deep/er/a.jpg', 'q/b.jpg']},
        ),
    ],
    ids=['CVAT', 'CVAT default', 'Label Studio', 'its Windows', 'its uploads', 'Roboflow', '2014', 'own'],
)
def test_arrangements(objects, files, expected):
    read = objects(files)
    assert {split: list(images) for split, images in read.items()} == expected
    assert all(found == [CAT] for images in read.values() for found in images.values())


def test_content_is_kept(lay_out):
    from swin_mmdet.datasets.layouts import DataFolder, convert

    content = coco('a.jpg')
    content['images'][0] |= {'license': 4, 'width': '40'}
    content['annotations'][0] |= {'attributes': {'occluded': True}, 'bbox': None}
    read = convert(DataFolder(lay_out({'x.json': content, 'pictures/a.jpg': None}))).contents['train']
    content['images'][0]['file_name'] = 'pictures/a.jpg'
    assert read == content


@pytest.mark.parametrize(('files', 'said'), [
    ({'a.json': coco('a.jpg'), 'b.json': coco('a.jpg')}, '2 annotation files may be meant for all images: a.json, b.'),
    ({'a.json': coco('b.jpg', 'a.jpg')}, '1 image of '),
    ({'a.json': coco('a.jpg', images=[{'id': 7, 'width': 40, 'height': 30}])}, "entry 0 of 'images' has no file_name"),
    ({'a.json': coco('a.jpg', images=[{'id': 7, 'file_name': 7}])}, "entry 0 of 'images' has no file_name"),
    ({'a.json': coco('a.jpg', images=[7])}, "entry 0 of 'images' has no file_name"),
    ({'a.json': coco('a.jpg', images=[])}, 'it lists no images'),
    ({'a.json': coco('/etc/passwd')}, "/etc/passwd; put them there"),
    ({'a.json': coco('../../secret.jpg')}, '../../secret.jpg; put them there'),
    ({'train.json': coco('a.jpg'), 'val.json': '{"images": [{'}, 'val.json is not valid JSON'),
    ({'val/a.json': coco('a.jpg')}, 'there are images for val alone, none for training'),
    ({'train.json': coco('a.jpg'), 'rest.json': coco('a.jpg')}, 'for training, and 1 of no split, such as a.jpg'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, tmp_path, files, said):
    (tmp_path / 'secret.jpg').write_bytes(b'x')
    assert said in refusal({'a.jpg': None, **files})
