"""Check COCO-format data: swin_mmdet/commands/check_dataset.py."""

from swin_mmdet.commands.check_dataset import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
