"""The import rules of the house, enforced on the source."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
PACKAGE = ROOT / 'swin_mmdet'

MMLAB = {'mmdet', 'mmengine', 'mmcv'}
# room -> rooms and packages it may import besides itself and the standard library
MAY_IMPORT = {
    '__init__': {'lazy'},
    'lazy': set(),
    '__main__': {'commands'},
    'errors': set(),
    'early_lines': set(),
    'no_collection': set(),
    'progress': {'mmengine', 'tqdm'},
    # the programs: they call every room
    'commands': {
        *('__init__', 'api', 'errors', 'early_lines', 'config', 'compat', 'drop_in', 'checkpoint', 'datasets'),
        *('doctor', 'engine', 'evaluation', 'export', 'analysis', 'progress', 'visualization', 'report', 'fitting'),
        *('detectors', 'maintenance', 'torch', 'mmengine', 'mmcv', 'mmdet'),
    },
    # of a checkout; imports each room to read what it exports
    'maintenance': {'__init__', 'errors', 'config', 'mmengine', 'yaml', 'pdoc'},
    # a training is the program's, with its options
    'api': MMLAB
    | {'commands', 'compat', 'errors', 'config', 'datasets', 'engine', 'export', 'structures', 'visualization'}
    | {'numpy', 'torch', 'cv2', 'PIL', 'pycocotools', 'pandas', 'supervision'},
    'report': MMLAB
    | {'errors', 'config', 'datasets', 'evaluation', 'lazy', 'progress', 'structures', 'visualization', 'numpy'}
    | {'torch', 'pycocotools', 'cv2', 'jinja2', 'markupsafe', 'matplotlib'},
    'config': {'__init__', 'backbone_channels', 'errors', 'compat', 'mmengine', 'torch'},
    'variants': set(),
    'backbone_channels': {'errors', 'variants'},
    'registry': {'compat', 'run_log', 'mmengine'},
    'run_log': {'ops', 'mmengine'},
    'drop_in': {'drop_in_backbone', 'datasets', 'detectors', 'necks', 'recording', 'registry', 'mmdet'},
    'drop_in_backbone': {'compat', 'models', 'registry', 'mmdet', 'mmengine'},
    # what its patches name, each when somebody else has imported it
    'compat': {'backbone_channels', 'ops', 'torch', 'torchvision', 'numpy', 'PIL', 'mmengine', 'mmcv'}
    | {'mmdet'},
    'startup': {'compat'},
    # tries packages by their names, in a process of its own
    'doctor': set(),
    'utils': {'compat', 'mmdet'},
    'ops': {'torch', 'torchvision'},
    'checkpoint': {'errors', 'ops', 'variants', 'torch', 'mmengine', 'numpy', 'safetensors', 'scipy'},
    'models': {'config', 'ops', 'checkpoint', 'no_collection', 'registry', 'variants', 'torch', 'torchvision'}
    | {'mmengine', 'mmcv'},
    'visualization': MMLAB | {'registry', 'matplotlib', 'numpy', 'cv2', 'PIL'},
    'engine': MMLAB
    | {'errors', 'config', 'checkpoint', 'models', 'datasets', 'detectors', 'registry', 'early_lines', 'numpy', 'torch'}
    | {'recording', 'transformers', 'filelock', 'tqdm'},
    # whole steps as CUDA graphs
    'recording': MMLAB | {'detectors', 'models', 'no_collection', 'ops', 'structures', 'registry', 'torch'},
    # settings from data: above `engine`, which applies them
    'fitting': MMLAB
    | {'errors', 'config', 'compat', 'datasets', 'engine', 'analysis', 'numpy', 'torch'},
    'analysis': {'compat', 'config', 'detectors', 'models', 'ops', 'mmdet', 'mmengine'}
    | {'numpy', 'torch', 'torchvision'},
    'structures': MMLAB | {'compat', 'ops', 'numpy', 'torch', 'pycocotools', 'cv2'},
    'detectors': MMLAB | {'errors', 'config', 'models', 'ops', 'structures', 'registry', 'numpy', 'scipy', 'torch'},
    'necks': MMLAB | {'models', 'ops', 'registry', 'torch'},
    # `runtime` and `torch_ops` are copied beside exports, and import less
    'export': MMLAB
    | {'__init__', 'errors', 'config', 'engine', 'structures', 'detectors', 'ops', 'registry', 'numpy', 'torch'}
    | {'checkpoint', 'reppoints_v2', 'torchvision', 'onnx', 'onnxruntime', 'openvino', 'PIL', 'swin_mmdet_torch_ops'},
    # a dense head as those in `detectors`, whose maps and counts are one with its own
    'reppoints_v2': MMLAB | {'detectors', 'models', 'ops', 'registry', 'torch'},
    'datasets': MMLAB
    | {'errors', 'config', 'structures', 'registry', 'compat', 'numpy', 'torch', 'pycocotools', 'PIL', 'cv2', 'yaml'}
    | {'no_collection', 'progress', 'simplejpeg', 'msgspec'},
    'evaluation': {'errors', 'registry', 'structures', 'datasets', 'mmdet', 'mmengine', 'numpy', 'torch'}
    | {'pycocotools', 'faster_coco_eval'},
}
READS_THE_ENVIRONMENT = {
    PACKAGE / 'startup.py',  # runs before anybody could pass it an argument: its switch is a variable
    PACKAGE / 'commands/launcher.py',  # launchers of several processes say there which of them this is
}
FILES = sorted(path for path in PACKAGE.rglob('*.py') if '.mim' not in path.parts)
LIBRARY_FILES = [path for path in FILES if path.name != '__init__.py']


def name_of(path):
    return str(path.relative_to(ROOT))


def room_of_file(path):
    relative = path.relative_to(PACKAGE)
    return relative.parts[0] if len(relative.parts) > 1 else relative.stem


def imported_modules(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f'{path}: relative import'
            assert all(alias.name != '*' for alias in node.names), f'{path}: import *'
            yield node.module


def room_of_module(module):
    top, *rest = module.split('.')
    return (rest[0] if rest else '__init__') if top == 'swin_mmdet' else top


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_imports_go_down_only(path):
    room = room_of_file(path)
    allowed = {room} | MAY_IMPORT[room] | sys.stdlib_module_names
    if path.name.startswith('triton_'):
        allowed |= {'triton'}
    for module in imported_modules(path):
        assert room_of_module(module) in allowed, f'{name_of(path)}: {room} may not import {module}'


@pytest.mark.parametrize('path', [p for p in FILES if p.name == '__init__.py'], ids=name_of)
def test_an_init_lists_public_names_and_holds_no_code(path):
    allowed = (ast.Import, ast.ImportFrom, ast.Expr, ast.Assign)
    if path.parent.name == 'compat':
        return  # importing the room applies its patches
    for node in ast.parse(path.read_text()).body:
        assert isinstance(node, allowed), f'{name_of(path)}:{node.lineno} holds code'
        if isinstance(node, ast.Expr):
            assert isinstance(node.value, ast.Constant), f'{name_of(path)}:{node.lineno} holds code'


@pytest.mark.parametrize('path', [p for p in FILES if p.name == '__init__.py'], ids=name_of)
def test_an_init_exports_what_it_imports_and_nothing_private(path):
    nodes = ast.parse(path.read_text()).body
    exported = [ast.literal_eval(node.value) for node in nodes if isinstance(node, ast.Assign) and _assigns_all(node)]
    if not exported:
        return  # a folder whose files are imported by their names
    imports = [node for node in nodes if isinstance(node, ast.ImportFrom) and node.module != 'swin_mmdet.lazy']
    imported = [alias.name for node in imports for alias in node.names]
    # or when they are first asked for
    calls = [node.value for node in nodes if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call)]
    imported += [keyword.arg for call in calls for keyword in call.keywords]
    assert sorted(exported[0]) == sorted(imported)
    assert not [name for name in imported if name.startswith('_')]


def _assigns_all(node):
    return [getattr(target, 'id', None) for target in node.targets] == ['__all__']


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_what_begins_with_an_underscore_stays_in_its_file(path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module.startswith('swin_mmdet'):
            private = [alias.name for alias in node.names if alias.name.startswith('_')]
            assert not private, f'{name_of(path)}:{node.lineno} imports {private}'


@pytest.mark.parametrize('path', [path for path in FILES if path not in READS_THE_ENVIRONMENT], ids=name_of)
def test_the_library_reads_no_environment_variable(path):
    for node in ast.walk(ast.parse(path.read_text())):
        read = isinstance(node, ast.Attribute) and node.attr in ('environ', 'getenv')
        assert not read, f'{name_of(path)}:{node.lineno} reads the environment'


@pytest.mark.parametrize('path', FILES, ids=name_of)
def test_every_file_says_what_it_is_for(path):
    assert ast.get_docstring(ast.parse(path.read_text())), f'{name_of(path)} has no docstring'


def test_importing_the_package_imports_no_torch():
    code = "import sys, swin_mmdet; assert 'torch' not in sys.modules; print(swin_mmdet.__version__)"
    subprocess.run([sys.executable, '-c', code], check=True, cwd=ROOT)


def test_the_top_level_is_fixed():
    tracked = subprocess.run(['git', 'ls-files'], cwd=ROOT, capture_output=True, text=True, check=False)
    if tracked.returncode:
        pytest.skip('not a git checkout')
    tops = {line.split('/')[0] for line in tracked.stdout.splitlines()}
    expected = {'swin_mmdet', 'configs', 'tools', 'tests', 'setup.py', 'README.md'}
    assert {top for top in tops if not top.startswith('.')} <= expected
