"""Our configs on top of mmdet's: everything but the named parts is mmdet's, and so are the numbers that come out."""

import re
from collections.abc import Iterator
from contextlib import nullcontext
from functools import lru_cache
from pathlib import Path
from unittest import mock

import numpy as np
import pytest
import torch

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from mmdet.models.backbones.swin import SwinTransformer as MMDetSwin
from mmdet.registry import METRICS, MODELS
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmdet.utils import register_all_modules
from mmengine.config import Config, ConfigDict
from mmengine.optim import build_optim_wrapper
from mmengine.structures import InstanceData, PixelData
from mmengine.utils import get_installed_path
from torch import Tensor, nn

from swin_mmdet.checkpoint import load_backbone_weights, load_detector_weights
from swin_mmdet.checkpoint.from_mmdet import MMDET
from swin_mmdet.models import SwinTransformer
from swin_mmdet.registry import BuildsOurs
from tests.bert import write_bert
from tests.checkpoint import published
from tests.checkpoint.libraries import Sizes
from tests.detectors.same_noise import SameNoise

from .conftest import ONEDL_GROUNDING, ROOT, WITH_ONEDL, with_channels

FOLDERS = ('mask2former', 'maskformer', 'dino', 'ddq', 'rtmdet', 'dyhead', 'grounding_dino')
MMDET_CONFIGS = Path(get_installed_path('mmdet'), '.mim', 'configs')


def names_in(configs: Path, pattern: str) -> list[str]:
    return sorted(f'{folder}/{path.stem}' for folder in FOLDERS for path in (configs / folder).glob(pattern))


NAMES = names_in(MMDET_CONFIGS, '*swin*_coco*.py')
every_config = pytest.mark.parametrize('name', NAMES)
RTMDET = 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco'
P6 = 'rtmdet/rtmdet_l_swin_b_p6_4xb16-100e_coco'
DINO = 'dino/dino-5scale_swin-l_8xb2-12e_coco'
MASK2FORMER = 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco'
PANOPTIC = 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco-panoptic'
GROUNDING = 'grounding_dino/grounding_dino_swin-t_finetune_16xb2_1x_coco'
# ours of instances, by mmdet's of panoptic segmentation on the same backbone
INSTANCES = {
    f'mask2former/mask2former_{stem}_coco': f'mask2former/mask2former_{stem}_coco-panoptic'
    for stem in (
        'swin-b-p4-w12-384_8xb2-lsj-50e',
        'swin-b-p4-w12-384-in21k_8xb2-lsj-50e',
        'swin-l-p4-w12-384-in21k_16xb1-lsj-100e',
    )
}
# images in a step where mmdet's `auto_scale_lr` has another number: GPUs x images of the config's name
BATCHES = {RTMDET: 4 * 32, P6: 4 * 16}
SIDE = 128


@pytest.fixture(autouse=True)
def _mmdets_classes_are_built(monkeypatch: pytest.MonkeyPatch) -> None:
    """Also after another test of this process imported the drop-in."""
    for registry in (MODELS.root, *MODELS.root.children.values()):
        if isinstance(registry.build_func, BuildsOurs):
            monkeypatch.setattr(registry.build_func, 'ours', {})


@lru_cache
def ours(name: str) -> Config:
    return with_channels(Config.fromfile(ROOT / f'configs/{name}.py'))


@lru_cache
def theirs(name: str) -> Config:
    return Config.fromfile(MMDET_CONFIGS / f'{name}.py')


def test_what_mmdet_trains_on_coco_with_a_swin_is_here():
    # DINO with 4 scales is detrex's
    others = [name for name in names_in(ROOT / 'configs', '*.py') if 'dino-4scale' not in name]
    assert [name for name in others if name not in INSTANCES] == NAMES
    assert set(INSTANCES) <= set(others)


def plain(node: object) -> object:
    """Without classes of containers, the scope that mmengine notes on inheritance, and our scope before a type."""
    if isinstance(node, dict):
        return {key: plain(value) for key, value in node.items() if key != '_scope_'}
    if isinstance(node, (list, tuple)):
        return [plain(item) for item in node]
    return node.removeprefix('swin_mmdet.') if isinstance(node, str) else node


def is_panoptic(name: str) -> bool:
    """Whether a recipe is of panoptic segmentation."""
    return 'panoptic' in name or name.startswith('maskformer')


