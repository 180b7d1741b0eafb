"""Lines of this package reach the log of mmengine's runner: its file and its console, of the first process."""

from mmengine.logging import MMLogger

from swin_mmdet.ops.log import ONE_PLACE


def run_log() -> MMLogger | None:
    """The newest log that writes a file, as the log of every runner does; not one that a single print has made."""
    # get_current_instance() would make one
    logs = MMLogger._instance_dict.values()
    return next((log for log in reversed(logs) if log.log_file is not None), None)


ONE_PLACE.run_log = run_log
