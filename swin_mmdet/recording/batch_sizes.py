"""A few sizes for the batches of a training whose images have hundreds."""

Size = tuple[int, int]


class BatchSizes:
    """Sizes that batches had, to which later ones of less height and width are padded.

    A recording stands for one size. A batch takes the smallest known size that holds it, if this is not too large; else
    its own, which is then known. Batches that all have one size are never padded.

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
        self._known[size] = None
        return size
