"""train.py --model NAME --data FOLDER: what is fitted and said, what an option overrides, and the config it writes."""

import importlib
import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.config import Config

from swin_mmdet.commands.fitting import name_of_copy
from swin_mmdet.config import EverydayOptions
from swin_mmdet.fitting import fitted_config
from swin_mmdet.visualization.visualizer import DetLocalVisualizer

from .conftest import TOOLS

# the 2M of the micro model are too many for a test
SMALL = (
    'model.backbone.embed_dims=16', 'model.backbone.num_heads=[1,2,4,8]', 'model.neck.in_channels=[16,32,64,128]',
    'default_hooks.logger.interval=1',
)  # fmt: skip


def train(*arguments: object) -> None:
    # else mmengine's would write into the folder of the run before
    DetLocalVisualizer._instance_dict.clear()
    importlib.import_module('swin_mmdet.commands.train').main([str(argument) for argument in arguments])


def losses(work_dir: Path) -> list[float]:
    """Of each iteration, in all digits."""
    scalars = next(work_dir.glob('*/vis_data/scalars.json')).read_text().splitlines()
    return [row['loss'] for row in map(json.loads, scalars) if 'loss' in row]


@pytest.fixture(scope='module')
def fitted(shapes: Path, tmp_path_factory: pytest.TempPathFactory):
    """Work-dir and lines of a fitting alone."""
    lines: list[str] = []
    work_dir = tmp_path_factory.mktemp('fitted')
    cfg = fitted_config('mask-rcnn-micro', shapes, work_dir=work_dir, device='cpu', say=lines.append)
    return cfg, work_dir, lines


def test_each_setting_is_said_with_the_old_and_the_new_value(fitted: tuple[Config, Path, list[str]]):
    cfg, work_dir, lines = fitted
    starts = [
        'classes: 3 stays: those of the data, in every head; ',
        'image scale: 192x192 stays: ',
        'anchors of rpn_head: scales 4; ratios 0.5, 1, 2 ',
        'batch: 8 -> 1: nothing is tried without a GPU: an eighth of 4 images (--batch-size sets it)',
        'learning rate: 0.0005 -> 6.25e-05: for a batch of 1, ',
        # the cube root of 250 times as often as 4 times
        'length: 4 epochs (500 iterations) -> 25 epochs: 4 images, ',
        'evaluation and checkpoints: every 100 iterations -> every 8 iterations: about 12 in a run of 100 iterations',
        'seed: none -> 0: ',
    ]
    for start in starts:
        assert [line for line in lines if line.startswith(start)], (start, lines)
    assert cfg.train_dataloader.batch_size == 1
    assert cfg.train_cfg.max_iters == 100
    assert cfg.auto_scale_lr.enable
    assert lines[-1] == f'config: {work_dir / "mask-rcnn-micro_fitted.py"}'


def test_the_written_config_says_the_same_to_a_reader(fitted: tuple[Config, Path, list[str]]):
    _, work_dir, lines = fitted
    text = (work_dir / 'mask-rcnn-micro_fitted.py').read_text()
    assert "_base_ = 'swin_mmdet::quickstart/mask-rcnn_swin-micro_shapes.py'" in text
    words = ' '.join(text.split())
    for line in lines:
        if line.startswith(('batch: ', 'length: ', 'seed: ')):
            assert line in words
    assert len(text.splitlines()) < 120


def test_the_written_config_trains_the_same(
    shapes: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture,
    user_error: type[Exception],
):
    """Without another option, to the last bit; in the first run all of it came from options and the data."""
    monkeypatch.chdir(tmp_path)
    train(
        '--model', 'mask-rcnn-micro', '--data', shapes, '--epochs', 2, '--img-scale', 64, '--workers', 0, '--ema',
        '--no-report', '--cfg-options', *SMALL,
    )  # fmt: skip
    output = capsys.readouterr().out
    assert 'image scale: 64x64: --img-scale set it' in output
    assert 'length: 8 iterations: --epochs set it' in output
    written, how = tmp_path / 'work_dirs/mask-rcnn-micro/mask-rcnn-micro_fitted.py', 'python tools/train.py'
    assert f'config: {written.relative_to(tmp_path)} trains the same ({how} {written.relative_to(tmp_path)})' in output
    # the report is none of the training
    train(written, '--no-report')
    first, again = losses(written.parent), losses(tmp_path / 'work_dirs/mask-rcnn-micro_fitted')
    assert len(first) == 8
    assert first == again
    # and a resumed one has its settings; other options are refused
    options = '--epochs', 2, '--img-scale', 64, '--workers', 0, '--cfg-options', *SMALL
    with pytest.raises(user_error, match=r'fitted with --ema 0.0002, now it is not given'):
        train('--model', 'mask-rcnn-micro', '--data', shapes, '--resume', *options)
    capsys.readouterr()
    text = written.read_text()
    train('--model', 'mask-rcnn-micro', '--data', shapes, '--resume', '--ema', '--no-report', *options)
    output = capsys.readouterr().out
    assert '--resume: settings are those of work_dirs/mask-rcnn-micro/mask-rcnn-micro_fitted.py' in output
    assert 'batch: ' not in output
    assert written.read_text() == text