def leaves(node: object, path: str = '') -> Iterator[tuple[str, object]]:
    """Each value of a config and where it is."""
    children = node.items() if isinstance(node, dict) else enumerate(node) if isinstance(node, list) else ()
    for key, value in children:
        yield from leaves(value, f'{path}.{key}')
    if not isinstance(node, (dict, list)):
        yield path, node


def differences(one: Config, other: Config) -> dict[str, object]:
    """What `one` has otherwise than `other`, beside the backbone and variables that nothing but mmengine reads."""
    before = dict(leaves(plain(other.to_dict())))
    return {
        path: value
        for path, value in leaves(plain(one.to_dict()))
        if before.get(path, ()) != value
        and path.startswith(('.model.panoptic', '.optim', '.param', '.train_', '.val_'))
    }


@pytest.mark.parametrize('name', INSTANCES)
def test_of_instances_as_of_panoptic_segmentation(name: str):
    """What a larger backbone changes in mmdet's recipe of panoptic segmentation, and nothing else."""
    changed = differences(theirs(INSTANCES[name]), theirs(PANOPTIC))
    assert changed
    # a file of panoptic segmentation has its own list of steps
    assert differences(ours(name), ours(MASK2FORMER)) == changed
    backbone = dict(ours(name).model.backbone)
    assert backbone == dict(ours(INSTANCES[name]).model.backbone)


def types_of_ours(node: object) -> Iterator[str]:
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        if isinstance(value, str) and value.startswith('swin_mmdet.'):
            yield value
        yield from types_of_ours(value)


@every_config
def test_all_but_the_named_parts_is_mmdets(name: str):
    one, other = ours(name).to_dict(), theirs(name).to_dict()
    assert one.pop('custom_imports')['imports'] == ['swin_mmdet.compat']
    assert one['optim_wrapper'].pop('constructor') == 'swin_mmdet.OptimWrapperConstructor'
    assert one['default_hooks'].pop('runtime_info') == {'type': 'swin_mmdet.RuntimeInfoHook'}
    assert one['model'].pop('backbone')['type'] == 'swin_mmdet.SwinTransformer'
    other['model'].pop('backbone')
    if name in BATCHES:
        # mmdet's says 16 for batches of 128 and 64: a scaled learning rate would be 8 and 4 times too high
        assert other['auto_scale_lr'].pop('base_batch_size') == 16
        assert one['auto_scale_lr'].pop('base_batch_size') == BATCHES[name]
    # variables of files, whose values are compared where they are used
    for cfg in (one, other):
        for variable in ('weights', 'pretrained', 'depths', 'custom_keys', 'dynamic_intervals'):
            cfg.pop(variable, None)
    # the panoptic metric is one of a list, which stays as it is
    parts = {'swin_mmdet.DetDataPreprocessor'} | (set() if is_panoptic(name) else {'swin_mmdet.CocoMetric'})
    if name.startswith('mask2former'):
        parts |= {'swin_mmdet.Mask2Former', 'swin_mmdet.Mask2FormerHead', 'swin_mmdet.MaskFormerFusionHead'}
        parts |= {'swin_mmdet.MSDeformAttnPixelDecoder'}
    if name.startswith('maskformer'):
        parts |= {'swin_mmdet.MaskFormerHead', 'swin_mmdet.MaskFormerFusionHead'}
    parts |= {'swin_mmdet.DDQDETRHead'} if name.startswith('ddq') else set()
    parts |= {'swin_mmdet.RTMDetSepBNHead'} if name.startswith('rtmdet') else set()
    parts |= {'swin_mmdet.DyHead', 'swin_mmdet.ATSSHead'} if name.startswith('dyhead') else set()
    if name.startswith('grounding_dino'):
        parts |= {'swin_mmdet.BertModel', 'swin_mmdet.GroundingDINO', 'swin_mmdet.GroundingDINOHead'}
    parts |= {'swin_mmdet.DINO', 'swin_mmdet.DINOHead'} if name.startswith('dino/') else set()
    assert set(types_of_ours(one)) == parts
    assert plain(one) == plain(other)


def mmdet_settings(name: str) -> dict:
    return theirs(name).model.backbone.to_dict()


