"""check_config: every fault of data, classes, heads and evaluators, with its remedy, in one error."""

import json
import logging

import pytest
from mmengine.logging import MMLogger

from swin_mmdet.datasets import DatasetCheckError, check_config, check_folder, discover, find_problems, read_coco
from swin_mmdet.datasets.check import check_file
from swin_mmdet.datasets.problems import ERROR, WARNING


def texts(cfg, level=ERROR):
    return [str(problem) for problem in find_problems(cfg)[0] if problem.level == level]


def only(cfg, level=ERROR):
    found = texts(cfg, level)
    assert len(found) == 1, found
    return found[0]


def test_a_config_that_fits_its_data_passes(config):
    cfg = config()
    assert find_problems(cfg)[0] == []
    check_config(cfg)


def test_all_problems_come_in_one_error(config):
    cfg = config()
    cfg.model.roi_head.mask_head.num_classes = 80
    cfg.val_dataloader.dataset.data_prefix.img = 'nowhere/'
    with pytest.raises(DatasetCheckError) as caught:
        check_config(cfg)
    assert len(caught.value.problems) == 2
    assert 'nowhere' in str(caught.value)
    assert 'model.roi_head.mask_head.num_classes=2' in str(caught.value)
    assert 'remedy:' in str(caught.value)


def test_default_classes_of_the_type_are_not_those_of_the_file(config):
    cfg = config()
    del cfg.train_dataloader.dataset['metainfo']
    text = only(cfg)
    assert 'the default of CocoDataset' in text
    assert "metainfo=dict(classes=('cat', 'dog'))" in text


def test_heads_in_lists_are_all_named(config):
    cfg = config()
    for head in cfg.model.roi_head.bbox_head:
        head['num_classes'] = 80
    text = only(cfg)
    assert 'model.roi_head.bbox_head.0.num_classes=2' in text
    assert 'model.roi_head.bbox_head.1.num_classes=2' in text


def test_mask2former_counts_things_and_class_weights(config):
    cfg = config()
    cfg.model = {'panoptic_head': {'num_things_classes': 2, 'num_stuff_classes': 0,
                                   'loss_cls': {'class_weight': [1.0] * 80 + [0.1]}}}
    assert 'model.panoptic_head.loss_cls.class_weight=[1.0] * 2 + [0.1]' in only(cfg)


def test_a_name_without_its_comma(config):
    cfg = config()
    cfg.train_dataloader.dataset.metainfo.classes = 'cat'
    assert "metainfo=dict(classes=('cat',))" in texts(cfg)[0]


def test_another_order_of_classes(config):
    cfg = config()
    cfg.train_dataloader.dataset.metainfo.classes = ('dog', 'cat')
    assert 'another order' in only(cfg)


def test_files_that_number_classes_differently(config, coco):
    coco['categories'].reverse()
    cfg = config(val=coco)
    cfg.val_dataloader.dataset.metainfo.classes = cfg.test_dataloader.dataset.metainfo.classes = ('dog', 'cat')
    assert 'not those of train_dataloader.dataset' in only(cfg)


def test_classes_left_out_on_purpose_are_a_warning(config):
    cfg = config()
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.metainfo.classes = ('cat',)
    cfg.model = {}
    assert texts(cfg) == []
    assert '1 annotations are ignored' in texts(cfg, WARNING)[0]


def test_images_that_the_filter_leaves_out(config, coco):
    coco['annotations'] = [ann for ann in coco['annotations'] if ann['category_id'] == 4]
    cfg = config(train=coco)
    dataset = cfg.train_dataloader.dataset
    dataset.filter_cfg = dict(filter_empty_gt=True, min_size=101)
    assert 'leaves no image of ' in only(cfg)
    assert 'all are smaller than min_size=101' in only(cfg)
    dataset.filter_cfg.min_size = 32
    assert texts(cfg) == []
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.metainfo.classes = ('dog',)
    cfg.model = {}
    assert 'none has an object of the classes dog' in only(cfg)


def test_crowds_instead_of_objects(config, coco):
    for ann in coco['annotations']:
        ann['iscrowd'] = 1
    assert '3 of 3 annotations' in only(config(train=coco))
    assert 'write iscrowd=0' in only(config(train=coco))
    coco['annotations'][0]['iscrowd'] = 0
    cfg = config(train=coco)
    assert texts(cfg) == []
    assert '2 of 3 annotations' in only(cfg, WARNING)


