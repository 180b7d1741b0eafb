"""Pages of the API: swin_mmdet/commands/build_docs.py."""

from swin_mmdet.commands.build_docs import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
