"""mmengine loads our configs by the name of the package, and mmdet finds what their pipelines load."""

from pathlib import Path

import fresh_python
import pytest

import swin_mmdet.compat  # noqa: F401

pytest.importorskip('mmdet')
from mmdet.datasets import get_loading_pipeline
from mmdet.utils import register_all_modules


def test_a_config_from_elsewhere_inherits_from_ours_in_the_scope_of_mmdet(tmp_path: Path):
    (tmp_path / 'mine.py').write_text("_base_ = 'swin_mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py'\n")
    code = """
        from mmengine.config import Config  # read its table before it has our line
        import swin_mmdet.compat
        from mmengine.registry import DefaultScope, HOOKS, MODELS
        from mmengine.hub import get_config
        mine = Config.fromfile('mine.py')
        # whoever inherits may live in another scope than our configs
        DefaultScope.get_instance('theirs', scope_name='mmengine')
        print(type(HOOKS.build(mine.custom_hooks[0])).__module__, MODELS.get(mine.model.backbone.type).__module__)
        print(get_config('swin_mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py').model == mine.model)
    """
    assert fresh_python.run(code, cwd=tmp_path).splitlines()[-2:] == [
        'mmdet.engine.hooks.num_class_check_hook swin_mmdet.models.swin_transformer',
        'True',
    ]


@pytest.mark.parametrize('annotations', ['LoadAnnotations', 'swin_mmdet.LoadAnnotations'])
def test_the_loading_steps_of_a_pipeline_are_found(annotations: str):
    register_all_modules()
    loading = [dict(type='LoadImageFromFile'), dict(type=annotations, with_bbox=True)]
    packing = [dict(type='swin_mmdet.RandomFlip', prob=0.5), dict(type='swin_mmdet.PackDetInputs')]
    assert get_loading_pipeline([*loading, *packing]) == loading
    with pytest.raises(AssertionError, match=r"these load: \['LoadImageFromFile'\]"):
        get_loading_pipeline([loading[0], *packing])
