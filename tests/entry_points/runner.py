"""A user's training script, for torchrun on a machine without a GPU."""

import torch.distributed
from mmengine.config import Config
from mmengine.runner import Runner

torch.distributed.init_process_group('gloo')
cfg = Config.fromfile('dropped_in.py')
cfg.launcher, cfg.work_dir = 'pytorch', 'distributed'
runner = Runner.from_cfg(cfg)
runner.train()
print(f'rank {torch.distributed.get_rank()}: {type(runner.model.module.backbone).__module__}')
torch.distributed.destroy_process_group()
