"""How much memory a forward pass keeps for its backward pass."""

from collections import Counter

from torch import Tensor, nn
from torch.autograd.graph import saved_tensors_hooks
from torch.multiprocessing.reductions import StorageWeakRef

from swin_mmdet.analysis.parts import PartTracker


class SavedTensors(saved_tensors_hooks):
    """Inside it tensors that autograd would keep are dropped, and their bytes counted for the part at work.

    A storage counts once, for the first part that keeps it; parameters do not count. There can be no backward pass.
    """

    def __init__(self, tracker: PartTracker, model: nn.Module) -> None:
        super().__init__(self._drop, lambda _: None)
        self.tracker = tracker
        self.bytes: Counter[str] = Counter()
        # weak references keep the address of a storage from being given to another one
        self._seen = {_storage(x) for x in (*model.parameters(), *model.buffers())}

    def _drop(self, tensor: Tensor) -> None:
        storage = _storage(tensor)
        if storage not in self._seen:
            self._seen.add(storage)
            self.bytes[self.tracker.current] += tensor.untyped_storage().nbytes()


def _storage(tensor: Tensor) -> StorageWeakRef:
    return StorageWeakRef(tensor.untyped_storage())
