"""Both evaluation backends, and a ground truth small enough to count by hand."""

import pytest
from mmengine.logging import MMLogger

from swin_mmdet.evaluation.backends import BACKENDS
from tests.evaluation.coco_samples import annotation


@pytest.fixture(params=[backend.name for backend in BACKENDS])
def backend(request):
    """Name of each evaluation backend; skips one that cannot run here."""
    reason = next(known for known in BACKENDS if known.name == request.param).why_not()
    if reason is not None:
        pytest.skip(f'{request.param} {reason}')
    return request.param


@pytest.fixture
def two_boxes():
    """Two images of 100 x 100 with a box of 40 x 40 each, classes 'cat' (id 7) and 'dog' (id 3)."""
    return {
        'images': [{'id': 1, 'file_name': 'a.jpg', 'height': 100, 'width': 100},
                   {'id': 2, 'file_name': 'b.jpg', 'height': 100, 'width': 100}],
        'categories': [{'id': 7, 'name': 'cat'}, {'id': 3, 'name': 'dog'}],
        'annotations': [annotation(1, 1, 7, [10, 10, 40, 40]), annotation(2, 2, 3, [20, 20, 40, 40])],
    }


@pytest.fixture
def logged(caplog):
    """Text of everything logged so far; mmengine's logger does not propagate, so it gets the handler directly."""
    logger = MMLogger.get_current_instance()
    logger.addHandler(caplog.handler)
    yield lambda: '\n'.join(record.getMessage() for record in caplog.records)
    logger.removeHandler(caplog.handler)
