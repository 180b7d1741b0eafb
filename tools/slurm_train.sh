#!/usr/bin/env bash
# Train on a Slurm cluster: tools/slurm_train.sh PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py]
# GPUS (8), GPUS_PER_NODE (8) and CPUS_PER_TASK (5) set the size, SRUN_ARGS holds further words for srun (--time=...).
# STOP_BEFORE (120) seconds before the time limit training is told, saves, and is queued again to go on from there.
set -euo pipefail
if [ $# -lt 4 ]; then
    echo "usage: $0 PARTITION JOB_NAME CONFIG WORK_DIR [ARGUMENTS OF train.py]" >&2
    exit 2
fi
partition="$1" job_name="$2" config="$3" work_dir="$4"
shift 4
gpus="${GPUS:-8}"
per_node="${GPUS_PER_NODE:-$((gpus < 8 ? gpus : 8))}"
read -r -a srun_args <<<"${SRUN_ARGS:-}"
stopped=138 # 128 and the number of SIGUSR1
while true; do
    code=0
    srun --partition="$partition" --job-name="$job_name" \
        --gres="gpu:$per_node" --ntasks="$gpus" --ntasks-per-node="$per_node" \
        --cpus-per-task="${CPUS_PER_TASK:-5}" --kill-on-bad-exit=1 --signal="USR1@${STOP_BEFORE:-120}" \
        ${srun_args[@]+"${srun_args[@]}"} \
        python -u "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --work-dir "$work_dir" --launcher slurm \
        --exit-with-signal "$@" || code=$?
    if [ "$code" -ne "$stopped" ]; then exit "$code"; fi
    echo 'saved before the time limit; queued again to go on from there'
    # inside of a batch job its limit is over, too: Slurm starts the whole script again
    if [ -n "${SLURM_JOB_ID:-}" ]; then exec scontrol requeue "$SLURM_JOB_ID"; fi
    set -- "$@" --resume
done
