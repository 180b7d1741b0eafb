"""A few sizes for the batches of a training whose images have hundreds."""

Size = tuple[int, int]
# of pixels: sides of a new size are multiples of the first of these that wastes little enough, chosen by the number of
# sizes and the waste over batches of the 3x recipe
STEPS = 160, 96, 64
# padding, as a share of a batch's own pixels, that is no reason for a size of its own
LITTLE = 0.25
# a size of its own costs about as much as so many steps, on a GPU that is not the slowest part
COST = 16


class BatchSizes:
    """Sizes that batches had, to which later ones of less height and width are padded.

    A recording stands for one size, and is made when its size is first used. So a batch takes the smallest known size
    that holds it. Where that pads it by more than `LITTLE`, what is padded is counted for the size that it would have
    of its own; when this sums up to `COST` batches, its own size becomes a known one: neither rare sizes are recorded
    nor frequent ones padded for long. A batch that no known size holds has its own at once. Batches that all have one
    size are never padded.

    Args:
        max_waste: the most pixels that are padded, as a share of those that a batch has of its own.
    """

    def __init__(self, max_waste: float) -> None:
        self.max_waste = max_waste
        self._known: dict[Size, None] = {}
        self._wasted: dict[Size, float] = {}

    def fit(self, size: Size) -> Size:
        """Of height and width of a batch those that it is padded to."""
        height, width = size
        pixels = height * width
        fitting = [(h * w, (h, w)) for h, w in self._known if h >= height and w >= width]
        most, known = min(fitting, default=(0, size))
        waste = most / pixels - 1
        if fitting and waste <= min(LITTLE, self.max_waste):
            return known
        own = self._rounded(size)
        if fitting and waste <= self.max_waste:
            self._wasted[own] = self._wasted.get(own, 0.0) + waste
            if self._wasted[own] < COST:
                return known
        self._known[own] = None
        return own

    def _rounded(self, size: Size) -> Size:
        """Its own, or slightly larger so that others fit in."""
        if not self._known:
            return size
        height, width = size
        most = height * width * (1 + min(LITTLE, self.max_waste))
        sizes = [(-(-height // step) * step, -(-width // step) * step) for step in STEPS]
        return next((one for one in sizes if one[0] * one[1] <= most), size)
