"""Write labelled images of any layout as a COCO folder: swin_mmdet/commands/convert_dataset.py."""

from swin_mmdet.commands.convert_dataset import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
