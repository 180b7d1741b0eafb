"""Loading: equal outputs, a complete report, and an error for whatever does not fit."""

import re

import pytest
import torch
from torch import nn

from swin_mmdet.checkpoint import detect_format, load_backbone_weights, to_canonical
from swin_mmdet.checkpoint.patch_merging_order import from_unfold_order, to_unfold_order
from swin_mmdet.models import SwinTransformer

ARCH = {'embed_dims': 16, 'depths': (2, 2), 'num_heads': (1, 2)}


def make_model(seed=0, out_indices=(0, 1), **options):
    torch.manual_seed(seed)
    model = SwinTransformer(arch=ARCH, out_indices=out_indices, **options)
    for parameter in model.parameters():
        nn.init.normal_(parameter, std=0.1)
    return model.eval()


def as_official(model, prefix=''):
    """Under the published key names: with the classifier and the buffers that its files carry."""
    official = {re.sub(r'^stages\.', 'layers.', key): value for key, value in model.state_dict().items()}
    official = {key: value for key, value in official.items() if not re.match(r'norm\d', key)}
    official['norm.weight'] = torch.ones(32)
    official['head.weight'] = torch.zeros(10, 32)
    for key in [key for key in official if key.endswith('relative_position_bias_table')]:
        official[key.replace('bias_table', 'index')] = torch.zeros(49, 49, dtype=torch.int64)
    official['layers.0.blocks.1.attn_mask'] = torch.zeros(64, 49, 49)
    return {prefix + key: value for key, value in official.items()}


def as_mmdet(model, prefix=''):
    """Under mmdet 3.x's names, with the merging in unfold order."""
    renames = {
        'patch_embed.proj.': 'patch_embed.projection.',
        '.attn.': '.attn.w_msa.',
        '.mlp.fc1.': '.ffn.layers.0.0.',
        '.mlp.fc2.': '.ffn.layers.1.',
    }
    result = {}
    for key, value in model.state_dict().items():
        if '.downsample.' in key:
            value = to_unfold_order(value)
        for ours, theirs in renames.items():
            key = key.replace(ours, theirs)
        result[prefix + key] = value
    return result


def assert_same_outputs(first, second):
    image = torch.randn(1, 3, 50, 70)
    for expected, actual in zip(first(image), second(image), strict=True):
        assert torch.equal(expected, actual)


@pytest.mark.parametrize('prefix', ['', 'backbone.', 'module.backbone.'])
@pytest.mark.parametrize('wrapper', [None, 'state_dict', 'model'])
def test_mmdet_weights_load_to_equal_outputs(wrapper, prefix, tmp_path):
    source = make_model()
    weights = as_mmdet(source, prefix)
    if prefix:
        weights['rpn_head.conv.weight'] = torch.zeros(1)
    path = tmp_path / 'weights.pth'
    torch.save({wrapper: weights, 'meta': {'epoch': 3}} if wrapper else weights, path)
    target = make_model(seed=1)
    report = load_backbone_weights(target, path)
    assert report.format == 'mmdet'
    assert [report.missing, report.unexpected, report.resized] == [[], [], {}]
    assert len(report.loaded) == len(target.state_dict())
    assert_same_outputs(source, target)


def test_official_weights_load_and_everything_left_out_has_a_reason():
    source, target = make_model(), make_model(seed=1)
    norms = {key: value.clone() for key, value in target.state_dict().items() if re.match(r'norm\d', key)}
    report = load_backbone_weights(target, {'model': as_official(source)})
    assert report.format == 'microsoft'
    assert sorted(report.missing) == sorted(norms)
    assert report.unexpected == []
    assert report.dropped['norm.weight'] == report.dropped['head.weight'] == 'part of the classifier'
    assert report.dropped['layers.0.blocks.1.attn_mask'] == 'recomputed'
    target.load_state_dict({key: source.state_dict()[key] for key in norms}, strict=False)
    assert_same_outputs(source, target)