@every_config
def test_the_backbone_is_mmdets(name: str):
    """Each keyword of mmdet's class is found again in ours, or has the one value of the published Swin."""
    settings = ours(name).model.backbone.to_dict()
    expected = mmdet_settings(name)
    assert settings.pop('type').removeprefix('swin_mmdet.') == expected.pop('type')
    file, wanted_file = settings.pop('init_cfg', {}), expected.pop('init_cfg', {})
    assert (file.get('type'), file.get('checkpoint')) == (wanted_file.get('type'), wanted_file.get('checkpoint'))
    assert file.get('strict', True) == (name != P6)
    with torch.device('meta'):
        backbone = SwinTransformer(**settings)
    first = backbone.stages[0].blocks[0]
    found = {
        'embed_dims': backbone.variant.embed_dims,
        'depths': list(backbone.variant.depths),
        'num_heads': list(backbone.variant.num_heads),
        'window_size': backbone.window_sizes[0],
        'mlp_ratio': first.mlp.fc1.out_features / backbone.variant.embed_dims,
        'drop_rate': backbone.pos_drop.p,
        'attn_drop_rate': first.attn.attn_drop_rate,
        'drop_path_rate': backbone.drop_path_rate,
        'out_indices': backbone.out_indices,
        'frozen_stages': backbone.frozen_stages,
        'with_cp': all(stage.with_cp for stage in backbone.stages),
        'qkv_bias': first.attn.qkv.bias is not None,
        'qk_scale': None,
        'patch_size': backbone.patch_embed.proj.kernel_size[0],
        'patch_norm': isinstance(backbone.patch_embed.norm, nn.LayerNorm),
        'strides': (4, *[2] * (len(backbone.stages) - 1)),
        # for an absolute position embedding, which none of them has; and formats, which are recognised
        'pretrain_img_size': expected.get('pretrain_img_size'),
        'convert_weights': expected.get('convert_weights'),
    }
    assert backbone.absolute_pos_embed is None
    assert not any(stage.with_cp for stage in backbone.stages) or found['with_cp']
    assert len(set(backbone.window_sizes)) == 1
    assert expected == {key: found[key] for key in expected}


def test_the_file_of_p6_has_no_fifth_stage(tmp_path: Path):
    """Four stages load, the fifth and the merging before it keep their initial values; anything else is an error."""
    sizes = Sizes(16, (1, 1, 1, 1), (1, 2, 4, 8), 12, 384)
    path = tmp_path / 'swin.pth'
    torch.save(published.microsoft(published.microsoft_state_dict(sizes)), path)
    settings = ours(P6).model.backbone.to_dict()
    settings.pop('type')
    settings |= {'arch': dict(embed_dims=16, depths=(1,) * 5, num_heads=(1, 2, 4, 8, 16))}
    settings['init_cfg']['checkpoint'] = str(path)
    backbone = SwinTransformer(**settings)
    before = {key: value.clone() for key, value in backbone.state_dict().items()}
    backbone.init_weights()
    kept = {key for key, value in backbone.state_dict().items() if torch.equal(value, before[key])}
    assert {re.match(r'stages\.4|stages\.3\.downsample|norm\d', key)[0] for key in kept} == {
        'stages.4', 'stages.3.downsample', 'norm1', 'norm2', 'norm3', 'norm4',
    }  # fmt: skip
    report = load_backbone_weights(backbone, path, strict=False)
    assert set(report.missing) == kept
    assert not report.unexpected
    settings['init_cfg'].pop('strict')
    with pytest.raises(ValueError, match=r'lack \d+ of the \d+ that the model needs: stages\.'):
        SwinTransformer(**settings).init_weights()


