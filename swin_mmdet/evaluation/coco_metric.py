"""mmdet's CocoMetric on a fast evaluator."""

import contextlib
import logging
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from mmdet.evaluation import CocoMetric as MMDetCocoMetric
from mmengine.fileio import load
from mmengine.logging import MMLogger, print_log

from swin_mmdet.datasets.coco_dataset import BY_NAME, in_order_of_names
from swin_mmdet.evaluation.backends import resolve_backend
from swin_mmdet.evaluation.coco_eval import evaluate_coco
from swin_mmdet.evaluation.kept_detections import keep_detections
from swin_mmdet.evaluation.proposals import proposal_recall
from swin_mmdet.evaluation.report import class_table, summary_table
from swin_mmdet.evaluation.scores import AP_NAMES, CocoScores, metric_names
from swin_mmdet.registry import METRICS


@METRICS.register_module()
class CocoMetric(MMDetCocoMetric):
    """COCO box, mask and proposal evaluation: mmdet's arguments and result keys, other inner parts.

    Differences from mmdet's metric:
    - faster-coco-eval does the matching if it is installed, else pycocotools; the numbers are the same;
    - values are not rounded;
    - no predictions at all give an AP of 0 and a warning;
    - names of `metric_items` follow `proposal_nums`: 'AR@10' is the recall of 10 detections, so
      `proposal_nums=(1, 10, 100)` gives the 12 published COCO numbers;
    - `classwise` prints a table for boxes and one for masks and, when several metrics are evaluated, adds
      '{metric}_{class}_precision' to mmdet's '{class}_precision', which holds the last metric's value.

    Args:
        eval_backend: 'auto', 'faster_coco_eval' or 'pycocotools'.
        args, kwargs: the arguments of mmdet's CocoMetric. `use_mp_eval` has no effect.

    Raises:
        ValueError: a name in `metric_items` is unknown, the backend cannot run, or (when evaluating) the data set is
            empty or does not have the classes of `dataset_meta`.
    """

    _coco_api: Any  # mmdet's: of the annotation file, or of the ground truth

    def __init__(self, *args, eval_backend: str = 'auto', **kwargs) -> None:
        super().__init__(*args, **kwargs)
        self._ann_file = kwargs.get('ann_file', args[0] if args else None)
        self._keep_in: Path | None = None
        self._weights = ''
        self.eval_backend = resolve_backend(eval_backend).name
        if self.use_mp_eval:
            print_log('CocoMetric: use_mp_eval has no effect', logger='current', level=logging.WARNING)
        unknown = set(self.metric_items or ()) - set(metric_names(self.proposal_nums))
        if unknown:
            raise ValueError(
                f'metric_items: {sorted(unknown)} unknown; with proposal_nums={tuple(self.proposal_nums)} there are '
                f'{metric_names(self.proposal_nums)}'
            )

    def keep_detections(self, work_dir: str | Path, weights: str) -> None:
        """Let the next evaluations leave what they measure in a work-dir, each in the place of the one before.

        weights: which are evaluated, such as 'iteration 500'.
        """
        self._keep_in, self._weights = Path(work_dir), weights

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect the predictions of a batch; masks that are encoded already stay so."""
        super().process(data_batch, [_with_encoded_masks(sample) for sample in data_samples])

    def compute_metrics(self, results: list[tuple[dict, dict]]) -> dict[str, float]:
        """Evaluate the (ground truth, prediction) pairs that `process` collected.

        Returns:
            dict such as {'bbox_mAP': 0.5, ...}: -1 where there is no ground truth to measure on, empty for
            `format_only`.
        """
        if not results:
            raise ValueError('CocoMetric got no results: the dataset of the dataloader is empty')
        gts, preds = zip(*results)
        with self._prefix() as prefix:
            self._load_ground_truth(gts, prefix)
            files = self.results2json(preds, prefix)
            if self.format_only:
                print_log(f'results are saved as {prefix}.*.json', logger='current')
                return {}
            self._warn_about_images(preds)
            values = {}
            for metric in self.metrics:
                print_log(f'Evaluating {metric}...', logger='current')
                if metric == 'proposal_fast':
                    recall = self.fast_eval_recall(preds, self.proposal_nums, np.atleast_1d(self.iou_thrs), 'current')
                    values.update({f'AR@{count}': float(ar) for count, ar in zip(self.proposal_nums, recall)})
                elif metric not in files:
                    raise ValueError(f"CocoMetric: metric '{metric}' needs masks, the predictions have none")
                else:
                    values.update(self._evaluate(metric, load(files[metric])))
            self._keep({name: files[name] for name in files if name in self.metrics}, values)
        return values

    def _keep(self, files: dict[str, str], values: dict[str, float]) -> None:
        if self._keep_in is None or not self._ann_file or '://' in str(self._ann_file) or not files:
            return
        about = dict(
            ann_file=str(Path(self._ann_file).absolute()),
            classes=list(self.dataset_meta['classes']),
            cat_ids=list(self.cat_ids),
            max_dets=list(self.proposal_nums),
            iou_thrs=np.atleast_1d(self.iou_thrs).tolist(),
            weights=self._weights,
            values=values,
        )
        try:
            keep_detections(self._keep_in, files, about)
        except OSError as error:
            # what was measured is worth more than a copy of it
            print_log(
                f'the detections could not be kept in {self._keep_in} ({error.strerror}); a report makes them anew',
                logger='current',
                level=logging.WARNING,
            )

    @contextlib.contextmanager
    def _prefix(self) -> Iterator[str]:
        if self.outfile_prefix is not None:
            yield self.outfile_prefix
            return
        with tempfile.TemporaryDirectory() as folder:
            yield str(Path(folder, 'results'))

    def _load_ground_truth(self, gts: tuple[dict, ...], prefix: str) -> None:
        if self._coco_api is None:
            from mmdet.datasets.api_wrappers import COCO

            self._coco_api = COCO(self.gt_to_coco_json(gts, prefix))
        self.img_ids = self._coco_api.get_img_ids()
        if not self.img_ids:
            raise ValueError('CocoMetric: the annotation file has no images')
        classes = self.dataset_meta['classes']
        self.cat_ids = self._coco_api.get_cat_ids(cat_names=classes)
        if self.dataset_meta.get(BY_NAME):
            self.cat_ids = in_order_of_names(self._coco_api, self.cat_ids, classes)
        in_file = [category['name'] for category in self._coco_api.dataset['categories']]
        if len(self.cat_ids) != len(classes):
            # labels are positions among the categories found, so each later label would mean another class
            raise ValueError(
                f'CocoMetric: the dataset has {len(classes)} classes, {len(self.cat_ids)} categories of the annotation '
                f'file carry one of their names. Classes not in the file: {sorted(set(classes) - set(in_file))[:5]}; '
                f'categories in the file: {in_file[:5]}; set metainfo=dict(classes=(...)) of the dataset to the names '
                'in the file'
            )

    def _warn_about_images(self, preds: tuple[dict, ...]) -> None:
        missing = len(set(self.img_ids) - {pred['img_id'] for pred in preds})
        if missing:
            print_log(
                f'{missing} of {len(self.img_ids)} images of the annotation file were not predicted; they count as '
                'images without detections',
                logger='current',
                level=logging.WARNING,
            )
        if not any(len(pred['bboxes']) for pred in preds):
            print_log(
                'No image has a single prediction, so the AP is 0: the model found nothing above its score threshold',
                logger='current',
                level=logging.WARNING,
            )

    def fast_eval_recall(self, results: Sequence[dict], proposal_nums: Sequence[int], iou_thrs: Sequence[float],
                         logger: MMLogger | str | None = None) -> np.ndarray:
        """Recall [len(proposal_nums)] of the predicted boxes, the mean over `iou_thrs`.

        Replaces mmdet's, which needs as many objects on each image as on the others since numpy 1.24.
        """
        by_image = {result['img_id']: result['bboxes'] for result in results}
        nothing = np.zeros((0, 4), dtype=np.float32)
        proposals = [by_image.get(img_id, nothing) for img_id in self.img_ids]
        recall = proposal_recall([self._boxes(id) for id in self.img_ids], proposals, proposal_nums, iou_thrs)
        thresholds = np.round(iou_thrs, 4).tolist()
        print_log(f'recall of {list(proposal_nums)} proposals at IoU {thresholds}:\n{recall.round(3)}', logger)
        return recall.mean(axis=1)

    def _boxes(self, img_id: int) -> np.ndarray:
        """Corners [G, 4] of the objects on an image, without crowds."""
        anns = self._coco_api.load_anns(self._coco_api.get_ann_ids(img_ids=[img_id]))
        boxes = [ann['bbox'] for ann in anns if not ann.get('ignore') and not ann.get('iscrowd')]
        corners = np.array(boxes, dtype=np.float32).reshape(-1, 4)
        corners[:, 2:] += corners[:, :2]
        return corners

    def _evaluate(self, metric: str, detections: list[dict]) -> dict[str, float]:
        scores = evaluate_coco(
            self._coco_api.dataset,
            detections,
            'segm' if metric == 'segm' else 'bbox',
            cat_ids=self.cat_ids,
            img_ids=self.img_ids,
            max_dets=self.proposal_nums,
            iou_thrs=self.iou_thrs,
            use_cats=metric != 'proposal',
            backend=self.eval_backend,
        )
        print_log('\n' + summary_table(scores), logger='current')
        named = scores.named
        if metric == 'proposal':
            items = self.metric_items or [name for name in named if name not in AP_NAMES]
            return {name: named[name] for name in items}
        values = self._classwise(metric, scores) if self.classwise else {}
        values.update({f'{metric}_{name}': named[name] for name in self.metric_items or AP_NAMES})
        copypaste = ' '.join(f'{named[name]:.3f}' for name in AP_NAMES)
        print_log(f'{metric}_mAP_copypaste: {copypaste}', logger='current')
        return values

    def _classwise(self, metric: str, scores: CocoScores) -> dict[str, float]:
        names = {category['id']: category['name'] for category in self._coco_api.load_cats(self.cat_ids)}
        print_log('\n' + class_table(scores, names), logger='current')
        values = {}
        for cat_id, name in names.items():
            ap = scores.ap(cat_id=cat_id)
            values[f'{name}_precision'] = ap if ap != -1 else float('nan')
            if len(self.metrics) > 1:
                values[f'{metric}_{name}_precision'] = values[f'{name}_precision']
        return values


def _with_encoded_masks(sample: dict) -> dict:
    """The sample with a list of RLE dicts for the masks if these hold one, such as `structures.EncodedMasks`."""
    pred = sample['pred_instances']
    rles = getattr(pred.get('masks'), 'rles', None)
    if rles is None:
        return sample
    # copies: mmdet turns their bytes into text in place
    return sample | {'pred_instances': pred | {'masks': [dict(rle) for rle in rles]}}