def test_run_lengths_where_polygons_are_kept(config, coco):
    coco['annotations'][0]['segmentation'] = {'size': [100, 100], 'counts': [10000]}
    cfg = config(train=coco)
    assert texts(cfg, WARNING) == []
    dataset = cfg.train_dataloader.dataset
    dataset.pipeline = [dataset.pipeline[0], {**dataset.pipeline[1], 'poly2mask': False}]
    assert '1 of 3 objects' in only(cfg, WARNING)
    assert 'poly2mask=True' in only(cfg, WARNING)


TRIANGLE = [10, 20, 40, 20, 40, 60]


@pytest.mark.parametrize(('masks', 'level', 'text'), [
    ([None, None, None], None, ''),
    ([None, [TRIANGLE], [TRIANGLE]], WARNING, "1 of 3 annotations have no 'segmentation'"),
    ([TRIANGLE, [TRIANGLE], [TRIANGLE]], ERROR, 'a flat list of coordinates (ids 1)'),
], ids=['boxes alone', 'one is missing', 'one is wrong'])
def test_masks_of_a_file_by_itself(coco, write, masks, level, text):
    for ann, mask in zip(coco['annotations'], masks, strict=True):
        ann['segmentation'] = mask
    problems = check_file(read_coco(write(coco)))
    assert [problem.level for problem in problems] == ([level] if level else [])
    assert all(text in problem.what for problem in problems)


def test_two_categories_of_one_name(config, coco):
    coco['categories'].insert(0, {'id': 0, 'name': 'cat', 'supercategory': 'none'})
    assert any('remove category 0' in text for text in texts(config(train=coco)))


def test_missing_images_are_counted_and_named(config, tmp_path):
    cfg = config()
    (tmp_path / 'train2017/2.jpg').unlink()
    text = only(cfg)
    assert '1 of 3 images' in text
    assert '2.jpg' in text


@pytest.mark.parametrize(('gone', 'remedy'), [
    (1, 'copy them there, or leave them out'), (2, "set data_prefix['img'] so that"),
])
def test_a_few_missing_images_are_copied_and_for_many_the_folder_is_wrong(config, coco, gone, remedy, tmp_path):
    cfg = config()
    for image in coco['images'][:gone]:
        image['file_name'] = f'gone {image["id"]}.jpg'
    (tmp_path / 'annotations/instances_train2017.json').write_text(json.dumps(coco))
    text = only(cfg)
    assert f'{gone} of 3 images' in text
    assert remedy in text


def test_a_folder_named_twice_is_explained(config, coco, tmp_path):
    cfg = config()
    for image in coco['images']:
        image['file_name'] = f"train2017/{image['file_name']}"
    (tmp_path / 'train2017/train2017').mkdir()
    (tmp_path / 'annotations/instances_train2017.json').write_text(json.dumps(coco))
    assert f'the folder should be {tmp_path}' in only(cfg)


def test_a_missing_annotation_file(config, tmp_path):
    cfg = config()
    (tmp_path / 'annotations/instances_train2017.json').unlink()
    assert 'no such file' in only(cfg)


@pytest.mark.parametrize('wrap', [
    lambda inner: {'type': 'RepeatDataset', 'times': 2, 'dataset': inner},
    lambda inner: {'type': 'ClassBalancedDataset', 'oversample_thr': 0.1, 'dataset': inner},
    lambda inner: {'type': 'ConcatDataset', 'datasets': [inner, inner]},
    lambda inner: {'type': 'MultiImageMixDataset', 'pipeline': [], 'dataset': {'type': 'RepeatDataset', 'times': 2,
                                                                               'dataset': inner}},
], ids=['repeat', 'balanced', 'concat', 'mix'])
def test_wrappers_are_opened(config, tmp_path, wrap):
    cfg = config()
    cfg.train_dataloader.dataset = wrap(cfg.train_dataloader.dataset.to_dict())
    assert texts(cfg) == []
    (tmp_path / 'train2017/1.jpg').unlink()
    assert 'train_dataloader.dataset.dataset' in only(cfg)


def test_masks_are_needed_where_they_are_loaded(config, coco):
    del coco['annotations'][1]['segmentation']
    text = only(config(train=coco))
    assert "1 of 3 annotations have no 'segmentation'" in text
    assert 'with_mask=True' in text


