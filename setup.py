"""Installs swin_mmdet with its configs and tools (as `.mim`, the way mmdet ships its own) and its start-up file."""

import re
from pathlib import Path

from setuptools import find_packages, setup
from setuptools.command.build_py import build_py
from setuptools.command.develop import develop

ROOT = Path(__file__).parent
# one line that Python runs at every start, from beside the package: see swin_mmdet/startup.py
STARTUP = 'swin_mmdet/swin_mmdet_startup.pth'
VERSION = re.search(r"__version__ = '([^']+)'", (ROOT / 'swin_mmdet/__init__.py').read_text())[1]

# mmengine requires opencv-python, whose windows need the libGL that servers lack; the headless files over it do not.
# pycocotools 2.0.8 is the first with wheels for numpy 2. simplejpeg finds damage that other decoders fill up.
# msgspec reads annotation files of hundreds of MB in a quarter of the time.
TORCH = ['torch>=2.6', 'torchvision>=0.21', 'safetensors>=0.4', 'filelock>=3.12']
IMAGES = ['pycocotools>=2.0.8', 'opencv-python-headless', 'simplejpeg>=1.7', 'msgspec>=0.18']
MMDET = ['mmengine>=0.10.7', 'mmcv-lite>=2.0.1,<2.2', 'mmdet>=3.3,<4', *IMAGES]
ONEDL = ['onedl-mmengine', 'onedl-mmcv', 'onedl-mmdetection', *IMAGES]
EVAL = ['faster-coco-eval>=1.6']
# detectors as ONNX files; 1.20 is the first onnxruntime with wheels for numpy 2 and Python 3.13
EXPORT = ['onnx>=1.17', 'onnxscript>=0.5', 'onnxruntime>=1.20']
OPENVINO = [*EXPORT, 'openvino>=2025.0']
# timm and transformers are oracles of the checkpoint conversions, peft and torchao replace layers, tifffile reads
# images of many bands, hypothesis finds examples, pandas and supervision take detections, setuptools builds the wheel
# that is tested, and pdoc the API's pages
TEST = [
    *('pytest>=7', 'pytest-xdist>=3', 'ruff>=0.6', 'timm>=1.0', 'transformers>=5', 'peft>=0.15', 'torchao>=0.10'),
    *('tifffile', 'setuptools>=70.1', 'hypothesis>=6.100', 'mypy>=1.11', 'pdoc>=15', 'pandas>=2', 'supervision>=0.25'),
]


class BuildWithStartup(build_py):
    """Puts the start-up file where it becomes a file of site-packages, in every way to install."""

    def run(self) -> None:
        super().run()
        # `pip install -e` drops what lies in build_lib: there the wheel itself is the folder for installed modules
        editable = getattr(self, 'editable_mode', False)
        folder = self.get_finalized_command('install').install_lib if editable else self.build_lib
        self.copy_file(str(ROOT / STARTUP), folder)

    def get_source_files(self) -> list[str]:
        return [*super().get_source_files(), STARTUP]

    def get_outputs(self, include_bytecode: bool = True) -> list[str]:
        return [*super().get_outputs(include_bytecode), str(Path(self.build_lib, Path(STARTUP).name))]


class DevelopAsWheel(develop):
    """`pip install -e` of an old pip on an old setuptools: it would leave out the start-up file, so it is refused."""

    def run(self) -> None:
        if hasattr(self, 'install_for_development'):
            raise SystemExit(
                'error: this pip makes editable installs without files for site-packages. Call '
                '`python -m pip install --upgrade pip` first, or add --use-pep517 to `pip install -e`.'
            )
        super().run()


setup(
    name='swin_mmdet',
    version=VERSION,
    description='Swin Transformer detectors for MMDetection 3.x on any current PyTorch',
    long_description=(ROOT / 'README.md').read_text(),
    long_description_content_type='text/markdown',
    python_requires='>=3.10',
    packages=find_packages(include=['swin_mmdet', 'swin_mmdet.*']),
    entry_points={'console_scripts': ['swin-mmdet = swin_mmdet.commands.program:main']},
    cmdclass={'build_py': BuildWithStartup, 'develop': DevelopAsWheel},
    package_data={'swin_mmdet': ['py.typed', 'report/templates/*', '.mim/**/*']},
    exclude_package_data={'swin_mmdet': ['.mim/tools/benchmarks/results/*']},
    install_requires=['numpy'],
    extras_require={
        'mmdet': TORCH + MMDET,
        'onedl': TORCH + ONEDL,
        'eval': EVAL,
        'export': EXPORT,
        'tensorboard': ['tensorboard'],
        'wandb': ['wandb'],
        'mlflow': ['mlflow'],
        'openvino': OPENVINO,
        # pastes objects for HTC++, as the paper does
        'htc': ['instaboostfast'],
        'test': TEST,
        # writes the mutants of tools/benchmarks/mutants.py, which reaches into it
        'dev': ['mutmut==3.8.*'],
        'all': TORCH + MMDET + EVAL + EXPORT + TEST,
    },
)
