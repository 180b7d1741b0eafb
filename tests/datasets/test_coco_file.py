"""Reading and describing annotation files."""

import gzip
import json
import pickle
import re
from pathlib import Path

import pytest
from mmdet.datasets import CocoDataset

from swin_mmdet.datasets import coco_file, describe, faults, mask_boxes, read_coco
from swin_mmdet.datasets.checks.annotations import MASKS, RULES
from swin_mmdet.datasets.coco_file import CocoFileError
from swin_mmdet.structures.segmentation import EXPLAINED


def test_counts_of_a_small_file(coco, write):
    coco['annotations'][0]['iscrowd'] = 1
    found = read_coco(write(coco))
    assert (len(found.file_names), found.num_annotations, found.num_crowds, found.num_empty_images) == (3, 3, 1, 1)
    assert found.num_usable == 3
    assert found.class_names == ('cat', 'dog')
    assert dict(found.instances) == {4: 2, 9: 1}
    assert found.faults == {}


@pytest.mark.parametrize(('change', 'kind'), [
    ({'id': 2}, 'annotation_id_twice'),
    ({'id': 0}, 'annotation_id_zero'),
    ({'image_id': 77}, 'image_unknown'),
    ({'category_id': 77}, 'category_unknown'),
    ({'bbox': [1, 2, 3]}, 'box'),
    ({'bbox': [1, 2, float('nan'), 3]}, 'box'),
    ({'bbox': [0.1, 0.2, 0.3, 0.4]}, 'box_small'),
    ({'bbox': [10, 10, -5, 5]}, 'box_small'),
    ({'bbox': [200, 10, 5, 5]}, 'box_outside'),
    ({'bbox': [50, 50, 60, 60]}, 'box_beyond'),
    ({'bbox': [-20, 20, 60, 40]}, 'box_beyond'),
    ({'bbox': [60, 60, 30, 30]}, 'mask_elsewhere'),
    ({'area': 0.12}, 'area_fraction'),
    ({'area': 5000}, 'area_other'),
    ({'area': 1.5}, 'area_other'),
    ({'segmentation': 'masks/1.png'}, 'mask_path'),
    ({'segmentation': {'size': [100, 100], 'counts': "b'PPYo0'"}}, 'mask_bytes'),
    ({'segmentation': [[0, 1] * 50] * 100}, 'mask_bitmap'),
    ({'segmentation': {'size': [100, 100], 'counts': [10000]}}, 'mask_empty'),
    ({'segmentation': [[110, 10, 150, 10, 150, 50]]}, 'mask_empty'),
    ({'segmentation': [[0.1, 0.2, 0.4, 0.2, 0.4, 0.6]]}, 'mask_empty'),
    ({'segmentation': [[20, 20, 40, 40, 20, 20]]}, 'mask_empty'),
    ({'area': None}, 'area_missing'),
    ({'area': 0}, 'area_zero'),
    ({'segmentation': []}, 'mask_missing'),
    ({'segmentation': [[1, 2, 3, 4]]}, 'mask_unreadable'),
    ({'segmentation': {'size': [50, 100], 'counts': 'x'}}, 'mask_size'),
    ({'segmentation': {'size': [100, 100], 'counts': [5, 5]}}, 'mask_counts'),
    ({'segmentation': {'size': [100, 100], 'counts': 'x'}}, 'mask_counts'),
    ({'segmentation': {'size': [100, 100], 'counts': [10.5, 9989.5]}}, 'mask_counts'),
    ({'segmentation': {'size': [100, 100], 'counts': [10050, -50]}}, 'mask_counts'),
    ({'segmentation': {'size': ['100', '100'], 'counts': [10000]}}, 'mask_size'),
    ({'segmentation': {'size': [100, 100]}}, 'mask_unreadable'),
    ({'segmentation': {'size': [100, 100], 'counts': []}}, 'mask_counts'),
    ({'segmentation': [[]]}, 'mask_unreadable'),
    ({'segmentation': [[1, 2, 3, 4, 5, 6, 7]]}, 'mask_unreadable'),
    ({'segmentation': [9, 9, 29, 9, 29, 29]}, 'mask_flat'),
    ({'segmentation': [[[9, 9], [29, 9], [29, 29]] * 2]}, 'mask_points'),
    ({'segmentation': [[9, 9, float('nan'), 9, 29, 29]]}, 'mask_numbers'),
    ({'segmentation': [[9, 9, None, 9, 29, 29]]}, 'mask_numbers'),
    ({'segmentation': [['9', '9', '29', '9', '29', '29']]}, 'mask_numbers'),
    ({'segmentation': [[9, 9, 1e12, 9, 29, 29]]}, 'mask_numbers'),
    ({'segmentation': 'polygon'}, 'mask_type'),
    ({'segmentation': [{'x': 1}]}, 'mask_type'),
    ({'segmentation': 0}, 'mask_missing'),
    ({'bbox': ['1', '2', '30', '40']}, 'box'),
    ({'bbox': [1, 2, 10**400, 3]}, 'box'),
    ({'bbox': '1 2 30 40'}, 'box'),
    ({'area': '400'}, 'area_value'),
    ({'area': float('nan')}, 'area_value'),
    ({'iscrowd': '0'}, 'iscrowd_value'),
    ({'iscrowd': None}, 'iscrowd_missing'),
    ({'ignore': 'false'}, 'ignore_value'),
    ({'ignore': True}, 'ignored'),
    ({'id': None}, 'annotation_id'),
    ({'id': [1]}, 'annotation_id'),
    ({'image_id': [1]}, 'annotation_of'),
    ({'image_id': '1'}, 'image_id_type'),
    ({'image_id': '77'}, 'image_unknown'),
    ({'category_id': {}}, 'annotation_of'),
    ({'category_id': '4'}, 'category_id_type'),
    ({'category_id': '77'}, 'category_unknown'),
], ids=str)
def test_each_fault_is_found(coco, write, change, kind):
    coco['annotations'][0].update(change)
    fault = read_coco(write(coco)).faults[kind]
    assert fault.count == 1
    assert fault.examples


