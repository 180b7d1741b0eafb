"""BERT of Grounding DINO: on any transformers, a phrase is read without the phrases beside it."""

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from swin_mmdet.detectors import BertModel
from tests.bert import SPECIAL, write_bert

pytest.importorskip('transformers')

WORDS = ['red', 'blue', 'cat', 'dog']


@pytest.fixture
def bert(tmp_path):
    torch.manual_seed(0)
    sizes = {'hidden_size': 16, 'num_hidden_layers': 2, 'num_attention_heads': 2, 'intermediate_size': 32}
    write_bert(tmp_path, WORDS, initializer_range=0.5, **sizes)
    phrases = {'use_sub_sentence_represent': True, 'special_tokens_list': ['[CLS]', '[SEP]', '.', '?']}
    return lambda **options: BertModel(str(tmp_path), max_tokens=12, pad_to_max=False, **options | phrases).eval()


@torch.no_grad()
def test_a_phrase_does_not_see_its_neighbours(bert):
    model = bert()
    one, other = (model([text])['embedded'][0] for text in ('red cat . blue dog .', 'red cat . red cat .'))
    torch.testing.assert_close(one[:4], other[:4])  # [CLS] red cat .
    assert (one[4:6] - other[4:6]).abs().min(1).values.max() > 1e-3
    # at the same places of its own phrase
    torch.testing.assert_close(other[1:4], other[4:7])


@torch.no_grad()
def test_words_are_those_of_transformers_alone(bert):
    """A single phrase without its end marks attends to all of itself: what BERT itself says."""
    model = bert()
    found = model(['red cat dog .'])
    words = torch.tensor([[[*SPECIAL, *WORDS].index(word) for word in ('red', 'cat', 'dog', '.')]])
    expected = model.language_backbone.body.model(input_ids=words, position_ids=torch.arange(4)[None])
    torch.testing.assert_close(found['embedded'][:, 1:5], expected.last_hidden_state, rtol=1e-5, atol=1e-5)
    assert found['text_token_mask'].tolist() == [[True] * 6]
