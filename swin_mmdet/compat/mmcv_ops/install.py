"""Offers `mmcv._ext` to the import system when mmcv brings none of its own, and lets ours help a compiled one."""

import sys
from collections.abc import Callable
from importlib import import_module
from importlib.machinery import ModuleSpec
from types import ModuleType
from typing import TYPE_CHECKING, NoReturn

from swin_mmdet.compat.on_import import after

if TYPE_CHECKING:
    from importlib.abc import Loader
else:
    Loader = object

NAME = 'mmcv._ext'
OPS = {
    'boxes': ('nms', 'softnms', 'nms_match', 'bbox_overlaps'),
    'roi': ('roi_align_forward', 'roi_align_backward', 'roi_pool_forward', 'roi_pool_backward'),
    'deform': (
        'deform_conv_forward',
        'deform_conv_backward_input',
        'deform_conv_backward_parameters',
        'modulated_deform_conv_forward',
        'modulated_deform_conv_backward',
    ),
    'attention': ('ms_deform_attn_forward', 'ms_deform_attn_backward'),
    'focal': (
        'sigmoid_focal_loss_forward',
        'sigmoid_focal_loss_backward',
        'softmax_focal_loss_forward',
        'softmax_focal_loss_backward',
    ),
    'masked_conv': ('masked_im2col_forward', 'masked_col2im_forward'),
    'carafe': ('carafe_forward', 'carafe_backward', 'carafe_naive_forward', 'carafe_naive_backward'),
}
# modules of mmcv -> what mends them in functions.py, which imports PyTorch and is read when one of them is there
PATCHES = {
    'mmcv.ops.multi_scale_deform_attn': 'patch_attention',
    'mmcv.ops.deform_conv': 'patch_convolution',
    'mmcv.ops.modulated_deform_conv': 'patch_modulated_convolution',
    'mmcv.ops.nms': 'patch_batched_nms',
}


class FallbackFinder(Loader):
    """Finds `mmcv._ext` after every other finder has failed to."""

    def find_spec(self, fullname: str, *_: object) -> ModuleSpec | None:
        return ModuleSpec(NAME, self, origin=__name__) if fullname == NAME else None

    def create_module(self, spec: ModuleSpec) -> None:
        """The import system's default module is the right one."""

    def exec_module(self, module: ModuleType) -> None:
        versions = dict(get_compiler_version=compiler_version, get_compiling_cuda_version=cuda_version)
        vars(module).update(our_ops(), **versions, __getattr__=missing_op)


def apply() -> None:
    """Append the finder, once, and wait for the modules to mend."""
    if not any(isinstance(finder, FallbackFinder) for finder in sys.meta_path):
        sys.meta_path.append(FallbackFinder())
    after(NAME, help_compiled)
    for name in PATCHES:
        after(name, patch)


def our_ops() -> dict[str, Callable]:
    """By the names that they have in the compiled module."""
    modules = {file: import_module(f'swin_mmdet.compat.mmcv_ops.{file}') for file in OPS}
    return {name: getattr(modules[file], name) for file, names in OPS.items() for name in names}


def is_ours(module: ModuleType) -> bool:
    """Whether `mmcv._ext` is the one from here."""
    return module.__spec__ is not None and module.__spec__.origin == __name__


def help_compiled(module: ModuleType) -> None:
    """Let a compiled module's ops step aside for ours where they cannot run."""
    if not is_ours(module):
        import_module('swin_mmdet.compat.mmcv_ops.choose').add_ours(module, our_ops())


def patch(module: ModuleType) -> None:
    """Mend one of the modules in `PATCHES`."""
    getattr(import_module('swin_mmdet.compat.mmcv_ops.functions'), PATCHES[module.__name__])(module)


def compiler_version() -> str:
    """What collect_env prints as "MMCV Compiler"."""
    import torchvision

    return f'none, swin_mmdet runs the ops on torchvision {torchvision.__version__}'


def cuda_version() -> str:
    """What collect_env prints as "MMCV CUDA Compiler"."""
    return 'not available'


def missing_op(name: str) -> Callable[..., NoReturn]:
    """Stand in for an op that is not here: mmcv's modules import, and calling it says what to do."""
    if name.startswith('_'):
        raise AttributeError(f'module {NAME!r} has no attribute {name!r}')

    def refuse(*args: object, **kwargs: object) -> NoReturn:
        raise NotImplementedError(
            f'{name} needs a compiled mmcv, and the one installed has no compiled ops. Install a wheel that fits your '
            'PyTorch and CUDA (the onedl-mmcv project publishes some), or build mmcv from source with '
            '`MMCV_WITH_OPS=1 pip install --no-binary mmcv mmcv`'
        )

    return refuse
