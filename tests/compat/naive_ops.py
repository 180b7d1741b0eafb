"""What each op means, as loops over single samples in float64, differentiable by autograd. Slow, for tiny inputs."""

import math

import torch
from torch import Tensor


def iou(first: Tensor, second: Tensor, offset: int = 0) -> float:
    x1, y1, x2, y2 = (float(v) for v in first)
    u1, v1, u2, v2 = (float(v) for v in second)
    overlap = max(0.0, min(x2, u2) - max(x1, u1) + offset) * max(0.0, min(y2, v2) - max(y1, v1) + offset)
    area = (x2 - x1 + offset) * (y2 - y1 + offset) + (u2 - u1 + offset) * (v2 - v1 + offset)
    return overlap / (area - overlap)


def nms(boxes: Tensor, scores: Tensor, threshold: float, offset: int = 0) -> list[int]:
    kept = []
    for index in sorted(range(len(boxes)), key=lambda i: -float(scores[i])):
        if all(iou(boxes[index], boxes[other], offset) <= threshold for other in kept):
            kept.append(index)
    return kept


def nms_match(boxes: Tensor, scores: Tensor, threshold: float) -> list[list[int]]:
    left = sorted(range(len(boxes)), key=lambda i: -float(scores[i]))
    groups = []
    while left:
        best = left[0]
        groups.append([i for i in left if i == best or iou(boxes[best], boxes[i]) >= threshold])
        left = [i for i in left if i not in groups[-1]]
    return groups


def soft_nms(
    boxes: Tensor, scores: Tensor, threshold: float, sigma: float, min_score: float, method: str, offset: int
) -> list[tuple[int, float]]:
    """Index and decayed score of each box kept, best first."""
    left, kept = {i: float(score) for i, score in enumerate(scores)}, []
    while left:
        best = max(left, key=left.get)
        kept.append((best, left.pop(best)))
        for i in list(left):
            overlap = iou(boxes[best], boxes[i], offset)
            left[i] *= {
                'naive': 0.0 if overlap >= threshold else 1.0,
                'linear': 1 - overlap if overlap >= threshold else 1.0,
                'gaussian': math.exp(-overlap**2 / sigma),
            }[method]
            if left[i] < min_score:
                del left[i]
    return kept


def sample_clamped(image: Tensor, y: float, x: float) -> Tensor:
    """RoIAlign's sample of [C, H, W] -> [C]: the border pixel reaches one further out, beyond that is 0."""
    _, height, width = image.shape
    if not (-1 <= y <= height and -1 <= x <= width):
        return image[:, 0, 0] * 0
    y, x = min(max(y, 0.0), height - 1.0), min(max(x, 0.0), width - 1.0)
    top, left = int(y), int(x)
    bottom, right = min(top + 1, height - 1), min(left + 1, width - 1)
    upper = image[:, top, left] * (1 - (x - left)) + image[:, top, right] * (x - left)
    lower = image[:, bottom, left] * (1 - (x - left)) + image[:, bottom, right] * (x - left)
    return upper * (1 - (y - top)) + lower * (y - top)


def sample_zero_padded(image: Tensor, y: Tensor, x: Tensor) -> Tensor:
    """Deformable sample of [C, H, W] -> [C]: pixels outside are 0, and so is the gradient a whole pixel outside."""
    _, height, width = image.shape
    if not (-1 < y < height and -1 < x < width):
        return image[:, 0, 0] * 0
    top, left = math.floor(y.item()), math.floor(x.item())
    total = image[:, 0, 0] * 0
    for row, by in ((top, top + 1 - y), (top + 1, y - top)):
        for column, bx in ((left, left + 1 - x), (left + 1, x - left)):
            if 0 <= row < height and 0 <= column < width:
                total = total + image[:, row, column] * by * bx
    return total


def roi_align(
    features: Tensor, rois: Tensor, size: tuple[int, int], scale: float, ratio: int, pool_mode: str, aligned: bool
) -> Tensor:
    output = []
    for image, *corners in rois.tolist():
        x1, y1, x2, y2 = (corner * scale - 0.5 * aligned for corner in corners)
        width, height = (x2 - x1, y2 - y1) if aligned else (max(x2 - x1, 1.0), max(y2 - y1, 1.0))
        bin_h, bin_w = height / size[0], width / size[1]
        ny, nx = (ratio, ratio) if ratio > 0 else (math.ceil(bin_h), math.ceil(bin_w))
        for i in range(size[0]):
            for j in range(size[1]):
                ys = [y1 + (i + (a + 0.5) / ny) * bin_h for a in range(ny)]
                xs = [x1 + (j + (b + 0.5) / nx) * bin_w for b in range(nx)]
                samples = torch.stack([sample_clamped(features[int(image)], y, x) for y in ys for x in xs])
                output.append(samples.mean(0) if pool_mode == 'avg' else samples.amax(0))
    return torch.stack(output).view(len(rois), *size, -1).permute(0, 3, 1, 2)


