"""What a checkpoint of mmengine holds, gathered from its runner and copied to the host while training goes on."""

import copy
import time

import mmengine
import torch
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner
from torch import Tensor


def training_state(runner: Runner, config: str, meta: dict, optimizer: bool, schedulers: bool) -> dict:
    """The checkpoint of `Runner.save_checkpoint`, of the same keys, with tensors that are still those of the training.

    Args:
        config: the text of the runner's, which takes seconds to format.
        meta: its 'epoch' and 'iter' at least.
        optimizer: whether to have the state of the optimizer.
        schedulers: whether to have that of the learning rate's.
    """
    model = runner.model.module if is_model_wrapper(runner.model) else runner.model
    meta = dict(
        meta,
        cfg=config,
        seed=runner.seed,
        experiment_name=runner.experiment_name,
        time=time.strftime('%Y%m%d_%H%M%S'),
        mmengine_version=mmengine.__version__,
    )
    if hasattr(runner.train_dataloader.dataset, 'metainfo'):
        meta['dataset_meta'] = runner.train_dataloader.dataset.metainfo
    state = dict(meta=meta, state_dict=model.state_dict(), message_hub=runner.message_hub.state_dict())
    if optimizer:
        state['optimizer'] = runner.optim_wrapper.state_dict()
    if schedulers and runner.param_schedulers is not None:
        state['param_schedulers'] = _states(runner.param_schedulers)
    runner.call_hook('before_save_checkpoint', checkpoint=state)
    return state


def on_host(state: object, copied: dict | None = None) -> object:
    """A copy that later steps of the training do not change, of the same structure, its tensors on the CPU.

    Those of a GPU are copied to pinned memory, all of them in one wait.
    """
    if copied is None:
        copied = {}
        state = on_host(state, copied)
        if torch.cuda.is_initialized():
            torch.cuda.current_stream().synchronize()
        return state
    if isinstance(state, Tensor):
        # weights that two modules share stay one in the file
        key = state.data_ptr(), state.storage_offset(), state.shape, state.stride(), state.dtype
        if key not in copied or not state.numel():
            copied[key] = _copy(state.detach())
        return copied[key]
    if isinstance(state, dict):
        items = {key: on_host(value, copied) for key, value in state.items()}
        if type(state) is dict:
            return items
        # an OrderedDict with the versions of its modules, as `load_state_dict` reads them
        same = copy.copy(state)
        same.update(items)
        return same
    if isinstance(state, list):
        return [on_host(value, copied) for value in state]
    if type(state) is tuple:
        return tuple(on_host(value, copied) for value in state)
    return state


def _copy(tensor: Tensor) -> Tensor:
    if not tensor.is_cuda:
        return tensor.cpu() if tensor.device.type != 'cpu' else tensor.clone()
    return torch.empty_like(tensor, device='cpu', pin_memory=True).copy_(tensor, non_blocking=True)


def _states(schedulers: dict | list) -> dict | list:
    if isinstance(schedulers, dict):
        return {name: _states(some) for name, some in schedulers.items()}
    return [one.state_dict() for one in schedulers]
