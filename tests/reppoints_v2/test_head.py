"""The head: what its maps mean, its losses term by term, no parameter without a gradient, and that it learns."""

import itertools
import math

import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmengine.structures import InstanceData
from torch import Tensor, nn
from torchvision.ops import box_iou, generalized_box_iou

from swin_mmdet.necks import BiFPN
from swin_mmdet.reppoints_v2.detection import Predictions
from swin_mmdet.reppoints_v2.targets import Targets
from swin_mmdet.reppoints_v2.verification import foreground_targets

from .heads import CHANNELS, CLASSES, build_head, pyramid, sample

TWO = [[10.0, 12.0, 60.0, 80.0], [30.0, 40.0, 130.0, 90.5]]
ODD = (150, 203)


def losses_of(head, boxes: list, seed: int = 0) -> dict[str, Tensor]:
    torch.manual_seed(seed)
    samples = [sample(*ODD, boxes, [0, 2][: len(boxes)]), sample(ODD[0] - 40, ODD[1] - 70, [], [])]
    return head.loss(pyramid(*ODD), samples)


@pytest.mark.parametrize('with_masks', [False, True], ids=['boxes', 'masks'])
@pytest.mark.parametrize('boxes', [[], TWO], ids=['no object', 'two objects'])
def test_every_parameter_has_a_gradient(boxes: list, with_masks: bool):
    head = build_head(with_masks)
    losses = losses_of(head, boxes)
    names = {'loss_cls', 'loss_pts_init', 'loss_pts_refine', 'loss_heatmap', 'loss_offset', 'loss_sem'}
    assert losses.keys() == names | ({f'loss_mask_{layer}' for layer in range(3)} if with_masks else set())
    sum(losses.values()).backward()
    assert not [name for name, parameter in head.named_parameters() if parameter.grad is None]
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())
    for name in names - {'loss_cls', 'loss_heatmap', 'loss_sem'}:
        assert (losses[name] > 0) == bool(boxes), name


def test_the_same_seed_gives_the_same_losses():
    head = build_head(with_masks=True, max_proposals=5)
    first, second = losses_of(head, TWO), losses_of(head, TWO)
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_boxes_are_between_the_first_two_points():
    """Points come as y, x in strides from their location, row by row, level by level."""
    head = build_head()
    sizes = [(3, 4), (2, 2), (1, 1), (1, 1), (1, 1)]
    points = [torch.zeros(1, 18, *size) for size in sizes]
    points[0][0, :4, 2, 1] = torch.tensor([-1.0, -0.5, 2.0, 3.0])
    points[1][0, :4, 0, 1] = torch.tensor([0.0, -1.0, 1.0, 0.25])
    others = {channels: [torch.zeros(1, channels, *size) for size in sizes] for channels in (2, 3, 4)}
    others[4][0][0, :, 2, 1] = torch.arange(4.0)
    found = head.gather_predictions(others[3], points, points, others[2], others[4])
    x, y = 8, 16
    assert found.boxes[0, 9].tolist() == [x - 4, y - 8, x + 24, y + 16]
    assert found.boxes[0, 13].tolist() == [16 - 16, 0, 16 + 4, 16]
    assert found.offsets[0, 9].tolist() == [[0, 1], [2, 3]]
    assert torch.equal(found.init_boxes, found.boxes)


def random_case(sizes: list) -> tuple[Predictions, Targets, list[InstanceData]]:
    """Predictions and targets that no assignment would give, for two images of two objects and of one."""
    count = sum(height * width for height, width in sizes)
    corners = torch.rand(2, 2, count, 2, 2) * 60
    init_boxes, boxes = torch.cat([corners.amin(3), corners.amax(3) + 1], dim=3)
    predictions = Predictions(
        torch.randn(2, count, CLASSES), init_boxes, boxes, torch.randn(2, count, 2), torch.randn(2, count, 2, 2)
    )
    heat = torch.rand(2, count, 2)
    heat[:, ::7, 0] = heat[:, 3::5, 1] = 1
    owner = torch.full((2, 2, count), -1)
    owner[0, 0, :6], owner[0, 1, 3:5] = torch.tensor([0, 0, 1, 1, 1, 0]), 0
    owner[1, 0, 8:10], owner[1, 1, 5:9] = torch.tensor([1, 0]), 0
    valid = torch.ones(2, count, dtype=torch.bool)
    valid[1, -2:] = False
    targets = Targets(owner[0], owner[1], heat, torch.randn(2, count, 2, 2), valid)
    instances = [
        InstanceData(bboxes=torch.tensor([[5.0, 5, 40, 30], [20, 10, 60, 50]]), labels=torch.tensor([2, 0])),
        InstanceData(bboxes=torch.tensor([[0.0, 20, 33, 47]]), labels=torch.tensor([1])),
    ]
    return predictions, targets, instances


