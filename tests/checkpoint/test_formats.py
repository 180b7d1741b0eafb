"""Every format in the wild: recognised, loaded to the same weights, and no fault in a file goes unnoticed."""

import pickle
import random
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from swin_mmdet.checkpoint import detect_format, load_backbone_weights, read_checkpoint, to_canonical
from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from tests.checkpoint import libraries, published
from tests.checkpoint.libraries import Sizes

SIZES = Sizes(8, (1, 2, 2), (1, 2, 4), 4, 128)


def library_state_dict(build: Callable[[Sizes], nn.Module]) -> Callable[[], dict]:
    return lambda: libraries.randomised(build(SIZES)).state_dict()


def from_key_list(write: Callable[[dict], dict], version: int = 1) -> Callable[[], dict]:
    return lambda: write(published.microsoft_state_dict(SIZES, version))


# (name, version) -> the content of a file
FILES = {
    ('microsoft', 1): from_key_list(published.microsoft),
    ('microsoft', 2): from_key_list(published.microsoft, 2),
    ('official', 1): from_key_list(published.official),
    ('detectron2', 1): from_key_list(published.detectron2),
    ('moby', 1): from_key_list(published.moby),
    ('simmim', 1): from_key_list(published.simmim),
    ('simmim', 2): from_key_list(published.simmim, 2),
    ('mmdet', 1): from_key_list(published.mmdet),
    ('mmpretrain', 1): from_key_list(published.mmpretrain),
    ('mmpretrain', 2): from_key_list(published.mmpretrain, 2),
    ('timm', 1): from_key_list(published.timm_by_key_list),
    ('timm', 2): from_key_list(published.timm_by_key_list, 2),
    ('timm_features', 1): from_key_list(published.timm_features_only),
    ('timm_features', 2): from_key_list(published.timm_features_only, 2),
    ('torchvision', 1): library_state_dict(libraries.torchvision_v1),
    ('torchvision', 2): library_state_dict(libraries.torchvision_v2),
    ('transformers', 1): library_state_dict(libraries.transformers_v1),
    ('transformers', 2): library_state_dict(libraries.transformers_v2),
    ('swin_mmdet', 1): lambda: libraries.randomised(v1_model()).state_dict(),
    ('swin_mmdet', 2): lambda: libraries.randomised(model_of(2)).state_dict(),
}
ALL = pytest.mark.parametrize(('name', 'version'), FILES, ids=lambda item: str(item))
# inside a backbone: a classifier's last norm and layer, and what every model computes
NOT_LOADED = re.compile(
    r'^(norm|layernorm|head|head\.fc)\.(weight|bias)$|'
    r'relative_position_index$|relative_coords_table$|attn_mask$|mask_token$'
)


def v1_model() -> SwinTransformer:
    torch.manual_seed(0)
    return SwinTransformer(
        embed_dims=8, depths=SIZES.depths, num_heads=SIZES.num_heads, window_size=4, out_indices=(0, 1, 2)
    )


def model_of(version: int) -> nn.Module:
    if version == 1:
        return v1_model()
    return SwinTransformerV2(
        embed_dims=8, depths=SIZES.depths, num_heads=SIZES.num_heads, window_size=4, out_indices=(0, 1, 2)
    )


def save(content: dict, folder: Path) -> Path:
    if '__author__' in content:
        (folder / 'file.pkl').write_bytes(pickle.dumps(content))
        return folder / 'file.pkl'
    torch.save(content, folder / 'file.pth')
    return folder / 'file.pth'


@ALL
def test_a_file_is_recognised_and_loads_completely(name: str, version: int, tmp_path: Path):
    path = save(FILES[name, version](), tmp_path)
    file = read_checkpoint(path)
    found = detect_format(file.state_dict)
    assert (found.format.name, found.version) == (name, version)
    model = model_of(version)
    report = load_backbone_weights(model, path)
    assert (report.format, report.version, report.unexpected, report.resized) == (name, version, [], {})
    assert all(re.match(r'norm\d', key) for key in report.missing)
    assert f'format {name} V{version}' in report.summary()