def test_what_the_user_sets_wins(shapes: Path, tmp_path: Path):
    lines: list[str] = []
    settings = {'model.rpn_head.anchor_generator.scales': [6], 'train_cfg.max_iters': 7}
    options = EverydayOptions(batch_size=3, lr=0.01, img_scale=(96,), seed=5)
    cfg = fitted_config(
        'mask-rcnn-micro', shapes, work_dir=tmp_path, options=options, settings=settings, device='cpu', say=lines.append
    )
    assert (cfg.train_dataloader.batch_size, cfg.randomness.seed, cfg.train_cfg.max_iters) == (3, 5, 7)
    assert (cfg.optim_wrapper.optimizer.lr, bool(cfg.auto_scale_lr.get('enable'))) == (0.01, False)
    assert cfg.model.rpn_head.anchor_generator.scales == [6]
    for line in (
        'image scale: 96x96: --img-scale set it',
        'batch: 3: --batch-size set it',
        'learning rate: 0.01: --lr set it',
        'length: 7 iterations: --cfg-options set it',
        'anchors of rpn_head: scales 6; ratios 0.5, 1, 2: --cfg-options set it',
        'seed: 5: --seed set it',
    ):
        assert line in lines


def test_fit_only_writes_and_ends(config: Path, shapes: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    """Also of a config that has no short name, whose length nobody knows."""
    train(config, '--data', shapes, '--work-dir', tmp_path, '--fit-only', '--quick-check')
    assert 'length: 3 epochs stays: it is not known for how many images' in capsys.readouterr().out
    assert [path.name for path in tmp_path.iterdir()] == ['tiny_fitted.py']
    assert Config.fromfile(tmp_path / 'tiny_fitted.py').train_dataloader.batch_size == 1


def test_the_copy_of_the_whole_config_leaves_the_written_one(tmp_path: Path):
    written = str(tmp_path / 'one_fitted.py')
    assert name_of_copy(written, str(tmp_path)) == str(tmp_path / 'one.py')
    assert name_of_copy(written, str(tmp_path / 'elsewhere')) == written
    assert name_of_copy(str(tmp_path / 'one.py'), str(tmp_path)) == str(tmp_path / 'one.py')


def of_boxes(folder: Path) -> None:
    """Take the masks out of annotations."""
    for path in folder.glob('annotations/*.json'):
        content = json.loads(path.read_text())
        for ann in content['annotations']:
            ann.pop('segmentation')
        path.write_text(json.dumps(content))


@pytest.fixture
def copied(shapes: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(shapes, tmp_path / 'copied'))


def test_masks_are_not_learnt_from_boxes(copied: Path, tmp_path: Path, user_error: type[Exception]):
    of_boxes(copied)
    with pytest.raises(user_error, match=r'mask-rcnn-tiny finds masks, and none of .* has one.*faster-rcnn-tiny, '):
        fitted_config('mask-rcnn-tiny', copied, work_dir=tmp_path / 'work', device='cpu')


def test_data_without_an_object(copied: Path, tmp_path: Path, user_error: type[Exception]):
    path = copied / 'annotations/instances_train2017.json'
    path.write_text(json.dumps(json.loads(path.read_text()) | {'annotations': []}))
    with pytest.raises(user_error, match='no annotation'):
        fitted_config('mask-rcnn-micro', copied, work_dir=tmp_path / 'work', device='cpu')


def test_one_class(copied: Path, tmp_path: Path):
    for path in copied.glob('annotations/*.json'):
        content = json.loads(path.read_text())
        content['categories'] = content['categories'][:1]
        for ann in content['annotations']:
            ann['category_id'] = content['categories'][0]['id']
        path.write_text(json.dumps(content))
    lines: list[str] = []
    cfg = fitted_config('mask-rcnn-micro', copied, work_dir=tmp_path / 'work', device='cpu', say=lines.append)
    assert cfg.model.roi_head.bbox_head.num_classes == cfg.model.roi_head.mask_head.num_classes == 1
    assert any(line.startswith('classes: 3 -> 1: ') for line in lines)


@pytest.mark.parametrize(
    ('arguments', 'words'),
    [
        (('--model', 'mask-rcnn-tini', '--data', '.'), 'no such name; did you mean mask-rcnn-tiny'),
        (('--model', 'dino-tiny'), r'--data FOLDER.*train\.py .*dino-4scale_swin-t_8xb2-12e_coco\.py'),
        (('some.py', '--model', 'dino-tiny', '--data', '.'), 'both name a config'),
        (('some.py', '--data', '.', '--fit-only', '--resume'), '--fit-only .* and --resume'),
        (('some.py', '--fit'), '--fit: settings are fitted to --data'),
        (('--data', '.'), 'required: config, or --model NAME'),
        (('--model', 'dino-tiny', '--data', '.', '--launcher', 'pytorch'), 'by one process.*--fit-only'),
        (('--model', 'dino-tiny', '--data', 'nowhere'), 'no data folder at nowhere'),
        (('--model', 'dino-tiny', '--data', '.', '--resume', 'a.pth'), 'a.pth'),
    ],
)
def test_mistakes_are_named_at_once(arguments: tuple[str, ...], words: str, user_error: type[Exception]):
    with pytest.raises(user_error, match=words):
        train(*arguments)


def test_the_list_needs_no_pytorch():
    code = f"""
import runpy, sys
sys.argv = ['train.py', '--list']
try:
    runpy.run_path({str(TOOLS / 'train.py')!r}, run_name='__main__')
except SystemExit as end:
    assert not end.code
assert 'torch' not in sys.modules
"""
    done = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=True)
    assert done.stdout.splitlines()[0].startswith('mask-rcnn-tiny  ')
