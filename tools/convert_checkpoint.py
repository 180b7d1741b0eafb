"""Look into a checkpoint, or rewrite it: swin_mmdet/commands/convert_checkpoint.py."""

from swin_mmdet.commands.convert_checkpoint import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
