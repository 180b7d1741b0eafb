"""Write the pages of the API and of how to add to it, as HTML: what rooms export, and tools/docs/*.md.

    python tools/build_docs.py [FOLDER]

Needs pdoc (`pip install 'swin_mmdet[test]'`). Open FOLDER/index.html; nothing has to be served.
"""

import argparse
import importlib
import pkgutil
from pathlib import Path
from types import ModuleType

import pdoc
import pdoc.doc
import pdoc.render

import swin_mmdet
from swin_mmdet.commands.arguments import ArgumentParser
from swin_mmdet.commands.run import run_cli

DOCS = Path(__file__).resolve().parent / 'docs'
# beside the rooms: what users name in their own code
FILES = 'swin_mmdet.errors', 'swin_mmdet.variants'


def rooms() -> list[str]:
    """The modules with a public face: the packages that have an `__all__` with names in it, and `FILES`."""
    packages = pkgutil.walk_packages(swin_mmdet.__path__, 'swin_mmdet.')
    found = [one.name for one in packages if one.ispkg and getattr(importlib.import_module(one.name), '__all__', ())]
    return sorted([*found, *FILES])


def guide(path: Path) -> ModuleType:
    """A page of Markdown as pdoc takes it: the docstring of a module."""
    return ModuleType(path.stem, path.read_text())


def build(folder: Path) -> list[Path]:
    """Write every page, the index and the index of the search into `folder`; what was written."""
    pdoc.render.configure(
        docformat='google',
        show_source=False,
        footer_text=f'swin_mmdet {swin_mmdet.__version__}',
        template_directory=DOCS / 'templates',
    )
    modules = [guide(path) for path in sorted(DOCS.glob('*.md'))] + [importlib.import_module(name) for name in rooms()]
    pages = {module.__name__: pdoc.doc.Module(module) for module in modules}
    texts = {f'{name.replace(".", "/")}.html': pdoc.render.html_module(page, pages) for name, page in pages.items()}
    texts |= {'index.html': pdoc.render.html_index(pages), 'search.js': pdoc.render.search_index(pages)}
    for name, text in texts.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)
    return [folder / name for name in texts]


def main(argv: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', nargs='?', type=Path, default=Path('build/docs'), help='default: %(default)s')
    args = parser.parse_args(argv)
    pages = build(args.folder)
    print(f'{len(pages)} files; open {args.folder / "index.html"}')


if __name__ == '__main__':
    run_cli(main)
