#!/usr/bin/env bash
# Makes the Python environment of this checkout once, and activates it. Sourced by quickstart.sh and run_tests.sh.
#
#   SWIN_MMDET_VENV  the environment to use or make (default: .venv in the checkout)
#   PYTHON           the interpreter to make it with (default: python3)
#   STACK            mmdet (default), or onedl for the maintained forks onedl-mmdetection, onedl-mmcv, onedl-mmengine
set -euo pipefail

setup_root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
setup_venv="${SWIN_MMDET_VENV:-$setup_root/.venv}"
setup_stack="${STACK:-mmdet}"

setup_say() { printf '== %s\n' "$*"; }

setup_fail() {
    printf 'setup failed at: %s\n  what to do: %s\n' "$1" "$2" >&2
    exit 2
}

setup_make_venv() {
    local python="${PYTHON:-python3}"
    command -v "$python" >/dev/null ||
        setup_fail "finding Python ('$python')" 'install Python 3.10 or newer, or name one: PYTHON=/path/to/python3.12'
    "$python" -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
        setup_fail "checking $("$python" --version 2>&1)" 'Python 3.10 or newer is needed; name one: PYTHON=python3.12'
    setup_say "1/3 making the environment $setup_venv with $("$python" --version)"
    "$python" -m venv "$setup_venv" ||
        setup_fail "making $setup_venv" "install Python's venv module (Debian, Ubuntu: apt-get install python3-venv)"
}

setup_install() {
    local extras='all'
    [ "$setup_stack" = onedl ] && extras='onedl,eval,test'
    local retry='check the network and the disk (some 6 GB), then call again: what is there is kept'
    setup_say '2/3 installing PyTorch and torchvision (large; only once)'
    python -m pip install --upgrade pip || setup_fail 'upgrading pip' "$retry"
    python -m pip install 'torch>=2.6' 'torchvision>=0.21' || setup_fail 'installing PyTorch' "$retry"
    setup_say "3/3 installing swin_mmdet[$extras]"
    # pip builds in an environment without torch, where onedl-mmcv leaves its C++ out: swin_mmdet brings the ops
    env -u PIP_NO_BUILD_ISOLATION MMCV_WITH_OPS=0 python -m pip install -e "$setup_root[$extras]" ||
        setup_fail "installing swin_mmdet[$extras]" "$retry"
    python -c 'import swin_mmdet.compat, mmdet' ||
        setup_fail 'importing mmdet' "remove $setup_venv and call again; the packages above do not fit together"
}

case "$setup_stack" in
    mmdet | onedl) ;;
    *) setup_fail "reading STACK=$setup_stack" 'STACK is mmdet or onedl' ;;
esac
[ -x "$setup_venv/bin/python" ] || setup_make_venv
# shellcheck disable=SC1091
. "$setup_venv/bin/activate"
python -c 'import sys; sys.exit(sys.version_info < (3, 10))' ||
    setup_fail "checking $(python --version 2>&1) of $setup_venv" 'Python 3.10 or newer is needed: choose another environment'

# what was installed from which checkout: another setup.py, Python or stack installs again
setup_stamp="$setup_venv/.swin_mmdet-$({
    cat "$setup_root/setup.py"
    python --version
    echo "$setup_stack $setup_root"
} | python -c 'import hashlib, sys; print(hashlib.sha256(sys.stdin.buffer.read()).hexdigest()[:16])')"
if [ ! -f "$setup_stamp" ]; then
    setup_install
    rm -f "$setup_venv"/.swin_mmdet-*
    touch "$setup_stamp"
fi
setup_say "environment ready: $setup_venv ($setup_stack)"
