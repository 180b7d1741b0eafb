"""Strides of weights that are those of their gradients, which several processes then average without a copy."""

from torch import nn


def stride_as_gradients(model: nn.Module) -> None:
    """Weights [O, C, 1, 1] of convolutions get the strides of `torch.channels_last`; where they lie in memory stays.

    In mixed precision on a GPU maps have their channels innermost here, and so have the gradients of weights. Strides
    of sides of 1 mean nothing, but DistributedDataParallel, whose buckets are laid out as the weights are, compares
    them, and warns of a loss of speed.
    """
    for module in model.modules():
        if isinstance(module, nn.Conv2d) and module.weight.shape[2:] == (1, 1) and module.weight.is_contiguous():
            channels = module.weight.shape[1]
            module.weight.data = module.weight.data.as_strided(module.weight.shape, (channels, 1, channels, channels))
