"""Grounding DINO against mmdet's with the same weights, on maps of a pyramid and a small BERT."""

import copy

import pytest
import torch

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmdet.models import detectors as mmdet_detectors
from mmdet.models.language_models.bert import generate_masks_with_special_tokens_and_transfer_map
from mmengine.config import ConfigDict

from swin_mmdet import detectors
from tests.bert import write_bert
from tests.detectors.cases import DEVICE
from tests.detectors.dense import NoSynchronisation
from tests.detectors.query_detectors import CHANNELS, LAYERS, maps, settings
from tests.detectors.query_heads import CLASSES, COSTS, DIFFERENT, EQUAL, FOCAL, assert_alike, ground_truth
from tests.detectors.same_noise import SameNoise

pytest.importorskip('transformers')
WORDS = ['red', 'blue', 'cat', 'dog', 'tree']
# one name is of two words
TEXT = ('red cat', 'dog', 'tree')
TOKENS = 24  # at most, of a text


@pytest.fixture(scope='module')
def bert(tmp_path_factory):
    torch.manual_seed(0)
    sizes = {'hidden_size': 16, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'intermediate_size': 32}
    dropout = {'hidden_dropout_prob': 0.0, 'attention_probs_dropout_prob': 0.0}
    return write_bert(tmp_path_factory.mktemp('bert'), WORDS, **sizes, **dropout)


def build(bert, module, scope, checkpoints=0, log_scale=0.1, bias=True):
    own = {'embed_dims': CHANNELS, 'num_heads': 4, 'dropout': 0.0}
    ffn = {'embed_dims': CHANNELS, 'feedforward_channels': 32, 'ffn_drop': 0.0}
    config = settings('DINO', scope)
    config['encoder'] |= {
        'num_cp': checkpoints,
        'text_layer_cfg': {'self_attn_cfg': own, 'ffn_cfg': ffn},
        'fusion_layer_cfg': {'v_dim': CHANNELS, 'l_dim': CHANNELS, 'embed_dim': 64, 'num_heads': 4, 'init_values': 0.1},
    }
    config['encoder']['fusion_layer_cfg'] |= {'dropout': 0.0, 'drop_path': 0.0}
    config['decoder']['layer_cfg'] |= {'cross_attn_text_cfg': own | {'num_heads': 8}}
    config['bbox_head'] |= {
        'type': f'{scope}GroundingDINOHead',
        'loss_cls': FOCAL,
        'contrastive_cfg': {'max_text_len': TOKENS, 'log_scale': log_scale, 'bias': bias},
    }
    config['language_model'] = {
        'type': 'swin_mmdet.BertModel', 'name': str(bert), 'max_tokens': TOKENS, 'pad_to_max': False,
        'use_sub_sentence_represent': True, 'special_tokens_list': ['[CLS]', '[SEP]', '.', '?'],
    }  # fmt: skip
    costs = [{'type': 'BinaryFocalLossCost', 'weight': 2.0}, *COSTS[1:]]
    config['train_cfg'] = {'assigner': {'type': 'HungarianAssigner', 'match_costs': costs}}
    detector = module.GroundingDINO(**ConfigDict(copy.deepcopy(config))).to(DEVICE).train()
    generator = torch.Generator().manual_seed(0)
    for parameter in detector.parameters():
        parameter.data.copy_(torch.randn(parameter.shape, generator=generator) * 0.05)
    return detector


def twins(bert, **options):
    ours, theirs = build(bert, detectors, 'swin_mmdet.', **options), build(bert, mmdet_detectors, '', **options)
    theirs.load_state_dict(ours.state_dict())
    return ours, theirs


def samples_of(counts, shapes, text=TEXT):
    samples = ground_truth(counts, shapes)
    for sample in samples:
        sample.set_metainfo({'text': text, 'custom_entities': True})
    return samples


def losses_and_gradients(detector, samples, monkeypatch):
    features = maps(samples)
    detector.zero_grad()
    monkeypatch.setattr(detector, 'extract_feat', lambda _images: features)
    losses = detector.loss(torch.zeros(len(samples), device=DEVICE), samples)
    sum(loss.sum() for loss in losses.values()).backward()
    gradients = {f'map {level}': feature.grad for level, feature in enumerate(features)}
    gradients |= {name: parameter.grad for name, parameter in detector.named_parameters()}
    return losses, {key: torch.zeros(()) if value is None else value for key, value in gradients.items()}


@pytest.mark.parametrize(
    ('counts', 'shapes'),
    [('none', EQUAL), ('some', DIFFERENT), ('one', DIFFERENT)],
    ids=['none, equal', 'some, different', 'one, different'],
)
def test_losses_and_gradients_are_those_of_mmdet(bert, counts, shapes, monkeypatch):
    samples = samples_of(counts, shapes)
    SameNoise(samples, CLASSES).install(monkeypatch)
    assert_alike(*(losses_and_gradients(one, copy.deepcopy(samples), monkeypatch) for one in twins(bert)))


