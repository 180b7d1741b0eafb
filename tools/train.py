"""Train a detector: swin_mmdet/commands/train.py."""

from swin_mmdet.commands.run import run_cli
from swin_mmdet.commands.train import main

if __name__ == '__main__':
    run_cli(main)
