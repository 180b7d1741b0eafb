"""Weights for another size: bias tables, absolute embeddings, input channels."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from scipy.interpolate import make_interp_spline
from scipy.optimize import brentq

from swin_mmdet.checkpoint import load_backbone_weights
from swin_mmdet.checkpoint.position_embedding import to_map, to_tokens
from swin_mmdet.checkpoint.resize import inflate_input_channels, resize_bias_table_geometrically
from swin_mmdet.models import SwinTransformer
from swin_mmdet.ops.relative_position import relative_coords_table, resize_bias_table
from tests.checkpoint import published
from tests.checkpoint.libraries import Sizes

SIZES = Sizes(8, (1, 2, 2), (1, 2, 4), 4, 128)


def model(**options) -> SwinTransformer:
    return SwinTransformer(
        **{'embed_dims': 8, 'depths': SIZES.depths, 'num_heads': SIZES.num_heads, 'out_indices': (0, 1, 2)} | options
    ).eval()


@pytest.mark.parametrize(('old', 'new'), [(7, 12), (12, 16), (12, 7)])
def test_bicubic_tables_are_those_of_timm(old: int, new: int):
    pos_embed_rel = pytest.importorskip('timm.layers.pos_embed_rel')
    table = torch.randn((2 * old - 1) ** 2, 3)
    rows = (2 * new - 1) ** 2
    expected = pos_embed_rel.resize_rel_pos_bias_table_simple(table, (new, new), (rows, 3))
    assert torch.equal(resize_bias_table(table, new), expected)


@pytest.mark.parametrize(('old', 'new'), [(7, 12), (12, 16), (6, 7), (6, 24)])
def test_geometric_tables_follow_their_definition(old: int, new: int):
    """q by another root finder, and one-dimensional splines along one axis and then the other."""
    count, reach = old - 1, new - 1
    q = brentq(lambda q: sum(q**k for k in range(count)) - reach, 1.0001, 3) if count < reach else 1.01
    q = min(q, 1.5)
    places = np.cumsum([q**k for k in range(count)])
    axis = np.concatenate([-places[::-1], [0], places])
    wanted = np.arange(-reach, reach + 1)
    table = torch.randn((2 * old - 1) ** 2, 2, dtype=torch.float64)
    image = table.numpy().reshape(2 * old - 1, 2 * old - 1, 2)
    rows = make_interp_spline(axis, image, k=3, axis=0)(wanted.clip(axis[0], axis[-1]))
    expected = make_interp_spline(axis, rows, k=3, axis=1)(wanted.clip(axis[0], axis[-1]))
    found = resize_bias_table_geometrically(table, new).numpy().reshape(2 * new - 1, 2 * new - 1, 2)
    np.testing.assert_allclose(found, expected, rtol=0, atol=5e-4)  # bisection stops at 1e-6


def test_the_geometric_way_keeps_the_centre_finer_than_the_bicubic():
    """A bias that falls with log distance, as trained ones do, comes out nearer to itself at small offsets."""

    def bias(window: int) -> torch.Tensor:
        axis = torch.arange(-(window - 1), window, dtype=torch.float64)
        return -(axis[:, None] ** 2 + axis[None] ** 2 + 1).log().reshape(-1, 1)

    centre = torch.zeros(23, 23, dtype=torch.bool)
    centre[9:14, 9:14] = True
    truth = bias(12)
    errors = [(resize(bias(7), 12) - truth).abs()[centre.flatten()].mean()
              for resize in (resize_bias_table_geometrically, resize_bias_table)]  # fmt: skip
    assert errors[0] < errors[1] / 2


@pytest.mark.parametrize('mode', ['bicubic', 'geometric'])
def test_windows_are_changed_stage_by_stage(mode: str):
    """As SimMIM's files have them: a smaller window in the last stage."""
    weights = published.microsoft_state_dict(SIZES)
    for block in range(2):
        weights[f'layers.2.blocks.{block}.attn.relative_position_bias_table'] = torch.randn(5**2, 4)
    report = load_backbone_weights(model(window_size=6), published.simmim(weights), resize=mode)
    assert sorted(set(report.resized.values())) == [f'window 3 to 6, {mode}', f'window 4 to 6, {mode}']
    assert len(report.resized) == 5
    assert 'resized: window 3 to 6' in report.summary()


