"""The dropout of one attention of mmcv's is not that of the next."""

import pytest

import swin_mmdet.compat  # noqa: F401

transformer = pytest.importorskip('mmcv.cnn.bricks.transformer')


@pytest.fixture(autouse=True)
def _another():
    transformer.MultiheadAttention(8, 2, dropout=0.5)


def rates(attention) -> tuple[float, float]:
    """Of the weights and of what is added to the input; mmcv's Dropout calls the second `p`."""
    return attention.attn.dropout, attention.dropout_layer.p


def test_an_attention_has_its_own_dropout():
    assert rates(transformer.MultiheadAttention(8, 2, dropout=0.5)) == (0.5, 0.5)
    assert rates(transformer.MultiheadAttention(8, 2)) == (0.0, 0.0)
    assert rates(transformer.MultiheadAttention(8, 2, 0.25)) == (0.25, 0.0)


def test_a_given_layer_is_taken_and_its_dict_left_alone():
    layer = {'type': 'Dropout', 'drop_prob': 0.1}
    assert rates(transformer.MultiheadAttention(8, 2, dropout_layer=layer)) == (0.0, 0.1)
    assert rates(transformer.MultiheadAttention(8, 2, 0.0, 0.0, layer, dropout=0.3)) == (0.3, 0.3)
    assert layer == {'type': 'Dropout', 'drop_prob': 0.1}
    without = transformer.MultiheadAttention(8, 2, dropout_layer=None)
    assert type(without.dropout_layer).__name__ == 'Identity'
