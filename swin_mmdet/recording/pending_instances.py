"""Detections that a GPU may still be working on, fetched when somebody looks at them."""

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from typing import Any

from mmengine.structures import InstanceData


class PendingBatch:
    """The detections of a batch of images.

    Args:
        fetch: waits for the GPU and returns the instances of each image; called once.
        lock: held meanwhile.
    """

    def __init__(self, fetch: Callable[[], Sequence[InstanceData]], lock: AbstractContextManager) -> None:
        self._fetch: Callable[[], Sequence[InstanceData]] | None = fetch
        self._lock = lock
        self._found: Sequence[InstanceData] = ()

    def found(self) -> Sequence[InstanceData]:
        """The instances of each image, as long as somebody may ask for them."""
        with self._lock:
            if self._fetch is not None:
                self._found = self._fetch()
                # which holds the images
                self._fetch = None
            return self._found

    def fill(self, own: dict[str, Any], index: int) -> None:
        """Attributes of what is pending become those of the instances of its image, once whoever asks."""
        with self._lock:
            found = self.found()[index]
            if '_pending' in own:
                own.update(vars(found))
                del own['_pending']

    def instances(self, images: int) -> list['PendingInstances']:
        """Of each of so many images."""
        return [PendingInstances(self, index) for index in range(images)]


class PendingInstances(InstanceData):
    """Instances of one image of a batch, which are mmengine's `InstanceData` as soon as anything is asked of them."""

    def __init__(self, batch: PendingBatch, index: int) -> None:
        object.__getattribute__(self, '__dict__').update(_pending=(batch, index))

    def __delattr__(self, name: str) -> None:
        self.keys()
        delattr(self, name)

    def __getattribute__(self, name: str) -> Any:
        if name != '__class__':
            own = object.__getattribute__(self, '__dict__')
            pending = own.get('_pending')
            if pending is not None:
                batch, index = pending
                batch.fill(own, index)
                object.__setattr__(self, '__class__', InstanceData)
        return object.__getattribute__(self, name)
