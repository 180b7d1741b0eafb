"""Swin backbones of every library that is installed, ours among them, and one step of each.

A peer is built as its library ships it, with random weights and one difference: its forward returns the four maps
[B, C, H, W]. Those of timm and torchvision have no output norms, and torchvision's are views of channels-last maps:
less work than the others do.
"""

from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from swin_mmdet.models import SwinTransformer
from swin_mmdet.variants import VARIANTS, SwinVariant

# bf16 and fp16 are autocast over float32 parameters, tf32 is float32 with products in tf32
AUTOCAST = {'bf16': torch.bfloat16, 'fp16': torch.float16, 'tf32': None, 'fp32': None}


@dataclass(frozen=True)
class Sizes:
    """What a backbone is built for. `arch` is a name of our table or an architecture in numbers."""

    arch: str | SwinVariant
    window: int
    image: tuple[int, int]
    drop_path_rate: float = 0.2

    @property
    def variant(self) -> SwinVariant:
        return VARIANTS[self.arch] if isinstance(self.arch, str) else self.arch

    def map_shapes(self, batch: int) -> list[tuple[int, ...]]:
        """The shapes of the maps."""
        return [
            (batch, self.variant.embed_dims * 2**stage, *(-(-side // 2 ** (stage + 2)) for side in self.image))
            for stage in range(len(self.variant.depths))
        ]


class Maps(nn.Module):
    """A model of another library whose forward returns its maps."""

    def __init__(self, model: nn.Module, maps: Callable[[nn.Module, Tensor], tuple[Tensor, ...]]) -> None:
        super().__init__()
        self.model = model
        self.maps = maps

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        return self.maps(self.model, image)


def ours(sizes: Sizes, backend: str = 'auto', **options) -> nn.Module:
    return SwinTransformer(
        embed_dims=sizes.variant.embed_dims,
        depths=sizes.variant.depths,
        num_heads=sizes.variant.num_heads,
        window_size=sizes.window,
        drop_path_rate=sizes.drop_path_rate,
        attn_backend=backend,
        **options,
    )


def mmdet(sizes: Sizes) -> nn.Module:
    import swin_mmdet.compat  # noqa: F401  before mmdet

    # isort: split
    from mmdet.models.backbones import SwinTransformer

    return SwinTransformer(
        embed_dims=sizes.variant.embed_dims,
        depths=sizes.variant.depths,
        num_heads=sizes.variant.num_heads,
        window_size=sizes.window,
        drop_path_rate=sizes.drop_path_rate,
    )


def timm(sizes: Sizes) -> nn.Module:
    from timm.models.swin_transformer import SwinTransformer

    model = SwinTransformer(
        img_size=sizes.image,  # its masks are then made once, here
        embed_dim=sizes.variant.embed_dims,
        depths=sizes.variant.depths,
        num_heads=sizes.variant.num_heads,
        window_size=sizes.window,
        drop_path_rate=sizes.drop_path_rate,
        num_classes=0,
    )
    return Maps(model, lambda model, image: tuple(model.forward_intermediates(image, intermediates_only=True)))


def torchvision(sizes: Sizes) -> nn.Module:
    from torchvision.models.swin_transformer import SwinTransformer

    model = SwinTransformer(
        [4, 4],
        sizes.variant.embed_dims,
        list(sizes.variant.depths),
        list(sizes.variant.num_heads),
        [sizes.window] * 2,
        stochastic_depth_prob=sizes.drop_path_rate,
        num_classes=1,
    )

    def maps(model: nn.Module, image: Tensor) -> tuple[Tensor, ...]:
        found = []
        for index, layer in enumerate(model.features):
            image = layer(image)
            if index % 2:  # the stages; between them are the patch embedding and the mergings
                found.append(image.permute(0, 3, 1, 2))
        return tuple(found)

    return Maps(model, maps)


def transformers(sizes: Sizes) -> nn.Module:
    from transformers import SwinBackbone, SwinConfig

    config = SwinConfig(
        image_size=sizes.image,
        embed_dim=sizes.variant.embed_dims,
        depths=list(sizes.variant.depths),
        num_heads=list(sizes.variant.num_heads),
        window_size=sizes.window,
        drop_path_rate=sizes.drop_path_rate,
        out_features=[f'stage{stage + 1}' for stage in range(len(sizes.variant.depths))],
    )
    return Maps(SwinBackbone(config), lambda model, image: tuple(model(image).feature_maps))


BUILDERS = {
    'ours': ours,
    'ours without graphs': partial(ours, cuda_graphs=False),
    **{f'ours {backend}': partial(ours, backend=backend) for backend in ('triton', 'tiled', 'sdpa', 'reference')},
    'mmdet': mmdet,
    'timm': timm,
    'torchvision': torchvision,
    'transformers': transformers,
}
# 'NAME compiled' is NAME through torch.compile
PEERS = (*BUILDERS, *(f'{name} compiled' for name in BUILDERS))


def build_peer(name: str, sizes: Sizes, device: str) -> nn.Module:
    """A backbone: image [B, 3, H, W] -> its four maps."""
    model = BUILDERS[name.removesuffix(' compiled')](sizes).to(device)
    return torch.compile(model, dynamic=False) if name.endswith(' compiled') else model


def set_tf32(dtype: str) -> None:
    """Whether products of float32 may round to tf32, for the whole process."""
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = dtype == 'tf32'


class Step:
    """One step of a backbone when called: an inference, or a training step from given gradients of the maps.

    Making one takes the first step, in which whatever compiles does. The gradients are random, the same in every step,
    and in the layout of the maps.

    Raises:
        ValueError: the maps have not the shapes that they should have.
    """

    def __init__(self, model: nn.Module, image: Tensor, shapes: list[tuple[int, ...]], dtype: str, train: bool) -> None:
        self.model = model
        self.image = image
        self.autocast = AUTOCAST[dtype]
        self.parameters = list(model.parameters())
        self.training = train
        model.train(train)  # which returns nothing in mmdet

        maps = self.forward()
        found = [tuple(one.shape) for one in maps]
        if found != shapes:
            raise ValueError(f'the maps have shapes {found}, not {shapes}')
        self.gradients = [torch.randn_like(one) for one in maps] if train else []
        self.backward(maps)

    def __call__(self) -> None:
        self.backward(self.forward())

    def forward(self) -> tuple[Tensor, ...]:
        precision = torch.autocast(self.image.device.type, self.autocast) if self.autocast else nullcontext()
        with torch.inference_mode(not self.training), precision:
            return self.model(self.image)

    def backward(self, maps: tuple[Tensor, ...]) -> None:
        if self.training:
            torch.autograd.backward(maps, self.gradients)
            for parameter in self.parameters:
                parameter.grad = None

    def held_mib(self) -> float:
        """What stays allocated between steps: parameters, buffers, the image and the gradients of the maps."""
        held = [*self.parameters, *self.model.buffers(), self.image, *self.gradients]
        return sum(tensor.numel() * tensor.element_size() for tensor in held) / 2**20
