"""Draw a small data set: swin_mmdet/commands/make_shapes_dataset.py."""

from swin_mmdet.commands.make_shapes_dataset import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