def roi_pool(features: Tensor, rois: Tensor, size: tuple[int, int], scale: float) -> Tensor:
    output = []
    for image, x1, y1, x2, y2 in rois.tolist():
        x1, y1, x2, y2 = x1 * scale, y1 * scale, (x2 + 1) * scale, (y2 + 1) * scale
        bin_h, bin_w = (y2 - y1) / size[0], (x2 - x1) / size[1]
        for i in range(size[0]):
            for j in range(size[1]):
                top, left = max(math.floor(y1 + i * bin_h), 0), max(math.floor(x1 + j * bin_w), 0)
                bottom, right = max(math.ceil(y1 + (i + 1) * bin_h), 0), max(math.ceil(x1 + (j + 1) * bin_w), 0)
                region = features[int(image), :, top:bottom, left:right]
                output.append(region.amax((1, 2)) if region.numel() else features[0, :, 0, 0] * 0)
    return torch.stack(output).view(len(rois), *size, -1).permute(0, 3, 1, 2)


def deform_conv(
    x: Tensor, offset: Tensor, weight: Tensor, stride: tuple[int, int], padding: tuple[int, int],
    dilation: tuple[int, int], groups: int, deform_groups: int, mask: Tensor | None = None, bias: Tensor | None = None,
) -> Tensor:
    batch, channels = x.shape[:2]
    outs, ins, kernel_h, kernel_w = weight.shape
    height, width = (
        (x.shape[2 + a] + 2 * padding[a] - dilation[a] * (weight.shape[2 + a] - 1) - 1) // stride[a] + 1 for a in (0, 1)
    )
    taps = kernel_h * kernel_w
    # The numbers of an image in memory order, whatever height and width the tensor claims.
    offset = offset.reshape(batch, -1)[:, :deform_groups * taps * 2 * height * width]
    offset = offset.view(batch, deform_groups, taps, 2, height, width)
    if mask is not None:
        mask = mask.reshape(batch, -1)[:, :deform_groups * taps * height * width]
        mask = mask.view(batch, deform_groups, taps, height, width)
    per_group, per_offset = outs // groups, channels // deform_groups
    output = []
    for b in range(batch):
        for i in range(height):
            for j in range(width):
                column = x.new_zeros(channels, 0)
                for k in range(taps):
                    parts = []
                    for g in range(deform_groups):
                        y = i * stride[0] - padding[0] + k // kernel_w * dilation[0] + offset[b, g, k, 0, i, j]
                        z = j * stride[1] - padding[1] + k % kernel_w * dilation[1] + offset[b, g, k, 1, i, j]
                        value = sample_zero_padded(x[b, g * per_offset:(g + 1) * per_offset], y, z)
                        parts.append(value if mask is None else value * mask[b, g, k, i, j])
                    column = torch.cat((column, torch.cat(parts)[:, None]), dim=1)
                for o in range(outs):
                    start = o // per_group * ins
                    total = (weight[o].reshape(ins, taps) * column[start:start + ins]).sum()
                    output.append(total if bias is None else total + bias[o])
    return torch.stack(output).view(batch, height, width, outs).permute(0, 3, 1, 2)


def ms_deform_attn(value: Tensor, shapes: list[tuple[int, int]], locations: Tensor, attention: Tensor) -> Tensor:
    batch, queries, heads, levels, points, _ = locations.shape
    starts = [sum(h * w for h, w in shapes[:level]) for level in range(levels)]
    output = []
    for b in range(batch):
        for q in range(queries):
            for m in range(heads):
                total = value[b, 0, m] * 0
                for level, (height, width) in enumerate(shapes):
                    pixels = value[b, starts[level]:starts[level] + height * width, m].T.reshape(-1, height, width)
                    for p in range(points):
                        x, y = locations[b, q, m, level, p].unbind()
                        sample = sample_zero_padded(pixels, y * height - 0.5, x * width - 0.5)
                        total = total + sample * attention[b, q, m, level, p]
                output.append(total)
    return torch.stack(output).view(batch, queries, -1)


def carafe(features: Tensor, masks: Tensor, kernel_size: int, group_size: int, scale: int) -> Tensor:
    batch, channels, height, width = features.shape
    output = []
    for b in range(batch):
        for c in range(channels):
            group = c // (channels // group_size)
            for i in range(height * scale):
                for j in range(width * scale):
                    total = features[b, c, 0, 0] * 0
                    for u in range(kernel_size):
                        for v in range(kernel_size):
                            y, x = i // scale + u - kernel_size // 2, j // scale + v - kernel_size // 2
                            if 0 <= y < height and 0 <= x < width:
                                tap = (group * kernel_size + u) * kernel_size + v
                                total = total + features[b, c, y, x] * masks[b, tap, i, j]
                    output.append(total)
    return torch.stack(output).view(batch, channels, height * scale, width * scale)
