"""The same, 8 images a GPU without end, for a schedule in iterations."""

_base_ = './coco_instance_lsj.py'

train_dataloader = dict(batch_size=8, num_workers=8, sampler=dict(type='InfiniteSampler'))
