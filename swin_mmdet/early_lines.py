"""What is said before a run has a log, kept for its file; it needs Python alone, for it is there before any import."""

import logging


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

    def hand_over(self, log: logging.Logger) -> None:
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
    """What libraries say to their developers at their import goes to the file of the log, not to the console.

    Called before they are imported: what mmengine imports of transformers warns at once.
    """
    for name in FOR_DEVELOPERS:
        logger = logging.getLogger(name)
        if EARLY_LINES not in logger.handlers:
            logger.addHandler(EARLY_LINES)
            logger.propagate = False
