"""mmengine finds `mmdet::...` configs through pkg_resources: "No module named 'pkg_resources'".

Since when: setuptools 82 no longer ships pkg_resources; the older ones do not find a package that was installed with
`pip install -e`. Can go: when mmengine uses importlib.metadata, as onedl-mmengine does. A stand-in module would show
other libraries a pkg_resources that lacks what they ask for, so the three functions of mmengine are replaced instead.
"""

from types import ModuleType

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmengine's functions."""
    on_import.after('mmengine.utils.package_utils', replace)


def replace(package_utils: ModuleType) -> None:
    """Give those that ask pkg_resources new bodies."""
    for replacement in (is_installed, get_installed_path, package2module):
        original = getattr(package_utils, replacement.__name__, None)
        if original is not None and 'pkg_resources' in original.__code__.co_names:
            # Other modules hold the function by name, so the function itself has to change.
            original.__code__ = replacement.__code__


# A body that moves into another module finds no globals of this one: each function imports what it uses.


def is_installed(package: str) -> bool:
    """Whether a distribution, or a module that is not a namespace package, has this name."""
    from importlib.metadata import PackageNotFoundError, distribution
    from importlib.util import find_spec

    try:
        distribution(package)
    except PackageNotFoundError:
        spec = find_spec(package)
        return spec is not None and spec.origin is not None
    return True


def get_installed_path(package: str) -> str:
    """The folder of the module with this name, or of the first module of the distribution with this name."""
    from importlib.metadata import PackageNotFoundError, distribution
    from importlib.util import find_spec
    from pathlib import Path

    try:
        location = str(distribution(package).locate_file(''))
    except PackageNotFoundError:
        module = package
    else:
        module = package if Path(location, package).exists() else package2module(package)
        if Path(location, module).exists():
            return str(Path(location, module))
    spec = find_spec(module)
    if spec is None:
        raise PackageNotFoundError(package)
    if spec.origin is None:
        raise RuntimeError(f'{package} is a namespace package: it has no one path')
    return str(Path(spec.origin).parent)


def package2module(package: str) -> str:
    """The first module that a distribution installs, such as mmcv for mmcv-lite."""
    from importlib.metadata import distribution

    modules = (distribution(package).read_text('top_level.txt') or '').split()
    if not modules:
        raise ValueError(f'the distribution {package} does not say which module it installs')
    return modules[0]
