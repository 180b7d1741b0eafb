"""Writes swin_micro.npz beside this file: outputs and gradients of `definition.py` at the sizes that matter.

    python -m tests.golden.make_golden

The architecture is small so that the file is; window, shift, padding and merging are those of every Swin. Of each
output and gradient a fixed sample is kept. The loss is the sum of every output times fixed noise.
"""

from pathlib import Path

import numpy as np
import torch

from tests.golden.definition import make_image, make_parameters, parameter_shapes, swin

ARCHITECTURE = dict(embed_dims=16, depths=(2, 2, 3, 2), num_heads=(1, 2, 4, 8))
WINDOW_SIZE = 7
SIZES = ((224, 224), (200, 300), (37, 53), (20, 20), (800, 1333))
SAMPLES = 20
GOLDEN = Path(__file__).parent / 'swin_micro.npz'


def sample(tensor):
    """`SAMPLES` values spread over a tensor by a stride that is coprime to most sizes."""
    flat = tensor.detach().double().flatten().cpu().numpy()
    return flat[(np.arange(SAMPLES) * 7919) % flat.size]


def weighted_sum(maps):
    """The loss whose gradients are kept."""
    noise = [torch.from_numpy(np.random.RandomState(2 + i).standard_normal(x.shape)).to(x) for i, x in enumerate(maps)]
    return sum((x * n).sum() / n.numel() ** 0.5 for x, n in zip(maps, noise))


def record(run, parameters, image):
    """Samples of every output, of the image's gradient and of every parameter's."""
    image = image.clone().requires_grad_()
    maps = run(image)
    weighted_sum(maps).backward()
    found = {f'out{index}': sample(x) for index, x in enumerate(maps)}
    found['grad/image'] = sample(image.grad)
    found |= {f'grad/{name}': sample(value.grad) for name, value in parameters.items()}
    return found


def main():
    golden = {}
    shapes = parameter_shapes(**ARCHITECTURE, window_size=WINDOW_SIZE)
    for height, width in SIZES:
        parameters = {name: value.requires_grad_() for name, value in make_parameters(shapes).items()}

        def run(image, parameters=parameters):
            return swin(image, parameters, **ARCHITECTURE, window_size=WINDOW_SIZE)

        found = record(run, parameters, make_image(height, width))
        golden |= {f'{height}x{width}/{name}': value for name, value in found.items()}
    np.savez_compressed(GOLDEN, **golden)


if __name__ == '__main__':
    main()
