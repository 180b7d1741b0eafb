"""Detect objects in images: swin_mmdet/commands/predict.py."""

from swin_mmdet.commands.predict import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
