"""A few sizes for the batches of a training whose images have hundreds."""

Size = tuple[int, int]
# of pixels: sides of a new size are multiples of the first of these that wastes little enough, chosen by the number of
# sizes and the waste over batches of the 3x recipe
STEPS = 160, 96, 64


class BatchSizes:
    """Sizes that batches had, to which later ones of less height and width are padded.

    A recording stands for one size. A batch takes the smallest known size that holds it, if this is not too large; else
    one of its own, which is then known. Batches that all have one size are never padded.

    Args:
        max_waste: the most pixels that are padded, as a share of those that a batch has of its own.
    """

    def __init__(self, max_waste: float) -> None:
        self.max_waste = max_waste
        self._known: dict[Size, None] = {}

    def fit(self, size: Size) -> Size:
        """Of height and width of a batch those that it is padded to."""
        height, width = size
        most = height * width * (1 + self.max_waste)
        fitting = [(h * w, (h, w)) for h, w in self._known if h >= height and w >= width and h * w <= most]
        if fitting:
            return min(fitting)[1]
        own = size
        if self._known:
            rounded = [(-(-height // step) * step, -(-width // step) * step) for step in STEPS]
            own = next((one for one in rounded if one[0] * one[1] <= most), size)
        self._known[own] = None
        return own
