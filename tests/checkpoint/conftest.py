"""Fixtures of the checkpoint tests."""

import pytest
import torch


@pytest.fixture
def bare_pytorch():
    """PyTorch's list of safe names as in a process where nobody has added any."""
    saved = torch.serialization.get_safe_globals()
    torch.serialization.clear_safe_globals()
    yield
    torch.serialization.clear_safe_globals()
    torch.serialization.add_safe_globals(saved)
