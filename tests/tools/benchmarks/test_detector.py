"""The benchmarks of whole detectors: what they compare is the same detector."""

import csv
import threading

import detector
import half_precision
import harness
import made_data
import neck_and_heads
import pytest
import torch
import whole_detectors
from mmengine.structures import InstanceData

from swin_mmdet.ops.memory_format import is_channels_last
from tests.bert import write_bert
from tests.configs.small import shrink_model

CASE = (1, 64, 96, 3)


@pytest.fixture
def on_cpu(monkeypatch):
    """The scripts' own GPU calls do nothing, and times are the CPU's."""
    monkeypatch.setattr(whole_detectors, 'DEVICE', 'cpu')
    monkeypatch.setattr(torch.Tensor, 'pin_memory', lambda self: self)
    monkeypatch.setattr(torch.cuda, 'synchronize', lambda: None)
    monkeypatch.setattr(torch.cuda, 'empty_cache', lambda: None)


@pytest.fixture
def small(monkeypatch, tmp_path):
    """One block a stage, one small case, and full precision, as mixed precision wants a GPU."""
    whole = whole_detectors.model_config
    words = sorted({word for name in made_data.CLASSES for word in name.split()})
    monkeypatch.setattr(
        whole_detectors, 'write_language_model', lambda _: write_bert(tmp_path / 'bert', words, num_hidden_layers=1)
    )

    def config(name, peer):
        cfg = whole(name, peer)
        shrink_model(cfg.model)
        for key in ('use_abs_pos_embed', 'pretrain_img_size'):
            cfg.model.backbone.pop(key)
        cfg.optim_wrapper.type = 'OptimWrapper'
        for key in ('dtype', 'loss_scale'):
            cfg.optim_wrapper.pop(key, None)
        return cfg

    monkeypatch.setattr(whole_detectors, 'model_config', config)
    monkeypatch.setattr(detector, 'CASES', {'small': CASE})


@pytest.mark.parametrize(
    'name',
    [
        # a language model takes long to write and read
        pytest.param(name, marks=pytest.mark.long) if 'grounding' in name else name
        for name in whole_detectors.OURS
        if name not in whole_detectors.RECOMPUTED
    ],
)
@pytest.mark.usefixtures('on_cpu', 'small')
def test_the_peers_are_one_detector(name):
    """mmdet's parts and ours have the same parameters outside the backbone, and both step."""
    ours, theirs = (whole_detectors.Detector(name, peer, CASE, 'infer') for peer in ('ours', 'mmdet'))
    states = (one.model.state_dict() for one in (ours, theirs))
    heads = [{key: x for key, x in state.items() if not key.startswith('backbone')} for state in states]
    assert heads[0].keys() == heads[1].keys()
    assert all(torch.equal(x, heads[1][key]) for key, x in heads[0].items())
    # of the config, for whoever imports `swin_mmdet.drop_in` in this process makes mmdet's names ours
    kinds = [str(whole_detectors.model_config(name, peer).model) for peer in ('ours', 'mmdet')]
    # mmdet's language model does not run on transformers 5
    kinds = [kind.replace('swin_mmdet.BertModel', '') for kind in kinds]
    assert ['swin_mmdet.' in kind for kind in kinds] == [True, False]
    for one in (ours, theirs):
        assert len(one()) == 1


@pytest.mark.parametrize('change', list(neck_and_heads.WAYS.values())[1:])
@pytest.mark.usefixtures('on_cpu', 'small')
def test_ways_of_neck_and_heads_give_the_same(change):
    plain, changed = (whole_detectors.Detector('mask-rcnn', 'ours', CASE, 'infer') for _ in range(2))
    changed.model.load_state_dict(plain.model.state_dict())
    if change is neck_and_heads.compile_parts:
        change(changed.model, backend='eager')
    else:
        change(changed.model)
    weight = changed.model.neck.fpn_convs[0].conv.weight
    assert is_channels_last(weight) == (change is neck_and_heads.turn_weights)
    images = torch.randn(1, 3, 64, 96).contiguous(memory_format=torch.channels_last)
    with torch.no_grad():
        maps, others = (one.model.extract_feat(images) for one in (plain, changed))
        assert is_channels_last(maps[0])
        assert is_channels_last(others[0]) == (change is not neck_and_heads.to_contiguous)
        for x, y in zip(maps, others, strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)
        for x, y in zip(*(one.model.rpn_head(maps)[0] for one in (plain, changed)), strict=True):
            torch.testing.assert_close(x, y, rtol=1e-4, atol=1e-4)


@pytest.mark.usefixtures('on_cpu', 'small')
def test_a_row_for_every_way(monkeypatch, tmp_path):
    monkeypatch.setattr(neck_and_heads, 'measure', lambda ways, repeats: harness.measure(ways, repeats, 1, 'cpu'))
    monkeypatch.setattr(neck_and_heads, 'gpu_work', lambda _way: [('kernel', 500.0), ('other', 1500.0)])
    monkeypatch.setattr(neck_and_heads, 'conditions', lambda commit: {'commit': commit})
    monkeypatch.setattr(neck_and_heads, 'NEW_SIZES', [(96, 64)])
    out = tmp_path / 'x.csv'
    ways = ['as it is', 'contiguous']
    neck_and_heads.main(
        [
            '--cases',
            'small',
            '--ways',
            *ways,
            '--modes',
            'infer',
            '--repeats',
            '1',
            '--commit',
            'abc',
            '--out',
            str(out),
        ]
    )
    with out.open() as file:
        rows = list(csv.DictReader(file))
    assert [(row['mode'], row['way']) for row in rows] == [('infer', way) for way in ways]
    assert all(row['commit'] == 'abc' and row['kernels'] == '2' and row['GPU ms'] == '2.0' for row in rows)
    assert float(rows[0]['to as it is']) == 1
    assert all(float(row['new size s']) > 0 < float(row['first step s']) for row in rows)


def test_calls_that_share_a_file_measure_one_after_the_other(tmp_path):
    events = []

    def other():
        with detector.turn(tmp_path / 'turns'):
            events.append('other')

    with detector.turn(tmp_path / 'turns'):
        thread = threading.Thread(target=other)
        thread.start()
        thread.join(0.2)
        events.append('first')
    thread.join()
    assert events == ['first', 'other']


def test_detections_found_again_agree_in_place_label_and_score():
    boxes = torch.tensor([[0.0, 0, 10, 10], [20, 20, 40, 40], [50, 50, 60, 60], [70, 70, 90, 90]])
    expected = InstanceData(bboxes=boxes, labels=torch.tensor([0, 1, 2, 3]), scores=torch.full((4,), 0.5))
    # the first moves by little, the second far, the third has another label, the fourth another score
    moved = boxes + torch.tensor([[0.2], [10.0], [0.0], [0.0]])
    found = InstanceData(
        bboxes=moved, labels=torch.tensor([0, 1, 0, 3]), scores=torch.tensor([0.52, 0.5, 0.5, 0.6])
    )
    assert half_precision.found_again(expected, found) == 0.25
    assert half_precision.found_again(expected, expected) == 1
    assert half_precision.found_again(expected[:0], found) == 1
