#!/usr/bin/env bash
# Lint and tests, in the environment of setup_env.sh: tools/run_tests.sh [ARGUMENTS OF PYTEST]
set -euo pipefail
root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
. "$root/tools/setup_env.sh"
cd "$root"
python -m ruff check .
python -m pytest "$@"
