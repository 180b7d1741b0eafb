"""The detector of a config with the weights of a checkpoint, on the CPU, and the names of its classes."""

from mmdet.registry import DATASETS, MODELS
from mmdet.utils import register_all_modules
from mmengine.config import Config
from mmengine.runner import load_state_dict
from torch import nn

from swin_mmdet.checkpoint import has_swin_backbone, load_detector_weights, read_checkpoint
from swin_mmdet.errors import UserError


def load_detector(cfg: Config, checkpoint: str) -> tuple[nn.Module, tuple[str, ...]]:
    """In evaluation mode.

    Raises:
        UserError: the file cannot be read, or has not exactly the weights of this detector.
    """
    register_all_modules()
    cfg.model.backbone.init_cfg = None
    try:
        file = read_checkpoint(checkpoint)
        model = MODELS.build(cfg.model)
        if has_swin_backbone(model):
            load_detector_weights(model, file, True)
        else:
            load_state_dict(model, file.state_dict, True)
    except (ValueError, RuntimeError) as error:
        raise UserError(f'checkpoint {checkpoint}: {error}') from error
    return model.eval(), classes_of(cfg, file.meta)


def classes_of(cfg: Config, meta: dict) -> tuple[str, ...]:
    """Of a checkpoint's `meta`, else of the data that the config is tested on."""
    dataset = cfg.test_dataloader.dataset
    known = meta.get('classes') or (meta.get('dataset_meta') or {}).get('classes')
    known = known or (dataset.get('metainfo') or {}).get('classes')
    return tuple(known or DATASETS.get(dataset.type).METAINFO['classes'])
