"""Installs swin_mmdet with its configs and tools (as `.mim`, the way mmdet ships its own)."""

import re
from pathlib import Path

from setuptools import find_packages, setup

ROOT = Path(__file__).parent
VERSION = re.search(r"__version__ = '([^']+)'", (ROOT / 'swin_mmdet/__init__.py').read_text())[1]

# mmengine requires opencv-python, whose windows need the libGL that servers lack; the headless files over it do not.
# pycocotools 2.0.8 is the first with wheels for numpy 2.
TORCH = ['torch>=2.6', 'torchvision>=0.21', 'safetensors>=0.4']
MMDET = ['mmengine>=0.10.7', 'mmcv-lite>=2.0.1,<2.2', 'mmdet>=3.3,<4', 'pycocotools>=2.0.8', 'opencv-python-headless']
ONEDL = ['onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', 'pycocotools>=2.0.8', 'opencv-python-headless']
EVAL = ['faster-coco-eval>=1.6']
# timm and transformers are oracles of the checkpoint conversions; peft and torchao replace layers of a model
TEST = ['pytest>=7', 'pytest-xdist>=3', 'ruff>=0.6', 'timm>=1.0', 'transformers>=5', 'peft>=0.15', 'torchao>=0.10']

setup(
    name='swin_mmdet',
    version=VERSION,
    description='Swin Transformer detectors for MMDetection 3.x on any current PyTorch',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    python_requires='>=3.10',
    packages=find_packages(include=['swin_mmdet', 'swin_mmdet.*']),
    package_data={'swin_mmdet': ['.mim/**/*']},
    exclude_package_data={'swin_mmdet': ['.mim/tools/benchmarks/results/*']},
    install_requires=['numpy'],
    extras_require={
        'mmdet': TORCH + MMDET,
        'onedl': TORCH + ONEDL,
        'eval': EVAL,
        # pastes objects for HTC++, as the paper does
        'htc': ['instaboostfast'],
        'test': TEST,
        'all': TORCH + MMDET + EVAL + TEST,
    },
)
