#!/usr/bin/env bash
# Lint, types and tests, in the environment of setup_env.sh, in two processes: tools/run_tests.sh [ARGUMENTS OF PYTEST]
# In one: -n 0.
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$root/tools/setup_env.sh"
cd "$root"
python -m ruff check .
python -m mypy
# tensors of tests are small: threads would only wait for each other
OMP_NUM_THREADS="${OMP_NUM_THREADS:-1}" python -m pytest -n 2 --dist loadfile "$@"
