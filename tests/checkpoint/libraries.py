"""Swin in other libraries, with random weights: the oracles of the conversions.

Each library builds its own model, writes its own file and computes its own feature maps; nothing here knows our layout.
"""

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn
from torchvision.models.swin_transformer import PatchMergingV2, SwinTransformerBlockV2
from torchvision.models.swin_transformer import SwinTransformer as TorchvisionSwin


@dataclass(frozen=True)
class Sizes:
    """The numbers of an architecture; `image` is the side of the images that a model is built for."""

    embed_dims: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]
    window_size: int
    image: int


# one more stage than blocks in some, so that stage and block numbers cannot be mixed up; small enough for CI
SMALL = Sizes(16, (1, 2, 3, 2), (1, 2, 4, 8), 4, 256)


def randomised(model: nn.Module) -> nn.Module:
    """Every parameter different from its initial value, norms and biases as well."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for name, parameter in sorted(model.named_parameters()):
            parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.05)
            if name.endswith('logit_scale'):
                parameter.clamp_(0.5, 4)
    model.eval()  # some libraries return nothing here
    return model


def timm_v1(sizes: Sizes) -> nn.Module:
    timm = pytest.importorskip('timm')
    return _timm(timm.models.swin_transformer.SwinTransformer, sizes)


def timm_v2(sizes: Sizes) -> nn.Module:
    timm = pytest.importorskip('timm')
    return _timm(timm.models.swin_transformer_v2.SwinTransformerV2, sizes)


def _timm(cls: type[nn.Module], sizes: Sizes) -> nn.Module:
    return cls(
        img_size=sizes.image,
        embed_dim=sizes.embed_dims,
        depths=sizes.depths,
        num_heads=sizes.num_heads,
        window_size=sizes.window_size,
        num_classes=5,
    )


def timm_maps(model: nn.Module, image: Tensor) -> list[Tensor]:
    return model.forward_intermediates(image, output_fmt='NCHW', intermediates_only=True)


def torchvision_v1(sizes: Sizes) -> nn.Module:
    return _torchvision(sizes)


def torchvision_v2(sizes: Sizes) -> nn.Module:
    return _torchvision(sizes, block=SwinTransformerBlockV2, downsample_layer=PatchMergingV2)


def _torchvision(sizes: Sizes, **parts: type[nn.Module]) -> nn.Module:
    return TorchvisionSwin(
        [4, 4],
        sizes.embed_dims,
        list(sizes.depths),
        list(sizes.num_heads),
        [sizes.window_size] * 2,
        num_classes=5,
        **parts,
    )


def torchvision_maps(model: nn.Module, image: Tensor) -> list[Tensor]:
    maps = []
    for index, layer in enumerate(model.features):
        image = layer(image)
        if index % 2:
            maps.append(image.permute(0, 3, 1, 2))
    return maps


def transformers_config(sizes: Sizes, version: int) -> object:
    transformers = pytest.importorskip('transformers')
    cls = transformers.SwinConfig if version == 1 else transformers.Swinv2Config
    return cls(
        image_size=sizes.image,
        embed_dim=sizes.embed_dims,
        depths=sizes.depths,
        num_heads=sizes.num_heads,
        window_size=sizes.window_size,
        num_labels=5,
        out_features=[f'stage{stage + 1}' for stage in range(len(sizes.depths))],
    )


def transformers_v1(sizes: Sizes) -> nn.Module:
    transformers = pytest.importorskip('transformers')
    return transformers.SwinForImageClassification(transformers_config(sizes, 1))


def transformers_v2(sizes: Sizes) -> nn.Module:
    transformers = pytest.importorskip('transformers')
    return transformers.Swinv2ForImageClassification(transformers_config(sizes, 2))


def transformers_maps(model: nn.Module, image: Tensor) -> list[Tensor]:
    """What the stages return before their mergings; the hidden states that the library returns come after them."""
    maps = []
    base = model.swin if hasattr(model, 'swin') else model.swinv2

    def keep(_block: nn.Module, _args: tuple, output: object) -> None:
        tokens = output if isinstance(output, Tensor) else output[0]
        side = int(tokens.shape[1] ** 0.5)
        maps.append(tokens.transpose(1, 2).unflatten(2, (side, side)))

    hooks = [stage.blocks[-1].register_forward_hook(keep) for stage in base.encoder.layers]
    base(image)
    for hook in hooks:
        hook.remove()
    return maps


# version -> library -> how to build a model, and its maps of strides 4, 8, 16, 32 without output norms [B, C, H, W]
ORACLES = {
    1: {
        'timm': (timm_v1, timm_maps),
        'torchvision': (torchvision_v1, torchvision_maps),
        'transformers': (transformers_v1, transformers_maps),
    },
    2: {
        'timm': (timm_v2, timm_maps),
        'torchvision': (torchvision_v2, torchvision_maps),
        'transformers': (transformers_v2, transformers_maps),
    },
}
# at these sizes no map is padded and none is as small as its window: there the libraries agree with the official code
TINY = Sizes(96, (2, 2, 6, 2), (3, 6, 12, 24), 7, 448)
BASE = Sizes(128, (2, 2, 18, 2), (4, 8, 16, 32), 7, 448)
BASE_12 = Sizes(128, (2, 2, 18, 2), (4, 8, 16, 32), 12, 768)
TINY_V2 = Sizes(96, (2, 2, 6, 2), (3, 6, 12, 24), 8, 512)
