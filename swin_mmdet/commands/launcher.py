"""What the launcher of several processes says in its environment variables: which of them this is, and how many."""

import os

LAUNCHERS = ('none', 'pytorch', 'slurm', 'mpi')
RANKS = ('RANK', 'SLURM_PROCID', 'OMPI_COMM_WORLD_RANK')
# the last is of dist_train.sh: torchrun does not count the starts after a machine has come
RESTARTS = ('TORCHELASTIC_RESTART_COUNT', 'SLURM_RESTART_COUNT', 'ELASTIC_NODES')
SIZES = {'pytorch': 'WORLD_SIZE', 'slurm': 'SLURM_NTASKS', 'mpi': 'OMPI_COMM_WORLD_SIZE'}


def is_main_process() -> bool:
    """Whether this is the first of the processes that a launcher started."""
    return all(os.environ.get(name, '0') == '0' for name in RANKS)


def world_size(launcher: str) -> int:
    """How many processes this launcher started."""
    return int(os.environ.get(SIZES.get(launcher, ''), 1))


def restarted() -> bool:
    """Whether torchrun or Slurm has started the same command again, or may have: it goes on where it can."""
    return any(int(os.environ.get(name, 0)) > 0 for name in RESTARTS)


def local_rank() -> int:
    """Which of the processes of its machine this is."""
    return int(os.environ.get('LOCAL_RANK', 0))


def set_local_rank(number: int) -> None:
    """Where torchrun has not said it: mmengine reads the variable, the older torch.distributed.launch passes a word."""
    os.environ.setdefault('LOCAL_RANK', str(number))
