"""The same random numbers for denoising queries, in mmdet's order of them and in ours."""

import torch

# two copies of an object in each of so many groups
MOST_GROUPS = 100


class SameNoise:
    """In place of torch's functions, for samples of one batch and a number of classes.

    Of mmdet's copies of objects, [copies * objects of all images], and of ours, [images, groups, 2, objects].
    """

    def __init__(self, samples, classes, seed=5):
        counts = [len(sample.gt_instances) for sample in samples]
        most, copies = max(counts), 2 * MOST_GROUPS
        generator = torch.Generator().manual_seed(seed)
        shape = len(counts), copies, most
        self.chance = torch.rand(shape, generator=generator)
        self.label = torch.randint(classes, shape, generator=generator)
        self.share = torch.rand((*shape, 4), generator=generator)
        self.sign = torch.randint(2, (*shape, 4), generator=generator).float()
        self.exists = (torch.arange(most) < torch.tensor(counts)[:, None])[:, None].expand(shape)

    def install(self, monkeypatch):
        monkeypatch.setattr(torch, 'rand', lambda shape, device: self._ours(self.chance, shape, device))
        monkeypatch.setattr(torch, 'rand_like', self._rand_like)
        monkeypatch.setattr(torch, 'randint_like', self._randint_like)

    def _ours(self, table, shape, device):
        return table[:, : 2 * shape[1]].reshape(shape).to(device, copy=True)

    def _theirs(self, table, count, device):
        # mmdet goes through the images within each copy
        flat = table.transpose(0, 1)[self.exists.transpose(0, 1)]
        return flat[:count].to(device, copy=True)

    def _rand_like(self, like):
        if like.dim() == 5:
            return self._ours(self.share, like.shape, like.device)
        return self._theirs(self.chance if like.dim() == 1 else self.share, len(like), like.device)

    def _randint_like(self, like, low, high, dtype=None):
        assert low == 0
        if like.dim() >= 4:
            return self._ours(self.sign if high == 2 and like.dim() == 5 else self.label, like.shape, like.device)
        if dtype is not None:
            return self._theirs(self.sign, len(like), like.device)
        # mmdet draws for those alone whose label is changed: `like` says which
        return self._theirs(self.label, None, like.device)[like]
