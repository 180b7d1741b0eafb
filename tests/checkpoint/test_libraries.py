"""Other libraries as oracles: their files give the same maps in our model, and ours the same in theirs."""

import importlib
import re
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from swin_mmdet.checkpoint import load_backbone_weights, read_checkpoint, to_canonical
from swin_mmdet.models import SwinTransformer, SwinTransformerV2
from tests.checkpoint import libraries, published
from tests.checkpoint.libraries import BASE, BASE_12, ORACLES, SMALL, TINY, TINY_V2, Sizes

ATOL = 1e-5
V1_SIZES = pytest.mark.parametrize(
    'sizes',
    [SMALL, TINY, pytest.param(BASE, marks=pytest.mark.long), pytest.param(BASE_12, marks=pytest.mark.long)],
    ids=['small', 'tiny', 'base', 'base-window-12'],
)


@pytest.fixture(autouse=True)
def _no_gradients():
    with torch.no_grad():
        yield


def convert(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.convert_checkpoint').main([str(argument) for argument in arguments])


def image_of(sizes: Sizes) -> Tensor:
    return torch.randn(1, 3, sizes.image, sizes.image, generator=torch.Generator().manual_seed(1))


def ours(sizes: Sizes, cls: type[nn.Module] = SwinTransformer, **options: object) -> nn.Module:
    return cls(
        embed_dims=sizes.embed_dims,
        depths=sizes.depths,
        num_heads=sizes.num_heads,
        window_size=sizes.window_size,
        **options,
    ).eval()


def normed(maps: list[Tensor]) -> list[Tensor]:
    """Through LayerNorms as they are initialised, as our model has them after a classifier's file."""
    return [F.layer_norm(x.permute(0, 2, 3, 1), x.shape[1:2]).permute(0, 3, 1, 2) for x in maps]


def assert_close(found: list[Tensor], expected: list[Tensor], atol: float = ATOL) -> None:
    for actual, wanted in zip(found, expected, strict=True):
        torch.testing.assert_close(actual, wanted, rtol=0, atol=atol)


def save_as_its_library_does(name: str, model: nn.Module, folder: Path) -> Path:
    if name == 'transformers':
        model.save_pretrained(folder)
        return folder / 'model.safetensors'
    if name == 'timm':
        from safetensors.torch import save_file

        save_file(model.state_dict(), folder / 'model.safetensors')
        return folder / 'model.safetensors'
    torch.save(model.state_dict(), folder / f'{name}.pth')
    return folder / f'{name}.pth'


def load_back(name: str, build: Callable[[Sizes], nn.Module], sizes: Sizes, path: Path) -> nn.Module:
    """A new model of the library with a file of the converter, strictly."""
    model = build(sizes)
    if path.suffix == '.safetensors':
        from safetensors.torch import load_file

        weights = load_file(path)
    else:
        weights = torch.load(path)
    if name == 'transformers':
        model, info = type(model).from_pretrained(
            None, config=model.config, state_dict=weights, output_loading_info=True
        )
        assert not any(info.values()), info
    else:
        model.load_state_dict(weights, strict=True)
    return model.eval()


@V1_SIZES
@pytest.mark.parametrize('name', ORACLES[1])
def test_v1_files_give_the_maps_of_their_library(name: str, sizes: Sizes, tmp_path: Path):
    build, maps = ORACLES[1][name]
    theirs = libraries.randomised(build(sizes))
    path = save_as_its_library_does(name, theirs, tmp_path)
    model = ours(sizes)
    report = load_backbone_weights(model, path)
    assert (report.format, report.version) == (name, 1)
    assert not report.unexpected
    assert set(report.missing) == {f'norm{i}.{part}' for i in range(4) for part in ('weight', 'bias')}
    assert_close(model(image_of(sizes)), normed(maps(theirs, image_of(sizes))))


@V1_SIZES
def test_mmdet_files_give_the_maps_of_mmdet_and_back(sizes: Sizes, tmp_path: Path):
    from mmdet.models.backbones import SwinTransformer as MMDetSwin

    def build() -> nn.Module:
        return MMDetSwin(
            embed_dims=sizes.embed_dims,
            depths=sizes.depths,
            num_heads=sizes.num_heads,
            window_size=sizes.window_size,
        )

    theirs = libraries.randomised(build())
    torch.save(
        {'state_dict': {f'backbone.{key}': value for key, value in theirs.state_dict().items()}}, tmp_path / 'a.pth'
    )
    model = ours(sizes)
    report = load_backbone_weights(model, tmp_path / 'a.pth')
    assert report.missing == report.unexpected == []
    expected = theirs(image_of(sizes))
    assert_close(model(image_of(sizes)), expected)

    torch.save(model.state_dict(), tmp_path / 'ours.pth')
    convert(tmp_path / 'ours.pth', tmp_path / 'b.pth', '--to', 'mmdet')
    weights = torch.load(tmp_path / 'b.pth')['state_dict']
    again = build()
    again.eval()  # returns nothing
    again.load_state_dict({key.removeprefix('backbone.'): value for key, value in weights.items()}, strict=True)
    assert all(torch.equal(*pair) for pair in zip(expected, again(image_of(sizes)), strict=True))


@pytest.mark.parametrize('sizes', [SMALL, TINY_V2], ids=['small', 'tiny'])
@pytest.mark.parametrize('name', ORACLES[2])
def test_v2_files_give_the_maps_of_their_library(name: str, sizes: Sizes, tmp_path: Path):
    build, maps = ORACLES[2][name]
    theirs = libraries.randomised(build(sizes))
    path = save_as_its_library_does(name, theirs, tmp_path)
    model = ours(sizes, SwinTransformerV2)
    report = load_backbone_weights(model, path)
    assert (report.format, report.version) == (name, 2)
    assert not report.unexpected
    assert set(report.missing) == {f'norm{i}.{part}' for i in range(4) for part in ('weight', 'bias')}
    assert_close(model(image_of(sizes)), normed(maps(theirs, image_of(sizes))))


def test_v2_weights_of_another_window_with_their_pretrained_size():
    timm = pytest.importorskip('timm')
    theirs = libraries.randomised(
        timm.models.swin_transformer_v2.SwinTransformerV2(
            img_size=512, embed_dim=16, depths=(1, 2, 3, 2), num_heads=(1, 2, 4, 8), window_size=8,
            pretrained_window_sizes=(4, 4, 4, 2), num_classes=5,
        )
    )  # fmt: skip
    sizes = Sizes(16, (1, 2, 3, 2), (1, 2, 4, 8), 8, 512)
    model = ours(sizes, SwinTransformerV2, pretrained_window_size=(4, 4, 4, 2))
    load_backbone_weights(model, theirs.state_dict())
    assert_close(model(image_of(sizes)), normed(libraries.timm_maps(theirs, image_of(sizes))))


# image and depths -> windows of the libraries' stages -> pretrained windows; where a map is no larger than a window the
# libraries do not shift, so that there only one block can be compared
WINDOWS_OF_16 = {
    'as in the files, the last window as large as its map': (256, (2, 2, 1, 1), (16, 16, 16, 8), (0, 0, 0, 0)),
    'as in detection, from the files': (512, (2, 2, 2, 1), (16, 16, 16, 16), (16, 16, 16, 8)),
    'from windows of 12 and 6': (512, (2, 2, 2, 1), (16, 16, 16, 16), (12, 12, 12, 6)),
    'from windows of 8': (512, (1, 2, 2, 1), (16, 16, 16, 16), (8, 8, 8, 8)),
}


@pytest.mark.parametrize('case', WINDOWS_OF_16)
@pytest.mark.parametrize('name', ['timm', 'transformers'])
def test_v2_with_windows_of_16_gives_the_maps_of_its_library(name: str, case: str):
    image, depths, windows, pretrained = WINDOWS_OF_16[case]
    sizes = Sizes(16, depths, (1, 2, 4, 8), 16, image)
    if name == 'timm':
        cls = pytest.importorskip('timm').models.swin_transformer_v2.SwinTransformerV2
        theirs = cls(img_size=image, embed_dim=16, depths=depths, num_heads=(1, 2, 4, 8), window_size=16,
                     pretrained_window_sizes=pretrained, num_classes=5)  # fmt: skip
    else:
        config = libraries.transformers_config(sizes, 2)
        config.pretrained_window_sizes = list(pretrained)
        theirs = pytest.importorskip('transformers').Swinv2ForImageClassification(config)
    theirs = libraries.randomised(theirs)
    model = SwinTransformerV2(embed_dims=16, depths=depths, num_heads=(1, 2, 4, 8), window_size=windows,
                              pretrained_window_size=pretrained).eval()  # fmt: skip
    report = load_backbone_weights(model, theirs.state_dict())
    assert report.format == name
    expected = ORACLES[2][name][1](theirs, image_of(sizes))
    assert_close(model(image_of(sizes)), normed(expected))


@pytest.mark.parametrize('door', ['load_backbone_weights', 'load_state_dict'])
def test_a_model_that_would_read_the_positions_on_another_scale_is_refused(door: str):
    """torchvision's files hold the table of offsets, which says the window of the training."""
    weights = libraries.randomised(libraries.torchvision_v2(SMALL)).state_dict()
    wider = Sizes(SMALL.embed_dims, SMALL.depths, SMALL.num_heads, 8, 512)

    def load(model: nn.Module) -> None:
        load_backbone_weights(model, weights) if door == 'load_backbone_weights' else model.load_state_dict(weights)

    with pytest.raises(ValueError, match=r'trained for windows of \(4, 4, 4, 4\) .* set pretrained_window_size=4'):
        load(ours(wider, SwinTransformerV2))
    load(ours(wider, SwinTransformerV2, pretrained_window_size=4))
    load(ours(SMALL, SwinTransformerV2))


@pytest.mark.parametrize('size', [(200, 300), (148, 132), (260, 96)])
@pytest.mark.parametrize('version', [1, 2])
def test_padded_maps_are_those_of_torchvision(version: int, size: tuple[int, int]):
    """torchvision pads as the official code does; only where a map is as small as a window does it not shift."""
    build, maps = ORACLES[version]['torchvision']
    theirs = libraries.randomised(build(SMALL))
    model = ours(SMALL, SwinTransformer if version == 1 else SwinTransformerV2)
    load_backbone_weights(model, theirs.state_dict())
    image = torch.randn(2, 3, *size)
    found, expected = model(image), normed(maps(theirs, image))
    assert [x.shape for x in found] == [x.shape for x in expected]
    larger = [index for index, x in enumerate(expected) if min(x.shape[2:]) > SMALL.window_size]
    assert len(larger) >= 3
    assert_close([found[i] for i in larger], [expected[i] for i in larger])


@pytest.mark.parametrize('suffix', ['.pth', '.safetensors'])
@pytest.mark.parametrize('version', [1, 2])
@pytest.mark.parametrize('source', ORACLES[1])
def test_files_of_each_library_convert_into_every_other(source: str, version: int, suffix: str, tmp_path: Path):
    table = ORACLES[version]
    build, maps = table[source]
    theirs = libraries.randomised(build(SMALL))
    path = save_as_its_library_does(source, theirs, tmp_path)
    expected, scores = maps(theirs, image_of(SMALL)), logits(theirs)
    for name, (other, other_maps) in table.items():
        target = tmp_path / f'to_{name}{suffix}'
        window = ['--window-size', SMALL.window_size] if version == 2 else []
        convert(path, target, '--to', name, *window)
        model = load_back(name, other, SMALL, target)
        assert_close(other_maps(model, image_of(SMALL)), expected)
        torch.testing.assert_close(logits(model), scores, rtol=0, atol=1e-4)


def logits(model: nn.Module) -> Tensor:
    """The classifier travels with the backbone."""
    output = model(image_of(SMALL))
    return output if isinstance(output, Tensor) else output.logits


def test_torchvision_needs_the_window_of_a_v2(tmp_path: Path, user_error: type[Exception]):
    torch.save(libraries.timm_v2(SMALL).state_dict(), tmp_path / 'a.pth')
    with pytest.raises(user_error, match='a SwinV2 for torchvision needs window_size'):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth', '--to', 'torchvision')
    assert not (tmp_path / 'b.pth').exists()
    with pytest.raises(user_error, match='mmdet has no SwinV2'):
        convert(tmp_path / 'a.pth', tmp_path / 'b.pth', '--to', 'mmdet')


@pytest.mark.parametrize('version', [1, 2])
def test_microsoft_files_agree_with_timms_own_conversion_of_them(version: int, tmp_path: Path):
    pytest.importorskip('timm')
    if version == 1:
        from timm.models.swin_transformer import checkpoint_filter_fn

        theirs = libraries.timm_v1(SMALL).eval()
    else:
        from timm.models.swin_transformer_v2 import checkpoint_filter_fn

        theirs = libraries.timm_v2(SMALL).eval()
    weights = published.microsoft_state_dict(SMALL, version)
    torch.save(published.microsoft(weights), tmp_path / 'microsoft.pth')
    theirs.load_state_dict(checkpoint_filter_fn({'model': dict(weights)}, theirs), strict=True)
    convert(tmp_path / 'microsoft.pth', tmp_path / 'timm.pth', '--to', 'timm')
    expected = theirs.state_dict()
    found = torch.load(tmp_path / 'timm.pth')
    assert found.keys() == expected.keys()
    assert all(torch.equal(found[key], expected[key]) for key in expected)


def test_features_only_models_of_timm():
    timm = pytest.importorskip('timm')
    theirs = timm.create_model('swin_tiny_patch4_window7_224', features_only=True, img_size=448, pretrained=False)
    libraries.randomised(theirs)
    model = ours(TINY)
    report = load_backbone_weights(model, theirs.state_dict())
    assert report.format == 'timm_features'
    expected = [x.permute(0, 3, 1, 2) for x in theirs(image_of(TINY))]
    assert_close(model(image_of(TINY)), normed(expected))


def test_backbones_of_transformers_bring_their_output_norms(tmp_path: Path):
    transformers = pytest.importorskip('transformers')
    theirs = libraries.randomised(transformers.SwinBackbone(libraries.transformers_config(SMALL, 1)))
    theirs.save_pretrained(tmp_path)
    model = ours(SMALL)
    for source in (tmp_path / 'model.safetensors', theirs.state_dict()):
        report = load_backbone_weights(model, source)
        assert report.missing == report.unexpected == []
        assert_close(model(image_of(SMALL)), theirs(image_of(SMALL)).feature_maps)
    torch.save(model.state_dict(), tmp_path / 'ours.pth')
    convert(tmp_path / 'ours.pth', tmp_path / 'theirs.safetensors', '--to', 'transformers')
    again = transformers.SwinBackbone.from_pretrained(
        None, config=theirs.config, state_dict=read_checkpoint(tmp_path / 'theirs.safetensors').state_dict
    ).eval()
    assert_close(again(image_of(SMALL)).feature_maps, theirs(image_of(SMALL)).feature_maps)


def test_mmpretrain_v2_has_the_pixels_of_the_reduction_in_unfold_order():
    """By key list: mmpretrain itself is no dependency of the tests."""
    weights = published.microsoft_state_dict(SMALL, version=2)
    found = to_canonical(published.mmpretrain(weights)['state_dict'])
    assert (found.detection.format.name, found.detection.version) == ('mmpretrain', 2)
    expected = to_canonical(weights).backbone
    for key, value in found.backbone.items():
        if not re.match(r'norm3', key):
            assert torch.equal(value, expected[key]), key
    assert set(expected) - set(found.backbone) == {'norm.weight', 'norm.bias'}
