"""A sampler without randomness, for trainings that are compared number by number."""

from mmdet.models.task_modules.samplers import RandomSampler
from mmdet.registry import TASK_UTILS
from torch import Tensor


@TASK_UTILS.register_module()
class FirstSampler(RandomSampler):
    """Takes the first boxes instead of random ones."""

    def random_choice(self, gallery: Tensor, num: int) -> Tensor:
        return gallery[:num]
