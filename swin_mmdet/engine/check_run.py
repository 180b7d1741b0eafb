"""Mistakes in a config's data, weights and language models, found before the long work starts."""

from mmengine.config import Config

from swin_mmdet.datasets.check import check_config
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.datasets.missing_data import check_folders
from swin_mmdet.engine.language_models import check_language_models
from swin_mmdet.engine.pretrained import check_pretrained


def check_run(cfg: Config, options: CheckOptions) -> None:
    """All that the run of a config reads is there and right; weights and language models of the web are fetched.

    Raises:
        UserError: what is wrong, with the remedy; of annotations everything.
    """
    check_folders(cfg)
    if cfg.get('train_dataloader'):
        # testing needs no other weights than the checkpoint's
        check_pretrained(cfg)
    check_language_models(cfg)
    check_config(cfg, options)