def test_every_key_of_a_file_is_accounted_for():
    weights = as_official(make_model())
    weights['extra.weight'] = torch.zeros(3)
    report = load_backbone_weights(make_model(seed=1), weights)
    assert len(report.loaded) + len(report.resized) + len(report.unexpected) + len(report.dropped) == len(weights)
    assert report.unexpected == ['extra.weight']
    assert 'extra.weight' in report.summary()
    assert len(report.table().splitlines()) == len(weights) + len(report.missing)


def test_the_merging_order_follows_the_definition_of_unfold():
    """`nn.Unfold` says what the unfold order is; slicing says what the concatenation order is."""
    x = torch.randn(2, 5, 6, 8)
    unfolded = nn.functional.unfold(x, 2, stride=2).reshape(2, 20, 3, 4).permute(0, 2, 3, 1)
    pixels = [x[:, :, row::2, column::2] for row, column in ((0, 0), (1, 0), (0, 1), (1, 1))]
    concatenated = torch.cat(pixels, 1).permute(0, 2, 3, 1)
    assert torch.equal(from_unfold_order(unfolded), concatenated)
    assert torch.equal(to_unfold_order(concatenated), unfolded)


def test_plain_load_state_dict_takes_foreign_keys():
    source, target = make_model(), make_model(seed=1)
    target.load_state_dict(as_mmdet(source))
    assert_same_outputs(source, target)
    detector = nn.ModuleDict({'backbone': make_model(seed=2)})
    detector.load_state_dict(as_mmdet(source, 'backbone.'))
    assert_same_outputs(source, detector['backbone'])


def test_a_bias_table_of_another_window_is_resized_and_reported():
    target = make_model(seed=1, window_size=12)
    report = load_backbone_weights(target, as_official(make_model()))
    assert len(report.resized) == 4
    assert set(report.resized.values()) == {'window 7 to 12, bicubic'}


def test_an_absolute_embedding_is_resized_or_may_be_missing():
    source = make_model(use_abs_pos_embed=True)
    report = load_backbone_weights(make_model(use_abs_pos_embed=True, pretrain_img_size=384), as_mmdet(source) | {
        'absolute_pos_embed': source.absolute_pos_embed.detach().flatten(2).transpose(1, 2)})  # fmt: skip
    assert report.resized == {'absolute_pos_embed': '(56, 56) to (96, 96) tokens, bicubic'}
    report = load_backbone_weights(make_model(use_abs_pos_embed=True), make_model().state_dict())
    assert report.missing == ['absolute_pos_embed']


def test_stages_that_the_model_does_not_build_are_dropped_with_a_reason():
    source, target = make_model(), make_model(seed=1, out_indices=(0,))
    report = load_backbone_weights(target, source.state_dict())
    assert not report.missing
    assert not report.unexpected
    assert report.dropped['stages.1.blocks.0.norm1.weight'] == 'the model ends with stage 0'
    assert report.dropped['norm1.weight'] == 'the model ends with stage 0'


def test_output_norms_that_the_model_does_not_use_are_dropped_with_a_reason():
    report = load_backbone_weights(make_model(out_indices=(1,)), make_model().state_dict())
    assert report.dropped == {f'norm0.{name}': 'stage 0 is no output of the model' for name in ('weight', 'bias')}


def snapshot(model):
    return {key: value.clone() for key, value in model.state_dict().items()}


def assert_refused_and_unchanged(source, message, error=ValueError, **options):
    model = make_model(seed=1)
    before = snapshot(model)
    with pytest.raises(error, match=message):
        load_backbone_weights(model, source, **options)
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())


def test_missing_weights_are_an_error_under_strict_and_reported_otherwise():
    weights = as_official(make_model())
    del weights['layers.1.blocks.0.mlp.fc1.weight']
    assert_refused_and_unchanged(weights, r'lack 1 of the .* stages\.1\.blocks\.0\.mlp\.fc1\.weight')
    report = load_backbone_weights(make_model(), weights, strict=False)
    assert 'stages.1.blocks.0.mlp.fc1.weight' in report.missing


def test_another_architecture_is_named():
    with torch.device('meta'):
        base = SwinTransformer(arch='base').state_dict()
    weights = {key: torch.zeros(value.shape) for key, value in base.items()}
    assert_refused_and_unchanged(weights, r'File: embed_dims 128, depths 2-2-18-2, .* = base; model: embed_dims 16')


