"""Short names for configs."""

import pytest

from swin_mmdet.config.model_names import MODELS, listed_models, model_of_config, named_model, names_for


def test_the_list_has_a_line_for_each():
    lines = listed_models()
    assert len(lines) == len(MODELS)
    for model, line in zip(MODELS, lines):
        assert line.split()[:2] == [model.name, f'configs/{model.config}']
        assert line.endswith(f'{model.backbone}  {model.purpose}') or model.backbone in line
    assert 'faster-rcnn-tiny' in names_for(masks=False)
    assert 'mask-rcnn-tiny' not in names_for(masks=False)


@pytest.mark.parametrize(
    ('name', 'words'),
    [('mask_rcnn_tiny', 'mean mask-rcnn-tiny'), ('DINO-Tiny', 'dino-tiny'), ('yolo', 'there are mask-rcnn-tiny')],
)
def test_an_unknown_name_gets_the_nearest(name: str, words: str, user_error: type[Exception]):
    with pytest.raises(user_error, match=words):
        named_model(name)
    assert model_of_config('somewhere/mine.py') is None
