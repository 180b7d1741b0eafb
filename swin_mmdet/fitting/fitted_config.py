"""The config that `train.py --model NAME --data FOLDER` trains: of a short name or a config, for data of one's own."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from swin_mmdet.config.check import check_names
from swin_mmdet.config.everyday import EverydayOptions
from swin_mmdet.config.files import CONFIGS, existing, read_config
from swin_mmdet.config.model_names import NamedModel, model_of_config, named_model, names_for
from swin_mmdet.config.options import merge_options
from swin_mmdet.config.packages import check_packages
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.coco_file import read_coco
from swin_mmdet.datasets.data_folder import check_instances, use_folder
from swin_mmdet.datasets.image_cache import cache_folder
from swin_mmdet.datasets.label_order import label_by_name
from swin_mmdet.datasets.layouts import Split
from swin_mmdet.datasets.sources import coco_sources
from swin_mmdet.engine.check_run import check_run
from swin_mmdet.engine.everyday import apply_everyday
from swin_mmdet.errors import UserError
from swin_mmdet.fitting.fit import fit, images_of_recipe
from swin_mmdet.fitting.written import write_config


def fitted_config(
    model: str | Path,
    data: str | Path,
    *,
    work_dir: str | Path | None = None,
    split: float | None = None,
    options: EverydayOptions | None = None,
    settings: Mapping[str, Any] | None = None,
    checks: CheckOptions | None = None,
    device: str | None = None,
    say: Callable[[str], object] = print,
) -> Config:
    """The config that trains a detector on a folder of data, with settings that fit the data and the GPU at hand.

    ```python
    from swin_mmdet.fitting import fitted_config
    from swin_mmdet.engine import TrainingRunner
    from swin_mmdet.engine.device import adapt_to_device

    cfg = fitted_config('mask-rcnn-tiny', 'my_folder', work_dir='work_dirs/mine')
    adapt_to_device(cfg, 'cuda')  # on a CPU: no mixed precision; not in the written file, which is for any device
    TrainingRunner.from_cfg(cfg).train()
    ```

    Data and pretrained weights are checked as `train.py` does. `work_dir` gets the config as a file,
    `<name>_fitted.py`, that trains the same, and `data/` where annotations have to be converted. The caller makes sure
    that no other run is in it (`swin_mmdet.engine.guards.check_work_dir`).

    Args:
        model: a short name (`swin_mmdet.config.model_names.MODELS`), or the path of a config.
        data: the folder, of any layout that `convert_dataset.py` reads.
        work_dir: 'work_dirs/<name>' by default.
        split: the share of the images for training, where none are for validation.
        options: what the user has set; nothing of that is fitted.
        settings: keys of the config -> values, as `--cfg-options`; what they set is not fitted.
        checks: how far the check of the data goes; by default every image is decoded, once until it changes.
        device: 'cuda', 'cpu', ...; by default the one that mmengine takes. On 'cuda' the batch is tried.
        say: is told each line for the user.

    Raises:
        UserError: an unknown name (with the nearest), data that cannot be read or are wrong, a mask model for data
            without masks, no object to train on, a GPU too small for one image.
    """
    from mmengine.device import get_device

    named, path = resolve_model(str(model))
    options, settings = options or EverydayOptions(), dict(settings or {})
    recipe, cfg = read_config(str(path)), read_config(str(path))
    cfg.work_dir = str(work_dir or Path('work_dirs', named.name if named else path.stem))
    cfg.launcher = 'none'
    existing(str(data), 'data folder')
    check_instances(cfg, str(data))
    use_folder(cfg, str(data), Path(cfg.work_dir, 'data'), None if split is None else Split(split))
    check_masks(cfg, named)
    for warning in merge_options(cfg, settings):
        say(f'warning: {warning}')
    check_names(cfg)
    for line in apply_everyday(cfg, options, settings):
        say(line)
    check_packages(cfg)
    for line in label_by_name(cfg):
        say(line)
    check_run(cfg, checks or CheckOptions(True, cache_folder(), False))
    fitted = fit(
        cfg, recipe, options, settings, recipe_images=images_of_recipe(recipe, named), device=device or get_device(),
        say=say,
    )  # fmt: skip
    target = written_path(cfg.work_dir, named, path)
    write_config(target, cfg, path, f'{named.name if named else path.stem}, fitted to {data}.', fitted.settings)
    say(f'config: {target}')
    return cfg


def resolve_model(model: str) -> tuple[NamedModel | None, Path]:
    """The row of a short name and its config file; of a path the row if it has one, and the path.

    Raises:
        UserError: neither.
    """
    if model.endswith(CONFIGS) or Path(model).is_file():
        return model_of_config(model), Path(model)
    named = named_model(model)
    return named, named.path


def written_path(work_dir: str | Path, named: NamedModel | None, config: Path) -> Path:
    """Where a fitted config is written."""
    return Path(work_dir, f'{named.name if named else config.stem}_fitted.py')


def check_masks(cfg: Config, named: NamedModel | None) -> None:
    """What finds masks trains on data that have some.

    Raises:
        UserError: no annotation has one; names the models of boxes.
    """
    for source in coco_sources(cfg):
        if source.split != 'train' or not source.with_mask:
            continue
        coco = read_coco(source.ann_file)
        missing = coco.faults.get('mask_missing')
        if missing and missing.count == coco.num_annotations:
            what = f'--model {named.name}' if named else 'the config'
            raise UserError(
                f'{what} finds masks, and none of the {coco.num_annotations} annotations of {coco.path} has one '
                f"('segmentation'); these find boxes: --model {names_for(masks=False)}"
            )
