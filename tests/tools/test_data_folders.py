"""Folders of real images as Roboflow, LabelMe and YOLO write them, cut from the data at hand: read, and trained on."""

import json
import shutil
import sys
from pathlib import Path

import pytest

from swin_mmdet.commands.convert_dataset import main as convert
from swin_mmdet.errors import UserError
from tests.tools.conftest import TOOLS

TRAIN, VAL = 6, 2


@pytest.fixture(scope='module')
def cut(shared_data):
    """[(image, [(class, polygon)])] of real images, with the objects of one outline; and where the images are."""
    coco = json.loads((shared_data / 'coco_mini/annotations/instances_val2017.json').read_text())
    names = {category['id']: category['name'] for category in coco['categories']}
    found = []
    for image in coco['images']:
        anns = [ann for ann in coco['annotations'] if ann['image_id'] == image['id'] and not ann['iscrowd']]
        objects = [(names[ann['category_id']], *ann['segmentation']) for ann in anns if len(ann['segmentation']) == 1]
        if objects:
            found.append((image, objects))
    return found[: TRAIN + VAL], shared_data / 'coco_mini/val2017'


@pytest.fixture(scope='module')
def folders(cut, tmp_path_factory):
    """{layout: folder}, each with the same images and objects."""
    images, source = cut
    root = tmp_path_factory.mktemp('labelled')
    for write in (roboflow, labelme, yolo):
        write(root / write.__name__, images, source)
    return root


def roboflow(folder, images, source):
    names = sorted({name for _, objects in images for name, _ in objects})
    for split, part in (('train', images[:TRAIN]), ('valid', images[TRAIN:])):
        (folder / split).mkdir(parents=True)
        anns = []
        for id, (image, objects) in enumerate(part):
            shutil.copy(source / image['file_name'], folder / split)
            for name, polygon in objects:
                x, y = min(polygon[0::2]), min(polygon[1::2])
                box = [x, y, max(polygon[0::2]) - x, max(polygon[1::2]) - y]
                anns.append({'id': len(anns), 'image_id': id, 'category_id': names.index(name) + 1, 'bbox': box,
                             'area': box[2] * box[3], 'segmentation': [polygon], 'iscrowd': 0})  # fmt: skip
        categories = [{'id': 0, 'name': 'things', 'supercategory': 'none'}]
        categories += [{'id': id, 'name': name, 'supercategory': 'things'} for id, name in enumerate(names, 1)]
        listed = [{'id': id, 'license': 1, 'file_name': image['file_name'], 'height': image['height'],
                   'width': image['width'], 'extra': {}} for id, (image, _) in enumerate(part)]  # fmt: skip
        content = {'info': {}, 'images': listed, 'categories': categories, 'annotations': anns}
        (folder / split / '_annotations.coco.json').write_text(json.dumps(content))


def labelme(folder, images, source):
    for index, (image, objects) in enumerate(images):
        place = folder / ('train' if index < TRAIN else 'val')
        place.mkdir(parents=True, exist_ok=True)
        shutil.copy(source / image['file_name'], place)
        shapes = [{'label': name, 'points': list(zip(polygon[0::2], polygon[1::2])), 'shape_type': 'polygon',
                   'group_id': None, 'flags': {}} for name, polygon in objects]  # fmt: skip
        content = {'version': '5.5.0', 'flags': {}, 'shapes': shapes, 'imagePath': image['file_name'],
                   'imageData': None, 'imageHeight': image['height'], 'imageWidth': image['width']}  # fmt: skip
        (place / Path(image['file_name']).with_suffix('.json')).write_text(json.dumps(content))


def yolo(folder, images, source):
    """Without a split."""
    names = sorted({name for _, objects in images for name, _ in objects})
    for place in ('images', 'labels'):
        (folder / place).mkdir(parents=True)
    (folder / 'data.yaml').write_text(f'nc: {len(names)}\nnames: {json.dumps(names)}\n')
    for image, objects in images:
        shutil.copy(source / image['file_name'], folder / 'images')
        sides = image['width'], image['height']
        lines = [
            f'{names.index(name)} ' + ' '.join(f'{value / sides[i % 2]:.7f}' for i, value in enumerate(polygon))
            for name, polygon in objects
        ]
        (folder / 'labels' / Path(image['file_name']).with_suffix('.txt')).write_text('\n'.join(lines))


@pytest.mark.parametrize('layout', ['roboflow', 'labelme', 'yolo'])
def test_every_layout_becomes_the_same_outlines_on_the_same_images(cut, folders, tmp_path, layout, capsys):
    images, _ = cut
    options = ['--split', '0.75'] if layout == 'yolo' else []
    before = sorted((path, path.stat().st_mtime_ns) for path in (folders / layout).rglob('*'))
    convert([str(folders / layout), str(tmp_path / 'out'), *options])
    assert sorted((path, path.stat().st_mtime_ns) for path in (folders / layout).rglob('*')) == before
    assert 'is read as' in capsys.readouterr().out
    found = {}
    for split, number in (('train', TRAIN), ('val', VAL)):
        coco = json.loads((tmp_path / f'out/annotations/instances_{split}2017.json').read_text())
        names = {category['id']: category['name'] for category in coco['categories']}
        assert len(coco['images']) == number
        for image in coco['images']:
            assert (tmp_path / f'out/{split}2017' / image['file_name']).is_file()
            objects = [(names[ann['category_id']], ann['segmentation'][0]) for ann in coco['annotations']
                       if ann['image_id'] == image['id']]  # fmt: skip
            found[Path(image['file_name']).name] = image['width'], image['height'], objects
    assert set(found) == {image['file_name'] for image, _ in images}
    for image, objects in images:
        width, height, read = found[image['file_name']]
        assert (width, height) == (image['width'], image['height'])
        assert [name for name, _ in read] == [name for name, _ in objects]
        for (_, polygon), (_, expected) in zip(read, objects, strict=True):
            assert polygon == pytest.approx(expected, abs=0.011)


@pytest.mark.slow
def test_each_trains_a_step_with_one_command(run, config, folders, tmp_path):
    """The three one after the other in a process, which has imported PyTorch once."""
    (tmp_path / 'all.py').write_text(f"""
import runpy, sys
config, folders, work_dir = sys.argv[1:]
for layout, options in (('yolo', ['--split', '0.75']), ('roboflow', []), ('labelme', [])):
    sys.argv = ['train.py', config, '--data', f'{{folders}}/{{layout}}', '--work-dir', f'{{work_dir}}/{{layout}}',
                '--iters', '1', *options]
    try:
        runpy.run_path({str(TOOLS / 'train.py')!r}, run_name='__main__')
    except SystemExit as end:
        assert not end.code, end.code
    print('TRAINED', layout)
""")
    output = run(sys.executable, tmp_path / 'all.py', config, folders, tmp_path / 'work')
    assert all(f'TRAINED {layout}' in output for layout in ('yolo', 'roboflow', 'labelme'))


@pytest.mark.parametrize(('arguments', 'said'), [
    ([], 'no data set is recognised in'),
    (['--layout', 'yolov9'], 'known are coco, yolo, pascal-voc'),
    (['--split', '80'], 'lies between 0 and 1'),
    (['--split', 'half'], "the share of the images for training is 'half'"),
], ids=str)  # fmt: skip
def test_mistakes_are_named(tmp_path, arguments, said):
    (tmp_path / 'data').mkdir()
    with pytest.raises(UserError) as caught:
        convert([str(tmp_path / 'data'), str(tmp_path / 'out'), *arguments])
    assert said in str(caught.value)
    assert not (tmp_path / 'out').exists()
