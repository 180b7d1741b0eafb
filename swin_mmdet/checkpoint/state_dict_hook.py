"""Foreign keys in plain `load_state_dict`, and so in `load_from`, in resuming and in other people's tools."""

from mmengine.logging import print_log
from torch import Tensor, nn

from swin_mmdet.checkpoint.canonical import CANONICAL
from swin_mmdet.checkpoint.formats import ANCHOR
from swin_mmdet.checkpoint.load import MAY_BE_MISSING, fit_backbone, new_report
from swin_mmdet.checkpoint.resize import resize_weight
from swin_mmdet.checkpoint.translate import to_canonical


def adopt_foreign_keys(module: nn.Module, state_dict: dict[str, Tensor], prefix: str, *_: object) -> None:
    """A pre-hook of `load_state_dict`: bring the keys under `prefix` to those and the shapes of a backbone.

    Weights of another program are translated and fitted as `load_backbone_weights` does, and one line in the log says
    so; what is missing or unexpected afterwards is PyTorch's to report. Our own keys are left alone, only that weights
    for another window are fitted.

    Raises:
        ValueError: keys of several formats, or weights of another architecture.
    """
    inside = {key.removeprefix(prefix): value for key, value in state_dict.items() if key.startswith(prefix)}
    if not any(map(ANCHOR.match, inside)):
        return
    found = to_canonical(inside)
    wanted = module.state_dict()
    if found.detection.format.layout is CANONICAL and not found.detection.prefix:
        for key, value in inside.items():
            if key in wanted and value.shape != wanted[key].shape:
                fitted = resize_weight(key, value, wanted[key].shape, 'bicubic')
                if fitted is not None:
                    state_dict[prefix + key] = fitted[0]
                    print_log(f'{prefix}{key}: {fitted[1]}', 'current')
        return
    report = new_report(f'the state dict under {prefix!r}' if prefix else 'the state dict', found)
    report.dropped |= dict.fromkeys(found.rest, 'not in the backbone')
    values = fit_backbone(found, wanted, dict(module.named_buffers()), report, strict=False, resize='bicubic')
    for key in inside:
        del state_dict[prefix + key]
    unexpected = {key: found.backbone[key] for key in report.unexpected}
    initial = {key: wanted[key] for key in report.missing if MAY_BE_MISSING.match(key)}
    state_dict.update({prefix + key: value for key, value in (values | unexpected | initial).items()})
    print_log(report.summary(), 'current')
