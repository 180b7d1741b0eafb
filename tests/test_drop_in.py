"""mmdet's own configs run on our parts; in fresh processes, for a process that imported a drop-in keeps it."""

import subprocess
import sys
from concurrent.futures import ProcessPoolExecutor
from multiprocessing import get_context

import numpy as np
import pytest
import torch

pytest.importorskip('mmdet')

HEIGHT, WIDTH = 128, 160
MOST = 20
# x, y, x, y and class of the objects in every image
OBJECTS = ((10.0, 12.0, 70.0, 90.0, 0), (40.0, 30.0, 120.0, 110.0, 7))
# config -> what of ours its detector consists of
CONFIGS = {
    'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py': {'RPNHead', 'StandardRoIHead', 'SingleRoIExtractor'},
    'mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py': {'RPNHead', 'StandardRoIHead', 'SingleRoIExtractor'},
    'cascade_rcnn/cascade-mask-rcnn_r50_fpn_1x_coco.py': {'RPNHead', 'CascadeRoIHead', 'SingleRoIExtractor'},
    'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py': {
        'RPNHead', 'StandardRoIHead', 'SingleRoIExtractor', 'DropInSwinTransformer',
    },
    'htc/htc-without-semantic_r50_fpn_1x_coco.py': {
        'RPNHead', 'HybridTaskCascadeRoIHead', 'SingleRoIExtractor',
    },
    'sparse_rcnn/sparse-rcnn_r50_fpn_1x_coco.py': {'EmbeddingRPNHead', 'SparseRoIHead', 'SingleRoIExtractor'},
    'retinanet/retinanet_r50_fpn_1x_coco.py': {'RetinaHead'},
    'atss/atss_r50_fpn_1x_coco.py': {'ATSSHead'},
    'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py': {
        'DropInSwinTransformer', 'Mask2Former', 'Mask2FormerHead', 'MaskFormerFusionHead', 'MSDeformAttnPixelDecoder',
    },
    'detr/detr_r50_8xb2-150e_coco.py': {'DETRHead'},
    'conditional_detr/conditional-detr_r50_8xb2-50e_coco.py': {'ConditionalDETRHead'},
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': {'DeformableDETR', 'DeformableDETRHead'},
    'dino/dino-4scale_r50_8xb2-12e_coco.py': {'DINO', 'DINOHead'},
    # with a head of its own
    'gfl/gfl_r50_fpn_1x_coco.py': set(),
}  # fmt: skip
PRINT = """
from mmdet.registry import MODELS, TRANSFORMS
names = 'ATSSHead BertModel CascadeRoIHead ConditionalDETRHead DDQDETRHead DETRHead DINO DINOHead DeformableDETR '
names += 'DeformableDETRHead DetDataPreprocessor DetTTAModel EmbeddingRPNHead HybridTaskCascadeRoIHead '
names += 'MSDeformAttnPixelDecoder Mask2Former Mask2FormerHead MaskFormerFusionHead MaskFormerHead RPNHead '
names += 'RTMDetHead RTMDetSepBNHead RetinaHead SingleRoIExtractor SparseRoIHead StandardRoIHead '
names = [*names.split(), 'SwinTransformer']
print([name for name in names if MODELS.get(name).__module__.startswith('swin_mmdet.')]
    + [name for name in 'LoadAnnotations RandomFlip PackDetInputs'.split()
       if TRANSFORMS.get(name).__module__.startswith('swin_mmdet.')])
"""
MODELS = [
    'ATSSHead', 'BertModel', 'CascadeRoIHead', 'ConditionalDETRHead', 'DDQDETRHead', 'DETRHead', 'DINO', 'DINOHead',
    'DeformableDETR', 'DeformableDETRHead', 'DetDataPreprocessor', 'DetTTAModel', 'EmbeddingRPNHead',
    'HybridTaskCascadeRoIHead', 'MSDeformAttnPixelDecoder', 'Mask2Former', 'Mask2FormerHead', 'MaskFormerFusionHead',
    'MaskFormerHead', 'RPNHead', 'RTMDetHead', 'RTMDetSepBNHead', 'RetinaHead', 'SingleRoIExtractor', 'SparseRoIHead',
    'StandardRoIHead',
]  # fmt: skip
EVERYTHING = [*MODELS, 'SwinTransformer', 'LoadAnnotations', 'RandomFlip', 'PackDetInputs']


