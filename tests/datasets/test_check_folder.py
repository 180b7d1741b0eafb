"""What is found in a folder of two splits, in one file, and what is logged of a config."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from mmengine.config import Config
from mmengine.logging import MMLogger
from PIL import Image

from swin_mmdet.datasets import read_coco
from swin_mmdet.datasets.check import DatasetCheckError, check_config, check_file, check_folder
from swin_mmdet.datasets.discover import CocoFolder
from tests.datasets.test_check_words import HEIGHT, WIDTH, data, lines


def test_problems_of_a_folder_word_for_word(tmp_path: Path):
    """Each split by its name."""
    folder = tmp_path / 'images'
    folder.mkdir()
    noise = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH), np.uint8)
    Image.fromarray(noise).save(folder / 'a.png')
    files = {}
    for split, content in (('train', data(names=('a.png', 'z.png'))), ('val', data(categories=('dog',)))):
        files[split] = tmp_path / f'{split}.json'
        files[split].write_text(json.dumps(content))
    found, cocos = check_folder(CocoFolder(files['train'], folder, files['val'], folder, ('cat',)))
    assert lines(found, folder, tmp_path) == [
        "error image_missing | train | 1 of 2 images are not in TOP/images: z.png | 'copy them there, or leave them "
        "out: check_dataset.py with --fix OUT writes a copy without them'",
        'error categories_differ | val | its classes (dog) are not those of train (cat): it lacks cat, it adds dog | '
        '"let the annotation files list the same \'categories\'"',
        "warning split_shared | val | 1 of its 1 images are images of train, too: a.png | 'keep images for the "
        "evaluation that the training does not see; else the AP tells nothing of new images'",
    ]
    assert [coco.path for coco in cocos] == list(files.values())


def test_images_that_are_nowhere_beside_their_file(tmp_path: Path):
    (tmp_path / 'a.json').write_text(json.dumps(data()))
    (one,) = check_file(read_coco(tmp_path / 'a.json'))
    assert (one.where, one.remedy) == ('a.json', 'name the folder of the images: --images FOLDER')
    assert one.what.startswith(f'the images of {tmp_path}/a.json (such as a.png) are in none of:')


def test_what_is_logged_and_raised_of_a_config(tmp_path: Path, caplog):
    """A line for each file, the warnings together, and the errors as one."""
    (tmp_path / 'a.json').write_text(json.dumps(data({}, dict(category_id=8), categories=('cat', 'dog'))))
    dataset = dict(type='CocoDataset', ann_file=f'{tmp_path}/a.json', metainfo=dict(classes=('cat', 'dog')))
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    try:
        with caplog.at_level(logging.INFO), pytest.raises(DatasetCheckError) as caught:
            check_config(Config(dict(train_dataloader=dict(dataset=dataset | dict(data_prefix=dict(img='nowhere'))))))
    finally:
        logger.removeHandler(caplog.handler)
    said = [one.getMessage() for one in caplog.records]
    assert f'{tmp_path}/a.json: 1 images, 2 annotations, 2 classes' in said
    (warned,) = [one for one in caplog.records if one.levelno == logging.WARNING]
    assert warned.getMessage().startswith('Worth a look:\n1. train_dataloader.dataset: 1 of 2 categories have no ')
    assert [one.kind for one in caught.value.problems] == ['category_unknown', '']