def test_losses_equal_a_loop_over_points():
    torch.manual_seed(0)
    head = build_head()
    sizes = [torch.Size(size) for size in ((3, 4), (2, 2), (1, 1), (1, 1), (1, 1))]
    predictions, targets, instances = random_case(sizes)
    losses = head.point_losses(predictions, targets, sizes, instances)

    strides = [8] * 12 + [16] * 4 + [32, 64, 128]
    sums = dict.fromkeys(('cls', 'init', 'refine', 'heat tl', 'heat br', 'offset tl', 'offset br'), 0.0)
    counts = dict.fromkeys(('init', 'refine', 'tl', 'br'), 0)
    for image in range(2):
        found = dict.fromkeys(counts, 0)
        for point in range(predictions.boxes.shape[1]):
            wanted = [0.0] * CLASSES
            for name, boxes, owners in (
                ('init', predictions.init_boxes, targets.init_owner), ('refine', predictions.boxes, targets.owner)
            ):
                owner = owners[image, point].item()
                if owner >= 0:
                    pair = boxes[image, point][None], instances[image].bboxes[owner][None]
                    # one initial box of the level wider and higher: 4 strides
                    grown = torch.tensor([0, 0, 4, 4]) * strides[point]
                    sums[name] += 1 - generalized_box_iou(*(one + grown for one in pair)).item()
                    found[name] += 1
                    if name == 'refine':
                        wanted[instances[image].labels[owner]] = box_iou(*pair).item()
            for logit, quality in zip(predictions.classes[image, point].tolist(), wanted):
                p = 1 / (1 + math.exp(-logit))
                entropy = -quality * math.log(p) - (1 - quality) * math.log(1 - p)
                sums['cls'] += abs(quality - p) ** 2 * entropy * targets.valid[image, point].item()
            for corner, name in enumerate(('tl', 'br')):
                heat = targets.heat[image, point, corner].item()
                p = predictions.heat[image, point, corner].sigmoid().item()
                if heat == 1:
                    found[name] += 1
                    sums[f'heat {name}'] += -math.log(p) * (1 - p) ** 2 * targets.valid[image, point].item()
                    for off in (predictions.offsets - targets.offsets)[image, point, corner].abs().tolist():
                        sums[f'offset {name}'] += 4.5 * off**2 if off < 1 / 9 else off - 1 / 18
                else:
                    value = -math.log(1 - p) * p**2 * (1 - heat) ** 4
                    sums[f'heat {name}'] += value * targets.valid[image, point].item()
        for name, number in found.items():
            counts[name] += max(number, 1)

    wanted = dict(
        loss_cls=sums['cls'] / counts['refine'],
        loss_pts_init=sums['init'] / counts['init'],
        loss_pts_refine=2 * sums['refine'] / counts['refine'],
        loss_heatmap=0.25 * (sums['heat tl'] / counts['tl'] + sums['heat br'] / counts['br']) / 2,
        loss_offset=(sums['offset tl'] / counts['tl'] + sums['offset br'] / counts['br']) / 2,
    )
    assert {name: loss.item() for name, loss in losses.items()} == pytest.approx(wanted, rel=1e-5)


