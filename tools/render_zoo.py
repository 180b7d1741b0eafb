"""Pages of the configs: swin_mmdet/commands/render_zoo.py."""

from swin_mmdet.commands.render_zoo import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
