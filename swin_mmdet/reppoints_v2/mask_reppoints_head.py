"""Mask RepPoints V2: RepPoints V2 whose locations also say how the mask of their object is found."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmdet.models.utils import aligned_bilinear, multi_apply
from mmdet.registry import MODELS as MMDET_MODELS
from mmengine.model import normal_init
from mmengine.structures import InstanceData
from torch import Tensor, nn

from swin_mmdet.detectors.maps import flatten_maps, sizes_of
from swin_mmdet.registry import MODELS
from swin_mmdet.reppoints_v2.head import RepPointsV2Head
from swin_mmdet.reppoints_v2.layers import Maps
from swin_mmdet.reppoints_v2.targets import Targets

# masks are trained and predicted at this stride
STRIDE = 4


@MODELS.register_module()
class MaskRepPointsV2Head(RepPointsV2Head):
    """RepPoints V2 and a `CondConvMaskHead`; objects are looked for around the centers of their masks.

    Args:
        mask_head: config of the mask head
        mask_loss_weight: of the masks of its three layers, the last of which is the result
        max_proposals: at most so many of a batch's positive locations are trained to make masks, chosen at random
        test_cfg: has `mask_thr`, the probability of a pixel of the object, as well
    """

    def __init__(
        self, *args, mask_head: dict, loss_mask: dict, mask_loss_weight: Sequence[float], max_proposals: int,
        point_feat_channels: int = 256, **kwargs,
    ) -> None:
        super().__init__(*args, point_feat_channels=point_feat_channels, **kwargs)
        self.mask_head = MODELS.build(mask_head)
        self.controller = nn.Conv2d(point_feat_channels, self.mask_head.num_params, 3, padding=1)
        self.loss_mask = MMDET_MODELS.build(loss_mask)
        self.mask_loss_weight, self.max_proposals = tuple(mask_loss_weight), max_proposals

    def init_weights(self) -> None:
        super().init_weights()
        normal_init(self.controller, std=0.01)

    def forward(self, x: Maps) -> tuple[list[Tensor], ...]:
        """As of `RepPointsV2Head`, and seventh the parameters [B, num_params, H, W] of locations' masks."""
        *maps, features = multi_apply(self.forward_single, x)
        return *maps, [self.controller(one) for one in features]

    def loss(self, x: Maps, batch_data_samples: Sequence) -> dict[str, Tensor]:
        """As of `RepPointsV2Head`, with `loss_mask_0` to `_2`; `gt_instances` have masks of the image's size."""
        instances = [_with_bitmaps(sample.gt_instances) for sample in batch_data_samples]
        metas = [sample.metainfo for sample in batch_data_samples]
        *maps, foreground, controls = self(x)
        sizes = sizes_of(controls)
        predictions = self.gather_predictions(*maps)
        targets = self.get_targets(predictions, sizes, instances, metas)
        losses = self.point_losses(predictions, targets, sizes, instances)
        masks = self.mask_losses(x, maps[1], controls, targets, instances)
        return losses | dict(loss_sem=self.foreground_loss(foreground, instances)) | masks

    def mask_losses(
        self, x: Maps, init_points: Maps, controls: Maps, targets: Targets, instances: Sequence[InstanceData]
    ) -> dict[str, Tensor]:
        """Of the locations that have an object."""
        image, point = (targets.owner >= 0).nonzero().unbind(1)
        if len(image) > self.max_proposals:
            some = torch.randperm(len(image), device=image.device)[: self.max_proposals]
            image, point = image[some], point[some]
        layers = self._masks(x, init_points, controls, image, point)
        if not len(image):
            return {f'loss_mask_{index}': logits.sum() for index, logits in enumerate(layers)}
        height, width = layers[0].shape[1:]
        shrunk = []
        for one in instances:
            masks = one.masks[:, STRIDE // 2 :: STRIDE, STRIDE // 2 :: STRIDE]
            shrunk.append(F.pad(masks, (0, width - masks.shape[2], 0, height - masks.shape[1])))
        starts = torch.tensor([0] + [len(one) for one in shrunk[:-1]], device=image.device).cumsum(0)
        wanted = torch.cat(shrunk)[starts[image] + targets.owner[image, point]].float()
        return {
            f'loss_mask_{index}': weight * self.loss_mask(logits.float(), wanted)
            for index, (logits, weight) in enumerate(zip(layers, self.mask_loss_weight, strict=True))
        }

    def object_centers(self, instances: InstanceData) -> Tensor:
        """[G, 2]: of the masks' pixels, `masks` being bool [G, H, W]; of the box where there are none."""
        lines = instances.masks.sum(1).float(), instances.masks.sum(2).float()
        areas = lines[0].sum(1, keepdim=True)
        # no matrix products, in which autocast would round, or in float16 overflow
        sums = [(line * torch.arange(line.shape[1], device=line.device)).sum(1) for line in lines]
        return torch.where(areas > 0, torch.stack(sums, dim=1) / areas.clamp(min=1), super().object_centers(instances))

    def predict(self, x: Maps, batch_data_samples: Sequence, rescale: bool = False) -> list[InstanceData]:
        """Bboxes [n, 4], scores [n], labels [n] and masks [n, H, W], bool, of each image, best first.

        With `rescale` all in the original image, else in the one that the model saw.
        """
        metas = [sample.metainfo for sample in batch_data_samples]
        cls_scores, init_points, points, heat, offsets, _, controls = self(x)
        results = self.detect(cls_scores, init_points, points, heat, offsets, metas, rescale)
        for index, (detections, meta) in enumerate(zip(results, metas, strict=True)):
            points = detections.pop('points')
            size = meta['ori_shape'][:2] if rescale else meta['img_shape'][:2]
            if not len(points):
                detections.masks = points.new_zeros(0, *size, dtype=torch.bool)
                continue
            (logits,) = self._masks(x, init_points, controls, torch.full_like(points, index), points)
            height, width = meta['img_shape'][:2]
            pixels = aligned_bilinear(logits.float().sigmoid()[:, None], STRIDE)[..., :height, :width]
            pixels = F.interpolate(pixels, size=size, mode='bilinear')
            detections.masks = pixels[:, 0] > self.test_cfg['mask_thr']
        return results

    def _masks(self, x: Maps, init_points: Maps, controls: Maps, image: Tensor, point: Tensor) -> list[Tensor]:
        """Logits [n, h, w] of the layers for points [n] of images [n]."""
        sizes = sizes_of(controls)
        locations, strides = self.locations(sizes, point.device)
        moves = flatten_maps(init_points, init_points[0].shape[1])[image, point].unflatten(1, (-1, 2)).mean(1).flip(1)
        strides = strides[point][:, None]
        # half a stride from where boxes have the location: in the official code masks' coordinates are so
        centers = moves * strides + locations[point] + strides // 2
        levels = torch.arange(len(sizes), device=point.device).repeat_interleave(
            torch.tensor([height * width for height, width in sizes], device=point.device)
        )
        params = flatten_maps(controls, self.mask_head.num_params)[image, point]
        return self.mask_head(x, params, centers, levels[point], image)


def _with_bitmaps(instances: InstanceData) -> InstanceData:
    """With `masks` bool [G, H, W], made once."""
    masks = instances.masks.to_tensor(torch.bool, instances.bboxes.device)
    return InstanceData(bboxes=instances.bboxes, labels=instances.labels, masks=masks)
