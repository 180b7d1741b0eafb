"""A config that is made into text again is the same text, and is not formatted again."""

import swin_mmdet.compat  # noqa: F401

# isort: split
import mmengine.config.config
import pytest
from mmengine.config import Config
from yapf.yapflib.yapf_api import FormatCode

from swin_mmdet.compat.config_text import remembered

STYLE = {'based_on_style': 'pep8', 'split_before_expression_after_opening_paren': True}


def test_texts_are_those_of_yapf_and_made_once():
    calls = []

    def counted(text, **options):
        calls.append(text)
        return FormatCode(text, **options)

    formatted = remembered(counted)
    texts = ['a={"b":1,"c":[1,2]}\n', 'a={"b":2}\n', 'a={"b":1,"c":[1,2]}\n']
    for text in texts:
        assert formatted(text, style_config=STYLE) == FormatCode(text, style_config=STYLE)
    assert calls == texts[:2]
    other = STYLE | {'based_on_style': 'google'}
    assert formatted(texts[0], style_config=other) == FormatCode(texts[0], style_config=other)
    assert formatted(texts[0], style_config='google') == FormatCode(texts[0], style_config='google')
    assert len(calls) == 4


def test_what_cannot_be_formatted_is_refused_each_time():
    formatted = remembered(FormatCode)
    for _ in range(2):
        with pytest.raises(Exception, match=r'EOF|syntax'):
            formatted('a = (', style_config=STYLE)


def test_a_config_that_changes_has_another_text():
    cfg = Config({'model': {'type': 'RetinaNet'}, 'lr': 0.1})
    first = cfg.pretty_text
    assert cfg.pretty_text == first
    cfg.lr = 0.2
    assert cfg.pretty_text == first.replace('0.1', '0.2')
    assert mmengine.config.config.FormatCode.__wrapped__ is FormatCode
