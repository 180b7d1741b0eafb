"""The pages of the API and of how to add to it, as HTML: what rooms export, and tools/docs/*.md."""

import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pdoc
import pdoc.doc
import pdoc.render

import swin_mmdet
from swin_mmdet.maintenance.checkout import checkout

# beside the rooms: what users name in their own code
FILES = 'swin_mmdet.errors', 'swin_mmdet.variants'


def rooms() -> list[str]:
    """The modules with a public face: the packages that have an `__all__` with names in it, and `FILES`."""
    packages = pkgutil.walk_packages(swin_mmdet.__path__, 'swin_mmdet.')
    found = [one.name for one in packages if one.ispkg and hasattr(importlib.import_module(one.name), '__all__')]
    return sorted([*found, *FILES])


def guides() -> Path:
    """The folder of pages on how to add to the project."""
    return checkout('tools/docs') / 'tools/docs'


def guide(path: Path) -> ModuleType:
    """A page of Markdown as pdoc takes it: the docstring of a module."""
    return ModuleType(path.stem, path.read_text())


def build(folder: Path) -> list[Path]:
    """Write every page, the index and the index of the search into `folder`; what was written."""
    pdoc.render.configure(
        docformat='google',
        show_source=False,
        footer_text=f'swin_mmdet {swin_mmdet.__version__}',
        template_directory=guides() / 'templates',
    )
    own = [guide(path) for path in sorted(guides().glob('*.md'))]
    modules = [*own, *(importlib.import_module(name) for name in rooms())]
    pages = {module.__name__: pdoc.doc.Module(module) for module in modules}
    texts = {f'{name.replace(".", "/")}.html': pdoc.render.html_module(page, pages) for name, page in pages.items()}
    texts |= {'index.html': pdoc.render.html_index(pages), 'search.js': pdoc.render.search_index(pages)}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / name for name in texts]
