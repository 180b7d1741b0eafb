"""Objects as annotation files hold them: polygons and both kinds of RLE."""

import numpy as np
import pycocotools.mask as rle_codec


def polygon(rng, height, width, corners=7):
    """A random polygon, part of which may lie outside the image."""
    centre = rng.uniform(0, 1, 2) * (width, height)
    size = rng.uniform(0.02, 0.6) * min(height, width)
    angles = np.sort(rng.uniform(0, 2 * np.pi, corners))
    points = centre + size * np.stack([np.cos(angles), np.sin(angles)], axis=1) * rng.uniform(0.3, 1, (corners, 1))
    return points.round(2).ravel().tolist()


def uncompressed(bitmap):
    """Run lengths as a list, as `iscrowd` objects have them."""
    flat = np.concatenate([[0], bitmap.ravel(order='F'), [0]])
    changes = np.flatnonzero(np.diff(flat))
    counts = np.diff(np.concatenate([[0], changes, [bitmap.size]])).tolist()
    return {'size': list(bitmap.shape), 'counts': counts}


def compressed(bitmap):
    """The string that pycocotools writes."""
    rle = rle_codec.encode(np.asfortranarray(bitmap, dtype=np.uint8))
    return rle | {'counts': rle['counts'].decode()}


def objects(rng, height, width):
    """One of each kind that a file may hold, invalid ones among them."""
    noise = (rng.random((height, width)) < 0.5).astype(np.uint8)
    corner = np.zeros_like(noise)
    corner[-1, -1] = corner[0, 0] = 1
    return [
        [polygon(rng, height, width)],
        [polygon(rng, height, width, 4), polygon(rng, height, width, 20), polygon(rng, height, width, 3)],
        [[-5.0, -5.0, width + 5.0, -5.0, width + 5.0, height + 5.0, -5.0, height + 5.0]],
        uncompressed(noise),
        compressed(noise),
        compressed(corner),
        compressed(np.zeros_like(noise)),
        # a run of no length, first and last
        {'size': [height, width], 'counts': [0, 0, height * width - 1, 1, 0, 0]},
        # what mmdet refuses: too short, of odd length, no counts
        [[1.0, 2.0, 3.0, 4.0]],
        [[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0], [2.0, 2.0, 2.0, 4.0]],
        {'size': [height, width]},
    ]


def sample(rng, height, width, masks=None):
    """What a data set hands to a pipeline after the image was loaded, with boxes near the objects."""
    masks = objects(rng, height, width) if masks is None else masks
    corner = rng.uniform(0, 0.8, (len(masks), 2)) * (width, height)
    boxes = np.concatenate([corner, corner + rng.uniform(1, 20, (len(masks), 2))], axis=1).tolist()
    return {
        'img': rng.integers(0, 256, (height, width, 3), dtype=np.uint8),
        'img_shape': (height, width),
        'ori_shape': (height, width),
        'img_id': 1,
        'img_path': 'x.jpg',
        'instances': [
            {'bbox': box, 'bbox_label': i % 3, 'mask': mask, 'ignore_flag': int(i % 4 == 3)}
            for i, (box, mask) in enumerate(zip(boxes, masks, strict=True))
        ],
    }