def test_an_unknown_mode_is_named():
    with pytest.raises(ValueError, match=r"resize='cubic' must be one of \('bicubic', 'geometric'\)"):
        load_backbone_weights(model(), published.microsoft_state_dict(SIZES), resize='cubic')


@pytest.mark.parametrize('channels', [1, 2, 4, 5, 6, 12])
def test_grey_images_in_more_or_fewer_channels_give_the_same_response(channels: int):
    weight = torch.randn(8, 3, 4, 4, dtype=torch.float64)
    grey = torch.randn(1, 1, 16, 16, dtype=torch.float64)
    inflated, words = inflate_input_channels(weight, channels)
    expected = F.conv2d(grey.expand(-1, 3, -1, -1), weight, stride=4)
    found = F.conv2d(grey.expand(-1, channels, -1, -1), inflated, stride=4)
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    assert words == f'in_channels 3 to {channels}, {"cycling" if channels > 3 else "averaging"}'


def test_other_input_channels_are_reported():
    report = load_backbone_weights(model(window_size=4, in_channels=4), published.microsoft_state_dict(SIZES))
    assert report.resized == {'patch_embed.proj.weight': 'in_channels 3 to 4, cycling'}


def test_weights_of_our_own_for_another_window_fit_through_load_state_dict():
    source, target = model(window_size=4), model(window_size=7, in_channels=1)
    target.load_state_dict(source.state_dict(), strict=True)
    name = 'stages.1.blocks.1.attn.relative_position_bias_table'
    assert torch.equal(target.state_dict()[name], resize_bias_table(source.state_dict()[name], 7))


@pytest.mark.parametrize('extra', [0, 1])
def test_embeddings_of_tokens_become_maps(extra: int):
    """Token y * width + x of a list is pixel (y, x) of a map; transformers reserves one in front."""
    tokens = torch.arange(6.0 * 6 * 2).reshape(1, 36, 2)
    image = to_map(torch.cat([torch.full((1, extra, 2), -1.0), tokens], 1))
    assert all(torch.equal(image[0, :, y, x], tokens[0, 6 * y + x]) for y in range(6) for x in range(6))
    assert torch.equal(to_tokens(image), tokens)
    assert torch.equal(to_map(image), image)


def test_an_absolute_embedding_of_a_classifier_is_resized():
    weights = published.microsoft_state_dict(SIZES) | {'absolute_pos_embed': torch.randn(1, 32 * 32, 8)}
    target = model(window_size=4, use_abs_pos_embed=True, pretrain_img_size=64)
    report = load_backbone_weights(target, weights)
    assert report.resized == {'absolute_pos_embed': '(32, 32) to (16, 16) tokens, bicubic'}
    weights['absolute_pos_embed'] = torch.randn(1, 1000, 8)
    with pytest.raises(ValueError, match=r"'absolute_pos_embed' has the shape .*1000 tokens are no square"):
        load_backbone_weights(target, weights)


@pytest.mark.parametrize(('window', 'pretrained'), [(8, 0), (16, 8), (24, 12), (4, 0)])
def test_log_spaced_coordinates_are_those_of_timm(window: int, pretrained: int):
    timm = pytest.importorskip('timm')
    attention = timm.models.swin_transformer_v2.WindowAttention(
        8, (window, window), 1, pretrained_window_size=(pretrained, pretrained)
    )
    attention._make_pair_wise_relative_positions()
    torch.testing.assert_close(
        relative_coords_table(window, pretrained), attention.relative_coords_table, rtol=0, atol=1e-6
    )
