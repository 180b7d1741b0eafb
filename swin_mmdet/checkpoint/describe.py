"""What is in a checkpoint, in words."""

from collections import Counter
from collections.abc import Iterator

from swin_mmdet.checkpoint.architecture import describe_architecture
from swin_mmdet.checkpoint.files import CheckpointFile
from swin_mmdet.checkpoint.translate import CanonicalWeights


def describe_checkpoint(file: CheckpointFile, found: CanonicalWeights) -> Iterator[str]:
    """What a user wants to know before using a file, a line each."""
    detection, backbone = found.detection, found.backbone
    types = Counter(str(value.dtype).removeprefix('torch.') for value in file.state_dict.values())
    values = sum(value.numel() for value in file.state_dict.values())
    yield f'file          {file.source}'
    yield f'format        {detection.format.name}, SwinV{detection.version}: {detection.reason}'
    yield f'architecture  {describe_architecture(backbone)}'
    yield f'weights       {len(file.state_dict)} tensors, {values:,} values, {", ".join(sorted(types))}'
    if file.weights:
        yield f'              {file.weights}'
    yield f'EMA           {"the file holds averaged and raw weights" if file.has_raw_and_averaged else "no"}'
    norms = sorted(key.split('.')[0] for key in backbone if key.startswith('norm') and key.endswith('.weight'))
    yield f'norms         {", ".join(norms) or "none"}'
    if 'head.weight' in backbone:
        yield f'classifier    {backbone["head.weight"].shape[0]} classes'
    parts = Counter('.'.join(key.split('.')[:2]) for key in found.rest)
    yield 'beside it     ' + (', '.join(f'{name} ({count})' for name, count in parts.items()) or 'nothing')
    for key, value in file.meta.items():
        if isinstance(value, list | tuple):
            value = f'{len(value)}: {", ".join(map(str, value))}'
        yield f'{key:<13} {value}'