def test_unrelated_weights_are_refused_with_what_was_seen():
    assert_refused_and_unchanged({'conv1.weight': torch.zeros(3)}, r"no Swin backbone found.*'conv1.weight'")


def test_two_backbones_are_refused_unless_one_is_named():
    one, two = make_model(), make_model(seed=1)
    weights = as_mmdet(one, 'backbone.cb_modules.0.') | as_mmdet(two, 'backbone.cb_modules.1.')
    assert_refused_and_unchanged(weights, r"more than one backbone.*modules\.0\.', 'backbone\.cb_modules\.1\.'")
    assert_refused_and_unchanged(weights, r"no Swin backbone under the prefix 'neck'", prefix='neck')
    target = make_model(seed=2)
    load_backbone_weights(target, weights, prefix='backbone.cb_modules.1')
    assert_same_outputs(two, target)


def test_of_teacher_and_student_the_teacher_is_taken_and_the_report_says_so():
    teacher, student, target = make_model(), make_model(seed=1), make_model(seed=2)
    report = load_backbone_weights(
        target, as_mmdet(student, 'student.backbone.') | as_mmdet(teacher, 'teacher.backbone.')
    )
    assert "of 'teacher.backbone.' and 'student.backbone.' the first is taken" in report.reason
    assert_same_outputs(teacher, target)
    load_backbone_weights(target, as_mmdet(student, 'student.backbone.'))
    assert_same_outputs(student, target)


def test_a_mixture_of_formats_is_refused():
    with pytest.raises(ValueError, match=r'microsoft .* and mmdet'):
        detect_format(as_mmdet(make_model()) | as_official(make_model()))


def test_a_dict_without_tensors_is_refused():
    assert_refused_and_unchanged({'epoch': 3}, 'holds no weights')


def test_a_missing_file_is_named(tmp_path):
    assert_refused_and_unchanged(tmp_path / 'nothing.pth', 'nothing.pth.* does not exist', FileNotFoundError)


class Boom:
    """Unpickling this object would create a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return open, (self.path, 'w')


@pytest.mark.parametrize('kind', ['truncated', 'html', 'empty', 'zip', 'malicious'])
def test_a_broken_file_is_one_clear_error_and_executes_nothing(kind, tmp_path):
    path = tmp_path / f'{kind}.pth'
    torch.save(as_official(make_model()), path)
    canary = tmp_path / 'executed'
    if kind == 'truncated':
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    elif kind == 'html':
        path.write_text('<!DOCTYPE html><html><body>404 Not Found</body></html>')
    elif kind == 'empty':
        path.write_bytes(b'')
    elif kind == 'zip':
        import zipfile

        with zipfile.ZipFile(path, 'w') as archive:
            archive.writestr('readme.txt', 'no weights here')
    else:
        torch.save({'state_dict': as_official(make_model()), 'x': Boom(str(canary))}, path)
    assert_refused_and_unchanged(path, f'{kind}.pth.* cannot be read')
    assert not canary.exists()


def test_init_cfg_loads_through_the_same_door(tmp_path):
    source = make_model()
    torch.save({'model': as_official(source)}, tmp_path / 'official.pth')
    init_cfg = {'type': 'Pretrained', 'checkpoint': str(tmp_path / 'official.pth')}
    model = SwinTransformer(arch=ARCH, out_indices=(0, 1), init_cfg=init_cfg)
    model.init_weights()
    name = 'stages.1.blocks.1.attn.qkv.weight'
    assert torch.equal(model.state_dict()[name], source.state_dict()[name])
    for bad, message in (({'type': 'Kaiming'}, 'init_cfg must be'), (init_cfg | {'strct': 1}, r"\['strct'\]")):
        model.init_cfg = bad
        with pytest.raises(ValueError, match=message):
            model.init_weights()


def test_to_canonical_is_the_identity_on_our_own_files():
    weights = make_model().state_dict()
    found = to_canonical(weights)
    assert list(found.backbone) == list(weights)
    assert found.dropped == found.rest == {}
    assert found.detection.format.name == 'swin_mmdet'