@pytest.fixture(scope='module')
def fresh_process():
    with ProcessPoolExecutor(1, mp_context=get_context('spawn')) as pool:
        yield pool


@pytest.mark.parametrize('name', CONFIGS)
def test_an_mmdet_config_trains_a_step_and_predicts(name, fresh_process):
    parts, transforms, losses, found = fresh_process.submit(train_and_predict, name).result()
    assert parts == CONFIGS[name] | {'DetDataPreprocessor'}
    assert transforms == {'LoadAnnotations', 'RandomFlip', 'PackDetInputs'}
    assert all(np.isfinite(list(losses.values()))), losses
    assert losses['gradient'] > 0
    with_masks = 'mask' in name or 'htc' in name
    assert any('loss_mask' in key for key in losses) == with_masks
    for scores, boxes, masks in found:
        assert 0 < len(scores) == len(boxes) <= MOST
        assert np.isfinite(boxes).all()
        assert masks == ((len(scores), HEIGHT, WIDTH) if with_masks else None)


def train_and_predict(name):
    """Names of our parts in the model and in the training pipeline, the losses, and each image's detections."""
    import swin_mmdet.drop_in  # noqa: F401

    # isort: split
    from mmdet.registry import MODELS
    from mmengine.config import Config
    from mmengine.logging import MMLogger
    from mmengine.registry import init_default_scope
    from mmengine.runner import set_random_seed
    from mmengine.utils import get_installed_path

    MMLogger.get_instance('mmengine', log_level='ERROR')
    cfg = Config.fromfile(f'{get_installed_path("mmdet")}/.mim/configs/{name}')
    cfg.model.backbone.init_cfg = None  # its file is on the internet
    # a model without training detects something; few regions, for time
    cfg.model.test_cfg.get('rcnn', cfg.model.test_cfg).update(score_thr=0.0, max_per_img=MOST)
    if 'max_per_image' in cfg.model.test_cfg:
        cfg.model.test_cfg.max_per_image = MOST
    cfg.model.data_preprocessor.batch_augments = None  # Mask2Former's pads every batch to 1024 x 1024
    for stage in nodes(cfg.model.train_cfg):
        if stage.get('type') == 'RandomSampler':
            stage.num = 32
    for node in nodes(cfg.model):
        # of transformers
        node.update({key: most for key, most in (('num_layers', 1), ('num_queries', 50)) if key in node})
    init_default_scope('mmdet')
    set_random_seed(0)
    model = MODELS.build(cfg.model)
    # a transformer's parameters are whatever lay in memory before
    model.init_weights()
    steps, batch = load_batch(cfg.train_dataloader.dataset.pipeline)
    loss, losses = model.parse_losses(model.train()(**model.data_preprocessor(batch, training=True), mode='loss'))
    loss.backward()
    losses['gradient'] = sum(p.grad.norm() for p in model.parameters() if p.grad is not None)
    for sample in batch['data_samples']:
        sample.set_metainfo({'flip': False})  # mmdet's cascade fails to undo a flip
    with torch.no_grad():
        predicted = [sample.pred_instances for sample in model.eval().test_step(batch)]
    return names_of_ours(model.modules()), names_of_ours(steps), {key: value.item() for key, value in losses.items()}, [
        (one.scores.numpy(), one.bboxes.numpy(), tuple(one.masks.shape) if 'masks' in one else None)
        for one in predicted
    ]  # fmt: skip


@pytest.mark.parametrize('as_text', [False, True])
def test_parts_that_a_config_names_by_class_are_ours(as_text, fresh_process):
    """As Python-style configs do, and, as text, those that were dumped."""
    parts, transforms = fresh_process.submit(build_from_classes, as_text).result()
    assert parts == CONFIGS['swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'] | {'DetDataPreprocessor'}
    assert transforms == {'LoadAnnotations', 'RandomFlip', 'PackDetInputs'}


