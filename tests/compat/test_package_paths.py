"""mmengine finds packages without pkg_resources."""

import fresh_python
import pytest

from swin_mmdet.compat import package_paths

pytest.importorskip('mmengine')
MISSING = ('pkg_resources',)


def test_a_config_inherits_from_mmdet(tmp_path):
    pytest.importorskip('mmdet')
    (tmp_path / 'config.py').write_text("_base_ = 'mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py'\n")
    code = """
        from mmengine import Config  # holds the functions by name before they change
        import swin_mmdet.compat
        print(Config.fromfile('config.py').model.type)
    """
    assert fresh_python.run(code, missing=MISSING, cwd=tmp_path).splitlines()[-1] == 'MaskRCNN'


def test_pkg_resources_stays_missing_for_everybody_else():
    code = """
        import swin_mmdet.compat
        try:
            import pkg_resources
        except ImportError:
            print('missing')
    """
    assert fresh_python.run(code, missing=MISSING) == 'missing\n'


def test_mmengine_itself_needs_the_replacement_or_has_its_own():
    code = """
        import swin_mmdet.compat
        from mmengine.utils import get_installed_path, is_installed
        print(is_installed('mmengine'), is_installed('no_such_package'), get_installed_path('mmengine'))
    """
    installed, missing, path = fresh_python.run(code, missing=MISSING).split()
    assert (installed, missing) == ('True', 'False')
    assert path.endswith('mmengine')


def test_a_distribution_and_a_bare_module_have_a_path(tmp_path, monkeypatch):
    (tmp_path / 'bare_module').mkdir()
    (tmp_path / 'bare_module' / '__init__.py').write_text('')
    info = tmp_path / 'two_names-1.0.dist-info'
    info.mkdir()
    (info / 'METADATA').write_text('Metadata-Version: 2.1\nName: two-names\nVersion: 1.0\n')
    (info / 'top_level.txt').write_text('bare_module\n')
    monkeypatch.syspath_prepend(tmp_path)
    assert package_paths.package2module('two-names') == 'bare_module'
    assert package_paths.get_installed_path('two-names') == str(tmp_path / 'bare_module')
    assert package_paths.get_installed_path('bare_module') == str(tmp_path / 'bare_module')
    assert package_paths.is_installed('two-names')
    assert package_paths.is_installed('bare_module')


def test_what_has_no_path_is_refused(tmp_path, monkeypatch):
    (tmp_path / 'a_namespace').mkdir()
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(RuntimeError, match='namespace'):
        package_paths.get_installed_path('a_namespace')
    with pytest.raises(ImportError, match='no_such_package'):
        package_paths.get_installed_path('no_such_package')