def test_masks_are_needed_where_segm_is_measured(config, coco):
    del coco['annotations'][1]['segmentation']
    cfg = config(val=coco)
    assert "val_evaluator measures 'segm'" in texts(cfg)[0]
    cfg.val_evaluator.metric = cfg.test_evaluator.metric = 'bbox'
    # mmdet's test pipelines load masks, which fails without them
    assert only(cfg).startswith('val_dataloader.dataset and test_dataloader.dataset: ')
    assert 'the pipeline loads them (with_mask=True)' in only(cfg)
    for split in ('val', 'test'):
        cfg[f'{split}_dataloader'].dataset.pipeline = [dict(type='LoadImageFromFile')]
    assert texts(cfg) == []


def test_a_mask_head_needs_a_pipeline_with_masks(config):
    cfg = config()
    cfg.train_dataloader.dataset.pipeline[1].with_mask = False
    assert 'the pipeline loads no masks' in only(cfg)


def test_the_evaluator_reads_the_file_of_its_dataloader(config):
    cfg = config()
    cfg.val_evaluator = [{**cfg.val_evaluator, 'ann_file': 'data/coco/annotations/instances_val2017.json'}]
    assert 'set val_evaluator.0.ann_file=' in only(cfg)


def test_what_only_mmdets_own_metric_minds(config, coco):
    del coco['annotations'][1]['iscrowd']
    coco['annotations'][0]['id'] = 0
    cfg = config(val=coco)
    assert texts(cfg) == []
    cfg.val_evaluator.type = 'CocoMetric'
    assert "set val_evaluator.type='swin_mmdet.CocoMetric'" in only(cfg)
    assert "takes for 'not found'" in only(cfg, WARNING)


def test_annotations_that_mmdet_would_skip_without_a_word(config, coco):
    for ann in coco['annotations']:
        ann['area'] = 0
    assert 'mmdet would skip each of the 3 annotations' in only(config(train=coco))


def test_names_that_are_nearly_the_same_are_a_warning(config, coco):
    coco['categories'][1]['name'] = 'Cat '
    cfg = config(train=coco, val=coco)
    for split in ('train', 'val', 'test'):
        cfg[f'{split}_dataloader'].dataset.metainfo.classes = ('cat', 'Cat ')
    assert texts(cfg) == []
    assert "nearly the same name" in texts(cfg, WARNING)[0]


def test_what_is_not_there_is_named_with_its_id(config, coco):
    coco['annotations'][0]['category_id'] = 77
    coco['annotations'][1]['image_id'] = 88
    cfg = config(train=coco)
    assert 'ids 1; such as 77' in only(cfg)
    assert any('ids 2; such as 88' in text for text in texts(cfg, WARNING))
    coco['annotations'][2]['image_id'] = 89
    assert any('ids 2, 3; such as 88, 89' in text for text in texts(config(train=coco)))


def test_an_id_that_is_text_in_one_place_and_a_number_in_the_other(config, coco):
    for image in coco['images']:
        image['id'] = str(image['id'])
    text = texts(config(train=coco))[0]
    assert 'whose image_id is text where the id of the image is a number' in text
    for ann in coco['annotations']:
        ann['image_id'] = str(ann['image_id'])
    assert find_problems(config(train=coco))[0] == []


def test_a_class_without_annotations_is_a_warning(config, coco):
    coco['annotations'] = [ann for ann in coco['annotations'] if ann['category_id'] == 4]
    assert '1 of 2 categories have no annotations' in only(config(train=coco), WARNING)


def test_a_file_without_annotations_serves_only_for_predictions(config, coco):
    coco['annotations'] = []
    cfg = config(val=coco)
    assert 'no annotations' in only(cfg)
    cfg.val_evaluator.format_only = cfg.test_evaluator.format_only = True
    assert texts(cfg) == []


def test_other_kinds_of_data_are_left_alone_and_named(config, caplog):
    cfg = config()
    cfg.train_dataloader.dataset.type = 'LVISV1Dataset'
    cfg.val_dataloader.dataset.type = 'CocoPanopticDataset'
    cfg.test_dataloader.dataset.type = 'NobodysDataset'
    cfg.test_dataloader.dataset.data_root = '/nowhere'
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    with caplog.at_level(logging.INFO):
        check_config(cfg)
    logger.removeHandler(caplog.handler)
    assert [record.getMessage().split(' is not checked')[0] for record in caplog.records] == [
        'train_dataloader.dataset', 'val_dataloader.dataset', 'test_dataloader.dataset']


def test_a_config_without_data_passes():
    from mmengine.config import Config

    check_config(Config({'model': {'type': 'MaskRCNN'}}))


def test_real_folders_have_no_problems(shared_data):
    for name in ('nuclei', 'coco_mini'):
        assert check_folder(discover(shared_data / name))[0] == []
