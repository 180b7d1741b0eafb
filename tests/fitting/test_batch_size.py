"""The batch: the search against counting up, the limits, and the rule of a CPU."""

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
import torch
from mmengine.config import Config

from swin_mmdet.fitting.batch_size import batch_limit, fit_batch_size, largest_batch
from swin_mmdet.fitting.trial import Trial


def config(batch: int = 2, base: int | None = 16) -> Config:
    scaling = dict(auto_scale_lr=dict(base_batch_size=base)) if base else {}
    return Config(dict(train_dataloader=dict(batch_size=batch), **scaling))


@pytest.mark.parametrize('most', [1, 2, 3, 7, 16, 24])
def test_the_search_finds_the_largest_that_fits(most: int):
    for memory in range(30):
        tried: list[int] = []

        def fits(batch: int, memory: int = memory, tried: list[int] = tried) -> bool:
            tried.append(batch)
            return batch <= memory

        assert largest_batch(fits, most) == min(memory, most)
        assert max(tried) <= most
        assert len(tried) == len(set(tried)) <= 10


@pytest.mark.parametrize(
    ('images', 'batch', 'why'),
    [(10_000, 16, "the recipe's batch"), (48, 6, 'an eighth of 48 images'), (3, 1, 'eighth')],
)
def test_never_more_than_the_recipes_or_an_eighth_of_the_images(images: int, batch: int, why: str):
    found, reason = batch_limit(config(), images)
    assert found == batch
    assert why in reason


def test_a_gpu_gets_what_fits():
    setting, batch = fit_batch_size(config(), 1000, lambda images: images <= 11)
    assert batch == 11
    assert str(setting) == (
        'batch: 2 -> 11: the most that fits into the memory of the GPU, of 16; tried 1, 2, 4, 8, 16, 12, 10, 11 '
        '(--batch-size sets it)'
    )
    assert fit_batch_size(config(), 1000, lambda _: True)[1] == 16


def test_a_gpu_too_small_for_one_image(user_error: type[Exception]):
    with pytest.raises(user_error, match=r'too small .* one image.*--img-scale.*with_cp=True.*--list'):
        fit_batch_size(config(), 1000, lambda _: False)


@pytest.mark.parametrize(('images', 'batch'), [(1000, 2), (8, 1), (2, 1)])
def test_a_cpu_takes_the_recipes_own(images: int, batch: int):
    setting, found = fit_batch_size(config(), images, None)
    assert found == batch
    assert 'nothing is tried without a GPU' in str(setting)


def test_only_running_out_of_memory_means_that_it_does_not_fit(monkeypatch: pytest.MonkeyPatch):
    trial = Trial.__new__(Trial)
    trial.device = 'cpu'

    def fails(error: Exception):
        def train(*_: object) -> None:
            raise error

        return train

    monkeypatch.setattr(trial, '_train', fails(torch.OutOfMemoryError('CUDA out of memory')), raising=False)
    assert not trial(2)
    monkeypatch.setattr(trial, '_train', lambda _: None)
    assert trial(2)
    monkeypatch.setattr(trial, '_train', fails(ValueError('another mistake')))
    with pytest.raises(ValueError, match='another'):
        trial(2)
