"""The evaluator looks at a batch when the next has been predicted, and at all of them in the end."""

import swin_mmdet.compat  # noqa: F401

# isort: split
from mmengine.evaluator import BaseMetric, Evaluator
from mmengine.structures import BaseDataElement

from swin_mmdet.engine.late_evaluator import LateEvaluator


class Seen(BaseMetric):
    def process(self, data_batch, data_samples):
        self.results += [(data_batch, sample['number']) for sample in data_samples]

    def compute_metrics(self, results):
        return {'seen': list(results)}


def evaluate(kind, batches):
    """What was seen after each batch, and in the end."""
    evaluator = kind([Seen()])
    after = []
    for index, numbers in enumerate(batches):
        evaluator.process([BaseDataElement(number=number) for number in numbers], index)
        after.append(len(evaluator.metrics[0].results))
    return after, evaluator.evaluate(sum(map(len, batches)))


def test_batches_are_looked_at_one_later():
    batches = [[1, 2], [3], [4, 5]]
    at_once, expected = evaluate(Evaluator, batches)
    later, found = evaluate(LateEvaluator, batches)
    assert found == expected == {'seen': [(0, 1), (0, 2), (1, 3), (2, 4), (2, 5)]}
    assert at_once == [2, 3, 5]
    assert later == [0, 2, 3]


def test_evaluations_do_not_mix():
    evaluator = LateEvaluator([Seen()])
    for number in (1, 2):
        evaluator.process([BaseDataElement(number=number)], number)
        assert evaluator.evaluate(1) == {'seen': [(number, number)]}
    assert evaluator.evaluate(0) == {'seen': []}
