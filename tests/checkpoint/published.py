"""Files of programs that cannot be installed, made from their published key lists with random values.

Each function takes the state dict of Microsoft's classifier, which is written out here key by key, and gives the whole
content of a file as its program saves it.
"""

import re

import torch
from torch import Tensor

from tests.checkpoint.libraries import Sizes

StateDict = dict[str, Tensor]


def microsoft_state_dict(sizes: Sizes, version: int = 1, seed: int = 0) -> StateDict:
    """`SwinTransformer(V2)` of microsoft/Swin-Transformer, with its buffers."""
    generator = torch.Generator().manual_seed(seed)
    weights: StateDict = {}

    def add(key: str, *shape: int, mean: float = 0.0) -> None:
        weights[key] = torch.randn(shape, generator=generator) * 0.1 + mean

    def add_norm(key: str, channels: int) -> None:
        add(f'{key}.weight', channels, mean=1.0)
        add(f'{key}.bias', channels)

    def add_linear(key: str, outputs: int, inputs: int) -> None:
        add(f'{key}.weight', outputs, inputs)
        add(f'{key}.bias', outputs)

    add('patch_embed.proj.weight', sizes.embed_dims, 3, 4, 4)
    add('patch_embed.proj.bias', sizes.embed_dims)
    add_norm('patch_embed.norm', sizes.embed_dims)
    window = sizes.window_size
    for stage, (depth, heads) in enumerate(zip(sizes.depths, sizes.num_heads, strict=True)):
        channels = sizes.embed_dims * 2**stage
        for block in range(depth):
            name = f'layers.{stage}.blocks.{block}'
            if block % 2:
                windows = (sizes.image // 4 // 2**stage // window) ** 2
                weights[f'{name}.attn_mask'] = torch.zeros(windows, window**2, window**2)
            add_norm(f'{name}.norm1', channels)
            if version == 1:
                add(f'{name}.attn.relative_position_bias_table', (2 * window - 1) ** 2, heads)
                add_linear(f'{name}.attn.qkv', 3 * channels, channels)
            else:
                add(f'{name}.attn.logit_scale', heads, 1, 1, mean=2.0)
                add(f'{name}.attn.q_bias', channels)
                add(f'{name}.attn.v_bias', channels)
                side = 2 * window - 1
                weights[f'{name}.attn.relative_coords_table'] = torch.zeros(1, side, side, 2)
                add_linear(f'{name}.attn.cpb_mlp.0', 512, 2)
                add(f'{name}.attn.cpb_mlp.2.weight', heads, 512)
                add(f'{name}.attn.qkv.weight', 3 * channels, channels)
            weights[f'{name}.attn.relative_position_index'] = torch.zeros(window**2, window**2, dtype=torch.int64)
            add_linear(f'{name}.attn.proj', channels, channels)
            add_norm(f'{name}.norm2', channels)
            add_linear(f'{name}.mlp.fc1', 4 * channels, channels)
            add_linear(f'{name}.mlp.fc2', channels, 4 * channels)
        if stage < len(sizes.depths) - 1:
            add(f'layers.{stage}.downsample.reduction.weight', 2 * channels, 4 * channels)
            add_norm(f'layers.{stage}.downsample.norm', 4 * channels if version == 1 else 2 * channels)
    add_norm('norm', channels)
    add_linear('head', 5, channels)
    return weights


def prefixed(weights: StateDict, prefix: str) -> StateDict:
    return {prefix + key: value for key, value in weights.items()}


def backbone_of(weights: StateDict) -> StateDict:
    """As a detector has it: no classifier, no masks, a norm for each output."""
    backbone = {key: value for key, value in weights.items() if not re.match(r'(norm|head)\.|.*attn_mask', key)}
    dims = weights['patch_embed.proj.bias'].shape[0]
    stages = 1 + max(int(key.split('.')[1]) for key in weights if key.startswith('layers.'))
    for stage in range(stages):
        backbone[f'norm{stage}.weight'] = torch.full((dims * 2**stage,), 1.0 + stage)
        backbone[f'norm{stage}.bias'] = torch.full((dims * 2**stage,), 0.1 * stage)
    return backbone


def heads() -> StateDict:
    return {'neck.lateral_convs.0.conv.weight': torch.ones(4, 4, 1, 1), 'rpn_head.rpn_conv.bias': torch.ones(4)}


def microsoft(weights: StateDict) -> dict:
    return {'model': weights}


def official(weights: StateDict) -> dict:
    meta = {'epoch': 12, 'iter': 7, 'mmdet_version': '2.11.0', 'CLASSES': ('cat', 'dog')}
    return {'meta': meta, 'state_dict': prefixed(backbone_of(weights), 'backbone.') | heads()}


def detectron2(weights: StateDict) -> dict:
    """To be pickled: numpy arrays."""
    backbone = prefixed(backbone_of(weights), 'backbone.bottom_up.')
    arrays = {key: value.numpy() for key, value in backbone.items()}
    arrays |= {'proposal_generator.rpn_head.conv.weight': torch.ones(4).numpy()}
    return {'model': arrays, '__author__': 'somebody', 'matching_heuristics': True}


def moby(weights: StateDict) -> dict:
    online = {key: value for key, value in weights.items() if not key.startswith('head.')}
    momentum = {key: value + 1 for key, value in online.items()}
    rest = {'queue1': torch.ones(4, 8), 'projector.linear1.weight': torch.ones(4, 4)}
    return {'model': prefixed(online, 'encoder.') | prefixed(momentum, 'encoder_k.') | rest}


def simmim(weights: StateDict) -> dict:
    dims = weights['patch_embed.proj.bias'].shape[0]
    encoder = {
        key.replace('cpb_mlp', 'rpe_mlp'): value for key, value in weights.items() if not key.startswith('head.')
    }
    encoder['mask_token'] = torch.zeros(1, 1, dims)
    decoder = {'decoder.0.weight': torch.ones(3072, 8, 1, 1), 'decoder.0.bias': torch.ones(3072)}
    return {'model': decoder | prefixed(encoder, 'encoder.')}


def timm_by_key_list(weights: StateDict) -> StateDict:
    """timm 1.0: no buffers, the merging one stage later, another name of the classifier's layer."""
    result = {}
    for key, value in weights.items():
        if re.search(r'relative_position_index|relative_coords_table|attn_mask', key):
            continue
        key = re.sub(r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) + 1}.downsample', key)
        result[re.sub(r'^head\.', 'head.fc.', key)] = value
    return result