@pytest.mark.parametrize(('where', 'change', 'kind'), [
    ('images', {'id': None}, 'image_id'),
    ('images', {'id': 2}, 'image_id_twice'),
    ('images', {'id': 2.0}, 'image_id_twice'),
    ('images', {'file_name': 7}, 'image_name'),
    ('images', {'file_name': ''}, 'image_name'),
    ('images', {'file_name': '2.jpg'}, 'image_name_twice'),
    ('images', {'height': '100'}, 'image_size'),
    ('images', {'width': None}, 'image_size'),
    ('images', {'width': 0}, 'image_size'),
    ('images', {'height': float('inf')}, 'image_size'),
    ('categories', {'id': [4]}, 'category_keys'),
    ('categories', {'name': None}, 'category_keys'),
    ('categories', {'name': ' '}, 'category_keys'),
    ('categories', {'name': 7}, 'category_keys'),
    ('categories', {'id': 9}, 'category_id_twice'),
], ids=str)
def test_each_fault_of_images_and_categories_is_found(coco, write, where, change, kind):
    coco[where].append(coco[where].pop(0) | change)
    fault = read_coco(write(coco, images=False)).faults[kind]
    assert fault.count == 1
    assert fault.examples


def test_every_fault_of_a_file_is_explained():
    """Each kind that can be found has its rule, or a place of its own."""
    apart = {'iscrowd_missing', 'annotation_id_zero', 'ignored', 'box_beyond'}
    source = Path(faults.__file__).read_text()
    kinds = set(re.findall(r"\[(?:\*kinds, )?'(\w+)'\]|append\('(\w+)'\)", source))
    kinds = {kind for pair in kinds for kind in pair if kind}
    assert len(kinds) > 20
    assert kinds - apart <= RULES.keys()
    assert MASKS.keys() >= EXPLAINED.keys()
    for module in (coco_file, mask_boxes):
        named = set(re.findall(r"'((?:mask|area|image_name|box)_[a-z]+)'", Path(module.__file__).read_text()))
        assert named <= RULES.keys() | MASKS.keys() | {'image_name', 'image_keys', 'image_size', 'box_format'}


