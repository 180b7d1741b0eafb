"""The architectures of the paper, arXiv 2103.14030, section 3.3: needed to build a model and to name a file's."""

from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import Any


@dataclass(frozen=True)
class SwinVariant:
    """The numbers that define a Swin: channels of the first stage, blocks and heads of each stage."""

    embed_dims: int
    depths: tuple[int, ...]
    num_heads: tuple[int, ...]


VARIANTS = {
    'tiny': SwinVariant(96, (2, 2, 6, 2), (3, 6, 12, 24)),
    'small': SwinVariant(96, (2, 2, 18, 2), (3, 6, 12, 24)),
    'base': SwinVariant(128, (2, 2, 18, 2), (4, 8, 16, 32)),
    'large': SwinVariant(192, (2, 2, 18, 2), (6, 12, 24, 48)),
}


def resolve_variant(
    arch: str | dict | None,
    embed_dims: int | None,
    depths: Sequence[int] | None,
    num_heads: Sequence[int] | None,
) -> SwinVariant:
    """The variant that a config means: a name, a dict of the three numbers, or the three numbers themselves.

    Raises:
        ValueError: an unknown name or key, a number missing, both ways at once, or numbers that do not fit together.
    """
    explicit = {'embed_dims': embed_dims, 'depths': depths, 'num_heads': num_heads}
    given = {name: value for name, value in explicit.items() if value is not None}
    if isinstance(arch, dict):
        unknown = set(arch) - {field.name for field in fields(SwinVariant)}
        if unknown:
            raise ValueError(f'arch has unknown keys {sorted(unknown)}; it takes {sorted(explicit)}')
    if arch is not None and given:
        raise ValueError(f'give either arch={arch!r} or {sorted(given)}, not both')
    if isinstance(arch, str) or (arch is None and not given):
        name = arch or 'tiny'
        if name not in VARIANTS:
            raise ValueError(
                f'arch={name!r} is unknown; use one of {sorted(VARIANTS)}, or a dict of {sorted(explicit)}'
            )
        return VARIANTS[name]
    numbers: dict[str, Any] = dict(arch) if arch is not None else dict(given)
    missing = sorted(set(explicit) - set(numbers))
    if missing:
        raise ValueError(f'an explicit architecture needs embed_dims, depths and num_heads; missing: {missing}')
    variant = SwinVariant(numbers['embed_dims'], tuple(numbers['depths']), tuple(numbers['num_heads']))
    _check(variant)
    return variant


def _check(variant: SwinVariant) -> None:
    if not variant.depths or len(variant.depths) != len(variant.num_heads):
        raise ValueError(
            f'depths={variant.depths} and num_heads={variant.num_heads} must name the same number of stages, at least 1'
        )
    if min(variant.depths) < 1 or min(variant.num_heads) < 1 or variant.embed_dims < 1:
        raise ValueError(f'embed_dims, depths and num_heads must be positive, got {variant}')
    for stage, heads in enumerate(variant.num_heads):
        dims = variant.embed_dims * 2**stage
        if dims % heads:
            raise ValueError(
                f'embed_dims={variant.embed_dims} gives stage {stage} {dims} channels, not divisible by '
                f'num_heads[{stage}]={heads}'
            )