def build_from_classes(as_text):
    """Names of our parts in a model, and of our transforms, of a config with mmdet's classes or their full names."""
    import swin_mmdet.drop_in  # noqa: F401

    # isort: split
    from mmdet.datasets.transforms.formatting import PackDetInputs
    from mmdet.datasets.transforms.loading import LoadAnnotations
    from mmdet.datasets.transforms.transforms import RandomFlip, Resize
    from mmdet.models.backbones.swin import SwinTransformer
    from mmdet.models.data_preprocessors.data_preprocessor import DetDataPreprocessor
    from mmdet.models.dense_heads.rpn_head import RPNHead
    from mmdet.models.roi_heads.roi_extractors.single_level_roi_extractor import SingleRoIExtractor
    from mmdet.models.roi_heads.standard_roi_head import StandardRoIHead
    from mmengine.config import Config
    from mmengine.dataset import Compose
    from mmengine.registry import MODELS, DefaultScope
    from mmengine.utils import get_installed_path

    classes = (SwinTransformer, DetDataPreprocessor, RPNHead, SingleRoIExtractor, StandardRoIHead, PackDetInputs,
               LoadAnnotations, RandomFlip, Resize)  # fmt: skip
    kinds = {kind.__name__: f'{kind.__module__}.{kind.__name__}' if as_text else kind for kind in classes}
    assert not any(kind.__module__.startswith('swin_mmdet') for kind in classes)
    cfg = Config.fromfile(f'{get_installed_path("mmdet")}/.mim/configs/swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
    cfg.model.backbone.init_cfg = None
    for node in nodes([dict(cfg.model), *cfg.train_dataloader.dataset.pipeline]):
        if node.get('type') in kinds:
            node['type'] = kinds[node['type']]
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)  # through mmengine's registry, as its runner does
        return names_of_ours(model.modules()), names_of_ours(Compose(cfg.train_dataloader.dataset.pipeline).transforms)


def load_batch(pipeline):
    """The steps after the reading of a file, and what they make of two images."""
    from mmdet.registry import TRANSFORMS
    from mmengine.dataset import Compose, pseudo_collate

    resize = dict(type='Resize', scale=(WIDTH, HEIGHT), keep_ratio=True)
    # those of a DETR choose among sizes, and cut
    chosen = 'Resize', 'RandomResize', 'RandomChoice'
    steps = [TRANSFORMS.build(resize if step.type in chosen else step) for step in pipeline[1:]]
    instances = [
        dict(bbox=[x1, y1, x2, y2], bbox_label=label, ignore_flag=0, mask=[[x1, y1, x2, y1, x2, y2, x1, y2]])
        for x1, y1, x2, y2, label in OBJECTS
    ]
    images = np.random.default_rng(0).integers(0, 256, (2, HEIGHT, WIDTH, 3), dtype=np.uint8)
    size = HEIGHT, WIDTH
    samples = [
        dict(img=image, img_id=0, img_path='', ori_shape=size, img_shape=size, instances=instances) for image in images
    ]
    return steps, pseudo_collate([Compose(steps)(sample) for sample in samples])


def nodes(config):
    """Every dict in a config."""
    children = config.values() if isinstance(config, dict) else config if isinstance(config, list) else ()
    return [config] * isinstance(config, dict) + [node for child in children for node in nodes(child)]


def names_of_ours(parts):
    names = {type(part).__name__ for part in parts if type(part).__module__.startswith('swin_mmdet.')}
    # the backbone's own parts
    return names & {*MODELS, 'DropInSwinTransformer', 'LoadAnnotations', 'RandomFlip', 'PackDetInputs'}


@pytest.mark.parametrize(
    ('code', 'expected'),
    [
        ('import swin_mmdet.compat, mmdet.datasets, mmdet.models; import swin_mmdet.drop_in', EVERYTHING),
        (
            'import swin_mmdet.compat; from mmengine.config import Config\n'
            'Config.fromstring("custom_imports = dict(imports=[\'swin_mmdet.drop_in\'])", ".py")\n'
            'from mmdet.utils import register_all_modules; register_all_modules()',
            EVERYTHING,
        ),
        (
            'import argparse; from swin_mmdet.commands.prepare import add_shared_arguments, load_config\n'
            'parser = argparse.ArgumentParser(); add_shared_arguments(parser)\n'
            "load_config(parser.parse_args(['configs/quickstart/mask-rcnn_swin-micro_shapes.py', '--drop-in']))",
            EVERYTHING,
        ),
        (
            'import swin_mmdet.drop_in_backbone, swin_mmdet.detectors, swin_mmdet.datasets.transforms',
            ['SwinTransformer'],
        ),
    ],
    ids=['after mmdet', 'custom_imports', 'tools', 'backbone'],
)
def test_what_is_ours_in_mmdets_registries(code, expected, repository):
    command = [sys.executable, '-c', f'{code}\n{PRINT}']
    result = subprocess.run(command, capture_output=True, text=True, check=False, cwd=repository)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == str(expected)