def test_foreground_of_coarse_levels_is_every_so_many_pixels_of_the_first():
    torch.manual_seed(0)
    head = build_head()
    instances = [sample(64, 80, [[3, 5, 50, 60], [20, 20, 70, 40]], [0, 0]), sample(64, 80, [[30, 8, 79, 63]], [2])]
    instances = [one.gt_instances for one in instances]
    sizes = [(8, 10), (4, 5), (2, 3), (1, 2), (1, 1)]
    maps = [torch.randn(2, CLASSES, *size) for size in sizes]
    drawn = [foreground_targets(one.bboxes, one.labels, CLASSES, sizes[0], 8) for one in instances]
    inside = outside = total = count = 0.0
    for level, (height, width) in zip(maps, sizes):
        for image, label, row, column in itertools.product(range(2), range(CLASSES), range(height), range(width)):
            place = label, row * 8 // height, column * 10 // width
            target, weight = (one[place].item() for one in drawn[image])
            p = level[image, label, row, column].sigmoid().item()
            inside += weight * (1 - p) ** 2 * -math.log(p)
            total += weight
            count += target
            outside += (1 - target) * p**2 * -math.log(1 - p)
    wanted = 0.1 * (0.25 * inside / total + 0.75 * outside / count)
    assert head.foreground_loss(maps, instances).item() == pytest.approx(wanted, rel=1e-5)


def test_a_point_outside_its_image_is_not_trained():
    head = build_head()
    sizes = [torch.Size(level.shape[2:]) for level in pyramid(64, 64)]
    predictions, *_ = random_case(sizes)
    samples = [sample(64, 64, [[0, 0, 60, 60]], [0]), sample(32, 40, [[20, 20, 40, 32]], [0])]
    targets = head.get_targets(
        predictions, sizes, [one.gt_instances for one in samples], [one.metainfo for one in samples]
    )
    locations, _ = head.locations(sizes, predictions.boxes.device)
    assert targets.valid[0].all()
    assert torch.equal(targets.valid[1], (locations[:, 0] < 40) & (locations[:, 1] < 32))
    assert (targets.owner[1] >= 0).any()
    for values in (targets.owner[1] + 1, targets.init_owner[1] + 1, targets.heat[1], targets.offsets[1]):
        assert not values[~targets.valid[1]].any()


@pytest.mark.parametrize('with_masks', [False, True], ids=['boxes', 'masks'])
@pytest.mark.parametrize('score_thr', [0.0, 1.0], ids=['many', 'none'])
def test_predictions_are_inside_the_original_image(score_thr: float, with_masks: bool):
    torch.manual_seed(0)
    head = build_head(with_masks).eval()
    head.test_cfg['score_thr'] = score_thr
    samples = [sample(*ODD, [], [], scale=0.5), sample(100, 120, [], [], scale=2.0)]
    with torch.no_grad():
        results = head.predict(pyramid(*ODD), samples, rescale=True)
    for found, one in zip(results, samples):
        height, width = one.ori_shape
        assert len(found) == (0 if score_thr else 100)
        assert found.bboxes.shape == (len(found), 4)
        assert set(found.keys()) == {'bboxes', 'scores', 'labels'} | ({'masks'} if with_masks else set())
        assert (found.bboxes >= 0).all()
        assert (found.bboxes <= torch.tensor([width, height] * 2)).all()
        assert (found.scores.diff() <= 0).all()
        if with_masks:
            assert (found.masks.dtype, found.masks.shape) == (torch.bool, (len(found), height, width))


def test_refuses_points_that_are_no_square():
    with pytest.raises(ValueError, match='num_points=8'):
        build_head(num_points=8)


@pytest.mark.long
def test_learns_two_objects_by_heart():
    torch.manual_seed(0)
    boxes, labels = [[8, 10, 48, 60], [60, 30, 120, 85]], [0, 2]
    head = build_head(with_masks=True)

    def down(channels: int, stride: int) -> nn.Module:
        kernel_size = 3 if stride == 2 else stride
        conv = nn.Conv2d(channels, CHANNELS, kernel_size, stride, padding=kernel_size % 2)
        return nn.Sequential(conv, nn.GroupNorm(8, CHANNELS), nn.ReLU())

    stages = nn.ModuleList([down(3, 8), down(CHANNELS, 2), down(CHANNELS, 2)])
    neck = BiFPN([CHANNELS] * 3, CHANNELS, num_repeat=1, norm_cfg=dict(type='GN', num_groups=8))
    neck.init_weights()
    image = torch.randn(1, 3, 96, 128) * 0.1
    for (left, top, right, bottom), label in zip(boxes, labels):
        image[0, label, top:bottom, left:right] += 1
    objects = sample(96, 128, boxes, labels)

    def maps() -> tuple[Tensor, ...]:
        return neck(list(itertools.accumulate(stages, lambda x, stage: stage(x), initial=image))[1:])

    model = nn.ModuleList([stages, neck, head])
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0)
    for _ in range(60):
        loss = sum(head.loss(maps(), [objects]).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 10)
        optimizer.step()
    model.eval()
    with torch.no_grad():
        (found,) = head.predict(maps(), [objects])

    best = found[:2]
    best = best[best.labels.argsort()]
    assert best.labels.tolist() == labels
    assert (box_iou(best.bboxes, objects.gt_instances.bboxes).diag() > 0.7).all()
    masks = objects.gt_instances.masks.to_tensor(torch.bool, 'cpu')
    both, either = (best.masks & masks).sum((1, 2)), (best.masks | masks).sum((1, 2))
    assert (both / either > 0.7).all()


