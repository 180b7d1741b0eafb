"""Export a detector: swin_mmdet/commands/export.py."""

from swin_mmdet.commands.export import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
