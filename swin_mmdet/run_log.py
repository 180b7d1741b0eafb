"""Lines of this package reach the log of mmengine's runner: its file and its console, of the first process."""

import logging

from mmengine.logging import MMLogger

from swin_mmdet.ops.log import ONE_PLACE


def run_log() -> MMLogger | None:
    """The newest log that writes a file, as the log of every runner does; not one that a single print has made."""
    # get_current_instance() would make one
    logs = MMLogger._instance_dict.values()
    return next((log for log in reversed(logs) if log.log_file is not None), None)


ONE_PLACE.run_log = run_log


class EarlyLines(logging.Handler):
    """Keeps what a tool says before there is a runner, for the file of its log."""

    def __init__(self) -> None:
        super().__init__(logging.INFO)
        self.records: list[logging.LogRecord] = []

    def emit(self, record: logging.LogRecord) -> None:
        self.records.append(record)

    def keep(self, text: str) -> None:
        """A line that was printed."""
        level = logging.INFO
        self.handle(logging.makeLogRecord(dict(name='swin_mmdet', levelno=level, levelname='INFO', msg=text)))

    def hand_over(self, log: MMLogger) -> None:
        """Write the lines into the files of a log, where the console has had them already."""
        for handler in log.handlers:
            if isinstance(handler, logging.FileHandler):
                for record in self.records:
                    handler.handle(record)
        self.records.clear()


EARLY_LINES = EarlyLines()


# loggers of libraries whose warnings are for their developers
FOR_DEVELOPERS = ('torch.utils._pytree',)


def keep_library_warnings() -> None:
    """What libraries say to their developers at their import goes to the file of the log, not to the console."""
    for name in FOR_DEVELOPERS:
        logger = logging.getLogger(name)
        if EARLY_LINES not in logger.handlers:
            logger.addHandler(EARLY_LINES)
            logger.propagate = False
