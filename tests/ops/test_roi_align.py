"""RoIAlign of a pyramid against torchvision's, region by region."""

import pytest
import torch
import torchvision

from swin_mmdet.ops.roi_align import _from_all_levels, pyramid_roi_align

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
SCALES = (1 / 4, 1 / 8, 1 / 16)
DTYPES = [torch.float32, torch.float16] + [torch.bfloat16] * (DEVICE == 'cuda')


def ways(*marks):
    """Those that run here, of which the interpreter's has marks."""
    yield pytest.param(pyramid_roi_align, id='as chosen')
    if pytest.importorskip('triton') and DEVICE == 'cpu':
        from swin_mmdet.ops.triton_roi_align import triton_pyramid_roi_align

        yield pytest.param(triton_pyramid_roi_align, id='triton', marks=marks)


def make(channels, dtype=torch.float32, regions=9):
    generator = torch.Generator().manual_seed(0)
    maps = [torch.randn(2, channels, 9 >> level, 13 >> level, generator=generator) for level in range(3)]
    corners = torch.rand(regions, 2, 2, generator=generator) * torch.tensor([52.0, 36.0])
    boxes = torch.cat([corners.amin(1), corners.amax(1)], 1)
    boxes[:1] = torch.tensor([-10.0, -9, 20, 60])  # reaches beyond the map on three sides
    boxes[1:2] = torch.tensor([15.0, 20, 15, 20])  # a point
    boxes[2:3] = torch.tensor([900.0, 900, 950, 990])  # outside
    boxes[3:4] = torch.tensor([0.0, 0, 52, 36])
    images = torch.randint(2, (regions,), generator=generator)
    levels = torch.randint(2, (regions,), generator=generator)  # none on the last level
    return [x.to(DEVICE, dtype) for x in maps], boxes.to(DEVICE), images.to(DEVICE), levels.to(DEVICE)


def by_torchvision(maps, boxes, images, levels, size, sampling_ratio):
    out = []
    for box, image, level in zip(boxes, images.tolist(), levels.tolist(), strict=True):
        one = maps[level][image : image + 1]
        out.append(
            torchvision.ops.roi_align(
                one, [box[None].to(one.dtype)], size, SCALES[level], sampling_ratio or -1, aligned=True
            )
        )
    return torch.cat(out)


def by_mmcv(maps, boxes, images, levels, scales, size, sampling_ratio):
    import swin_mmdet.compat  # noqa: F401  before mmcv

    # isort: split
    from mmcv.ops import roi_align

    rois = torch.cat([images[:, None].to(boxes.dtype), boxes], 1)
    pieces = [
        roi_align(one, rois[levels == level], size, scale, sampling_ratio, 'avg', True)
        for level, (one, scale) in enumerate(zip(maps, scales, strict=True))
    ]
    return torch.cat(pieces)


@pytest.mark.parametrize('align', ways())
@pytest.mark.parametrize('dtype', DTYPES, ids=str)
@pytest.mark.parametrize(('channels', 'size', 'sampling_ratio'), [(5, 4, 0), (16, 2, 2)])
def test_values_and_gradients_are_those_of_torchvision(channels, size, sampling_ratio, dtype, align):
    maps, boxes, images, levels = make(channels, dtype)
    truths = [x.double().requires_grad_() for x in maps]
    maps = [x.requires_grad_() for x in maps]
    expected = by_torchvision(truths, boxes, images, levels, size, sampling_ratio)
    found = align(maps, boxes, images, levels, SCALES, size, sampling_ratio)
    assert found.dtype == dtype
    noise = torch.randn(found.shape, generator=torch.Generator().manual_seed(1)).to(DEVICE)
    (found * noise).sum().backward()
    (expected * noise).sum().backward()
    step = torch.finfo(dtype).eps
    torch.testing.assert_close(found.double(), expected, rtol=2 * step, atol=1e-5 + step)
    for one, other in zip(maps, truths, strict=True):
        other = torch.zeros_like(other) if other.grad is None else other.grad
        # the gradient of the result is rounded as well
        torch.testing.assert_close(one.grad.double(), other, rtol=8 * step, atol=1e-4 + 8 * step)


@pytest.mark.parametrize('align', ways())
def test_a_level_that_is_none_gives_zeros(align):
    maps, boxes, images, levels = make(4)
    levels[2] = torch.iinfo(torch.int64).min  # of the logarithm of what is no number
    found = align(maps, boxes, images, levels, SCALES, 3, 0)
    assert not found[2].any()
    assert found[3].any()


@pytest.mark.parametrize('align', ways())
def test_no_regions(align):
    maps, boxes, images, levels = make(4, regions=4)
    maps = [x.requires_grad_() for x in maps]
    found = align(maps, boxes[:0], images[:0], levels[:0], SCALES, 7, 0)
    assert found.shape == (0, 4, 7, 7)
    found.sum().backward()
    assert all(x.grad is not None and not x.grad.any() for x in maps)


@pytest.mark.parametrize('align', ways(pytest.mark.long))
def test_maps_of_any_layout(align):
    maps, *regions = make(6)
    expected = align(maps, *regions, SCALES, 3, 0)
    inner = [x.contiguous(memory_format=torch.channels_last) for x in maps]
    torch.testing.assert_close(align(inner, *regions, SCALES, 3, 0), expected, rtol=0, atol=1e-6)


@pytest.mark.parametrize('align', ways())
def test_the_result_may_be_changed_in_place(align):
    """As by HTC, which adds what its other branches found; autograd refuses that for a view made inside a function."""
    maps, *regions = make(4)
    leaves = [x.requires_grad_() for x in maps]
    align(leaves, *regions, SCALES, 3, 0).mul_(3).sum().backward()
    found = [x.grad for x in leaves]
    leaves = [x.detach().requires_grad_() for x in maps]
    (3 * align(leaves, *regions, SCALES, 3, 0)).sum().backward()
    for one, other in zip(found, leaves, strict=True):
        torch.testing.assert_close(one, other.grad)


@pytest.mark.parametrize('sampling_ratio', [0, 2])
def test_what_programs_have_in_its_place_is_the_same(sampling_ratio):
    maps, boxes, images, levels = make(5)
    found = _from_all_levels(maps, torch.cat([images[:, None], boxes], 1), levels, SCALES, 4, sampling_ratio)
    expected = by_torchvision(maps, boxes, images, levels, 4, sampling_ratio)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-6)


@pytest.mark.skipif(DEVICE == 'cpu', reason='the CPU adds up in one order')
@pytest.mark.parametrize('way', [pyramid_roi_align, by_mmcv], ids=['ours', "mmcv's"])
def test_gradients_of_deterministic_algorithms_are_the_same_to_the_last_bit(way):
    """Many regions at one place, whose gradients a GPU would add up in another order each time."""
    maps, boxes, images, levels = make(16, regions=500)
    found = []
    torch.use_deterministic_algorithms(True)
    try:
        for _ in range(3):
            leaves = [x.clone().requires_grad_() for x in maps]
            way(leaves, boxes, images, levels, SCALES, 7, 0).square().sum().backward()
            found.append([leaf.grad for leaf in leaves[:2]])
    finally:
        torch.use_deterministic_algorithms(False)
    for others in found[1:]:
        assert all(torch.equal(one, other) for one, other in zip(found[0], others, strict=True))
