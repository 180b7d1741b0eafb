"""One batch of images of several sizes, against float64."""

import pytest
import torch

from swin_mmdet.ops.memory_format import memory_format
from swin_mmdet.ops.normalize_images import normalize_images, plain_normalize_images
from tests.numerics import assert_equal_to_definition

DEVICE = 'cuda' if torch.cuda.is_available() else 'cpu'
MEAN, STD = torch.tensor([123.675, 116.28, 103.53]), torch.tensor([58.395, 57.12, 57.375])


def triton_normalize_images(*arguments):
    pytest.importorskip('triton')
    from swin_mmdet.ops.triton_normalize_images import triton_normalize_images

    return triton_normalize_images(*arguments)


ways = pytest.mark.parametrize(
    'way', [plain_normalize_images, triton_normalize_images, normalize_images], ids=lambda w: w.__name__
)


def images(*sizes, channels_last=True):
    generator = torch.Generator().manual_seed(0)
    made = [
        torch.randint(0, 256, (height, width, 3), dtype=torch.uint8, generator=generator) for height, width in sizes
    ]
    views = [image.to(DEVICE).permute(2, 0, 1) for image in made]
    return views if channels_last else [view.contiguous() for view in views]


def truth(images, mean, std, size, pad_value, reverse):
    batch = torch.full((len(images), 3, *size), pad_value, dtype=torch.float64)
    for image, padded in zip(images, batch):
        values = image.cpu()[[2, 1, 0] if reverse else [0, 1, 2]].double()
        if mean is not None:
            values = (values - mean.double().view(-1, 1, 1)) / std.double().view(-1, 1, 1)
        padded[:, : values.shape[1], : values.shape[2]] = values
    return batch


def check(way, pictures, mean=MEAN, std=STD, size=(16, 32), pad_value=0.0, reverse=True):
    on_device = [None if values is None else values.to(DEVICE) for values in (mean, std)]
    for channels_last in (False, True):
        result = way(pictures, *on_device, size, pad_value, reverse, channels_last)
        assert result.dtype == torch.float32
        assert result.is_contiguous(memory_format=memory_format(channels_last))
        assert_equal_to_definition(result.cpu(), truth(pictures, mean, std, size, pad_value, reverse))


@ways
@pytest.mark.parametrize('reverse', [False, True])
@pytest.mark.parametrize('channels_last', [False, True])
def test_images_of_several_sizes(way, reverse, channels_last):
    pictures = images((13, 21), (16, 5), (1, 32), channels_last=channels_last)
    check(way, pictures, reverse=reverse, pad_value=1.25)


@ways
def test_one_mean_for_all_channels(way):
    check(way, images((4, 5)), mean=torch.tensor([100.0]), std=torch.tensor([3.0]))


@ways
def test_values_that_are_not_normalized(way):
    check(way, images((4, 5), (9, 9)), mean=None, std=None, pad_value=-1.0)


@ways
def test_sizes_that_need_no_padding_and_more_than_one_block(way):
    check(way, images((3, 700)), size=(3, 700))
    check(way, images((3, 700)), size=(4, 1030))


@ways
def test_parts_of_images(way):
    (picture,) = images((16, 32))
    check(way, [picture[:, 2:9, 5:30], picture[:, ::2, ::3]])


@ways
def test_strided_copies_are_not_made(way):
    (picture,) = images((16, 32))
    before = picture.clone()
    check(way, [picture])
    assert torch.equal(picture, before)
    assert picture.stride() == (1, 96, 3)