@pytest.mark.parametrize('with_masks', [False, True], ids=['boxes', 'masks'])
def test_mixed_precision_keeps_points_exact_and_gradients_finite(with_masks: bool):
    head = build_head(with_masks)
    head.reppoints_pts_init_out.weight.data.zero_()
    head.reppoints_pts_init_out.bias.data.fill_(12.34)  # 12.3125 in bfloat16
    with torch.autocast('cpu', torch.bfloat16):
        maps = head(pyramid(64, 64))
        losses = losses_of(head, TWO)
    assert all((level == torch.tensor(12.34)).all() for level in maps[1])
    sum(losses.values()).backward()
    assert all(parameter.grad.isfinite().all() for parameter in head.parameters())


def test_objects_with_masks_are_looked_for_around_the_center_of_their_pixels():
    head = build_head(with_masks=True)
    masks = torch.zeros(3, 20, 30, dtype=torch.bool)
    masks[0, 4:8, 10:20] = True
    masks[1, 3, 5] = masks[1, 9, 25] = masks[1, 9, 24] = True
    boxes = torch.tensor([[10.0, 4, 20, 8], [5, 3, 26, 10], [2, 4, 6, 10]])
    centers = head.object_centers(InstanceData(bboxes=boxes, masks=masks))
    # the last has no pixels, so its box decides
    torch.testing.assert_close(centers, torch.tensor([[14.5, 5.5], [18, 7], [4, 7]]))


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16], ids=str)
def test_centers_of_large_masks_in_mixed_precision(dtype):
    """Their sums are beyond float16, and their coordinates between two of bfloat16."""
    masks = torch.zeros(1, 800, 1344, dtype=torch.bool)
    masks[0, 101:702, 203:1304] = True
    boxes = torch.tensor([[203.0, 101, 1304, 702]])
    with torch.autocast('cpu', dtype):
        centers = build_head(with_masks=True).object_centers(InstanceData(bboxes=boxes, masks=masks))
    # what float32 leaves of sums near 5e8
    torch.testing.assert_close(centers, torch.tensor([[(203 + 1303) / 2, (101 + 701) / 2]]), rtol=1e-6, atol=0)


def test_masks_are_trained_at_every_fourth_pixel():
    """The loss of one location is that of its logits against its own object's mask, of the second image."""
    torch.manual_seed(0)
    head = build_head(with_masks=True)
    first, second = sample(64, 64, [[0, 0, 9, 9]], [0]), sample(64, 64, [[8, 8, 40, 30], [20, 20, 62, 50]], [0, 1])
    instances = [one.gt_instances for one in (first, second)]
    bitmaps = [InstanceData(masks=one.masks.to_tensor(torch.bool, 'cpu')) for one in instances]
    logits = [torch.randn(1, 16, 16) for _ in range(3)]
    head.mask_head.forward = lambda *_: logits
    owner = torch.full((2, 85 + 1), -1)
    owner[1, 30] = 1
    x = pyramid(64, 64)
    maps = head(x)
    targets = Targets(owner, owner, None, None, None)
    losses = head.mask_losses(x, maps[1], maps[-1], targets, bitmaps)
    mask = instances[1].masks.masks[1]
    for index, weight in enumerate((0.0, 0.6, 1.0)):
        shared = squares = 0.0
        for row in range(16):
            for column in range(16):
                p, wanted = logits[index][0, row, column].sigmoid().item(), int(mask[4 * row + 2, 4 * column + 2])
                shared, squares = shared + p * wanted, squares + p**2 + wanted**2
        assert losses[f'loss_mask_{index}'].item() == pytest.approx(weight * (1 - 2 * shared / (squares + 1e-5)))
