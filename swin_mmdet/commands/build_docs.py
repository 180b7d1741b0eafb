"""Write the pages of the API and of how to add to it, as HTML: what rooms export, and tools/docs/*.md.

    python tools/build_docs.py [FOLDER]

Needs pdoc (`pip install 'swin_mmdet[test]'`). Open FOLDER/index.html; nothing has to be served.
"""

import argparse
from pathlib import Path

from swin_mmdet.commands.arguments import ArgumentParser


def main(argv: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('folder', nargs='?', type=Path, default=Path('build/docs'), help='default: %(default)s')
    args = parser.parse_args(argv)

    from swin_mmdet.maintenance.api_pages import build

    pages = build(args.folder)
    print(f'{len(pages)} files; open {args.folder / "index.html"}')
