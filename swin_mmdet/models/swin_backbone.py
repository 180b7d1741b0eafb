"""What the Swin Transformers of both papers share: everything but their stages."""

from collections.abc import Collection, Mapping, Sequence

import torch
import torch.nn.functional as F
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor, nn

from swin_mmdet.checkpoint import adopt_foreign_keys, load_backbone_weights
from swin_mmdet.config.nodes import PRETRAINED, kind_name
from swin_mmdet.models.backbone_arguments import (
    check_at_least,
    check_rate,
    checked_out_indices,
    checked_with_cp,
    per_stage,
)
from swin_mmdet.models.derived_buffers import DerivedBuffers
from swin_mmdet.models.fused import FUSED, run_patch_embed, why_not_fused_patches, why_not_fused_stage
from swin_mmdet.models.patch_embed import PatchEmbed
from swin_mmdet.models.patch_merging import PatchMergingV2
from swin_mmdet.models.plain import has_global_hooks, is_touched
from swin_mmdet.models.stage import SwinStage, SwinStageV2
from swin_mmdet.models.step_graphs import StepGraphs
from swin_mmdet.ops.memory_format import is_channels_last
from swin_mmdet.ops.shifted_window_attention import check_backend_name
from swin_mmdet.ops.stochastic_depth import draw_branch_scales
from swin_mmdet.variants import resolve_variant

PATCH_SIZE = 4
# classes of modules that do the same in every call
PLAIN = FUSED | {SwinStage, SwinStageV2, PatchMergingV2, nn.ModuleList, nn.Sequential, nn.ReLU}


