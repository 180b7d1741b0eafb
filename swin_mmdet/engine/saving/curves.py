"""Curves that cannot be written, as on a full disk, cost a training nothing but themselves."""

from mmengine.logging import MMLogger
from mmengine.visualization import Visualizer


def keep_training(visualizer: Visualizer) -> None:
    """Tell the first failure of a visualizer to write numbers, in place, where mmengine's would end the run."""
    real, told = visualizer.add_scalars, []

    def add_scalars(*args: object, **options: object) -> None:
        try:
            real(*args, **options)
        except OSError as error:
            if not told:
                log = MMLogger.get_current_instance()
                log.error(f'the curves could not be written ({error}); training goes on, and tries again at each step')
            told.append(error)

    visualizer.add_scalars = add_scalars
