"""What an exported file is to be."""

from dataclasses import dataclass

from swin_mmdet.errors import UserError
from swin_mmdet.export.program import DIVISOR, LEAST

# the longest side, where sizes are free
MOST = 2048


@dataclass(frozen=True)
class ExportOptions:
    """Of `export_detector`.

    Args:
        to: the kind of file, a name of `swin_mmdet.export.targets.TARGETS`.
        size: height and width that every image is padded to, or None for free ones.
        max_detections: instead of the config's number.
        score_thr: instead of the config's threshold.
        most: the longest side of images, where sizes are free.
    """

    to: str = 'onnx'
    size: tuple[int, int] | None = None
    max_detections: int | None = None
    score_thr: float | None = None
    most: int = MOST

    def __post_init__(self) -> None:
        for side in self.size or ():
            if side < LEAST or side % DIVISOR:
                raise UserError(f'--size {side}: sides of images are multiples of {DIVISOR}, from {LEAST} on')
        if self.max_detections is not None and self.max_detections < 1:
            raise UserError(f'--max-detections {self.max_detections}: there must be at least 1')
        if self.score_thr is not None and not 0 <= self.score_thr < 1:
            raise UserError(f'--score-thr {self.score_thr}: scores are from 0 to 1')

    def free(self, least: int) -> dict | None:
        """What sides a program with free sizes takes that takes none below `least`, as its metadata says it."""
        return None if self.size else {'divisor': DIVISOR, 'least': least, 'most': self.most}
