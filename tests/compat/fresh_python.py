"""A fresh interpreter in which some packages are not installed."""

import subprocess
import sys
import textwrap
from pathlib import Path


def run(code: str, missing: tuple[str, ...] = (), first: tuple[Path, ...] = (), cwd: Path | None = None) -> str:
    """All output of code that does not find the packages `missing`, must not fail, and looks into `first` first."""
    setup = f"""
        import importlib.machinery, sys
        sys.path[:0] = {[str(path) for path in first]!r}
        find_spec = importlib.machinery.PathFinder.find_spec
        importlib.machinery.PathFinder.find_spec = (
            lambda name, *rest: None if name in {missing!r} else find_spec(name, *rest)
        )
    """
    text = textwrap.dedent(setup) + textwrap.dedent(code)
    result = subprocess.run([sys.executable, '-c', text], capture_output=True, text=True, cwd=cwd)
    assert result.returncode == 0, result.stderr
    # what PyTorch logs of an installed torchao, which transformers imports
    lines = (result.stdout + result.stderr).splitlines(keepends=True)
    return ''.join(line for line in lines if 'torch/utils/_pytree.py' not in line)