@pytest.fixture(scope='module')
def bert(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny BERT of letters, in place of the published one, which is on the internet."""
    pytest.importorskip('transformers')
    letters = 'abcdefghijklmnopqrstuvwxyz'
    sizes = {'hidden_size': 32, 'num_hidden_layers': 1, 'num_attention_heads': 2, 'intermediate_size': 64}
    torch.manual_seed(0)
    return write_bert(tmp_path_factory.mktemp('bert'), [*letters, *(f'##{letter}' for letter in letters)], **sizes)


@pytest.fixture
def mmdet_on_transformers_5(monkeypatch: pytest.MonkeyPatch) -> None:
    """mmdet's own class was written for transformers 4: a method has gone, and masks [B, N, N] are not taken."""
    transformers = pytest.importorskip('transformers')
    if transformers.__version__ < '5':
        return
    from mmdet.models.language_models.bert import BertEncoder

    forward = BertEncoder.forward

    def with_heads(self: nn.Module, x: dict) -> dict:
        mask = x['attention_mask']
        return forward(self, x | {'attention_mask': mask[:, None]}) | {'masks': mask}

    monkeypatch.setattr(BertEncoder, 'forward', with_heads)
    monkeypatch.setattr(transformers.PreTrainedTokenizerBase, 'batch_encode_plus',
                        transformers.PreTrainedTokenizerBase.__call__, raising=False)  # fmt: skip


def shrunk_depth(node: object) -> None:
    """One layer in every encoder and decoder."""
    for value in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        shrunk_depth(value)
    if isinstance(node, dict):
        for key in ('num_layers', 'num_blocks', 'num_csp_blocks'):
            if key in node:
                node[key] = 1
        node.pop('num_cp', None)


def pair(name: str, bert: Path | None, backbone: dict) -> tuple[ConfigDict, ConfigDict]:
    """Settings of our model and of mmdet's, with one layer each and the changes of the backbone."""
    register_all_modules()
    models = []
    for cfg, cls in ((ours(name), SwinTransformer), (theirs(name), MMDetSwin)):
        model = cfg.model.to_dict()
        shrunk_depth(model)
        model['backbone'].pop('arch', None)
        model['backbone'].pop('convert_weights', None)
        model['backbone'] |= {'init_cfg': None, 'type': cls} | backbone
        if 'language_model' in model:
            model['language_model']['name'] = str(bert)
        models.append(ConfigDict(model))
    return tuple(models)


def settings_of_parameters(model: nn.Module, optim_wrapper: dict) -> dict[str, tuple[float, float]]:
    """Learning rate and weight decay of each parameter."""
    wrapper = build_optim_wrapper(model, optim_wrapper.copy())
    names = {id(parameter): name for name, parameter in model.named_parameters()}
    return {
        names[id(parameter)]: (group['lr'], group['weight_decay'])
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
    }


def mmdet_name(name: str) -> str:
    inside = name.removeprefix('backbone.')
    return name if inside == name else 'backbone.' + MMDET.their_key(inside)


@every_config
def test_every_parameter_learns_as_in_mmdet(name: str, bert: Path):
    """All blocks, in few channels: keys of the optimizer's settings are matched with names."""
    depths, heads = (mmdet_settings(name)[key] for key in ('depths', 'num_heads'))
    small = dict(embed_dims=2 * heads[0], depths=depths, num_heads=heads)
    one, other = (MODELS.build(model) for model in pair(name, bert, small))
    found = settings_of_parameters(one, ours(name).optim_wrapper)
    expected = settings_of_parameters(other, theirs(name).optim_wrapper)
    assert len(found) == len(list(one.parameters()))
    assert {mmdet_name(key): value for key, value in found.items()} == expected
    assert len(set(expected.values())) > 1


def batch_for(name: str) -> dict:
    """Two images, one without objects, as the pipelines give them."""
    generator = torch.Generator().manual_seed(0)
    inputs, samples = [], []
    for boxes in (torch.tensor([[10.0, 12.0, 70.0, 90.0], [40.0, 30.0, 120.0, 110.0]]), torch.zeros(0, 4)):
        instances = InstanceData(bboxes=boxes, labels=torch.arange(len(boxes)))
        if name.startswith('mask'):
            masks = torch.zeros(len(boxes), SIDE, SIDE, dtype=torch.uint8)
            for mask, (left, top, right, bottom) in zip(masks, boxes.int().tolist(), strict=True):
                mask[top:bottom, left:right] = 1
            instances.masks = BitmapMasks(masks.numpy(), SIDE, SIDE)
        shape = (SIDE, SIDE)
        sample = DetDataSample(gt_instances=instances)
        sample.set_metainfo({'img_shape': shape, 'ori_shape': shape, 'scale_factor': (1.0, 1.0), 'img_id': 1})
        if is_panoptic(name):
            # the classes of stuff, after 80 of things
            stuff = torch.arange(80, 80 + 4)[:, None].repeat_interleave(SIDE // 4, dim=0).expand(SIDE, SIDE)
            sample.gt_sem_seg = PixelData(sem_seg=stuff[None].to(torch.uint8))
        if 'grounding' in name:
            sample.set_metainfo({'text': ('cat', 'dog'), 'custom_entities': True})
        inputs.append(torch.randint(0, 256, (3, *shape), generator=generator, dtype=torch.uint8))
        samples.append(sample)
    return {'inputs': inputs, 'data_samples': samples}


def same_points(*shape: int | tuple[int, ...], device: torch.device) -> Tensor:
    """In place of `torch.rand`: whatever masks they are for and in whatever order these come, the same points."""
    shape = shape[0] if isinstance(shape[0], tuple) else shape
    points = np.random.default_rng(shape[-2]).random(shape[-2:], np.float32)
    return torch.from_numpy(points).to(device).repeat(*shape[:-2], 1, 1)


def losses_and_predictions(model: nn.Module, name: str) -> dict[str, Tensor]:
    torch.manual_seed(1)  # denoising queries
    data = model.data_preprocessor(batch_for(name), training=True)
    with mock.patch('torch.rand', same_points) if 'mask2former' in name else nullcontext():
        losses = model.train()(**data, mode='loss')
    # mmdet's dense heads have a number for each level, which are added up
    results = {key: sum(value) if isinstance(value, list) else value for key, value in losses.items()}
    # a loss of mmdet's DINO has a dimension of one
    results = {key: value.squeeze() for key, value in results.items()}
    with torch.no_grad():
        data = model.data_preprocessor(batch_for(name))
        for index, sample in enumerate(model.eval()(**data, mode='predict')):
            found = sample.pred_instances
            # boxes of masks jump where a single pixel changes
            keys = ('scores', 'labels', 'masks' if 'masks' in found else 'bboxes')
            results |= {f'{key} {index}': found[key] for key in keys}
    return results


@pytest.mark.usefixtures('mmdet_on_transformers_5')
@pytest.mark.parametrize(
    'name',
    [
        RTMDET, DINO, MASK2FORMER, PANOPTIC,
        pytest.param(GROUNDING, marks=pytest.mark.skipif(WITH_ONEDL, reason=ONEDL_GROUNDING)),
    ],
)  # fmt: skip
def test_a_detector_of_mmdet_loads_and_gives_the_same(name: str, bert: Path, monkeypatch: pytest.MonkeyPatch):
    """Full channels, one block in each stage, one layer of each head."""
    heads = mmdet_settings(name)['num_heads']
    shallow = dict(embed_dims=32 * heads[0], depths=(1, 1, 1, 1), num_heads=heads, drop_path_rate=0.0, with_cp=False)
    built = []
    for seed, model in enumerate(pair(name, bert, shallow)):
        model['data_preprocessor']['batch_augments'] = None  # Mask2Former's pads every batch to 1024 x 1024
        if 'num_queries' in model:
            # the more of them are chosen by their scores, the closer are two of these, down to rounding
            model['num_queries'] = 10
        model['test_cfg'] |= {'max_per_img': 5} | ({'score_thr': 0.0} if 'score_thr' in model['test_cfg'] else {})
        torch.manual_seed(seed)
        built.append(MODELS.build(model))
        built[-1].init_weights()
    one, other = built
    report = load_detector_weights(one, {'meta': {}, 'state_dict': other.state_dict()})
    assert report.missing == report.unexpected == []
    assert not report.misfit
    if name in (DINO, GROUNDING):
        # ours draws it in another order
        SameNoise(batch_for(name)['data_samples'], one.bbox_head.num_classes).install(monkeypatch)
    found = losses_and_predictions(one, name)
    expected = losses_and_predictions(other, name)
    assert found.keys() == expected.keys()
    assert len(expected['scores 0']) > 0
    for key, value in expected.items():
        if value.dtype == torch.bool:  # masks, cut off at a threshold
            assert (found[key] != value).float().mean() < 1e-5, key
            continue
        assert torch.isfinite(value).all(), key
        # a loss of mmdet's may have a dimension of 1
        one = found[key].reshape(value.shape)
        torch.testing.assert_close(one, value, rtol=1e-4, atol=1e-4, msg=lambda text, key=key: f'{key}: {text}')


@every_config
def test_metrics_build_with_mmdets_settings(name: str):
    register_all_modules()
    cfg = ours(name)
    for evaluator in (cfg.val_evaluator, cfg.test_evaluator):
        for metric in evaluator if isinstance(evaluator, list) else [evaluator]:
            settings = metric.to_dict() | {'ann_file': None}
            if settings['type'] == 'CocoPanopticMetric':
                continue  # mmdet's own, and wants panopticapi
            built = METRICS.build(settings)
            assert tuple(built.proposal_nums) == tuple(settings.get('proposal_nums', (100, 300, 1000)))