def test_a_file_is_parsed_once_until_it_changes(coco, write):
    path = write(coco)
    first = read_coco(path)
    assert read_coco(str(path)) is first
    coco['annotations'].pop()
    write(coco)
    assert read_coco(path).num_annotations == 2


@pytest.mark.parametrize(('text', 'message'), [
    ('{"images": [', 'not valid JSON'),
    ('\ufeff{"images": [], "categories": []}', 'UTF-8 BOM'),
    ('[' * 100_000, 'not valid JSON'),
    ('[1, 2]', 'holds a list'),
    (json.dumps({'images': []}), "'categories' is no list"),
    ('', 'the file is empty'),
    ('<annotation><folder>a</folder></annotation>', 'begins with <'),
    ('version https://git-lfs.github.com/spec/v1', 'git lfs pull'),
    ('{"images": [], "images": [], "categories": []}', "'images' twice"),
    ('[{"image_id": 1, "category_id": 1, "bbox": [], "score": 1}]', 'list of detections'),
    ('[{"data": {"image": "a"}, "annotations": []}]', 'Label Studio'),
    ('{"images": [{}], "annotations": [{"segments_info": []}]}', 'panoptic'),
    ('{"shapes": [], "imagePath": "a"}', 'LabelMe'),
    ('{"type": "FeatureCollection", "features": []}', 'GeoJSON'),
    ('{"a.jpg123": {"filename": "a.jpg", "regions": []}}', 'VIA'),
    (json.dumps({'images': [], 'categories': [], 'annotations': {}}), "'annotations' is no list"),
], ids=str)
def test_what_is_no_coco_file_is_refused(tmp_path, text, message):
    (tmp_path / 'a.json').write_text(text)
    with pytest.raises(CocoFileError, match=message):
        read_coco(tmp_path / 'a.json')


def test_a_description_has_counts_sizes_and_classes(coco, write):
    text = describe(read_coco(write(coco)))
    for part in ('3, 1 without annotations', '3, 0 of them crowds', '100 x 100', 'median 35', '100% medium', 'cat  2'):
        assert part in text


@pytest.mark.parametrize('name', ['coco_mini', 'nuclei'])
def test_usable_annotations_are_those_that_mmdet_keeps(shared_data, name):
    path = shared_data / name / 'annotations/instances_val2017.json'
    found = read_coco(path)
    dataset = CocoDataset(ann_file=str(path), data_prefix={'img': ''}, metainfo={'classes': found.class_names},
                          pipeline=[], test_mode=True)
    assert found.num_usable == sum(len(dataset.get_data_info(index)['instances']) for index in range(len(dataset)))


def test_real_files_have_no_fault_that_stops_mmdet(shared_data):
    found = read_coco(shared_data / 'coco_mini/annotations/instances_train2017.json')
    assert found.num_crowds == 27
    assert len(found.categories) == 80
    assert not {'area_missing', 'annotation_id_twice', 'box', 'mask_missing'} & set(found.faults)


@pytest.mark.parametrize(('content', 'message'), [
    ('{"images": [], "categories": []}'.encode('utf-16'), 'UTF-16'),
    ('{"images": [], "categories": []}'.encode('utf-16-le'), 'UTF-16'),
    ('{"images": [], "categories": [{"name": "caf\u00e9"}]}'.encode('latin-1'), 'not UTF-8'),
    (gzip.compress(b'{}', mtime=0), 'gzip'),
    (pickle.dumps({}), 'pickle'),
    (b'{"images": [{"id": 1, "fi', 'as if cut off'),
    (b'\x00\x00\x00', 'not valid JSON'),
], ids=str)
def test_text_that_is_no_utf_8_is_named(tmp_path, content, message):
    (tmp_path / 'a.json').write_bytes(content)
    with pytest.raises(CocoFileError, match=message):
        read_coco(tmp_path / 'a.json')
