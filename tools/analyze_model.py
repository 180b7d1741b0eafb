"""What a detector costs: swin_mmdet/commands/analyze_model.py."""

from swin_mmdet.commands.analyze_model import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
