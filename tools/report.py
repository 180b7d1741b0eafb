"""Report of a training: swin_mmdet/commands/report.py."""

from swin_mmdet.commands.report import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
