"""YOLO folders as Ultralytics, Roboflow, Label Studio and CVAT write them, against boxes worked out by hand."""

import pytest

# of 40 x 30: a box from (4, 3) to (20, 18), a triangle, a box over the whole
BOX, TRIANGLE, WHOLE = '0 0.3 0.35 0.4 0.5\n', '1 0 0 0.5 0 0 0.5\n', '1 0.5 0.5 1 1\n'
CAT = ('cat', [4.0, 3.0, 16.0, 15.0], None)
DOG = ('dog', [0.0, 0.0, 20.0, 15.0], [[0.0, 0.0, 20.0, 0.0, 0.0, 15.0]])
ALL = ('dog', [0.0, 0.0, 40.0, 30.0], None)
NAMES = 'names: [cat, dog]\n'


def ultralytics(**changes):
    return {
        'data.yaml': 'path: .\ntrain: images/train\nval: images/val\n' + NAMES,
        'images/train/a.jpg': None,
        'images/train/b.jpg': None,
        'images/val/c.jpg': None,
        'labels/train/a.txt': BOX + TRIANGLE,
        'labels/val/c.txt': WHOLE,
        **changes,
    }


EXPECTED = {'train': {'images/train/a.jpg': [CAT, DOG], 'images/train/b.jpg': []}, 'val': {'images/val/c.jpg': [ALL]}}


def test_ultralytics(objects):
    assert objects(ultralytics()) == EXPECTED


@pytest.mark.parametrize(
    'yaml',
    [
        'train: images/train\nval: images/val\nnc: 2\nnames:\n  0: cat\n  1: dog\n',
        'path: ../datasets/coco8\ntrain: images/train\nval: [images/val]\ntest:\n' + NAMES,
        'path: /content/coco8\ntrain: /content/coco8/images/train\nval: /content/coco8/images/val\n' + NAMES,
        "names: ['cat', 'dog']\n",
        'train: train.txt\nval: val.txt\n' + NAMES,
    ],
    ids=['dict of names', 'a path elsewhere', 'absolute paths', 'names alone', 'lists of images'],
)
def test_ways_to_name_the_splits(objects, yaml):
    lists = {'train.txt': './images/train/a.jpg\n./images/train/b.jpg\n', 'val.txt': '/content/images/val/c.jpg\n'}
    assert objects(ultralytics(**{'data.yaml': yaml}, **lists)) == EXPECTED


def test_roboflow_whose_paths_lead_one_folder_up(objects):
    files = {
        'data.yaml': 'train: ../train/images\nval: ../valid/images\ntest: ../test/images\nnc: 2\n' + NAMES,
        'README.roboflow.txt': '1 2 3',
        'train/images/a.jpg': None, 'train/labels/a.txt': BOX,
        'valid/images/c.jpg': None, 'valid/labels/c.txt': TRIANGLE,
    }  # fmt: skip
    assert objects(files) == {'train': {'train/images/a.jpg': [CAT]}, 'val': {'valid/images/c.jpg': [DOG]}}


def test_label_studio_has_classes_and_no_splits(objects):
    files = {'classes.txt': 'cat\ndog\n', 'notes.json': {'categories': [{'id': 0, 'name': 'cat'}]},
             'images/a.jpg': None, 'labels/a.txt': BOX}  # fmt: skip
    assert objects(files) == {'train': {'images/a.jpg': [CAT]}}


def test_cvat_has_labels_beside_the_images(objects):
    files = {
        'obj.names': 'cat\ndog\n', 'obj.data': 'classes = 2\n', 'train.txt': 'data/obj_train_data/a.jpg\n',
        'obj_train_data/a.jpg': None, 'obj_train_data/a.txt': BOX,
        'obj_valid_data/c.jpg': None, 'obj_valid_data/c.txt': WHOLE,
    }  # fmt: skip
    assert objects(files) == {'train': {'obj_train_data/a.jpg': [CAT]}, 'val': {'obj_valid_data/c.jpg': [ALL]}}


def test_key_points_after_a_box_are_left_out(objects):
    yaml = 'train: images/train\nval: images/val\nkpt_shape: [2, 3]\n' + NAMES
    pose = BOX.strip() + ' 0.1 0.1 2 0.2 0.2 1\n'
    read = objects(ultralytics(**{'data.yaml': yaml, 'labels/train/a.txt': pose}))
    assert read['train']['images/train/a.jpg'] == [CAT]


