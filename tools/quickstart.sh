#!/usr/bin/env bash
# From a fresh checkout to a trained detector: set up, make data, train, evaluate, draw. Minutes on two CPU cores.
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: tools/quickstart.sh [--data FOLDER] [--work-dir DIR] [--smoke] [--epochs N] [...] [--cfg-options KEY=VALUE ...]

Trains a small Swin Mask R-CNN on drawn shapes, evaluates it, draws its predictions and ends with a table of its AP.
A GPU is used where there is one.

  --data FOLDER      a data set of your own instead of the shapes, of COCO, YOLO or any layout that train.py reads
  --split SHARE      with --data that has no images for validation: train on this share of them, such as 0.8
  --work-dir DIR     where everything is written (default: work_dirs/quickstart)
  --smoke            a few iterations only, to see that every step runs
  --epochs N         or --iters, --batch-size, --lr, --img-scale, --workers, --seed: as for train.py, for the training
  --cfg-options ...  settings for the training, such as train_cfg.max_iters=3000; must come last

The environment is made by tools/setup_env.sh: see there for SWIN_MMDET_VENV, PYTHON and STACK.
TEXT
}

root="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
data='' work_dir="$root/work_dirs/quickstart" smoke='' options=() everyday=()
while [ $# -gt 0 ]; do
    case "$1" in
        --data | --work-dir)
            [ $# -gt 1 ] || { echo "$1 needs a folder" >&2; usage >&2; exit 2; }
            if [ "$1" = --data ]; then data="$2"; else work_dir="$2"; fi
            shift 2
            ;;
        --split | --epochs | --iters | --batch-size | --lr | --img-scale | --workers | --seed)
            [ $# -gt 1 ] || { echo "$1 needs a value" >&2; usage >&2; exit 2; }
            everyday+=("$1" "$2")
            shift 2
            ;;
        --smoke) smoke=yes; shift ;;
        --cfg-options) shift; options=("$@"); break ;;
        -h | --help) usage; exit 0 ;;
        *) echo "unknown argument: $1" >&2; usage >&2; exit 2 ;;
    esac
done

step() { printf '\n== %s\n' "$*"; }
fail() {
    printf '\nquickstart failed at: %s\n  the reason is in the lines above; everything so far is in %s\n' "$1" "$work_dir" >&2
    exit 1
}

if [ -n "$data" ] && [ ! -d "$data" ]; then
    echo "error: --data $data is no folder" >&2
    exit 2
fi

. "$root/tools/setup_env.sh"
mkdir -p "$work_dir"
work_dir="$(cd "$work_dir" && pwd)"
config="$root/configs/quickstart/mask-rcnn_swin-micro_shapes.py"
goal='--goal segm_mAP_50=0.6'
if [ -n "$data" ]; then
    data="$(cd "$data" && pwd)"
    goal=''
else
    data="$work_dir/shapes"
fi
if [ -n "$smoke" ]; then
    goal=''
    options=(train_cfg.max_iters=4 train_cfg.val_interval=1000 default_hooks.checkpoint.interval=4
        train_dataloader.batch_size=2 "${options[@]+"${options[@]}"}")
    data_size=(--train 12 --val 4)
else
    data_size=(--train 1000 --val 60)
fi

# waiting threads that spin would starve each other wherever something else runs on the same cores
export OMP_WAIT_POLICY="${OMP_WAIT_POLICY:-PASSIVE}"

step '1/3 data'
if [ "$data" = "$work_dir/shapes" ]; then
    python "$root/tools/make_shapes_dataset.py" "$data" "${data_size[@]}" || fail 'making the shapes'
else
    echo "using $data"
fi

step '2/3 training, and evaluation at its end'
rm -f "$work_dir/train/last_checkpoint"
python "$root/tools/train.py" "$config" --data "$data" --work-dir "$work_dir/train" --overwrite \
    ${everyday[@]+"${everyday[@]}"} \
    ${options[@]+--cfg-options "${options[@]}"} || fail 'training'
trained="$work_dir/train/$(basename "$config")"
checkpoint="$(cat "$work_dir/train/last_checkpoint")"

step '3/3 drawing predictions on validation images'
images="$(python -c 'import sys; from mmengine import Config
print(Config.fromfile(sys.argv[1]).val_dataloader.dataset.data_prefix.img)' "$trained" 2>/dev/null)"
python "$root/tools/predict.py" "$trained" "$checkpoint" "$images" --out-dir "$work_dir/predictions" --limit 20 --score-thr 0.5 ||
    fail 'drawing'

step 'result'
# shellcheck disable=SC2086
python "$root/tools/show_results.py" "$work_dir/train" $goal
echo "pictures:   $work_dir/predictions/vis"
echo "report:     $work_dir/train/report.html"
echo "checkpoint: $checkpoint"
echo "config:     $trained"
