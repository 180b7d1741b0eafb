"""Say what is wrong with the environment: swin_mmdet/commands/doctor.py."""

from swin_mmdet.commands.doctor import main
from swin_mmdet.commands.run import run_cli

if __name__ == '__main__':
    run_cli(main)
