"""HTC++ without the semantic branch, Swin-B, 6x, AMP; 8 GPUs x 2 images. For data without semantic maps.

157M parameters. Nobody published a result. `--tta` of `tools/test.py` tests in six scales with flips.
"""

_base_ = './htc++_swin-b-p4-w7_fpn_6x_coco.py'

model = dict(roi_head=dict(semantic_roi_extractor=None, semantic_head=None))
train_dataloader = dict(dataset=dict(data_prefix=dict(_delete_=True, img='train2017/')))