class SwinBackbone(DerivedBuffers, BaseModule):
    """Feature maps at strides 4, 8, 16 and 32, as FPN and detection heads take them.

    Input [B, in_channels, H, W], any H and W. Output a tuple of maps
    [B, embed_dims * 2**i, ceil(H / 2**(i+2)), ceil(W / 2**(i+2))], one for each i of `out_indices`. As after a
    convolution, they are contiguous, or `torch.channels_last` where the image is, and of autocast's dtype if it is on.

    Stages after the last of `out_indices` are not built, so that no parameter is ever unused. `torch.export` takes free
    sides that are multiples of 32 from 64 on, `32 * Dim('height', min=2)`; of others it names what does not divide.

    Args:
        arch: 'tiny' (the default) | 'small' | 'base' | 'large', or a dict of the next three.
        embed_dims, depths, num_heads: the architecture in numbers, instead of `arch`.
        window_size: tokens on a window's side; one number, or one for each stage.
        mlp_ratio: hidden channels of the MLPs per channel.
        drop_rate: dropout after the position embedding, the attention's projection and in the MLPs.
        attn_drop_rate: dropout of attention weights.
        drop_path_rate: stochastic depth of the last block; it grows linearly from 0 at the first.
        out_indices: the stages whose maps are returned, ascending, each through a LayerNorm of its own.
        frozen_stages: -1 freezes nothing, 0 the patch embedding, k also stages 0..k-1 with their output norms and
            mergings. Frozen parts keep `requires_grad=False` and evaluation mode under `.train()`.
        with_cp: activation checkpointing: True, False, or the stages to checkpoint.
        use_abs_pos_embed: add a learned absolute position embedding, resized (bicubic) to any map.
        pretrain_img_size: the image side that the absolute embedding was made for.
        in_channels: of the image.
        attn_backend: 'auto' | 'triton' | 'tiled' | 'sdpa' | 'reference', see `swin_mmdet.ops.shifted_window_attention`.
        cuda_graphs: replay small steps (up to four images or so) whose image size comes again and again, where the
            attention runs on 'triton': the CPU no longer limits them. The memory of such a step stays reserved.
        init_cfg: `dict(type='Pretrained', checkpoint=path_or_url)` loads a file of any format that
            `swin_mmdet.checkpoint` knows, with `strict`, `prefix` and `resize` as of `load_backbone_weights`; None
            keeps the official random initialisation.
        block_options: for subclasses: what their blocks take besides, one value or one for each stage.

    Raises:
        ValueError: an argument or input that cannot work, with its name, its value and what is allowed.
    """

    stage_cls: type[SwinStage] = SwinStage

    def __init__(
        self,
        arch: str | dict | None = None,
        embed_dims: int | None = None,
        depths: Sequence[int] | None = None,
        num_heads: Sequence[int] | None = None,
        window_size: int | Sequence[int] = 7,
        mlp_ratio: float = 4.0,
        drop_rate: float = 0.0,
        attn_drop_rate: float = 0.0,
        drop_path_rate: float = 0.1,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        frozen_stages: int = -1,
        with_cp: bool | Collection[int] = False,
        use_abs_pos_embed: bool = False,
        pretrain_img_size: int = 224,
        in_channels: int = 3,
        attn_backend: str = 'auto',
        cuda_graphs: bool = True,
        init_cfg: dict | None = None,
        block_options: Mapping[str, int | Sequence[int]] | None = None,
    ) -> None:
        variant = resolve_variant(arch, embed_dims, depths, num_heads)
        num_stages = len(variant.depths)
        out_indices = checked_out_indices(out_indices, num_stages)
        checkpointed = checked_with_cp(with_cp, num_stages)
        window_sizes = per_stage('window_size', window_size, num_stages, minimum=1)
        options = {name: per_stage(name, value, num_stages, minimum=0) for name, value in (block_options or {}).items()}
        check_at_least('in_channels', in_channels, 1)
        check_at_least('pretrain_img_size', pretrain_img_size, PATCH_SIZE)
        for name, rate in (
            ('drop_rate', drop_rate),
            ('attn_drop_rate', attn_drop_rate),
            ('drop_path_rate', drop_path_rate),
        ):
            check_rate(name, rate)
        if not -1 <= frozen_stages <= num_stages:
            raise ValueError(f'frozen_stages={frozen_stages} must lie in -1 .. {num_stages}')
        check_backend_name(attn_backend, 'attn_backend')
        super().__init__(init_cfg)

        self.variant = variant
        self.window_sizes = window_sizes
        self.in_channels = in_channels
        self.out_indices = out_indices
        self.frozen_stages = frozen_stages
        self.attn_backend = attn_backend
        self.cuda_graphs = cuda_graphs
        self._graphs = StepGraphs()
        self.patch_embed = PatchEmbed(in_channels, variant.embed_dims, PATCH_SIZE)
        self.absolute_pos_embed = None
        if use_abs_pos_embed:
            side = pretrain_img_size // PATCH_SIZE
            self.absolute_pos_embed = nn.Parameter(torch.zeros(1, variant.embed_dims, side, side))
        self.pos_drop = nn.Dropout(drop_rate)

        self.drop_path_rate = drop_path_rate
        self._has_no_values = False
        self.register_derived_buffers()
        self.stages = nn.ModuleList()
        for stage in range(out_indices[-1] + 1):
            self.stages.append(
                self.stage_cls(
                    variant.embed_dims * 2**stage,
                    variant.num_heads[stage],
                    window_sizes[stage],
                    variant.depths[stage],
                    downsample=stage < out_indices[-1],
                    with_cp=stage in checkpointed,
                    mlp_ratio=mlp_ratio,
                    drop_rate=drop_rate,
                    attn_drop_rate=attn_drop_rate,
                    attn_backend=attn_backend,
                    **{name: values[stage] for name, values in options.items()},
                )
            )
        for stage in out_indices:
            self.add_module(f'norm{stage}', nn.LayerNorm(variant.embed_dims * 2**stage))

        self._init_parameters()
        self._freeze()
        # so that `load_state_dict`, `load_from` and `tools/test.py` take foreign checkpoints as well
        self.register_load_state_dict_pre_hook(adopt_foreign_keys)
        self.register_load_state_dict_post_hook(_has_values)

    def derived_buffers(self) -> dict[str, Tensor]:
        """The probability to keep each residual branch, two to a block; of blocks that are not built as well."""
        # transformers replaces `linspace` while it loads: `torch.device('meta')` may know only that one
        device = torch.get_default_device()
        rates = torch.linspace(0, self.drop_path_rate, sum(self.variant.depths), device=device)
        return {'branch_keep': 1 - rates.repeat_interleave(2)}

    def fill_derived_buffers(self) -> None:
        """Compute them again; the memory of the parameters is as new, and for `init_weights` or a file to fill."""
        super().fill_derived_buffers()
        self._has_no_values = True

    def reset_parameters(self) -> None:
        """Of this module, not of those in it."""
        if self.absolute_pos_embed is not None:
            nn.init.trunc_normal_(self.absolute_pos_embed, std=0.02)

    def _init_parameters(self) -> None:
        """The official initialisation; the patch convolution keeps PyTorch's."""
        for name, parameter in self.named_parameters():
            if name.endswith(('relative_position_bias_table', 'absolute_pos_embed')):
                nn.init.trunc_normal_(parameter, std=0.02)
        for module in self.modules():
            if isinstance(module, nn.Linear):
                nn.init.trunc_normal_(module.weight, std=0.02)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def init_weights(self) -> None:
        """Load the file of `init_cfg`, if there is one; the constructor has initialised everything else.

        After `to_empty` all is initialised here.
        """
        if self._has_no_values:
            for module in self.modules():
                if hasattr(module, 'reset_parameters'):
                    module.reset_parameters()
            self._init_parameters()
            self._has_no_values = False
        if self.init_cfg is None:
            return
        cfg = dict(self.init_cfg)
        if kind_name(cfg.pop('type', None)) not in PRETRAINED or 'checkpoint' not in cfg:
            raise ValueError(f"init_cfg must be dict(type='Pretrained', checkpoint=...), got {self.init_cfg}")
        checkpoint = cfg.pop('checkpoint')
        cfg.pop('map_location', None)
        options = {key: cfg.pop(key) for key in ('strict', 'prefix', 'resize') if key in cfg}
        if cfg:
            raise ValueError(f'init_cfg has keys that nothing reads: {sorted(cfg)}')
        load_backbone_weights(self, checkpoint, **options)

    def _frozen_modules(self) -> list[nn.Module]:
        if self.frozen_stages < 0:
            return []
        norms = [getattr(self, f'norm{stage}') for stage in self.out_indices if stage < self.frozen_stages]
        return [self.patch_embed, self.pos_drop, *self.stages[: self.frozen_stages], *norms]

    def _freeze(self) -> None:
        if self.frozen_stages < 0:
            return
        for module in self._frozen_modules():
            module.requires_grad_(False).eval()
        if self.absolute_pos_embed is not None:
            self.absolute_pos_embed.requires_grad_(False)
        sizes = [(parameter.numel(), parameter.requires_grad) for parameter in self.parameters()]
        trained = sum(size for size, requires_grad in sizes if requires_grad)
        total = sum(size for size, _ in sizes)
        print_log(
            f'{type(self).__name__}: frozen_stages={self.frozen_stages}, {trained:,} of {total:,} parameters train',
            'current',
        )

    def train(self, mode: bool = True) -> 'SwinBackbone':
        """Switch to training mode, all but the frozen parts."""
        super().train(mode)
        for module in self._frozen_modules():
            module.eval()
        return self

    def forward(self, image: Tensor) -> tuple[Tensor, ...]:
        if image.dim() != 4 or image.shape[1] != self.in_channels:
            raise ValueError(
                f'expected an image batch [B, {self.in_channels}, H, W] (in_channels={self.in_channels}), '
                f'got shape {tuple(image.shape)}'
            )
        if not image.is_floating_point():
            raise ValueError(f'expected floating-point images, got {image.dtype}; normalise them first')
        scales = self._branch_scales(image.shape[0])
        # replicas of nn.DataParallel live for one step and have no parameters, but the graphs of the model they are of
        if self.cuda_graphs and '_is_replica' not in self.__dict__ and self._graphs.accepts(image):
            return self._graphs(self, self._maps, image, scales)
        return self._maps(image, scales)

    def _maps(self, image: Tensor, scales: Tensor | None) -> tuple[Tensor, ...]:
        if why_not_fused_patches(self.patch_embed, image, self.attn_backend) is None:
            x = run_patch_embed(self.patch_embed, image)
        else:
            x = self.patch_embed(image)
        if self.absolute_pos_embed is not None:
            embedding = F.interpolate(self.absolute_pos_embed, size=x.shape[1:3], mode='bicubic')
            x = x + embedding.permute(0, 2, 3, 1)
        x = self.pos_drop(x)

        channels_last = is_channels_last(image)
        owns_x = not self._is_watched()
        branches = [2 * len(stage.blocks) for stage in self.stages]
        per_stage_scales = [None] * len(branches) if scales is None else scales.split(branches)
        maps = []
        for index, (stage, stage_scales) in enumerate(zip(self.stages, per_stage_scales, strict=True)):
            out, x = stage(
                x,
                self._output_norm(index),
                stage_scales if stage.training else None,
                channels_last=channels_last,
                owns_x=owns_x,
            )
            if out is not None:
                maps.append(out)
        return tuple(maps)

    def _is_watched(self) -> bool:
        """Whether somebody may keep what goes from one part to the next."""
        if has_global_hooks() or type(self.patch_embed) is not PatchEmbed or type(self.pos_drop) is not nn.Dropout:
            return True
        parts = [self.patch_embed, self.pos_drop]
        for stage in self.stages:
            parts.append(stage)
            if stage.downsample is not None:
                parts.append(stage.downsample)
                if type(stage.downsample) is not stage.merging_cls:
                    return True
        return any(map(is_touched, parts))

    def _output_norm(self, stage: int) -> nn.LayerNorm | None:
        return getattr(self, f'norm{stage}') if stage in self.out_indices else None

    def _branch_scales(self, batch: int) -> Tensor | None:
        """Stochastic depth of a step, for all branches at once: [2 * blocks, B]."""
        if not (self.training and self.drop_path_rate):
            return None
        branches = sum(2 * len(stage.blocks) for stage in self.stages)
        return draw_branch_scales(self.branch_keep[:branches], batch)

    def is_fused(self, image: Tensor) -> bool:
        """Whether nothing but fused operations would run, which no Python watches and which keep no state."""
        return self.why_not_fused(image) is None

    def why_not_fused(self, image: Tensor) -> str | None:
        """None when it would be so, else the reason in words."""
        if self.training and self.pos_drop.p:
            return 'drop_rate is not 0'
        reason = why_not_fused_patches(self.patch_embed, image, self.attn_backend)
        for index, stage in enumerate(self.stages):
            reason = reason or why_not_fused_stage(stage, image, self._output_norm(index))
        for name, module in self.named_modules():
            if reason is None and module is not self and type(module) not in PLAIN:
                reason = f'{name} is a {type(module).__name__}'
        return reason


def _has_values(model: SwinBackbone, _keys: object) -> None:
    model._has_no_values = False
