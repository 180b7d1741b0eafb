"""Lines for the user before there is a log."""

from swin_mmdet.commands.launcher import is_main_process


def say(*lines: str) -> None:
    """Print them once for all processes; the log of the run will have them too."""
    if lines and is_main_process():
        from swin_mmdet.early_lines import EARLY_LINES

        for text in lines:
            print(text, flush=True)
            EARLY_LINES.keep(text)