@pytest.mark.parametrize(
    ('name', 'version'), [key for key in FILES if key[0] not in ('torchvision', 'transformers', 'swin_mmdet')]
)
def test_every_file_of_the_same_weights_loads_the_same_values(name: str, version: int):
    """All of these are written from one state dict, whose names and order are Microsoft's."""
    expected = published.microsoft_state_dict(SIZES, version)
    found = to_canonical(read_checkpoint(FILES[name, version]() if name != 'detectron2' else {
        'model': {key: torch.from_numpy(value) for key, value in FILES[name, version]()['model'].items()}
    }).state_dict).backbone  # fmt: skip
    checked = 0
    for key, value in expected.items():
        if not NOT_LOADED.search(key):
            ours = re.sub(r'^layers\.', 'stages.', key)
            assert torch.equal(found[ours], value), ours
            checked += 1
    assert checked == sum(1 for key in found if not re.match(r'(norm\d?|head)\.', key)) > 60


PREFIXES = (
    'module.',
    '_orig_mod.',
    'model.',
    'backbone.',
    'backbone.bottom_up.',
    'module.backbone.0.',
    'module.backbone.body.',
    'encoder.',
    'teacher.',
    'student.',
    'module._orig_mod.model.backbone.',
)


@pytest.mark.parametrize('prefix', PREFIXES)
@pytest.mark.parametrize('name', ['microsoft', 'timm', 'torchvision', 'transformers', 'mmdet'])
def test_a_wrapper_s_prefix_is_found(name: str, prefix: str):
    state_dict = read_checkpoint(FILES[name, 1]()).state_dict
    inner = detect_format(state_dict).prefix
    state_dict = {prefix + key.removeprefix(inner): value for key, value in state_dict.items() if key.startswith(inner)}
    state_dict |= {'other.weight': torch.ones(1)}
    assert detect_format(state_dict).prefix == prefix
    report = load_backbone_weights(v1_model(), state_dict)
    assert report.dropped['other.weight'] == 'not in the backbone'
    assert not report.unexpected


def weight_keys(state_dict: dict[str, Tensor], prefix: str) -> list[str]:
    inside = [key for key in state_dict if key.startswith(prefix)]
    return sorted(key for key in inside if not NOT_LOADED.search(key.removeprefix(prefix)))


def reported(model: nn.Module, state_dict: dict[str, Tensor], baseline: list[str]) -> bool:
    """Whether loading raised, or its report differs from that of the sound file."""
    try:
        report = load_backbone_weights(model, state_dict)
    except ValueError as error:
        return len(str(error)) > 20
    return sorted(report.missing) != baseline or bool(report.unexpected or report.resized)


@ALL
@pytest.mark.parametrize('fault', ['drop', 'rename', 'reshape', 'infinite'])
def test_no_fault_in_one_weight_goes_unnoticed(name: str, version: int, fault: str):
    content = FILES[name, version]()
    if name == 'detectron2':
        content = {key: torch.from_numpy(value) for key, value in content['model'].items()}
    sound = read_checkpoint(content).state_dict
    prefix = detect_format(sound).prefix
    baseline = sorted(load_backbone_weights(model_of(version), sound).missing)
    model = model_of(version)
    choose = random.Random(f'{name}{version}{fault}')
    for key in choose.sample(weight_keys(sound, prefix), 12):
        state_dict = dict(sound)
        value = state_dict.pop(key)
        if fault == 'rename':
            position = choose.randrange(len(prefix), len(key))
            state_dict[key[:position] + choose.choice('xyz') + key[position:]] = value
        elif fault == 'reshape':
            shape = list(value.shape)
            shape[choose.randrange(len(shape))] += choose.choice([1, 3])
            state_dict[key] = torch.ones(shape)
        elif fault == 'infinite':
            state_dict[key] = value.clone()
            # the first value: the key's part of torchvision's V2 biases is not used
            state_dict[key].view(-1)[0] = choose.choice([float('nan'), float('inf')])
        assert reported(model, state_dict, baseline), f'{fault} {key}'


