"""Evaluate a checkpoint: swin_mmdet/commands/test.py."""

from swin_mmdet.commands.run import run_cli
from swin_mmdet.commands.test import main

if __name__ == '__main__':
    run_cli(main)
