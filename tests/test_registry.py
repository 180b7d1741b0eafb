"""`type='swin_mmdet.SwinTransformer'` is found from every scope without `custom_imports`, each in a fresh process."""

import subprocess
import sys

import pytest

BUILD = "print(type({registry}.build(dict(type='swin_mmdet.SwinTransformer', arch=dict(embed_dims=8, depths=(1,), \
num_heads=(1,)), out_indices=(0,)))).__module__)"


@pytest.mark.parametrize(
    ('setup', 'registry'),
    [
        ('from mmengine.registry import MODELS', 'MODELS'),
        ('import swin_mmdet.compat; from mmdet.registry import MODELS', 'MODELS'),
        ('from swin_mmdet.registry import MODELS', 'MODELS'),
        (
            'from mmengine.registry import MODELS as ROOT, Registry; '
            "OTHER = Registry('model', parent=ROOT, scope='other')",
            'OTHER',
        ),
        (
            'from mmengine.registry import MODELS, DefaultScope; import swin_mmdet.compat; '
            "DefaultScope.get_instance('x', scope_name='mmdet')",
            'MODELS',
        ),
    ],
    ids=['root', 'mmdet', 'ours', 'another scope', 'default scope mmdet'],
)
def test_the_backbone_is_built_from_any_scope(setup, registry):
    code = f'{setup}; {BUILD.format(registry=registry)}'
    result = subprocess.run([sys.executable, '-c', code], capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert result.stdout.splitlines()[-1] == 'swin_mmdet.models.swin_transformer'