def test_two_layouts_in_one_file_are_ambiguous():
    one, other = (read_checkpoint(FILES[name, 1]()).state_dict for name in ('microsoft', 'mmdet'))
    mixture = one | {key.removeprefix('backbone.'): value for key, value in other.items()}
    with pytest.raises(ValueError, match=r'microsoft \(it has .*\) and mmdet \(it has .*readable are'):
        detect_format(mixture)


RELATIVES = {
    'SwinV2-CR': {'stages.0.blocks.0.attn.meta_mlp.fc1.weight': (4, 2)},
    'BatchNorm': {'layers.0.blocks.0.norm2.running_mean': (8,)},
    'quantised': {'layers.0.blocks.0.attn.qkv._input_quantizer._amax': (1,)},
    'Swin-MoE': {'layers.0.blocks.1.mlp._moe_layer.experts.batched_fc1_w': (4, 8)},
    'Swin-MLP': {'layers.0.blocks.0.spatial_mlp.weight': (4, 4)},
}


@pytest.mark.parametrize('words', RELATIVES)
def test_relatives_of_swin_are_named(words: str):
    state_dict = published.microsoft_state_dict(SIZES) | {key: torch.ones(s) for key, s in RELATIVES[words].items()}
    with pytest.raises(ValueError, match=f'this is .*{words}.*it has the key'):
        detect_format(state_dict)


def test_a_swin_for_videos_is_named():
    state_dict = published.microsoft_state_dict(SIZES)
    state_dict['patch_embed.proj.weight'] = torch.ones(8, 3, 2, 4, 4)
    with pytest.raises(ValueError, match='no Swin for images'):
        detect_format(state_dict)


@pytest.mark.parametrize(('keys', 'message'), [
    ({'features.0.0.weight': (32, 3, 3, 3), 'features.1.0.block.0.0.weight': (32, 1, 3, 3)}, 'no known Swin format'),
    ({'conv1.weight': (64, 3, 7, 7), 'layer1.0.conv1.weight': (64, 64, 1, 1)}, 'no Swin backbone found'),
    ({'patch_embed.proj.weight': (768, 3, 16, 16), 'blocks.0.attn.qkv.weight': (3, 3)}, 'no known Swin format'),
    ({'embeddings.patch_embeddings.projection.weight': (768, 3, 16, 16)}, 'no known Swin format'),
], ids=['efficientnet', 'resnet', 'vit', 'vit of transformers'])  # fmt: skip
def test_other_networks_are_refused(keys: dict[str, tuple[int, ...]], message: str):
    with pytest.raises(ValueError, match=message):
        detect_format({key: torch.ones(shape) for key, shape in keys.items()})


def test_a_v2_file_in_a_v1_model_is_named():
    with pytest.raises(ValueError, match=r'File: .*SwinV2.*; model: .*window 4'):
        load_backbone_weights(v1_model(), published.microsoft_state_dict(SIZES, 2))


def test_two_keys_for_one_weight_are_refused():
    state_dict = published.timm_by_key_list(published.microsoft_state_dict(SIZES))
    state_dict['stages.0.blocks.0.norm1.weight'] = torch.ones(8)
    with pytest.raises(ValueError, match='both mean'):
        load_backbone_weights(v1_model(), state_dict)


def test_key_templates_are_read_in_both_directions():
    from swin_mmdet.checkpoint.key_template import fill, match

    assert match('features.{2i+1}.{j}.', 'features.5.3.mlp.0.weight') == ({'i': 2, 'j': 3}, 'mlp.0.weight')
    assert fill('stages.{i}.blocks.{j}.', {'i': 2, 'j': 3}) == 'stages.2.blocks.3.'
    for key in ('features.4.3.x', 'features.-1.3.x', 'features.5.3', 'xfeatures.5.3.x', 'features.5.3.'):
        assert match('features.{2i+1}.{j}.', key) is None
    assert match('absolute_pos_embed', 'absolute_pos_embed') == ({}, '')
    assert match('absolute_pos_embed', 'absolute_pos_embed.x') is None
    assert match('layers.{i+1}.', 'layers.0.x') is None
