"""Short names of the configs that suit data of one's own, for `train.py --model NAME --data FOLDER`."""

from dataclasses import dataclass
from pathlib import Path

from swin_mmdet.config.files import project_configs
from swin_mmdet.config.nearest import meant
from swin_mmdet.errors import UserError

# of train2017 that have objects: for them the recipes count their epochs
COCO_IMAGES = 117_266
# that tools/quickstart.sh draws
SHAPES_IMAGES = 1000


@dataclass(frozen=True)
class NamedModel:
    """A row of `MODELS`.

    Attributes:
        config: file in the folder of this project's configs.
        masks: whether it finds masks, besides boxes.
        images: of the data for which its recipe counts its length.
    """

    name: str
    config: str
    masks: bool
    backbone: str
    purpose: str
    images: int = COCO_IMAGES

    @property
    def path(self) -> Path:
        return project_configs() / self.config


MODELS = tuple(
    NamedModel(*row)
    for row in (
        ('mask-rcnn-tiny', 'swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', True, 'Swin-T',
         'masks, fast to train: begin with it'),
        ('mask-rcnn-small', 'swin/mask-rcnn_swin-s-p4-w7_fpn_3x_coco.py', True, 'Swin-S',
         'masks, more exact, longer training'),
        ('mask-rcnn-base', 'swin/mask-rcnn_swin-b-p4-w7_fpn_3x_coco.py', True, 'Swin-B',
         'the same, a large model'),
        ('cascade-mask-rcnn-tiny', 'swin/cascade-mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py', True, 'Swin-T',
         'masks with tighter boxes'),
        ('cascade-mask-rcnn-small', 'swin/cascade-mask-rcnn_swin-s-p4-w7_fpn_3x_coco.py', True, 'Swin-S',
         'the same, more exact'),
        ('cascade-mask-rcnn-base', 'swin/cascade-mask-rcnn_swin-b-p4-w7_fpn_3x_coco.py', True, 'Swin-B',
         'the same, a large model'),
        ('mask2former-tiny', 'mask2former/mask2former_swin-t-p4-w7-224_8xb2-lsj-50e_coco.py', True, 'Swin-T',
         'masks with fine outlines, a long training'),
        ('faster-rcnn-tiny', 'swin/faster-rcnn_swin-t-p4-w7_fpn_1x_coco.py', False, 'Swin-T',
         'boxes, fast to train: begin with it where there are no masks'),
        ('cascade-rcnn-tiny', 'swin/cascade-rcnn_swin-t-p4-w7_fpn_1x_coco.py', False, 'Swin-T',
         'boxes that fit tighter'),
        ('retinanet-tiny', 'swin/retinanet_swin-t-p4-w7_fpn_1x_coco.py', False, 'Swin-T',
         'boxes in one stage, with anchors'),
        ('atss-tiny', 'atss/atss_swin-t-p4-w7_fpn_3x_coco.py', False, 'Swin-T',
         'boxes in one stage, more exact than RetinaNet'),
        ('rtmdet-base', 'rtmdet/rtmdet_l_swin_b_4xb32-100e_coco.py', False, 'Swin-B',
         'boxes in one stage at 640 px, fast to run, a long training'),
        ('dino-tiny', 'dino/dino-4scale_swin-t_8xb2-12e_coco.py', False, 'Swin-T',
         'boxes without anchors and NMS, exact in few epochs'),
        ('dino-large', 'dino/dino-4scale_swin-l_8xb2-12e_coco.py', False, 'Swin-L',
         'the most exact boxes, a large model'),
        ('mask-rcnn-micro', 'quickstart/mask-rcnn_swin-micro_shapes.py', True, 'Swin of 2M',
         'masks on a CPU in minutes, images of 192 px, from scratch: to try things', SHAPES_IMAGES),
    )
)  # fmt: skip


def named_model(name: str) -> NamedModel:
    """The row of a short name.

    Raises:
        UserError: there is none; names the nearest.
    """
    for model in MODELS:
        if model.name == name:
            return model
    names = [model.name for model in MODELS]
    raise UserError(f'--model {name}: no such name' + meant(name, names, f'; there are {", ".join(names)}', 0.6))


def model_of_config(path: str | Path) -> NamedModel | None:
    """The row of a config file, whatever the folder from which it is seen; None if it has none."""
    resolved = Path(path).resolve()
    return next((model for model in MODELS if model.path.resolve() == resolved), None)


def listed_models() -> list[str]:
    """A line for each: name, config file, what it finds, backbone, what it is for."""
    rows = [
        (one.name, f'configs/{one.config}', 'boxes and masks' if one.masks else 'boxes', one.backbone, one.purpose)
        for one in MODELS
    ]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return ['  '.join(word.ljust(width) for word, width in zip(row, widths)).rstrip() for row in rows]


def names_for(masks: bool) -> str:
    """The names of all that find masks, or boxes alone, for a message."""
    return ', '.join(model.name for model in MODELS if model.masks == masks)