def timm_features_only(weights: StateDict) -> StateDict:
    timm = timm_by_key_list(weights)
    return {
        re.sub(r'^layers\.(\d+)', r'layers_\1', key): value
        for key, value in timm.items()
        if not re.match(r'(norm|head)\.', key)
    }


def unfolded(value: Tensor) -> Tensor:
    """The last axis from the order of concatenated pixels to that of `nn.Unfold`, by the definition of both."""
    channels = value.shape[-1] // 4
    pixels = [(0, 0), (1, 0), (0, 1), (1, 1)]
    order = [pixels.index((row, column)) * channels + c for c in range(channels) for row in (0, 1) for column in (0, 1)]
    return value[..., order]


def mmdet_backbone(weights: StateDict, version: int = 1) -> StateDict:
    """mmdet 3.x and mmpretrain V1; mmpretrain V2 with `version=2`."""
    result = {}
    for key, value in backbone_of(weights).items():
        if key.endswith('downsample.reduction.weight') or (version == 1 and '.downsample.norm' in key):
            value = unfolded(value)
        if version == 2:
            key = re.sub(r'^layers\.(\d+)\.downsample', lambda m: f'layers.{int(m[1]) + 1}.downsample', key)
        for ours, theirs in (
            ('layers.', 'stages.'),
            ('patch_embed.proj.', 'patch_embed.projection.'),
            ('.attn.', '.attn.w_msa.'),
            ('.mlp.fc1.', '.ffn.layers.0.0.'),
            ('.mlp.fc2.', '.ffn.layers.1.'),
        ):
            key = key.replace(ours, theirs)
        result[key] = value
    return result


def mmdet(weights: StateDict) -> dict:
    meta = {'epoch': 12, 'dataset_meta': {'classes': ('cat', 'dog')}}
    return {'meta': meta, 'state_dict': prefixed(mmdet_backbone(weights), 'backbone.') | heads()}


def mmpretrain(weights: StateDict) -> dict:
    version = 2 if 'layers.0.blocks.0.attn.logit_scale' in weights else 1
    backbone = mmdet_backbone(weights, version)
    backbone = {key: value for key, value in backbone.items() if not re.match(r'norm[012]\.', key)}
    head = {'head.fc.weight': weights['head.weight'], 'head.fc.bias': weights['head.bias']}
    return {'meta': {}, 'state_dict': prefixed(backbone, 'backbone.') | head}
