"""What is told of a load, word by word."""

import pytest

from swin_mmdet.checkpoint.report import LoadReport, shorten


@pytest.mark.parametrize(
    ('count', 'text'), [(0, ''), (1, 'k0'), (5, 'k0, k1, k2, k3, k4'), (6, 'k0, k1, k2, k3, k4 and 1 more')]
)
def test_five_keys_are_named_and_the_others_counted(count, text):
    assert shorten([f'k{index}' for index in range(count)]) == text


def full():
    return LoadReport(
        'a.pth', 'timm', 2, loaded=['a', 'b'], resized={'bias': 'window 7 to 8', 'other': 'window 7 to 8'},
        misfit={'head.weight': '[1] for [2]'}, missing=['c'], unexpected=['d', 'e'], dropped={'index': 'recomputed'},
    )  # fmt: skip


def test_a_line_for_the_log():
    assert full().summary() == (
        'a.pth: format timm V2; 2 loaded, 2 resized, 1 missing, 2 unexpected, 1 dropped; resized: window 7 to 8; '
        'of another shape, keep their initial values: head.weight; keep their initial values: c; '
        'not in the model: d, e'
    )
    assert LoadReport('a.pth', 'mmdet').summary() == (
        'a.pth: format mmdet V1; 0 loaded, 0 resized, 0 missing, 0 unexpected, 0 dropped'
    )


def test_a_line_for_each_key():
    assert full().table().splitlines() == [
        'loaded     a',
        'loaded     b',
        'resized    bias        window 7 to 8',
        'resized    other       window 7 to 8',
        'misfit     head.weight [1] for [2]',
        'missing    c',
        'unexpected d',
        'unexpected e',
        'dropped    index       recomputed',
    ]
    assert LoadReport('a.pth').table() == ''


def test_two_parts_of_a_model_are_one_report():
    both = full()
    both.add(LoadReport('b.pth', loaded=['f'], resized={'g': 'x'}, misfit={'h': 'y'}, missing=['i'], unexpected=['j'],
                        dropped={'k': 'z'}))  # fmt: skip
    assert both.loaded == ['a', 'b', 'f']
    assert (list(both.resized), list(both.misfit)) == (['bias', 'other', 'g'], ['head.weight', 'h'])
    assert (both.missing, both.unexpected, list(both.dropped)) == (['c', 'i'], ['d', 'e', 'j'], ['index', 'k'])
    assert (both.source, both.format) == ('a.pth', 'timm')