def test_a_text_for_each_image(bert, monkeypatch):
    """Which mmdet reads image by image."""
    samples = samples_of('some', DIFFERENT)
    samples[1].set_metainfo({'text': ('dog', 'blue tree', 'cat')})
    SameNoise(samples, CLASSES).install(monkeypatch)
    assert_alike(
        *(losses_and_gradients(one, copy.deepcopy(samples), monkeypatch) for one in twins(bert, log_scale='auto'))
    )


def test_without_parameters_logits_are_a_product_with_the_text(bert, monkeypatch):
    """As in the first published config, whose one product is of all layers at once."""
    samples = samples_of('some', DIFFERENT)
    SameNoise(samples, CLASSES).install(monkeypatch)
    ours, theirs = twins(bert, log_scale=None, bias=False)
    assert not list(ours.bbox_head.cls_branches.parameters())
    assert_alike(*(losses_and_gradients(one, copy.deepcopy(samples), monkeypatch) for one in (ours, theirs)))


@pytest.mark.parametrize(
    'text',
    [TEXT, 'red cat . dog', (TEXT, ('dog', 'blue tree', 'cat'))],
    ids=['names', 'sentence', 'names of each image'],
)
def test_detections_are_those_of_mmdet(bert, text, monkeypatch):
    """Of names each box has one; a sentence as a whole has tokens."""
    results = []
    for detector in twins(bert):
        samples = samples_of('some', DIFFERENT, text)
        if isinstance(text[0], tuple):
            for sample, own in zip(samples, text, strict=True):
                sample.set_metainfo({'text': own})
        elif isinstance(text, str):
            for sample in samples:
                sample.set_metainfo({'tokens_positive': -1, 'custom_entities': False})
        monkeypatch.setattr(detector.eval(), 'extract_feat', lambda _images, samples=samples: maps(samples))
        with torch.no_grad():
            results.append(detector.predict(torch.zeros(2, device=DEVICE), samples))
    for one, other in zip(*results, strict=True):
        one, other = one.pred_instances, other.pred_instances
        assert len(one) == len(other) == 15
        torch.testing.assert_close(one.scores, other.scores, rtol=1e-5, atol=1e-6)
        torch.testing.assert_close(one.bboxes, other.bboxes, rtol=1e-5, atol=1e-3)
        assert torch.equal(one.labels, other.labels)
        assert one.label_names == other.label_names


def test_a_text_that_comes_again_is_read_once_and_another_anew(bert, monkeypatch):
    detector = build(bert, detectors, 'swin_mmdet.').eval()
    read = []
    whole = detector.get_tokens_positive_and_prompts
    monkeypatch.setattr(
        detector, 'get_tokens_positive_and_prompts', lambda *text: (read.append(text), whole(*text))[1]
    )
    for text in (TEXT, TEXT, ('cat', 'dog')):
        samples = samples_of('some', DIFFERENT, text)
        monkeypatch.setattr(detector, 'extract_feat', lambda _images, samples=samples: maps(samples))
        with torch.no_grad():
            found = detector.predict(torch.zeros(2, device=DEVICE), samples)
        assert {name for sample in found for name in sample.pred_instances.label_names} <= set(text)
    assert read == [(TEXT, True), (('cat', 'dog'), True)]


def test_a_step_asks_the_gpu_nothing(bert, monkeypatch):
    """When sizes and text have come before; but for what it costs to match, which is on the way to the host."""
    detector = build(bert, detectors, 'swin_mmdet.')
    losses_and_gradients(detector, samples_of('some', DIFFERENT), monkeypatch)
    samples = samples_of('some', DIFFERENT)
    with NoSynchronisation():
        losses_and_gradients(detector, samples, monkeypatch)


def test_checkpoints_of_the_encoder_change_nothing_and_need_no_fairscale(bert, monkeypatch):
    samples = samples_of('some', DIFFERENT)
    SameNoise(samples, CLASSES).install(monkeypatch)
    plain, checkpointed = (build(bert, detectors, 'swin_mmdet.', checkpoints=number) for number in (0, 1))
    calls = []
    for layer in (*checkpointed.encoder.layers, *checkpointed.encoder.fusion_layers):
        layer.register_forward_pre_hook(lambda layer, _: calls.append(layer))
    assert_alike(
        *(losses_and_gradients(one, copy.deepcopy(samples), monkeypatch) for one in (checkpointed, plain))
    )
    encoder = checkpointed.encoder
    assert [calls.count(layer) for layer in (*encoder.layers, *encoder.fusion_layers)] == [2, *[1] * (LAYERS - 1)] * 2


def test_bert_reads_as_mmdets(bert):
    """Masks, positions and numbers of tokens, of texts of other lengths; kept for a text that comes again."""
    model = build(bert, detectors, 'swin_mmdet.').language_model.eval()
    texts = ['red cat. dog. ', 'tree. ']
    tokens = model.tokenizer(texts, padding='longest', return_tensors='pt')
    mask, positions = generate_masks_with_special_tokens_and_transfer_map(tokens, model.special_tokens)
    for _ in range(2):
        found = model(texts)
        assert torch.equal(found['masks'].cpu(), mask)
        assert torch.equal(found['position_ids'].cpu(), positions)
        assert torch.equal(found['text_token_mask'].cpu(), tokens['attention_mask'].bool())
    assert model._read.cache_info().hits == 1
