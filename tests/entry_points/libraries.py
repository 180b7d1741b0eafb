"""What scripts and notebooks import, in one interpreter that never names swin_mmdet: CHECKPOINT IMAGE."""

import sys

checkpoint, image = sys.argv[1:]

import torch  # noqa: E402

assert 'mmengine' not in sys.modules
saved = torch.load(checkpoint, map_location='cpu')
assert saved['message_hub']['log_scalars']['train/loss'].current() > 0

from mmengine.config import Config  # noqa: E402
from mmengine.hub import get_config, get_model  # noqa: E402

tiny = Config.fromfile('tiny.py')
assert tiny.model.backbone.embed_dims == 16, tiny.model.backbone
ours = get_config('swin_mmdet::swin/mask-rcnn_swin-t-p4-w7_fpn_1x_coco.py')
assert ours.model.backbone.type == 'swin_mmdet.SwinTransformer'
theirs = get_config('mmdet::mask_rcnn/mask-rcnn_r50_fpn_1x_coco.py')
assert theirs.model.backbone.type == 'ResNet'

import numpy as np  # noqa: E402
from mmdet.apis import DetInferencer, inference_detector, init_detector  # noqa: E402
from PIL import Image  # noqa: E402

detector = init_detector('tiny.py', checkpoint, device='cpu')
assert type(detector.backbone).__module__ == 'swin_mmdet.models.swin_transformer'
found = inference_detector(detector, image).pred_instances
assert found.masks.shape == (5, 96, 96), found.masks.shape
assert detector.dataset_meta['classes'] == ('circle', 'square', 'triangle')

pil = Image.open(image)
seen = inference_detector(detector, [pil, pil])
arrays = inference_detector(detector, [np.asarray(pil)[..., ::-1]] * 2)
for one, other in zip(seen, arrays):
    torch.testing.assert_close(one.pred_instances.scores, other.pred_instances.scores, rtol=0, atol=0)

inferencer = DetInferencer('tiny.py', checkpoint, device='cpu')
of_pil, of_array = inferencer([pil, np.asarray(pil)[..., ::-1]])['predictions']
assert of_pil == of_array
prediction = inferencer(image, out_dir='inferred')['predictions'][0]
torch.testing.assert_close(torch.tensor(prediction['scores']), found.scores)

model = get_model('swin_mmdet::quickstart/mask-rcnn_swin-micro_shapes.py')
assert type(model).__name__ == 'MaskRCNN'
assert type(model.rpn_head).__module__ == type(detector.rpn_head).__module__
print('all libraries work')
