"""Tries the packages one after the other, in a process of its own: what is broken may end it without a word.

Each step prints a line of JSON when it begins and one when it ends; `trials.py` reads them.
"""

import contextlib
import io
import json
import sys
import traceback
import warnings
from collections.abc import Callable, Sequence
from importlib import import_module


def numpy() -> str:
    """Its version."""
    return str(import_module('numpy').__version__)


def torch() -> str:
    """Version and CUDA; an array of numpy becomes a tensor."""
    torch, np = import_module('torch'), import_module('numpy')
    torch.from_numpy(np.zeros(1)).numpy()
    cuda = torch.version.cuda or torch.version.hip
    return f'{torch.__version__}, ' + (f'CUDA {cuda}' if cuda else 'built for CPUs alone')


def torchvision() -> str:
    """Its compiled operators fit torch."""
    torch, vision = import_module('torch'), import_module('torchvision')
    vision.ops.nms(torch.tensor([[0.0, 0.0, 1.0, 1.0]]), torch.ones(1), 0.5)
    return str(vision.__version__)


def cv2() -> str:
    """It reads and writes an image."""
    cv2, np = import_module('cv2'), import_module('numpy')
    is_written, content = cv2.imencode('.png', np.zeros((2, 2), np.uint8))
    assert is_written
    assert cv2.imdecode(content, cv2.IMREAD_COLOR).shape == (2, 2, 3)
    return str(cv2.__version__)


def pycocotools() -> str:
    """Its compiled part fits numpy."""
    masks, np = import_module('pycocotools.mask'), import_module('numpy')
    assert masks.area(masks.encode(np.asfortranarray(np.ones((2, 2), np.uint8)))) == 4
    return 'works'


def startup_file() -> str:
    """Whether the start-up file was run when this process began."""
    if not any(getattr(finder, '__name__', '') == 'SwinMMDetStartup' for finder in sys.meta_path):
        raise RuntimeError('not run')
    if import_module('swin_mmdet.startup').is_off():
        raise RuntimeError('switched off')
    return 'active'


def mmengine() -> str:
    """Its registries and configs."""
    import_module('mmengine.runner')
    return str(import_module('mmengine').__version__)


def mmcv() -> str:
    """Its operators, its own or ours."""
    import_module('swin_mmdet.compat')
    mmcv = import_module('mmcv')
    operators = import_module('mmcv._ext')
    is_ours = import_module('swin_mmdet.compat.mmcv_ops.install').is_ours(operators)
    import_module('mmcv.ops')
    return f'{mmcv.__version__}, ' + ('operators of torchvision and ours' if is_ours else 'compiled operators')


def mmdet() -> str:
    """Its detectors."""
    import_module('swin_mmdet.compat')
    mmdet = import_module('mmdet')
    import_module('mmdet.apis')
    return str(mmdet.__version__)


def gpu() -> str:
    """Each GPU computes."""
    torch = import_module('torch')
    if not (torch.version.cuda or torch.version.hip):
        return 'none'
    number = torch.cuda.device_count()
    for index in range(number):
        assert float(torch.ones(8, device=f'cuda:{index}').sum()) == 8
    if not number:
        # its reason, where there is one
        torch.cuda.init()
    names = [torch.cuda.get_device_name(index) for index in range(number)]
    return ', '.join(names) or 'none'


def kernels() -> str:
    """The operators of this package: which of them run here, one of them tried against the reference."""
    torch = import_module('torch')
    ops = import_module('swin_mmdet.ops.shifted_window_attention')
    backends = import_module('swin_mmdet.ops.shifted_window_attention.backends')
    device = 'cuda' if torch.cuda.is_available() else 'cpu'
    torch.manual_seed(0)
    qkv, table = torch.randn(1, 9, 10, 3 * 32, device=device), torch.randn(13 * 13, 1, device=device)
    settings = dict(window_size=7, shift_size=3)
    chosen = backends.resolve_backend('auto', qkv, table, 7)
    expected, found = (
        ops.shifted_window_attention(qkv, table, backend=name, **settings) for name in ('reference', chosen.name)
    )
    far = float((found - expected).abs().max())
    if not far < 1e-2:
        raise ArithmeticError(f'shifted_window_attention of {chosen.name} is {far:.1g} off on {device}')
    reason = import_module('swin_mmdet.ops.triton_available').why_not_kernels(qkv.device, torch.float32)
    return f'shifted_window_attention by {chosen.name!r} on {device}; ' + (
        f'no Triton: {reason}' if reason else f'Triton {import_module("triton").__version__}'
    )


# in the order in which they build on each other
ORDER = startup_file, numpy, torch, torchvision, cv2, pycocotools, mmengine, mmcv, mmdet, gpu, kernels
STEPS: dict[str, Callable[[], str]] = {step.__name__: step for step in ORDER}


def main(names: Sequence[str]) -> None:
    """Run these steps."""
    lines = sys.stdout
    warnings.simplefilter('ignore')
    for name in names:
        print(json.dumps({'step': name}), file=lines, flush=True)
        answer = {'step': name, 'value': '', 'error': '', 'trace': ''}
        noise = io.StringIO()
        try:
            with contextlib.redirect_stdout(noise):
                answer['value'] = STEPS[name]()
        except BaseException as error:  # of whatever a broken package raises or calls
            answer['error'] = f'{type(error).__name__}: {error}'
            answer['trace'] = traceback.format_exc()
        print(json.dumps(answer), file=lines, flush=True)
