"""What an exported file is to be."""

from dataclasses import dataclass

from swin_mmdet.errors import UserError
from swin_mmdet.export.program import DIVISOR, LEAST

# the longest side, where sizes are free
MOST = 2048
# whose a program of PyTorch is
DEVICES = 'cpu', 'cuda'
# between the shortest and the longest, for the sizes of the proof
ROOM = 6 * DIVISOR


@dataclass(frozen=True)
class ExportOptions:
    """Of `export_detector`.

    Args:
        to: the kind of file, a name of `swin_mmdet.export.targets.TARGETS`.
        size: height and width that every image is padded to, or None for free ones.
        max_detections: instead of the config's number.
        score_thr: instead of the config's threshold.
        most: the longest side of images, where sizes are free.
        fp16: backbone and neck in half precision; heads, which decide boxes, stay in float32.
        paste_masks: masks of the size of the image in place of those inside boxes.
        int8: a folder of images from which the ranges of numbers are taken, to compute in 8 bits; None for floats.
        images: a folder of images that the file is proven on; None for drawn ones.
        device: 'cpu', or 'cuda' for a program of PyTorch that runs on a GPU alone.
    """

    to: str = 'onnx'
    size: tuple[int, int] | None = None
    max_detections: int | None = None
    score_thr: float | None = None
    most: int = MOST
    fp16: bool = False
    paste_masks: bool = False
    int8: str | None = None
    images: str | None = None
    device: str = 'cpu'

    def __post_init__(self) -> None:
        for side in self.size or ():
            if side < LEAST or side % DIVISOR:
                raise UserError(f'--size {side}: sides of images are multiples of {DIVISOR}, from {LEAST} on')
        if self.max_detections is not None and self.max_detections < 1:
            raise UserError(f'--max-detections {self.max_detections}: there must be at least 1')
        if self.score_thr is not None and not 0 <= self.score_thr < 1:
            raise UserError(f'--score-thr {self.score_thr}: scores are from 0 to 1')
        if self.int8 is not None and (self.fp16 or self.to != 'onnx'):
            raise UserError('--int8 makes a file --to onnx of float32: leave --fp16 and other kinds out')
        if self.device not in DEVICES:
            raise UserError(f'--device {self.device}: there are {", ".join(DEVICES)}')
        if self.device == 'cuda' and self.to not in ('torch', 'aoti'):
            raise UserError(f'--device cuda is for --to torch and aoti; a file --to {self.to} is not bound to a device')

    @property
    def precision(self) -> str:
        """Of what most is computed."""
        return 'int8' if self.int8 is not None else 'fp16' if self.fp16 else 'fp32'

    def check_sides(self, least: int, what: str) -> None:
        """UserError where sides are too short for what takes none below `least`."""
        if self.size and min(self.size) < least:
            raise UserError(f'{what} takes images with sides of {least} pixels and more')
        room = least + ROOM
        if not self.size and self.most < room:
            raise UserError(f'--max-size {self.most}: sizes are free up to {room} and more; --size is of one size')

    def free(self, least: int) -> dict | None:
        """What sides a program with free sizes takes that takes none below `least`, as its metadata says it."""
        return None if self.size else {'divisor': DIVISOR, 'least': least, 'most': self.most}
