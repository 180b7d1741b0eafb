"""A COCO file in a few readable lines."""

import numpy as np

from swin_mmdet.datasets.coco_file import CocoFile

# COCO's borders between small, medium and large objects, in pixels of the side of a square
SMALL, MEDIUM = 32, 96


def describe(coco: CocoFile, max_classes: int = 20) -> str:
    """Images, annotations, object and image sizes, and the classes with their numbers of annotations."""
    sides = np.sqrt(coco.box_sizes.clip(0).prod(axis=1))
    lines = [
        str(coco.path),
        f'  images       {len(coco.file_names)}, {coco.num_empty_images} without annotations',
        f'  annotations  {coco.num_annotations}, {coco.num_crowds} of them crowds',
    ]
    if len(coco.image_sizes):
        sizes = zip(('min', 'median', 'max'), np.quantile(coco.image_sizes, (0, 0.5, 1), axis=0))
        lines.append('  image sizes  ' + ', '.join(f'{name} {w:.0f} x {h:.0f}' for name, (w, h) in sizes))
    if len(sides):
        small, large = np.mean(sides < SMALL), np.mean(sides >= MEDIUM)
        quantiles = ', '.join(f'{name} {side:.0f}' for name, side in
                              zip(('min', '10 %', 'median', '90 %', 'max'), np.quantile(sides, (0, 0.1, 0.5, 0.9, 1))))
        lines.append(f'  object sizes {quantiles} px (square root of the box area); {small:.0%} small, '
                     f'{1 - small - large:.0%} medium, {large:.0%} large')
    lines.append(f'  classes      {len(coco.categories)}')
    ranked = sorted(coco.categories, key=lambda category: -coco.instances[category[0]])
    width = max((len(name) for _, name in ranked[:max_classes]), default=0)
    lines += [f'    {name.ljust(width)}  {coco.instances[id]}' for id, name in ranked[:max_classes]]
    if len(ranked) > max_classes:
        rest = sum(coco.instances[id] for id, _ in ranked[max_classes:])
        lines.append(f'    and {len(ranked) - max_classes} more classes with {rest} annotations')
    return '\n'.join(lines)
