"""What is wrong where a package fails to import or to work, told by its error, and the one line that mends it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Cure:
    """For a failure of one of the `steps` whose error or traceback matches `sign`: what is wrong, and the remedy."""

    steps: tuple[str, ...]
    sign: str
    wrong: str
    remedy: str
    is_broken: bool = True


REINSTALL = 'pip install --force-reinstall --no-deps '
NUMPY_ABI = (
    r'numpy\.dtype size changed|compiled using NumPy 1\.x|numpy\.core\.multiarray failed to import|_ARRAY_API not found'
    r'|Numpy is not available|compiled against (?:ABI|API) version'
)
# the first that fits is said
CURES = (
    Cure(('startup_file',), 'switched off', 'SWIN_MMDET_STARTUP switches it off', 'unset SWIN_MMDET_STARTUP', False),
    Cure(
        ('startup_file',), '',
        "it was not run: MMDetection's own programs do not find what this package mends (ours do)",
        'pip install . (a checkout on PYTHONPATH: begin scripts with `import swin_mmdet.compat`)', False,
    ),
    Cure(('torch',), NUMPY_ABI, 'torch was built for numpy 1, and numpy 2 is installed',
         "pip install --upgrade torch torchvision (or: pip install 'numpy<2')"),
    Cure(('cv2', 'pycocotools', 'mmengine', 'mmcv', 'mmdet'), NUMPY_ABI,
         'a compiled package was built for another numpy than the one installed',
         'pip install --force-reinstall --no-cache-dir opencv-python-headless pycocotools'),
    Cure(('numpy',), "No module named 'numpy'", 'numpy is not installed', 'pip install numpy'),
    Cure(('numpy',), '', 'numpy is broken', 'pip install --force-reinstall numpy'),
    Cure(('torch',), r'lib(cu\w+|nv\w+|nccl)\.so|undefined symbol: .*(nccl|cu[a-z]+)',
         'the CUDA libraries that torch brings are missing or of another version',
         'pip install --force-reinstall torch torchvision'),
    Cure(('torch',), "No module named 'torch'", 'torch is not installed', "pip install 'torch>=2.6' torchvision"),
    Cure(('torch',), '', 'torch is broken', 'pip install --force-reinstall torch torchvision'),
    Cure(('torchvision',), "No module named 'torchvision'", 'torchvision is not installed', 'pip install torchvision'),
    Cure(('torchvision',), '', 'torchvision was made for another torch',
         'pip install --upgrade --force-reinstall torch torchvision'),
    Cure(('cv2',), r'lib(GL|gthread|SM|Xext|Xrender|glib)[-\w.]*\.so',
         'opencv-python needs libraries of a desktop that this machine lacks',
         REINSTALL + 'opencv-python-headless'),
    Cure(('cv2',), "No module named 'cv2'", 'OpenCV is not installed', 'pip install opencv-python-headless'),
    Cure(('cv2',), '', 'OpenCV is broken', REINSTALL + 'opencv-python-headless'),
    Cure(('pycocotools',), 'No module named', 'pycocotools is not installed', "pip install 'pycocotools>=2.0.8'"),
    Cure(('pycocotools',), '', 'pycocotools is broken', REINSTALL + "'pycocotools>=2.0.8'"),
    Cure(('mmengine', 'mmcv', 'mmdet'), r"No module named '(?P<name>[\w.]+)'", '{name} is not installed',
         'pip install {name}'),
    Cure(('mmcv', 'mmdet'), r'MMCV==\S+ is used but incompatible|mmcv version',
         'mmdet refuses this mmcv', "pip uninstall -y mmcv; pip install 'mmcv-lite>=2.0.1,<2.2'"),
    Cure(('mmcv', 'mmdet'), r'_ext.*(undefined symbol|cannot open shared object|DLL load failed|symbol not found)',
         "mmcv's compiled operators were made for another torch or CUDA",
         "pip uninstall -y mmcv && pip install 'mmcv-lite>=2.0.1,<2.2'"),
    Cure(('mmengine',), '', 'mmengine is broken', REINSTALL + "'mmengine>=0.10.7'"),
    Cure(('mmcv',), '', 'mmcv is broken', "pip uninstall -y mmcv mmcv-lite && pip install 'mmcv-lite>=2.0.1,<2.2'"),
    Cure(('mmdet',), '', 'mmdet is broken', REINSTALL + "'mmdet>=3.3,<4'"),
    Cure(('gpu',), r'driver on your system is too old|driver version is insufficient',
         'the NVIDIA driver is older than the CUDA of torch',
         'update the NVIDIA driver, or install a torch for an older CUDA (the selector on pytorch.org gives the line)'),
    Cure(('gpu',), r'no kernel image is available', 'this torch has no kernels for this GPU',
         'pip install --upgrade torch torchvision'),
    Cure(('gpu',), r'No (CUDA|HIP) GPUs are available|Found no NVIDIA driver', '', ''),
    Cure(('gpu',), 'out of memory', 'the memory of the GPU is taken', 'nvidia-smi (it lists who holds it)'),
    Cure(('gpu',), '', 'the GPU does not compute', 'nvidia-smi (an error there is one of the driver: reboot)'),
    Cure(('kernels',), r'C compiler|gcc|Python\.h', 'Triton needs a C compiler and the headers of Python',
         'apt-get install gcc python3-dev'),
    Cure(('kernels',), r"No module named 'triton", 'Triton is broken', 'pip install --force-reinstall triton'),
    Cure(('kernels',), '', 'the operators of this package fail', REINSTALL + 'swin_mmdet'),
)  # fmt: skip
