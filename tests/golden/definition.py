"""Swin as published, written a second time without any of the project's code: the independent reference.

No padding-roll-mask machinery: a cyclic shift with its mask is the same as a grid of windows that starts `shift` tokens
later, with smaller windows at the borders. Every window is attended by itself, with the bias looked up by the plain
difference of coordinates. PyTorch supplies array arithmetic and autograd; everything is float64.
Sources: arXiv 2103.14030 (sections 3.1 to 3.3); padding, merging order and epsilon as the official code behaves.
"""

import math

import numpy as np
import torch

EPSILON = 1e-5


def parameter_shapes(embed_dims, depths, num_heads, window_size, in_channels=3):
    """Name -> shape under the canonical keys."""
    shapes = {
        'patch_embed.proj.weight': (embed_dims, in_channels, 4, 4),
        'patch_embed.proj.bias': (embed_dims,),
        'patch_embed.norm.weight': (embed_dims,),
        'patch_embed.norm.bias': (embed_dims,),
    }
    for stage, depth in enumerate(depths):
        dims = embed_dims * 2**stage
        for block in range(depth):
            name = f'stages.{stage}.blocks.{block}'
            for norm in ('norm1', 'norm2'):
                shapes |= {f'{name}.{norm}.weight': (dims,), f'{name}.{norm}.bias': (dims,)}
            shapes[f'{name}.attn.relative_position_bias_table'] = ((2 * window_size - 1) ** 2, num_heads[stage])
            for layer, (inputs, outputs) in {
                'attn.qkv': (dims, 3 * dims),
                'attn.proj': (dims, dims),
                'mlp.fc1': (dims, 4 * dims),
                'mlp.fc2': (4 * dims, dims),
            }.items():
                shapes |= {f'{name}.{layer}.weight': (outputs, inputs), f'{name}.{layer}.bias': (outputs,)}
        if stage < len(depths) - 1:
            name = f'stages.{stage}.downsample'
            shapes |= {f'{name}.norm.weight': (4 * dims,), f'{name}.norm.bias': (4 * dims,)}
            shapes[f'{name}.reduction.weight'] = (2 * dims, 4 * dims)
        shapes |= {f'norm{stage}.weight': (dims,), f'norm{stage}.bias': (dims,)}
    return shapes


def make_parameters(shapes, seed=0):
    """Float64 weights that are large enough for every term to matter; `RandomState` streams never change."""
    random = np.random.RandomState(seed)
    parameters = {}
    for name, shape in shapes.items():
        noise = torch.from_numpy(random.standard_normal(shape))
        if 'norm' in name and name.endswith('weight'):
            value = 1 + 0.2 * noise
        elif name.endswith('bias') or 'bias_table' in name:
            value = 0.5 * noise
        else:
            value = noise / math.sqrt(np.prod(shape[1:]))
        parameters[name] = value
    return parameters


def make_image(height, width, batch=1, in_channels=3, seed=1):
    return torch.from_numpy(np.random.RandomState(seed).standard_normal((batch, in_channels, height, width)))


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + EPSILON) * weight + bias


def segments(size, window_size, shift):
    """Borders of the windows along one axis of a padded map."""
    starts = [0, *range(shift or window_size, size, window_size)]
    return list(zip(starts, [*starts[1:], size]))


def attention(x, p, name, heads, window_size, shift):
    """x: [H, W, C] normalised tokens of one image -> [H, W, C]."""
    height, width, dims = x.shape
    padded_height = math.ceil(height / window_size) * window_size
    padded_width = math.ceil(width / window_size) * window_size
    padded = torch.zeros(padded_height, padded_width, dims, dtype=x.dtype)
    padded[:height, :width] = x
    qkv = padded @ p[f'{name}.qkv.weight'].T + p[f'{name}.qkv.bias']
    head_dim = dims // heads
    table = p[f'{name}.relative_position_bias_table']
    out = torch.zeros(padded_height, padded_width, dims, dtype=x.dtype)
    for top, bottom in segments(padded_height, window_size, shift):
        for left, right in segments(padded_width, window_size, shift):
            window = qkv[top:bottom, left:right].reshape(-1, 3, heads, head_dim)
            rows = torch.arange(bottom - top).repeat_interleave(right - left)
            columns = torch.arange(right - left).repeat(bottom - top)
            dy = rows[:, None] - rows[None, :] + window_size - 1
            dx = columns[:, None] - columns[None, :] + window_size - 1
            bias = table[dy * (2 * window_size - 1) + dx]
            logits = torch.einsum('qhd,khd->qkh', window[:, 0], window[:, 1]) / math.sqrt(head_dim) + bias
            weights = torch.exp(logits - logits.amax(1, keepdim=True))
            weights = weights / weights.sum(1, keepdim=True)
            attended = torch.einsum('qkh,khd->qhd', weights, window[:, 2])
            out[top:bottom, left:right] = attended.reshape(bottom - top, right - left, dims)
    out = out[:height, :width]
    return out @ p[f'{name}.proj.weight'].T + p[f'{name}.proj.bias']


def swin(image, p, embed_dims, depths, num_heads, window_size):
    """image: [B, 3, H, W] -> a tuple of maps [B, C_i, H_i, W_i] through the output norms."""
    batch, channels, height, width = image.shape
    rows, columns = math.ceil(height / 4), math.ceil(width / 4)
    padded = torch.zeros(batch, channels, rows * 4, columns * 4, dtype=image.dtype)
    padded[:, :, :height, :width] = image
    patches = padded.reshape(batch, channels, rows, 4, columns, 4).permute(0, 2, 4, 1, 3, 5)
    x = patches.reshape(batch, rows, columns, -1) @ p['patch_embed.proj.weight'].reshape(embed_dims, -1).T
    x = layer_norm(x + p['patch_embed.proj.bias'], p['patch_embed.norm.weight'], p['patch_embed.norm.bias'])
    maps = []
    for stage, depth in enumerate(depths):
        for block in range(depth):
            name = f'stages.{stage}.blocks.{block}'
            shift = 0 if block % 2 == 0 else window_size // 2
            normed = layer_norm(x, p[f'{name}.norm1.weight'], p[f'{name}.norm1.bias'])
            attended = [attention(one, p, f'{name}.attn', num_heads[stage], window_size, shift) for one in normed]
            x = x + torch.stack(attended)
            normed = layer_norm(x, p[f'{name}.norm2.weight'], p[f'{name}.norm2.bias'])
            hidden = normed @ p[f'{name}.mlp.fc1.weight'].T + p[f'{name}.mlp.fc1.bias']
            hidden = hidden * 0.5 * (1 + torch.erf(hidden / math.sqrt(2)))
            x = x + hidden @ p[f'{name}.mlp.fc2.weight'].T + p[f'{name}.mlp.fc2.bias']
        maps.append(layer_norm(x, p[f'norm{stage}.weight'], p[f'norm{stage}.bias']).permute(0, 3, 1, 2))
        if stage < len(depths) - 1:
            x = merge(x, p, f'stages.{stage}.downsample')
    return tuple(maps)


def merge(x, p, name):
    batch, height, width, dims = x.shape
    rows, columns = math.ceil(height / 2), math.ceil(width / 2)
    padded = torch.zeros(batch, rows * 2, columns * 2, dims, dtype=x.dtype)
    padded[:, :height, :width] = x
    pixels = [padded[:, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    normed = layer_norm(torch.cat(pixels, -1), p[f'{name}.norm.weight'], p[f'{name}.norm.bias'])
    return normed @ p[f'{name}.reduction.weight'].T
