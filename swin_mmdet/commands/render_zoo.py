"""Write configs/*/README.md and metafile.yml from the configs, published.csv, folders.csv and what was counted here.

    python tools/render_zoo.py [--check]

`--check` changes nothing and fails where a file does not say what they say. Either fails for a config without a line
in published.csv, a line without a config, and a folder without a line in folders.csv.
"""

import argparse

from swin_mmdet.commands.arguments import ArgumentParser


def main(argv: list[str] | None = None) -> None:
    parser = ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument('--check', action='store_true', help='change nothing, fail when a file is not up to date')
    args = parser.parse_args(argv)

    from swin_mmdet.errors import UserError
    from swin_mmdet.maintenance.checkout import checkout
    from swin_mmdet.maintenance.zoo import render

    texts = render(checkout('configs/published.csv').joinpath('configs'))
    old = [path for path, text in texts.items() if not path.exists() or path.read_text() != text]
    if args.check and old:
        raise UserError(f'not up to date, run tools/render_zoo.py: {", ".join(map(str, old))}')
    for path in old:
        path.write_text(texts[path])
        print(f'wrote {path}')
