"""Each short name is that of a config, and says what it finds."""

from swin_mmdet.config import nodes
from swin_mmdet.config.model_names import MODELS, model_of_config

from .conftest import ROOT, read_config


def test_each_names_a_config_and_says_what_it_finds():
    assert len({model.name for model in MODELS}) == len({model.config for model in MODELS}) == len(MODELS)
    for model in MODELS:
        cfg = read_config(ROOT / 'configs' / model.config)
        assert model.masks == any(node.get('with_mask') for node in nodes(cfg.train_dataloader)), model.name
        assert model_of_config(ROOT / 'configs' / model.config) == model
