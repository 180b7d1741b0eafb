"""The Triton kernels as a PyTorch operator: shapes for tracing, gradients, and what it accepts."""

from importlib.util import find_spec

import torch
from torch import Tensor

HEAD_DIMS = (16, 32, 64)
DTYPES = (torch.float32, torch.float16, torch.bfloat16)
MAX_TOKENS = 64  # of a window: one tile
MIN_CAPABILITY = (8, 0)


def why_not_triton(qkv: Tensor, bias: Tensor, dropout_p: float) -> str | None:
    """None when the kernels take this input, else the reason in words."""
    reason = _why_not_here(qkv.device)
    if reason is not None:
        return reason
    if qkv.dtype not in DTYPES:
        return f'dtype {qkv.dtype} is not one of {DTYPES}'
    head_dim = qkv.shape[-1] // 3 // bias.shape[0]
    if head_dim not in HEAD_DIMS:
        return f'head_dim={head_dim} is not one of {HEAD_DIMS}'
    if bias.shape[-1] > MAX_TOKENS:
        return f'a window of {bias.shape[-1]} tokens is more than one tile of {MAX_TOKENS}'
    if dropout_p:
        return f'dropout_p={dropout_p}: it has no dropout of attention weights'
    return None


def triton_attention(
    qkv: Tensor,
    bias: Tensor,
    window_size: int,
    shift_size: int,
    scale: float,
    pad_value: Tensor | None,
    _dropout_p: float,
) -> Tensor:
    """The reference's formula in one kernel each way. Shapes as in `shifted_window_attention`."""
    pad = None if pad_value is None else pad_value.to(qkv.dtype).contiguous()
    return _forward(qkv.contiguous(), bias.contiguous(), pad, window_size, shift_size, scale)


@torch.library.custom_op('swin_mmdet::shifted_window_attention', mutates_args=())
def _forward(qkv: Tensor, bias: Tensor, pad: Tensor | None, window_size: int, shift_size: int, scale: float) -> Tensor:
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_forward

    return launch_forward(qkv, bias, pad, window_size, shift_size, scale)


@torch.library.custom_op('swin_mmdet::shifted_window_attention_backward', mutates_args=())
def _backward(
    dout: Tensor, qkv: Tensor, bias: Tensor, pad: Tensor | None, window_size: int, shift_size: int, scale: float
) -> tuple[Tensor, Tensor, Tensor]:
    from swin_mmdet.ops.shifted_window_attention.triton_launch import launch_backward

    return launch_backward(dout.contiguous(), qkv, bias, pad, window_size, shift_size, scale)


_forward.register_fake(lambda qkv, *_: qkv.new_empty(*qkv.shape[:3], qkv.shape[3] // 3))
_backward.register_fake(
    lambda _dout, qkv, bias, *_: (
        torch.empty_like(qkv),
        bias.new_empty(bias.shape, dtype=torch.float32),
        bias.new_empty(qkv.shape[3], dtype=torch.float32),
    )
)


def _save(ctx: torch.autograd.function.FunctionCtx, inputs: tuple, output: Tensor) -> None:  # noqa: ARG001
    qkv, bias, pad, ctx.window_size, ctx.shift_size, ctx.scale = inputs
    ctx.save_for_backward(qkv, bias, pad)


def _gradients(ctx: torch.autograd.function.FunctionCtx, dout: Tensor) -> tuple:
    qkv, bias, pad = ctx.saved_tensors
    dqkv, dbias, dpad = _backward(dout, qkv, bias, pad, ctx.window_size, ctx.shift_size, ctx.scale)
    return dqkv, dbias.to(bias.dtype), None if pad is None else dpad.to(pad.dtype), None, None, None


_forward.register_autograd(_gradients, setup_context=_save)


@torch.compiler.assume_constant_result
def _why_not_here(device: torch.device) -> str | None:
    """None when the kernels run on this machine and device; torch.compile need not look into this."""
    if find_spec('triton') is None:
        return 'triton is not installed'
    if device.type != 'cuda':
        import triton

        # with TRITON_INTERPRET=1 before it is imported, Triton runs kernels on the CPU, for tests
        return None if triton.knobs.runtime.interpret else f'the tensors are on {device.type!r}, it needs a GPU'
    if torch.version.hip or torch.cuda.get_device_capability(device) < MIN_CAPABILITY:
        return 'it was made for NVIDIA GPUs of compute capability 8.0 or newer'
    return None
