"""What fails is named, with its cause and the line that mends it."""

import re

import pytest

from swin_mmdet.doctor.cures import CURES
from swin_mmdet.doctor.probe import STEPS as PROBED
from swin_mmdet.doctor.trials import BUILDS_ON, STEPS, Trial, findings

# errors as the packages word them
ERRORS = {
    ('cv2', 'ImportError: libGL.so.1: cannot open shared object file: No such file or directory'): (
        'libraries of a desktop', 'opencv-python-headless'),
    ('cv2', "ModuleNotFoundError: No module named 'cv2'"): ('not installed', 'opencv-python-headless'),
    ('torch', 'ImportError: libcudart.so.12: cannot open shared object file'): ('CUDA libraries', 'torch torchvision'),
    ('torch', 'ImportError: .../libtorch_cuda.so: undefined symbol: ncclCommResume'): ('CUDA libraries', 'torchvision'),
    ('torch', 'RuntimeError: Numpy is not available'): ('built for numpy 1', "'numpy<2'"),
    ('torch', "ModuleNotFoundError: No module named 'torch'"): ('torch is not installed', "'torch>=2.6'"),
    ('torchvision', 'RuntimeError: operator torchvision::nms does not exist'): ('another torch', 'torchvision'),
    ('pycocotools', 'ValueError: numpy.dtype size changed, may indicate binary incompatibility'): (
        'another numpy', 'pycocotools'),
    ('mmengine', "ModuleNotFoundError: No module named 'termcolor'"): ('termcolor is not', 'pip install termcolor'),
    ('mmengine', "ModuleNotFoundError: No module named 'PIL.Image'"): ('pillow is not', 'pip install pillow'),
    ('mmcv', 'ImportError: site-packages/mmcv/_ext.cpython-311.so: undefined symbol: _ZN2at4_ops5zeros'): (
        'compiled operators', 'mmcv-lite'),
    ('mmdet', 'AssertionError: MMCV==2.2.0 is used but incompatible. Please install mmcv>=2.0.0rc4, <2.2.0.'): (
        'refuses this mmcv', 'mmcv-lite'),
    ('gpu', 'RuntimeError: The NVIDIA driver on your system is too old (found version 11040).'): (
        'driver is older', 'update'),
    ('gpu', 'RuntimeError: CUDA error: no kernel image is available for execution on the device'): (
        'no kernels for this GPU', 'torch'),
    ('gpu', 'RuntimeError: CUDA error: unknown error'): ('does not compute', 'reboot'),
    ('kernels', 'RuntimeError: Failed to find C compiler. Please specify via CC environment variable.'): (
        'C compiler', 'gcc'),
    ('kernels', 'ArithmeticError: shifted_window_attention of triton is 3 off on cuda'): ('fail', 'swin_mmdet'),
    ('kernels', 'ends its process: SIGSEGV'): ('fail', 'swin_mmdet'),
    ('startup_file', 'RuntimeError: switched off'): ('SWIN_MMDET_STARTUP', 'unset SWIN_MMDET_STARTUP'),
    ('startup_file', 'RuntimeError: not run'): ('was not run', 'pip install .'),
}  # fmt: skip
DRIVER = ['NVIDIA H200, 570.86']


def trials(**changes):
    return [Trial(step, value='1.0' if step != 'gpu' else 'none') for step in STEPS if step not in changes] + [
        Trial(step, **change) for step, change in changes.items()
    ]


def test_the_steps_are_those_of_the_probe():
    assert tuple(PROBED) == STEPS
    assert {step for cure in CURES for step in cure.steps} <= set(STEPS)
    for step, causes in BUILDS_ON.items():
        assert all(STEPS.index(cause) < STEPS.index(step) for cause in causes)


@pytest.mark.parametrize('case', ERRORS, ids=lambda case: case[1][:60])
def test_an_error_has_its_cause_and_its_remedy(case):
    step, error = case
    (found,) = [one for one in findings([Trial(step, error=error, trace='')], DRIVER) if one.wrong]
    says, remedy = ERRORS[case]
    assert says in found.wrong
    assert remedy in found.remedy
    assert '\n' not in found.remedy
    assert found.is_broken == (step != 'startup_file')


def test_only_the_first_of_a_chain_is_to_be_mended():
    broken = {step: dict(error="ModuleNotFoundError: No module named 'torch'") for step in STEPS[2:]}
    found = findings([Trial(step, value='1.0') for step in STEPS[:2]] + [
        Trial(step, **broken[step]) for step in STEPS[2:]], [])  # fmt: skip
    wrong = [one.name for one in found if one.wrong and one.is_broken]
    assert wrong == ['torch', 'opencv', 'pycocotools']
    assert any('torch comes first' in one.value for one in found)


@pytest.mark.parametrize(('torch', 'gpu', 'drivers', 'says'), [
    ('2.14, built for CPUs alone', 'none', DRIVER, 'without CUDA'),
    ('2.14, CUDA 13.0', 'none', DRIVER, 'sees a GPU, and torch does not'),
    ('2.14, CUDA 13.0', 'NVIDIA H200', DRIVER, ''),
    ('2.14, CUDA 13.0', 'none', [], ''),
])  # fmt: skip
def test_a_gpu_that_torch_does_not_see_is_said(torch, gpu, drivers, says):
    changes = dict(torch=dict(value=torch), gpu=dict(value=gpu))
    (found,) = [one for one in findings(trials(**changes), drivers) if one.name == 'GPU']
    assert says in found.wrong
    assert bool(found.wrong) == bool(says)
    assert ('570.86' in found.value) == bool(drivers)


def test_a_machine_without_a_gpu_is_healthy():
    """torch says so by an error."""
    gpu = dict(error='RuntimeError: Found no NVIDIA driver on your system.')
    found = findings(trials(gpu=gpu), [])
    assert not [one for one in found if one.wrong]
    assert any(re.search('none: everything runs on the CPU', one.value) for one in found)
