"""`mmcv._ext` as the import system sees it, and mmcv's own wrappers on top of it."""

import importlib
import importlib.util
import pkgutil
import sys
import warnings

import fresh_python
import pytest
import torch

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.compat.mmcv_ops import install

pytest.importorskip('mmcv')
SPEC = importlib.util.find_spec('mmcv._ext')
ours_only = pytest.mark.skipif(SPEC.origin != install.__name__, reason='mmcv is a compiled one')


@ours_only
def test_the_module_is_found_by_every_way_of_asking():
    module = importlib.import_module('mmcv._ext')
    assert importlib.util.find_spec('mmcv._ext').name == module.__spec__.name == 'mmcv._ext'
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        assert pkgutil.find_loader('mmcv._ext') is not None


@ours_only
def test_an_op_that_is_missing_imports_and_refuses_a_call_by_name():
    module = importlib.import_module('mmcv._ext')
    with pytest.raises(NotImplementedError, match='nms_rotated needs a compiled mmcv'):
        module.nms_rotated(torch.zeros(1, 5))
    assert not hasattr(module, '__path__')


@ours_only
def test_every_module_of_mmcv_ops_imports():
    import mmcv.ops

    for info in pkgutil.iter_modules(mmcv.ops.__path__):
        importlib.import_module(f'mmcv.ops.{info.name}')


@ours_only
def test_collect_env_says_that_nothing_is_compiled():
    from mmcv.ops import get_compiler_version, get_compiling_cuda_version

    assert get_compiler_version().startswith('none, swin_mmdet runs the ops on torchvision')
    assert get_compiling_cuda_version() == 'not available'


def test_applying_twice_adds_one_finder():
    install.apply()
    install.apply()
    assert sum(isinstance(finder, install.FallbackFinder) for finder in sys.meta_path) == 1


def test_a_compiled_module_wins(tmp_path):
    package = tmp_path / 'mmcv'
    package.mkdir()
    (package / '__init__.py').write_text('')
    (package / '_ext.py').write_text('compiled = True')
    code = 'import swin_mmdet.compat, mmcv._ext; print(mmcv._ext.compiled)'
    assert fresh_python.run(code, first=(tmp_path,)) == 'True\n'


def test_without_mmcv_the_module_is_missing_like_mmcv_itself():
    code = """
        import swin_mmdet.compat
        try:
            import mmcv._ext
        except ModuleNotFoundError as error:
            print(error)
    """
    assert fresh_python.run(code, missing=('mmcv',)) == "No module named 'mmcv'\n"


@ours_only
@pytest.mark.parametrize('pool_mode', ['avg', 'max'])
def test_gradcheck_passes_through_the_roi_align_of_mmcv(pool_mode):
    from mmcv.ops import roi_align

    torch.manual_seed(0)
    features = torch.randn(1, 2, 5, 6, dtype=torch.float64, requires_grad=True)
    rois = torch.tensor([[0, 0.3, 0.7, 4.1, 3.9]], dtype=torch.float64)
    assert torch.autograd.gradcheck(lambda x: roi_align(x, rois, (2, 2), 1.0, 2, pool_mode, True), features)


@ours_only
def test_gradcheck_passes_through_the_deformable_ops_of_mmcv():
    from mmcv.ops import deform_conv2d, modulated_deform_conv2d
    from mmcv.ops.multi_scale_deform_attn import MultiScaleDeformableAttnFunction

    torch.manual_seed(0)

    def random(*shape: int) -> torch.Tensor:
        return torch.rand(shape, dtype=torch.float64).requires_grad_()

    x, offset, mask, weight = random(1, 2, 4, 4), random(1, 18, 4, 4), random(1, 9, 4, 4), random(2, 2, 3, 3)
    assert torch.autograd.gradcheck(lambda *args: deform_conv2d(*args, 1, 1), (x, offset, weight))
    bias = random(2)
    assert torch.autograd.gradcheck(lambda *args: modulated_deform_conv2d(*args, 1, 1), (x, offset, mask, weight, bias))

    shapes, starts = torch.tensor([[3, 3], [2, 2]]), torch.tensor([0, 9])
    value, places, weights = random(1, 13, 2, 2), random(1, 2, 2, 2, 2, 2), random(1, 2, 2, 2, 2)
    assert torch.autograd.gradcheck(
        lambda v, p, w: MultiScaleDeformableAttnFunction.apply(v, shapes, starts, p, w, 64), (value, places, weights)
    )


@ours_only
@pytest.mark.parametrize('reduction', ['none', 'mean', 'sum'])
def test_gradcheck_passes_through_the_focal_losses_of_mmcv(reduction):
    from mmcv.ops import sigmoid_focal_loss, softmax_focal_loss

    torch.manual_seed(0)
    logits, target = torch.randn(4, 3, dtype=torch.float64, requires_grad=True), torch.tensor([0, 2, 1, 1])
    # mmcv's backward of the unreduced softmax loss multiplies [N, C] by [N]: wrong with the compiled op too.
    losses = [sigmoid_focal_loss] if reduction == 'none' else [sigmoid_focal_loss, softmax_focal_loss]
    for loss in losses:
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss(x, target, 2.0, 0.25, None, reduction), logits)


@ours_only
def test_nms_of_mmcv_takes_arrays_scores_below_a_threshold_and_many_classes():
    from mmcv.ops import batched_nms, nms, soft_nms

    boxes = torch.tensor([[0.0, 0, 10, 10], [1, 0, 10, 10], [20, 20, 30, 30], [0, 0, 10, 10]])
    scores, classes = torch.tensor([0.9, 0.8, 0.7, 0.1]), torch.tensor([0, 1, 0, 0])
    dets, kept = nms(boxes.numpy(), scores.numpy(), 0.5, score_threshold=0.2)
    assert kept.tolist() == [0, 2]
    assert dets.shape == (2, 5)
    assert soft_nms(boxes, scores, 0.5, min_score=0.3)[1].tolist()[:2] == [0, 2]
    for split_thr in (2, 10000):
        _, kept = batched_nms(boxes, scores, classes, dict(type='nms', iou_threshold=0.5, split_thr=split_thr))
        assert kept.tolist() == [0, 1, 2]
