"""The pages of the API and the guides: what is exported is on them, and the code of the guides runs."""

import importlib
import re
from collections.abc import Callable
from types import SimpleNamespace

import pytest
import torch

pytest.importorskip('pdoc', reason='pip install "swin_mmdet[test]"')

import swin_mmdet.compat  # noqa: F401  before mmdet
from swin_mmdet.checkpoint import detect_format, formats, load_backbone_weights
from swin_mmdet.maintenance import api_pages
from swin_mmdet.models import SwinTransformer
from swin_mmdet.ops import shifted_window_attention
from swin_mmdet.ops.shifted_window_attention import backends
from swin_mmdet.registry import MODELS

# isort: split
from mmdet.models.dense_heads import FreeAnchorRetinaHead as MMDetFreeAnchorRetinaHead
from mmengine.config import ConfigDict
from mmengine.registry import init_default_scope

CODE = re.compile(r'^```python\n(.*?)^```', re.MULTILINE | re.DOTALL)


def code_of(page: str) -> SimpleNamespace:
    """What the code of a guide defines, its blocks one after the other."""
    text = (api_pages.guides() / f'{page}.md').read_text()
    names: dict = {'__name__': page}
    for block in CODE.findall(text):
        exec(compile(block, f'{page}.md', 'exec'), names)
    return SimpleNamespace(**names)


@pytest.fixture(scope='module')
def pages(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], str]:
    """pages(name) -> the text of a page, without its styles."""
    folder = tmp_path_factory.mktemp('docs')
    written = api_pages.build(folder)
    assert all(path.stat().st_size for path in written)
    return lambda name: re.sub(r'<style>.*?</style>', '', (folder / name).read_text(), flags=re.DOTALL)


@pytest.mark.filterwarnings('ignore:Cannot determine where:UserWarning')
def test_every_exported_name_has_its_place_on_a_page(pages: Callable[[str], str]):
    for room in api_pages.rooms():
        text = pages(room.replace('.', '/') + '.html')
        for name in getattr(importlib.import_module(room), '__all__', ()):
            assert f'<section id="{name}">' in text, f'{room}.{name}'
    assert {'swin_mmdet.ops', 'swin_mmdet.checkpoint', 'swin_mmdet.structures'} <= set(api_pages.rooms())
    assert not [room for room in api_pages.rooms() if room.startswith(('swin_mmdet.commands', 'swin_mmdet.compat'))]


def test_a_page_has_shapes_and_arguments_and_nothing_private(pages: Callable[[str], str]):
    text = pages('swin_mmdet/ops.html')
    assert '[B, H, W, 3C]' in text
    assert '<strong>window_size' in text
    assert 'ValueError' in text
    assert 'id="_' not in text
    assert 'Alias for field number' not in text
    assert 'pdoc.dev' not in text


def test_the_index_leads_to_every_page(pages: Callable[[str], str]):
    linked = set(re.findall(r'href="([\w/]+\.html)"', pages('index.html')))
    guides = {f'{path.stem}.html' for path in api_pages.guides().glob('*.md')}
    assert len(guides) == 3
    assert linked == guides | {room.replace('.', '/') + '.html' for room in api_pages.rooms()}


def test_a_backend_as_the_guide_adds_it(monkeypatch: pytest.MonkeyPatch):
    row = code_of('how_to_add_a_backend').DOUBLE
    monkeypatch.setattr(backends, 'BACKENDS', (row, *backends.BACKENDS))
    qkv, table = torch.randn(1, 5, 6, 3 * 16), torch.randn(7**2, 2)
    call = dict(bias_table=table, window_size=4, shift_size=2)
    found = shifted_window_attention(qkv, **call, backend='double')
    exact = shifted_window_attention(
        qkv.double(), **call | {'bias_table': table.double()}, backend='reference'
    )
    assert torch.equal(found, exact.float())
    assert row.why_not(SimpleNamespace(device=torch.device('mps')), table, 4, 0.0) == 'mps has no float64'
    assert row.why_not(qkv, table, 4, 0.0) is None


def test_a_checkpoint_format_as_the_guide_adds_it(monkeypatch: pytest.MonkeyPatch):
    row = code_of('how_to_add_a_checkpoint_format').FORMAT
    with pytest.raises(ValueError, match='no Swin backbone found'):
        detect_format({row.layout.anchor: torch.empty(8, 3, 4, 4)})
    rows = (*formats.FORMATS, row)
    anchors = (*formats.ANCHORS, row.layout.anchor)
    monkeypatch.setattr(formats, 'FORMATS', rows)
    monkeypatch.setattr(formats, 'ANCHOR', re.compile(r'^(|.*\.)(?:' + '|'.join(map(re.escape, anchors)) + ')$'))
    sizes = dict(arch=dict(embed_dims=8, depths=(1, 1, 1), num_heads=(1, 2, 4)), window_size=4, out_indices=(0, 1, 2))
    model, loaded = SwinTransformer(**sizes).eval(), SwinTransformer(**sizes).eval()
    theirs = row.layout.write(model.state_dict())
    assert {'stem.proj.weight', 'levels.1.merge.reduction.weight', 'levels.2.blocks.0.attn.qkv.weight'} <= set(theirs)
    assert not torch.equal(
        theirs['levels.1.merge.reduction.weight'], model.state_dict()['stages.0.downsample.reduction.weight']
    )
    assert detect_format(theirs).format is row
    assert not load_backbone_weights(loaded, theirs).missing
    image = torch.randn(1, 3, 40, 36)
    with torch.no_grad():
        assert all(torch.equal(one, other) for one, other in zip(loaded(image), model(image), strict=True))


def test_a_head_as_the_guide_adds_it(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture):
    init_default_scope('mmdet')
    monkeypatch.setattr(MODELS, '_module_dict', dict(MODELS._module_dict))
    guide = code_of('how_to_add_a_head')
    options = dict(
        num_classes=3,
        in_channels=8,
        feat_channels=8,
        stacked_convs=1,
        anchor_generator=dict(
            type='AnchorGenerator', octave_base_scale=4, scales_per_octave=1, ratios=[1.0], strides=[8, 16]
        ),
        test_cfg=ConfigDict(nms_pre=50, score_thr=0.1, nms=dict(type='nms', iou_threshold=0.5), max_per_img=20),
    )
    ours = MODELS.build(dict(type='swin_mmdet.FreeAnchorRetinaHead', **options))
    theirs = MODELS.build(dict(type='mmdet.FreeAnchorRetinaHead', **options))
    assert type(theirs) is MMDetFreeAnchorRetinaHead
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter, std=0.15)
    theirs.load_state_dict(ours.state_dict())
    maps = [torch.randn(2, 8, 64 // stride, 96 // stride) for stride in (8, 16)]
    metas = [dict(img_shape=(64, 96), pad_shape=(64, 96), scale_factor=(1.0, 1.0))] * 2
    with torch.no_grad():
        outputs = ours(maps)
        detections = [head.predict_by_feat(*outputs, batch_img_metas=metas) for head in (ours, theirs)]
    for found, expected in zip(*detections, strict=True):
        assert len(found) == len(expected) > 0
        torch.testing.assert_close(found.bboxes, expected.bboxes)
        assert torch.equal(found.labels, expected.labels)
    counted = guide.CountedFreeAnchorHead(**options, pre_anchor_topk=60)
    with caplog.at_level('INFO'), pytest.raises(TypeError):
        counted.loss_by_feat()
    assert 'CountedFreeAnchorHead: training as in mmdet: pre_anchor_topk=60' in caplog.text
