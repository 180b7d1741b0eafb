"""A detector as one function of tensors, which is what an export traces."""

import copy

import torch
from mmdet.models.roi_heads.roi_extractors import SingleRoIExtractor as MMDetSingleRoIExtractor
from mmengine.config import ConfigDict
from torch import Tensor, nn

from swin_mmdet.detectors import SingleRoIExtractor

# sides of images are multiples of it: then maps of all levels are halves of each other
DIVISOR = 32
# the shortest side, where sizes are free: of smaller images maps have sides of 1, which are not free
LEAST = 64


class Program(nn.Module):
    """Takes images [B, 3, H, W] uint8 RGB, padded at the bottom and right, and their sizes [B, 2] int64 before that.

    Returns what `names` says, of a fixed number M of detections, best first: boxes [B, M, 4] as x1, y1, x2, y2 in
    pixels of `images`, scores [B, M] and labels [B, M] int64; where there is none, score 0 and label -1.
    """

    names: tuple[str, ...] = ('boxes', 'scores', 'labels')
    # deformable convolutions that it has another way to
    sampled: tuple[type[nn.Module], ...] = ()

    def __init__(self, model: nn.Module, *, half: bool = False) -> None:
        super().__init__()
        # a copy: what is exchanged here is the export's alone
        self.model = copy.deepcopy(model).eval().requires_grad_(False)
        self.prepare = Normalise(model.data_preprocessor)
        self.model.data_preprocessor = None
        for part in self.model.modules():
            if type(part) is MMDetSingleRoIExtractor:
                # of the same attributes, and its program has no question to the sizes of boxes
                part.__class__ = SingleRoIExtractor
        self.dtype = torch.half if half else torch.float
        for name in ('backbone', 'neck'):
            if hasattr(self.model, name):
                getattr(self.model, name).to(self.dtype)

    @staticmethod
    def rules(model: nn.Module) -> ConfigDict:
        """The detector's settings with the number of detections."""
        raise NotImplementedError

    @classmethod
    def why_not(cls, model: nn.Module) -> str | None:
        """None when the program is that of this detector, else the setting that is not, in words."""
        del model
        return None

    @classmethod
    def least(cls, model: nn.Module) -> int:
        """The shortest side of images."""
        del model
        return LEAST

    def maps(self, images: Tensor, sizes: Tensor) -> tuple[Tensor, ...]:
        """What the neck gives, in float32."""
        maps = self.model.extract_feat(self.prepare(images, sizes).to(self.dtype))
        return tuple(one.float() for one in maps)


class Normalise(nn.Module):
    """What the detector's preprocessor makes of bytes."""

    def __init__(self, preprocessor: nn.Module) -> None:
        super().__init__()
        # one that does not turn BGR round wants BGR
        self.from_rgb = not preprocessor._channel_conversion
        self.pad_value = float(preprocessor.pad_value)
        plain = not preprocessor._enable_normalize
        mean, std = (torch.zeros(3), torch.ones(3)) if plain else (preprocessor.mean, preprocessor.std)
        self.register_buffer('mean', mean.detach().clone().view(1, 3, 1, 1))
        self.register_buffer('std', std.detach().clone().view(1, 3, 1, 1))

    def forward(self, images: Tensor, sizes: Tensor) -> Tensor:
        """[B, 3, H, W] uint8 RGB -> the same normalised; beside images of `sizes` [B, 2] the padding's value."""
        x = images.float()
        x = x.flip(1) if self.from_rgb else x
        x = (x - self.mean) / self.std
        rows = torch.arange(x.shape[2], device=x.device) < sizes[:, :1]
        columns = torch.arange(x.shape[3], device=x.device) < sizes[:, 1:]
        return torch.where((rows[:, :, None] & columns[:, None, :])[:, None], x, self.pad_value)
