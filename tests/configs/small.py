"""Configs made small enough for a CPU: depth, images and numbers of candidates shrink, channels and heads stay."""

from importlib.util import find_spec

from mmengine.config import Config

from swin_mmdet.config import nodes
from swin_mmdet.variants import VARIANTS

PIXELS = ('scale', 'scales', 'img_scale', 'crop_size', 'size')
# of transformers, their encoders and decoders, DyHead and CSP necks
LAYERS = ('num_layers', 'num_blocks', 'num_csp_blocks')
MOST = {
    'nms_pre': 100,
    'max_per_img': 20,
    'max_per_image': 20,
    'num_queries': 20,
    'num_proposals': 20,
    'num_dn_queries': 5,
    'num_points': 256,
    'max_cached_images': 4,
    'pad_size_divisor': 64,
    # checkpointing of transformer layers is about memory alone
    'num_cp': 0,
}


def shrink(cfg: Config) -> None:
    """Make a config of any detector small, in place: a second or two for its construction and a training step.

    Whatever its parts are called: each is recognised by the keys that it has. A number of classes has been put in
    before. Nothing is loaded or downloaded, and nothing is idle at random, so that every parameter has a gradient.
    """
    cfg.load_from = None
    shrink_model(cfg.model)
    for name in ('train_dataloader', 'val_dataloader'):
        for node in nodes(cfg[name]):
            _without_instaboost(node)
            _small_images(node)
            _few_candidates(node)
        cfg[name].merge(dict(num_workers=0, persistent_workers=False))
    cfg.train_dataloader.batch_size = 2
    cfg.val_dataloader.batch_size = 1
    for node in nodes(cfg.model.get('data_preprocessor')):
        _small_images(node)
    cfg.optim_wrapper.pop('accumulative_counts', None)


def shrink_model(model: dict) -> None:
    """The detector alone."""
    for node in nodes(model):
        _forget_files(node)
        _few_blocks(node)
        _few_layers(node)
        _few_stages(node)
        _few_candidates(node)


def _forget_files(node: dict) -> None:
    if (node.get('init_cfg') or {}).get('type') == 'Pretrained':
        node['init_cfg'] = None


def _few_blocks(node: dict) -> None:
    """One block in each stage of a Swin, which has a position embedding for the optimizer's groups to find."""
    if 'SwinTransformer' not in str(node.get('type')):
        return
    if 'depths' not in node:
        arch = node.pop('arch', 'tiny')
        variant = vars(VARIANTS[arch]) if isinstance(arch, str) else arch
        node.update({key: variant[key] for key in ('embed_dims', 'depths', 'num_heads')})
    node.update(depths=(1,) * len(node['depths']), drop_path_rate=0.0, use_abs_pos_embed=True, pretrain_img_size=64)


def _few_layers(node: dict) -> None:
    for key in LAYERS:
        if isinstance(node.get(key), int):
            node[key] = min(node[key], 2)


def _few_stages(node: dict) -> None:
    """Two of the six equal stages of Sparse R-CNN; the three of a cascade differ, they stay."""
    if 'stage_loss_weights' in node and node['num_stages'] > 3:
        node['num_stages'] = 2
    for key in ('stage_loss_weights', 'bbox_head', 'mask_head', 'rcnn'):
        if isinstance(node.get(key), list) and len(node[key]) > 3:
            node[key] = node[key][:2]


def _few_candidates(node: dict) -> None:
    for key, most in MOST.items():
        if isinstance(node.get(key), int):
            node[key] = min(node[key], most)
    if str(node.get('type')).endswith('Sampler') and 'num' in node:
        # regions, of which some have objects
        node['num'] = 16
    if 'score_thr' in node:
        # whoever has learned nothing is sure of nothing
        node['score_thr'] = 0.0


def _without_instaboost(node: dict) -> None:
    """Where its package is not installed, which only these pipelines need."""
    if 'pipeline' in node and not find_spec('instaboostfast'):
        node['pipeline'] = [step for step in node['pipeline'] if step['type'] != 'swin_mmdet.InstaBoost']


def _small_images(node: dict) -> None:
    for key in PIXELS:
        if key in node:
            node[key] = sixteenth(node[key])
    if 'filter_cfg' in node:
        node['filter_cfg'] = dict(filter_empty_gt=True, min_size=8)


def sixteenth(size):
    """Of a side in pixels, as a multiple of 32 and 64 at least; also of lists of sides; fractions stay."""
    if isinstance(size, list | tuple):
        return type(size)(sixteenth(side) for side in size)
    return max(32 * round(size / 16 / 32), 64) if isinstance(size, int) else size
