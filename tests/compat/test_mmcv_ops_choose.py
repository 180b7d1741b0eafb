"""A compiled mmcv and ours, op by op: who is called for which tensors."""

from types import ModuleType

import pytest
import torch

import swin_mmdet.compat  # noqa: F401
from swin_mmdet.compat.mmcv_ops import choose, install

pytest.importorskip('mmcv')


def compiled() -> ModuleType:
    """A module whose ops say that they were called, with what mmcv's have: no bfloat16."""
    module = ModuleType('mmcv._ext')

    def op(*args: torch.Tensor, **kwargs: torch.Tensor) -> str:
        for x in (*args, *kwargs.values()):
            if x.dtype in (torch.bfloat16, torch.float16) and x.device.type == 'cpu':
                raise NotImplementedError(f'not implemented for {x.dtype}')
        return 'compiled'

    module.sigmoid_focal_loss_forward = module.nms = op
    return module


def helped() -> ModuleType:
    module = compiled()
    names = 'sigmoid_focal_loss_forward', 'nms', 'carafe_forward'
    choose.add_ours(module, {name: lambda *_, **__: 'ours' for name in names})
    return module


def test_a_compiled_op_runs_what_it_has_and_ours_the_rest():
    module, label = helped(), torch.zeros(1, dtype=torch.int64)
    for dtype, who in (
        (torch.float32, 'compiled'),
        (torch.float64, 'compiled'),
        (torch.float16, 'ours'),
        (torch.bfloat16, 'ours'),
    ):
        x = torch.zeros(1, dtype=dtype)
        assert module.sigmoid_focal_loss_forward(label, x) == who, dtype
        assert module.sigmoid_focal_loss_forward(input=x, target=label) == who, dtype
    # its kernel reads float32 whatever it is given
    assert module.nms(torch.zeros(1, 4, dtype=torch.float64)) == 'ours'
    # an op that it was built without
    assert module.carafe_forward(torch.zeros(1)) == 'ours'


@pytest.mark.parametrize(
    ('name', 'device', 'dtype', 'reason'),
    [
        ('carafe_forward', 'cuda', torch.float16, None),
        ('carafe_forward', 'cuda', torch.float64, None),
        ('carafe_forward', 'cuda', torch.bfloat16, "it has no torch.bfloat16 on 'cuda'"),
        ('carafe_forward', 'cpu', torch.float32, None),
        ('nms', 'cuda', torch.float16, "it has no torch.float16 on 'cuda'"),
    ],
)
def test_why_a_compiled_op_does_not_run(name, device, dtype, reason):
    assert choose.why_not_compiled(name, torch.device(device), dtype) == reason


def test_an_op_that_was_not_built_for_the_device_is_asked_once():
    """What mmcv raises on a GPU when it was compiled without CUDA; any other error is the user's to see."""
    asked = []

    def op(x: torch.Tensor) -> None:
        asked.append(x)
        if len(x) == 2:
            raise RuntimeError('x must have one number')
        raise RuntimeError('carafe_forward_impl: implementation for device cuda:0 not found.')

    module = ModuleType('mmcv._ext')
    module.carafe_forward = op
    choose.add_ours(module, {'carafe_forward': lambda _: 'ours'})
    with pytest.raises(RuntimeError, match='must have one number'):
        module.carafe_forward(torch.zeros(2))
    assert [module.carafe_forward(torch.zeros(1)) for _ in range(3)] == ['ours'] * 3
    assert len(asked) == 2


def test_every_op_of_ours_can_stand_in():
    module = ModuleType('mmcv._ext')
    choose.add_ours(module, install.our_ops())
    scores = torch.randn(3, 4).bfloat16()
    loss = torch.empty_like(scores)
    module.sigmoid_focal_loss_forward(scores, torch.tensor([0, 3, 4]), scores.new_empty(0), loss, 2.0, 0.25)
    assert loss.isfinite().all()
    assert loss.all()


def test_nms_by_class_takes_scores_of_another_type_than_boxes():
    """Under autocast they are; with more boxes than `split_thr` mmcv fails by itself."""
    from mmcv.ops import batched_nms

    generator = torch.Generator().manual_seed(0)
    corner = torch.rand(50, 2, generator=generator) * 20
    boxes = torch.cat([corner, corner + 8], 1)
    scores, labels = torch.rand(50, generator=generator).half(), torch.randint(3, (50,), generator=generator)
    for split in (10, 10000):
        rule = dict(type='nms', iou_threshold=0.5, split_thr=split)
        found, kept = batched_nms(boxes, scores, labels, dict(rule))
        expected, expected_kept = batched_nms(boxes, scores.float(), labels, dict(rule))
        assert kept.tolist() == expected_kept.tolist()
        torch.testing.assert_close(found, expected)
