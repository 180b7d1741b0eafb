"""What an operation chose and why, in the log, without a line for every call."""

import logging

import torch

_LOGGED: set[str] = set()


def log_once(message: str) -> None:
    """To the logger of this package, each message once."""
    # torch.compile cannot trace logging
    if not torch.compiler.is_compiling() and message not in _LOGGED:
        _LOGGED.add(message)
        logging.getLogger('swin_mmdet').info(message)
