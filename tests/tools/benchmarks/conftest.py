"""The benchmarks' modules, which are scripts in one folder and import each other by name."""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / 'tools/benchmarks'))
