"""mmdet's `analyze_results.py` finds no annotations in a pipeline: "must include loading image and annotations".

Since when: always; mmdet takes a transform for a loading one if it is one of three classes, and not one derived from
them, such as `swin_mmdet.LoadAnnotations`. Can go: when mmdet asks issubclass.
"""

from types import ModuleType

from swin_mmdet.compat import on_import


def apply() -> None:
    """Wait for mmdet's function."""
    on_import.after('mmdet.datasets.utils', replace)


def replace(utils: ModuleType) -> None:
    """Give it a new body: other modules hold the function by name."""
    utils.get_loading_pipeline.__code__ = get_loading_pipeline.__code__


def get_loading_pipeline(pipeline: list[dict]) -> list[dict]:
    """Those steps of a pipeline that load an image or its annotations, of which there must be one each."""
    # the body moves into mmdet's module and finds no globals of this one
    from mmcv.transforms import LoadImageFromFile
    from mmdet.datasets.transforms import LoadAnnotations, LoadPanopticAnnotations
    from mmdet.registry import TRANSFORMS

    loading = (LoadImageFromFile, LoadAnnotations, LoadPanopticAnnotations)
    classes = [step['type'] if isinstance(step['type'], type) else TRANSFORMS.get(step['type']) for step in pipeline]
    steps = [step for step, cls in zip(pipeline, classes) if cls is not None and issubclass(cls, loading)]
    assert len(steps) == 2, (
        f'The data pipeline in your config file must have one step that loads images and one that loads annotations; '
        f'of {[step["type"] for step in pipeline]} these load: {[step["type"] for step in steps]}'
    )
    return steps
