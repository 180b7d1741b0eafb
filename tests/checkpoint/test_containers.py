"""Which weights are taken from a file that wraps them, or that holds averaged and raw ones, and what else it says."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.hooks import EMAHook
from torch import nn

from swin_mmdet.checkpoint.files import read_checkpoint
from tests.checkpoint.writers import assert_same

ONES = {'backbone.norm.weight': torch.ones(3), 'backbone.norm.bias': torch.ones(3)}
NAMES = ('cat', 'dog')
RAW = {key: value * 2 for key, value in ONES.items()}  # ONES is the average, where there is one


def read(content, tmp_path, averaged=True):
    torch.save(content, tmp_path / 'weights.pth')
    return read_checkpoint(tmp_path / 'weights.pth', averaged)


@pytest.mark.parametrize(
    'wrappers',
    [
        (),
        ('state_dict',),
        ('model',),
        ('module',),
        ('state_dict', 'model'),
        ('model', 'state_dict'),
        ('model', 'module'),
    ],
    ids='-'.join,
)
def test_wrappers_are_opened(wrappers, tmp_path):
    content = ONES
    for wrapper in reversed(wrappers):
        content = {wrapper: content, 'epoch': 3}
    file = read(content, tmp_path)
    assert_same(file.state_dict, ONES)
    assert file.weights == (f'under {", ".join(map(repr, wrappers))}' if wrappers else '')
    assert (file.averaged, file.has_raw_and_averaged) == (False, False)


def assert_both_kinds(content, tmp_path, averaged_place, raw_place):
    """ONES or RAW, as asked for, and the log line says so."""
    for averaged, weights in ((True, ONES), (False, RAW)):
        file = read(content, tmp_path, averaged)
        assert_same(file.state_dict, weights)
        assert (file.averaged, file.has_raw_and_averaged) == (averaged, True)
        kinds = [('averaged', averaged_place), ('raw', raw_place)]
        (kind, place), (other, other_place) = kinds if averaged else kinds[::-1]
        assert file.weights == f'{place} ({kind}; the {other} ones are {other_place})'


@pytest.mark.parametrize('raw', ['state_dict', 'model', 'module'])
@pytest.mark.parametrize('averaged', ['state_dict_ema', 'model_ema', 'ema_model', 'ema_state', 'ema_state_dict'])
def test_an_average_beside_the_weights_is_preferred(averaged, raw, tmp_path):
    content = {raw: RAW, averaged: ONES, 'optimizer': {'state': {0: {'exp_avg': torch.zeros(3)}}}}
    assert_both_kinds(content, tmp_path, f"under '{averaged}'", f"under '{raw}'")


def test_an_average_alone_is_taken_whatever_was_asked_for(tmp_path):
    for averaged in (True, False):
        file = read({'state_dict_ema': ONES, 'state_dict': None, 'best': torch.tensor(0.8)}, tmp_path, averaged)
        assert_same(file.state_dict, ONES)
        assert (file.averaged, file.has_raw_and_averaged) == (True, False)
        assert file.weights == "under 'state_dict_ema' (averaged)"


def test_mmengine_swaps_the_average_into_the_plain_place(tmp_path):
    """As its own hook does on saving, after training steps that make both differ."""
    model = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    hook = EMAHook(momentum=0.5)
    runner = SimpleNamespace(model=model, iter=0, epoch=0)
    hook.before_run(runner)
    for _ in range(3):
        model(torch.randn(4, 2))
        with torch.no_grad():
            for parameter in model.parameters():
                parameter.add_(1)
        hook.after_train_iter(runner, 0)
    raw = {key: value.clone() for key, value in model.state_dict().items()}
    averaged = {key: value.clone() for key, value in hook.ema_model.module.state_dict().items()}
    assert not torch.equal(raw['0.weight'], averaged['0.weight'])
    checkpoint = {'state_dict': model.state_dict(), 'meta': {'epoch': 1}}
    hook.before_save_checkpoint(runner, checkpoint)
    file = read(checkpoint, tmp_path)
    assert_same(file.state_dict, averaged)
    assert file.weights == "under 'state_dict' (averaged; the raw ones are under 'ema_state_dict')"
    file = read(checkpoint, tmp_path, averaged=False)
    assert_same(file.state_dict, raw)
    assert file.weights == "under 'ema_state_dict' (raw; the averaged ones are under 'state_dict')"


def twins(plain, buffers):
    return plain | {'ema_' + key.replace('.', '_'): value for key, value in buffers.items()}


def test_mmcv_1_saves_after_it_swapped_by_epochs(tmp_path):
    content = {'state_dict': twins(ONES, RAW), 'meta': {'config': "runner = dict(type='EpochBasedRunner')\n"}}
    assert_both_kinds(content, tmp_path, "under 'state_dict'", "under 'state_dict' with names ema_*")


def test_mmcv_1_does_not_swap_by_iterations(tmp_path):
    content = {'state_dict': twins(RAW, ONES), 'meta': {'config': "runner = dict(type='IterBasedRunner')\n"}}
    assert_both_kinds(content, tmp_path, "under 'state_dict' with names ema_*", "under 'state_dict'")


def test_twins_are_found_by_the_names_that_have_them(tmp_path):
    more = {'neck.ema_scale': torch.ones(1), 'ema_decay_rate': torch.ones(1)}
    content = {'state_dict': twins(ONES, RAW) | more}
    assert_same(read(content, tmp_path).state_dict, ONES | more)
    assert_same(read(content, tmp_path, averaged=False).state_dict, RAW | more)


def test_teacher_and_student_stay_apart(tmp_path):
    file = read({'teacher': ONES, 'student': RAW, 'epoch': 3, 'center': torch.zeros(1)}, tmp_path)
    expected = {f'teacher.{key}': value for key, value in ONES.items()}
    assert_same(file.state_dict, expected | {f'student.{key}': value for key, value in RAW.items()})
    assert file.weights == "under 'student' and 'teacher'"


def test_only_what_is_no_weight_is_left_out_silently(tmp_path):
    more = {'_metadata': {'version': 1}, 'epoch': 3, 'name': 'swin', 'n.num_batches_tracked': torch.tensor(1)}
    file = read({'model': ONES | more}, tmp_path)
    assert_same(file.state_dict, ONES | {'n.num_batches_tracked': torch.tensor(1)})
    assert file.weights == "under 'model'"
    file = read({'model': ONES | {'packed': (torch.ones(1), None)}}, tmp_path)
    assert file.weights == "under 'model' (left out, as no tensors but groups of them: packed)"


def test_a_file_without_weights_says_what_it_has(tmp_path):
    with pytest.raises(ValueError, match=r"weights\.pth: it holds no weights: .*\['optimizer', 'epoch'\]"):
        read({'optimizer': {}, 'epoch': 3}, tmp_path)
    with pytest.raises(ValueError, match=r'weights\.pth: it holds no weights: .* got list'):
        read([1, 2], tmp_path)
    with pytest.raises(ValueError, match='the state dict: it holds no weights'):
        read_checkpoint({'model': {'a': np.array(['text'])}})


def test_a_dict_is_taken_like_a_file():
    parameter = nn.Parameter(torch.ones(3))
    file = read_checkpoint({'model': {'a': parameter, 'b': np.arange(3)[::-1], 'c': np.ones(2, '>f8')}, 'epoch': 3})
    assert_same(file.state_dict, {'a': torch.ones(3), 'b': torch.tensor([2, 1, 0]), 'c': torch.ones(2).double()})
    assert file.state_dict['a'].data_ptr() == parameter.data_ptr()
    assert not file.state_dict['a'].requires_grad
    assert (file.source, file.weights, file.meta) == ('the state dict', "under 'model'", {'epoch': 3})


@pytest.mark.parametrize(
    'said',
    [{'dataset_meta': {'classes': NAMES}}, {'dataset_meta': {'CLASSES': NAMES}}, {'CLASSES': NAMES}],
    ids=['mmdet 3', 'mmdet 3 rc', 'mmdet 2'],
)
def test_training_is_described_in_plain_values(said, tmp_path):
    meta = {
        'epoch': 12,
        'iter': 87960,
        'mmdet_version': '2.11.0',
        'time': 'Wed',
        'seed': None,
        'config': 'a = 1\nb = 2\n',
    }
    meta |= {'hook_msgs': {'best_score': 0.5, 'runner': torch.zeros(1)}} | said
    content = {'state_dict': ONES, 'meta': meta, 'amp': True, 'optimizer': {'param_groups': [{'lr': 0.1}]}}
    described = read(content, tmp_path).meta
    assert described.pop('classes') == ['cat', 'dog']
    described.pop(next(iter(said)))
    assert described == {
        'amp': True,
        'epoch': 12,
        'iter': 87960,
        'mmdet_version': '2.11.0',
        'time': 'Wed',
        'hook_msgs': {'best_score': 0.5},
    }


def test_a_single_class_may_be_a_word(tmp_path):
    assert read({'state_dict': ONES, 'meta': {'CLASSES': 'nucleus'}}, tmp_path).meta['classes'] == ['nucleus']
