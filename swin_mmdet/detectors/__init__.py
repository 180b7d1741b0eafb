"""Parts of mmdet's two-stage detectors that take all images of a batch at once and wait for no GPU."""