def test_rounding_over_the_border_is_cut_off(objects):
    read = objects(ultralytics(**{'labels/train/a.txt': '1 0.5 0.5 1.001 1.002\n'}))
    assert read['train']['images/train/a.jpg'] == [ALL]


@pytest.mark.parametrize(('changes', 'said'), [
    ({'labels/train/a.txt': '2 0.3 0.35 0.4 0.5\n'}, 'train/a.txt, line 1: class 2, but there are 2, 0 to 1: cat, dog'),
    ({'labels/train/a.txt': '0.5 0.3 0.35 0.4 0.5\n'}, 'class 0.5'),
    ({'labels/train/a.txt': BOX + '0 12 10 16 15\n'}, 'line 2: 16 is no share of the image'),
    ({'labels/train/a.txt': BOX + '0 0.3 nan 0.4 0.5\n'}, "line 2: a value is 'nan'"),
    ({'labels/train/a.txt': BOX + 'cat 0.3 0.3 0.4 0.5\n'}, "line 2: a value is 'cat'"),
    ({'labels/train/a.txt': BOX + '0 0.3 0.3 0.4 0.5 0.9\n'}, 'a box with a confidence'),
    ({'labels/train/a.txt': BOX + '0 0.3 0.3 0.4\n'}, 'line 2: 4 values'),
    ({'labels/train/a.txt': BOX + '0 0.1 0.1 0.2 0.2 0.3 0.3 0.4\n'}, 'line 2: 8 values'),
    ({'labels/train/a.txt': BOX + '0 0.3 0.3 -0.4 0.5\n'}, 'no share of the image'),
    ({'data.yaml': 'train: images/train\nnames: [cat, cat]\n'}, 'two classes are named cat'),
    ({'data.yaml': 'train: images/train\nnc: 3\n' + NAMES}, 'nc is 3, and there are 2 names'),
    ({'data.yaml': 'train: images/train\nnames: {0: cat, 2: dog}\n'}, 'count from 0, without gaps'),
    ({'data.yaml': 'train: pictures\n' + NAMES}, 'train is pictures, where'),
    ({'data.yaml': 'train: [images\n' + NAMES}, 'data.yaml is not valid YAML'),
    ({'data.yaml': 'nothing: 1\n'}, 'nothing says the names of the classes'),
    ({'other.yaml': NAMES}, 'several files list classes: data.yaml, other.yaml'),
    ({'labels/train/a.txt': BOX.encode() + b'\xe4'}, 'a.txt is no text in UTF-8'),
    ({'images/train/b.jpg': b'no picture'}, '1 image cannot be read: images/train/b.jpg'),
], ids=lambda value: value if isinstance(value, str) else '')  # fmt: skip
def test_faults_are_named(refusal, changes, said):
    assert said in refusal(ultralytics(**changes))


@pytest.mark.parametrize('listed', ['../../secret.jpg', '/etc/secret.jpg', '..\\secret.jpg'])
def test_nothing_outside_the_folder_is_opened(refusal, tmp_path, listed):
    (tmp_path / 'secret.jpg').write_bytes(b'x')
    files = ultralytics(**{'data.yaml': 'train: train.txt\nval: images/val\n' + NAMES, 'train.txt': listed})
    assert '1 of 1 images are not in' in refusal(files)
    files['data.yaml'] = f'train: {tmp_path}\nval: images/val\n' + NAMES
    assert 'has no images' in refusal(files)


def test_images_without_labels_are_said_and_a_split_without_any_is_refused(lay_out, refusal):
    from swin_mmdet.datasets.layouts import DataFolder, convert

    notes = convert(DataFolder(lay_out(ultralytics()))).notes
    assert '1 of 2 images of train have no file of labels: read as images without objects' in notes
    files = ultralytics()
    files['elsewhere/c.txt'] = files.pop('labels/val/c.txt')
    (lay_out({}) / 'labels/val/c.txt').unlink()
    assert 'none of the 1 images of val has a file of labels, such as labels/val/c.txt' in refusal(files)
