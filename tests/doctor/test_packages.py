"""Stacks and versions are told by what is installed."""

from importlib.metadata import PackageNotFoundError

import pytest

from swin_mmdet.doctor import packages
from swin_mmdet.doctor.packages import package_findings

HEALTHY = {
    'torch': '2.14.1+cu130', 'torchvision': '0.29.1', 'numpy': '2.4.6', 'pycocotools': '2.0.11', 'safetensors': '0.8.0',
    'filelock': '4.0', 'mmengine': '0.10.7', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0', 'faster-coco-eval': '1.8.0',
    'simplejpeg': '1.9.0', 'msgspec': '0.23.0', 'onnx': '1.23', 'onnxscript': '0.7', 'onnxruntime': '1.32',
}  # fmt: skip
ONEDL = {'onedl-mmengine': '0.10.9', 'onedl-mmcv': '2.3.0', 'onedl-mmdetection': '3.4.0'}
NO_STACK = {'mmengine': None, 'mmcv-lite': None, 'mmdet': None}


@pytest.fixture
def wrong(monkeypatch):
    """wrong(changes) -> name, what is wrong and the remedy of each finding that is no hint."""

    def find(hints=False, **changes):
        there = {name: number for name, number in {**HEALTHY, **changes.pop('all', {})}.items() if number}

        def version(name):
            if name not in there:
                raise PackageNotFoundError(name)
            return there[name]

        monkeypatch.setattr(packages, 'version', version)
        return [(one.name, one.wrong, one.remedy) for one in package_findings() if one.wrong and one.is_broken != hints]

    return find


@pytest.mark.parametrize('changes', [
    {}, NO_STACK | ONEDL, {'mmcv-lite': None, 'mmcv': '2.1.0'}, {'mmengine': None, 'mmengine-lite': '0.10.7'},
], ids=['mmdet', 'onedl', 'compiled', 'mmengine-lite'])  # fmt: skip
def test_each_whole_stack_is_healthy(wrong, changes):
    assert wrong(all=changes) == []


@pytest.mark.parametrize(('changes', 'name', 'says', 'remedy'), [
    ({'torch': '2.5.1'}, 'torch', 'too old', "pip install --upgrade 'torch>=2.6'"),
    ({'torch': None}, 'torch', 'not installed', "pip install 'torch>=2.6'"),
    ({'numpy': None}, 'numpy', 'not installed', 'pip install numpy'),
    ({'mmdet': None}, 'mmdet', 'not installed', "pip install 'mmdet>=3.3.0,<4'"),
    ({'mmdet': '2.28.0'}, 'mmdet', 'too old', "'mmdet>=3.3.0,<4'"),
    ({'mmcv-lite': None}, 'mmcv', 'not installed', "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'mmcv-lite': '2.2.0'}, 'mmcv', 'refuses mmcv-lite 2.2.0', "pip install 'mmcv-lite>=2.0.1,<2.2'"),
    ({'mmcv-lite': None, 'mmcv': '2.2.0'}, 'mmcv', 'refuses mmcv 2.2.0', 'pip uninstall -y mmcv && '),
    ({'mmcv': '2.1.0'}, 'stack', 'mmcv-lite and mmcv bring the same files',
     'pip uninstall -y mmcv-lite mmcv && pip install mmcv-lite==2.1.0'),
    ({'onedl-mmcv': '2.3.0'}, 'stack', 'are mixed', 'pip uninstall -y mmengine mmcv-lite onedl-mmcv mmdet && pip'),
    ({'mmcv-lite': None, 'onedl-mmcv': '2.3.0'}, 'stack', 'are mixed', "pip install 'mmcv-lite<2.2' mmengine mmdet"),
    (NO_STACK | ONEDL | {'onedl-mmcv': None}, 'mmcv', 'not installed', 'pip install onedl-mmcv'),
    ({'mmengine': '0.10.3'}, 'mmengine', 'too old', "'mmengine>=0.10.7'"),
], ids=str)  # fmt: skip
def test_each_fault_has_the_line_that_mends_it(wrong, changes, name, says, remedy):
    ((found, words, line),) = wrong(all=changes)
    assert found == name
    assert says in words
    assert remedy in line


def test_what_is_optional_is_a_hint(wrong):
    changes = {'faster-coco-eval': None, 'onnx': None, 'onnxruntime': None}
    assert wrong(all=changes) == []
    assert wrong(hints=True, all=changes) == [
        ('fast evaluator', 'faster-coco-eval is not installed: pycocotools evaluates, several times slower',
         'pip install faster-coco-eval'),
        ('export', 'onnx, onnxruntime are not installed: no ONNX files', 'pip install onnx onnxruntime'),
    ]  # fmt: skip
