"""`--help` and wrong arguments are answered at once: nothing is imported that takes seconds."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from .conftest import TOOLS

SCRIPTS = (
    'analyze_model', 'build_docs', 'check_dataset', 'convert_checkpoint', 'convert_dataset', 'doctor', 'export',
    'make_shapes_dataset', 'predict', 'render_zoo', 'report', 'show_results', 'test', 'train',
    'benchmarks/render_tables', 'benchmarks/summarise_run',
)  # fmt: skip
# not one of these, however fast the machine: a fresh import of each but the last takes a second or more
SLOW = 'torch', 'torchvision', 'mmcv', 'mmdet', 'matplotlib', 'transformers', 'scipy'
CONFIG = TOOLS.parent / 'configs/quickstart/mask-rcnn_swin-micro_shapes.py'
FILE = TOOLS / 'README.md'  # is there, whatever it is
# arguments -> words of the message
WRONG = {
    ('report', 'nowhere'): 'no work-dir at nowhere',
    ('report', FILE): 'is a file; give the work-dir of train.py',
    ('train', 'nowhere.py'): 'no config at nowhere.py',
    ('train', CONFIG, '--data', 'nowhere'): 'no data folder at nowhere',
    ('train', CONFIG, '--resume', 'gone.pth'): 'no checkpoint to resume from at gone.pth',
    ('train', CONFIG, '--amp', 'int3'): 'invalid choice',
    ('train',): 'required: config',
    ('train', CONFIG, '--epochs', '0'): '--epochs 0: give a whole number from 1',
    ('train', CONFIG, '--epochs', '1.5'): '--epochs 1.5: give a whole number from 1',
    ('train', CONFIG, '--iters', '-3'): '--iters -3: give a whole number from 1',
    ('train', CONFIG, '--iters', 'many'): '--iters many: give a whole number from 1',
    ('train', CONFIG, '--epochs', '3', '--iters', '9'): '--epochs 3 and --iters 9 both set the length of the run',
    ('train', CONFIG, '--batch-size', '0'): '--batch-size 0: give a whole number from 1 to 4096',
    ('train', CONFIG, '--workers', '-1'): '--workers -1: give a whole number from 0 to 1024',
    ('train', CONFIG, '--seed', '-1'): '--seed -1: give a whole number from 0 to 4294967295',
    ('train', CONFIG, '--lr', '1e3'): '--lr 1e3: give a number above 0, at most 1, such as 0.0001',
    ('train', CONFIG, '--lr', '0'): '--lr 0: give a number above 0',
    ('train', CONFIG, '--lr', 'nan'): '--lr nan: give a number above 0',
    ('train', CONFIG, '--lr', 'fast'): '--lr fast: give a number above 0',
    ('train', CONFIG, '--img-scale', 'large'): '--img-scale large: give one side or two in pixels, such as 640',
    ('train', CONFIG, '--img-scale', '0'): '--img-scale 0: give one side or two',
    ('train', CONFIG, '--img-scale', '1', '2', '3'): '--img-scale 1 2 3: give one side or two',
    ('train', CONFIG, '--lr', '0.1', '--cfg-options', 'optim_wrapper.optimizer.lr=0.2'): 'set the same: give one',
    ('train', CONFIG, '--iters', '9', '--cfg-options', 'train_cfg.max_iters=8'): 'set the same: give one',
    ('test', CONFIG): 'required: checkpoint',
    ('test', 'nowhere.py', 'gone.pth'): 'no config at nowhere.py',
    ('test', CONFIG, 'gone.pth'): 'no checkpoint at gone.pth',
    ('test', CONFIG, FILE, '--out', 'results.json'): 'must end in .pkl',
    ('train', CONFIG.with_name('mask_rcnn_swin_micro_shape.py')): f'did you mean {CONFIG}?',
    ('train', CONFIG.parent.with_name('quikstart') / CONFIG.name): f'did you mean {CONFIG}?',
    ('train', CONFIG.parent): 'is a folder',
    ('train', CONFIG, '--acumulate', '3'): 'no argument --acumulate; did you mean --accumulate?',
    ('train', CONFIG, 'train_cfg.max_iters=3'): 'train_cfg.max_iters=3: settings of the config follow --cfg-options',
    ('train', CONFIG, '--cfg-options', 'lr'): '--cfg-options lr: give KEY=VALUE',
    ('train', CONFIG, '--cfg-options', 'a=(1,2'): 'Imbalanced brackets',
    ('train', CONFIG, '--resume', CONFIG): 'is a config by its name; a checkpoint (.pth) is wanted here',
    ('test', 'trained.pth', CONFIG): 'trained.pth is a checkpoint by its name, and a config (.py) comes first',
    ('test', CONFIG, CONFIG): 'is a config by its name; a checkpoint (.pth) is wanted here',
    ('test', CONFIG, CONFIG.parent): 'is a folder; name a file in it: it has no checkpoints',
    ('predict', 'nowhere.py', 'gone.pth', '.', '--out-dir', 'out'): 'no config at nowhere.py',
    ('predict', CONFIG, 'gone.pth', '.', '--out-dir', 'out'): 'no checkpoint at gone.pth',
    ('predict', CONFIG, FILE, 'gone.jpg', '--out-dir', 'out'): 'no image or folder at gone.jpg',
    ('predict', CONFIG, FILE, FILE, '--out-dir', 'out', '--ann-file', 'gone.json'): 'no annotation file at gone',
    ('predict', CONFIG, FILE, 'no/*.jpg', '--out-dir', 'out'): 'no image matches no/*.jpg',
    ('predict', CONFIG, FILE, 'https://a.org/a.jpg', '--out-dir', 'out'): 'is a URL: download the file',
    ('predict', CONFIG, FILE, 'album', '--out-dir', 'out'): '); there are some in album/pictures',
    ('train', CONFIG, '--split', '0.8'): '--split 0.8: it divides the images of --data FOLDER, which is not given',
    ('convert_dataset', 'nowhere', 'out'): 'no data folder at nowhere',
    ('check_dataset', 'nowhere.py'): 'no config, folder or annotation file at nowhere.py',
    ('convert_checkpoint', 'gone.pth', '--inspect'): 'checkpoint gone.pth does not exist',
    ('convert_checkpoint', CONFIG, 'new.onnx', '--to', 'timm'): 'must end in',
    ('convert_checkpoint', CONFIG, 'new.pth', '--to', 'keras'): 'invalid choice',
    ('analyze_model', 'nowhere.py'): 'no config at nowhere.py',
    ('analyze_model',): 'give a config file',
    ('make_shapes_dataset', 'out', '--train', '0'): 'must be positive',
    ('export', 'nowhere.py', FILE, 'model.onnx'): 'no config at nowhere.py',
    ('export', CONFIG, 'gone.pth', 'model.onnx'): 'no checkpoint at gone.pth',
    ('show_results', 'nowhere'): 'no evaluation in nowhere',
}
# calls each in one fresh interpreter, and says what each imported
CALL = """
import contextlib, io, json, runpy, sys
from pathlib import Path
results = []
for script, *arguments in json.load(sys.stdin):
    before = set(sys.modules)
    sys.argv = [script, *arguments]
    sys.path[0] = str(Path(script).parent)
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        try:
            runpy.run_path(script, run_name='__main__')
            code = 0
        except SystemExit as end:
            code = end.code or 0
    results.append((code, text.getvalue(), sorted({name.partition('.')[0] for name in set(sys.modules) - before})))
