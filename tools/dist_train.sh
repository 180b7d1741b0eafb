#!/usr/bin/env bash
# Train on several GPUs, or on several processes of a CPU: tools/dist_train.sh CONFIG GPUS [ARGUMENTS OF train.py]
# Several machines: the same command on each, with NNODES, NODE_RANK, MASTER_ADDR and PORT set.
# MAX_RESTARTS (0): so many times processes that fail are started again and go on from the last checkpoint; with
# NNODES=MIN:MAX also when a machine leaves or comes.
set -euo pipefail
if [ $# -lt 2 ]; then
    echo "usage: $0 CONFIG GPUS [ARGUMENTS OF train.py]" >&2
    exit 2
fi
config="$1" gpus="$2"
shift 2
address="${MASTER_ADDR:-127.0.0.1}" port="${PORT:-29500}"
if [[ "${NNODES:-1}" == *:* || "${MAX_RESTARTS:-0}" != 0 ]]; then
    # processes that start again would look in the shared store for those before them: a store for each attempt
    export TORCH_DISABLE_SHARE_RDZV_TCP_STORE=1
    if [[ "${NNODES:-1}" == *:* ]]; then
        # any start may be one after a machine has left or come
        export ELASTIC_NODES=1
    fi
    meeting=(--rdzv-backend=c10d --rdzv-endpoint="$address:$port" --rdzv-id="$(basename "$config")")
else
    meeting=(--node_rank="${NODE_RANK:-0}" --master_addr="$address" --master_port="$port")
fi
# torchrun would end with an error: a signal goes to the processes alone, which save and end in order
setsid python -m torch.distributed.run \
    --nnodes="${NNODES:-1}" "${meeting[@]}" --max-restarts="${MAX_RESTARTS:-0}" --nproc_per_node="$gpus" \
    "$(dirname "${BASH_SOURCE[0]}")/train.py" "$config" --launcher pytorch "$@" &
torchrun=$!
pass_on() {
    told=1
    pkill "-$1" -P "$torchrun" || kill "-$1" "$torchrun"
}
for name in TERM INT USR1; do
    trap "pass_on $name" "$name"
done
# a terminal that is closed
trap 'pass_on TERM' HUP
# a signal ends the waiting, not what is waited for
told=1
while [ -n "$told" ]; do
    told='' code=0
    wait "$torchrun" || code=$?
done
exit "$code"
