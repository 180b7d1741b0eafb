"""Test-time augmentation in a config: its test at several scales, mirrored and not."""

from mmengine.config import Config, ConfigDict

from swin_mmdet.config import nodes, type_name
from swin_mmdet.errors import UserError

SCALES = (0.75, 1.0, 1.25)
META_KEYS = ('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'flip', 'flip_direction')


def use_tta(cfg: Config) -> None:
    """Test the detector in views: `tta_model` and `tta_pipeline` of the config, else `DetTTAModel` and `views_of`."""
    for dataset in nodes(cfg.test_dataloader):
        if 'pipeline' in dataset:
            dataset['pipeline'] = cfg.get('tta_pipeline') or views_of(dataset['pipeline'])
    cfg.model = ConfigDict(tta_model(cfg), module=cfg.model)


def tta_model(cfg: Config) -> ConfigDict:
    """The config of the model around a detector, which is its `module`."""
    return cfg.get('tta_model') or ConfigDict(type='swin_mmdet.DetTTAModel')


def views_of(pipeline: list[ConfigDict]) -> list[ConfigDict]:
    """A test pipeline whose `Resize` is one of three, and then followed by a flip or none.

    Raises:
        UserError: there is no `Resize`.
    """
    kinds = [type_name(step) for step in pipeline]
    if 'Resize' not in kinds:
        raise UserError(f'--tta needs a Resize in the test pipeline, or a tta_pipeline in the config, got {kinds}')
    index = kinds.index('Resize')
    width, height = pipeline[index].scale
    resizes = [ConfigDict(pipeline[index], scale=(round(width * scale), round(height * scale))) for scale in SCALES]
    flips = [ConfigDict(type='swin_mmdet.RandomFlip', prob=prob) for prob in (0.0, 1.0)]
    # annotations are loaded after the flip: evaluation is in pixels of the original image
    rest = [
        [ConfigDict(step, meta_keys=META_KEYS) if kind == 'PackDetInputs' else step]
        for step, kind in zip(pipeline[index + 1 :], kinds[index + 1 :], strict=True)
    ]
    return [*pipeline[:index], ConfigDict(type='TestTimeAug', transforms=[resizes, flips, *rest])]
