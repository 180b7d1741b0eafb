"""The names of the images of a batch, for messages about it."""


def image_names(data_batch: dict | None) -> list[str]:
    """Paths of its images as mmdet's pipelines pack them; what else it is made of has none."""
    samples = data_batch.get('data_samples') if isinstance(data_batch, dict) else None
    names = []
    for sample in samples if isinstance(samples, list | tuple) else []:
        path = getattr(sample, 'img_path', None)
        names.append(str(path) if path is not None else str(sample)[:40])
    return names