print(json.dumps(results))
"""


@pytest.fixture(scope='module')
def answers(tmp_path_factory: pytest.TempPathFactory, environment: dict[str, str]) -> dict[tuple, tuple]:
    """Exit code, words and imported packages of each call."""
    calls = [(script, '--help') for script in SCRIPTS] + [(script, '--no-such-option') for script in SCRIPTS]
    calls += WRONG
    lines = [[str(TOOLS / f'{script}.py'), *map(str, arguments)] for script, *arguments in calls]
    folder = tmp_path_factory.mktemp('cwd')
    (folder / 'album/pictures').mkdir(parents=True)
    for name in ('clip.mp4', 'album/pictures/a.JPG'):
        (folder / name).touch()
    done = subprocess.run(
        [sys.executable, '-c', CALL], input=json.dumps(lines), capture_output=True, text=True, check=True,
        env=environment, cwd=folder, timeout=120,
    )  # fmt: skip
    return dict(zip(calls, json.loads(done.stdout)))


def test_every_tool_is_called(answers: dict[tuple, tuple]):
    helpers = {path.stem for path in TOOLS.glob('*.py') if '__main__' not in path.read_text()}
    assert {path.stem for path in TOOLS.glob('*.py')} - helpers == {name for name in SCRIPTS if '/' not in name}
    assert len(answers) == 2 * len(SCRIPTS) + len(WRONG)


@pytest.mark.parametrize('script', SCRIPTS)
def test_help_and_unknown_options_import_nothing_slow(script: str, answers: dict[tuple, tuple]):
    for option, expected, word in (('--help', 0, 'usage:'), ('--no-such-option', 2, 'error:')):
        code, text, imported = answers[script, option]
        assert code == expected, text
        assert word in text
        assert not set(SLOW) & set(imported)


@pytest.mark.parametrize('call', WRONG, ids=lambda call: ' '.join(Path(word).name for word in call))
def test_wrong_arguments_are_named_before_anything_slow(call: tuple, answers: dict[tuple, tuple]):
    code, text, imported = answers[call]
    assert code == 2, text
    assert WRONG[call] in text
    assert 'Traceback' not in text
    assert not set(SLOW) & set(imported)


def test_the_choices_of_options_are_those_of_the_library():
    """They are written down in the programs, where reading the tables would take the imports."""
    from swin_mmdet.checkpoint.convert import TARGETS
    from swin_mmdet.commands.convert_checkpoint import PROGRAMS
    from swin_mmdet.commands.train import DTYPES, SCALING_RULES
    from swin_mmdet.engine import training_options
    from swin_mmdet.engine.runner import SCALES

    assert list(PROGRAMS) == sorted(TARGETS)
    assert tuple(SCALES) == SCALING_RULES
    assert tuple(training_options.DTYPES) == DTYPES
