"""Print the AP of the last evaluation: swin_mmdet/commands/show_results.py."""

from swin_mmdet.commands.run import run_cli
from swin_mmdet.commands.show_results import main

if __name__ == '__main__':
    run_cli(main)
