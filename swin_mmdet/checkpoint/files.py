"""From a path, a URL or a dict to weights on the CPU; nothing in a file is ever executed."""

import io
import re
import sys
import zipfile
from collections.abc import Callable, Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from pickle import UnpicklingError
from urllib.error import URLError
from urllib.parse import urlsplit

import torch
from mmengine.dist import barrier, get_rank
from mmengine.fileio import get_local_path
from mmengine.runner.checkpoint import (
    get_deprecated_model_names,
    get_external_models,
    get_mmcls_models,
    get_torchvision_models,
)
from torch.serialization import get_safe_globals, safe_globals

from swin_mmdet.checkpoint.containers import choose_weights, describe_training
from swin_mmdet.checkpoint.layout import StateDict
from swin_mmdet.checkpoint.restricted_pickle import STAND_INS, RestrictedUnpickler, TorchSurvey, Unreadable, refusal
from swin_mmdet.errors import CheckpointError

LEGACY_MAGIC = (0x1950A86A20F9469CFC6C).to_bytes(10, 'little')  # how files of torch < 1.6 begin, as a pickled number
DAMAGED = 'it is truncated or damaged'
AGAIN = 'Download or copy it again'
WEB = ('http://', 'https://')
CONNECTION_ERRORS = (URLError, ConnectionError, TimeoutError, PermissionError)

# mmengine's schemes for models that it knows by name
MODEL_ZOOS = {
    'torchvision': get_torchvision_models,
    'modelzoo': get_torchvision_models,
    'open-mmlab': get_external_models,
    'openmmlab': get_external_models,
    'mmcls': get_mmcls_models,
}


@dataclass(frozen=True)
class CheckpointFile:
    """What was read.

    Attributes:
        source: the path, the URL, or 'the state dict'.
        state_dict: tensors by key, as in the file, on the CPU; those of a dict stay where they are.
        weights: where they were found and which they are, in words for a log line; '' when at the top of the file.
        averaged: an average of weights (EMA) was taken.
        has_raw_and_averaged: the file holds both.
        meta: what else the file says about its training: str, int, float, bool, and lists and dicts of those.
    """

    source: str
    state_dict: StateDict
    weights: str
    averaged: bool
    has_raw_and_averaged: bool
    meta: dict[str, object]


def read_checkpoint(source: str | Path | Mapping | CheckpointFile, averaged: bool = True) -> CheckpointFile:
    """Read a checkpoint of PyTorch (zip or legacy), safetensors, or a pickle of numpy arrays, told by its content.

    Args:
        source: a file, anything that mmengine can read (`https://`, `torchvision://`, ...), or a loaded dict; what was
            read already is returned.
        averaged: whether to take the averaged weights, or the raw ones, from a file that holds both.

    Raises:
        FileNotFoundError: a local path where no file is.
        CheckpointError: a file that is broken, of another kind, or needs more than weights, and one without weights.
    """
    if isinstance(source, CheckpointFile):
        return source
    if isinstance(source, Mapping):
        name = 'the state dict'
        held: Content = (source, {})
    else:
        name = str(source)
        held = _read(name)
    content, header = held
    try:
        weights = choose_weights(content, averaged)
    except ValueError as error:
        raise CheckpointError(name, f'it {error}') from error
    return CheckpointFile(
        source=name,
        state_dict=weights.state_dict,
        weights=weights.place,
        averaged=weights.averaged,
        has_raw_and_averaged=weights.has_raw_and_averaged,
        meta=header | describe_training(content),
    )


def read_state_dict(source: str | Path | Mapping) -> StateDict:
    """The tensors of a checkpoint by key, averaged ones if there are, see `read_checkpoint`."""
    return read_checkpoint(source).state_dict


Content = tuple[object, dict[str, str]]  # what a file holds, and what its header says beside that


def _read(source: str) -> Content:
    is_local = '://' not in source
    if is_local and not Path(source).is_file():
        raise FileNotFoundError(f'checkpoint {source!r} does not exist; give the path of a file or a URL')
    try:
        return _read_local(source) if is_local else _read_url(source)
    except Exception as error:  # the bytes are anybody's: a parser may stumble in any way
        raise CheckpointError(source, f'it cannot be read: {_explain(error)}.') from error


def _explain(error: Exception) -> str:
    """What is wrong and what to do."""
    if isinstance(error, Unreadable):
        return str(error)
    if isinstance(error, CONNECTION_ERRORS):
        return f'{type(error).__name__}: {error}. Check the path or URL, and that you may read it'
    # without PyTorch's advice on how to lift the protection
    detail = re.split(r'WeightsUnpickler error:\s*', str(error))[-1].strip()
    first_sentence = re.split(r'\.\s|\n', detail)[0].rstrip('.')
    return f'{DAMAGED} ({type(error).__name__}: {first_sentence}). {AGAIN}'


def _read_url(url: str) -> Content:
    """Fetch what mmengine would. It shall not load it: for http, or where PyTorch refuses, it lifts the protection."""
    url = resolve_url(url)
    if not url.startswith(WEB):
        with ExitStack() as stack:
            try:
                path = stack.enter_context(get_local_path(url))
            except Exception as error:  # any of a store's client, if it is installed
                reason = f'{type(error).__name__}: {error}'
                raise Unreadable(f'mmengine cannot fetch it ({reason}). Give a path or an https URL') from error
            return _read_local(str(path))
    path = download(url, local_copy(url))
    try:
        return _read_local(str(path))
    except Exception as error:
        raise Unreadable(f'{_explain(error)}. It was kept as {path}, delete that before') from error


def resolve_url(url: str) -> str:
    """The address of a model that mmengine knows by name (`torchvision://resnet50`); any other URL as it is.

    Raises:
        ValueError: mmengine knows no such name.
    """
    scheme, _, name = url.partition('://')
    if scheme not in MODEL_ZOOS:
        return url
    urls = MODEL_ZOOS[scheme]()
    name = get_deprecated_model_names().get(name, name)
    if name not in urls:
        raise Unreadable(f'mmengine knows no model {name!r} under {scheme}://. Give the URL of a file')
    return urls[name]


def local_copy(url: str) -> Path:
    """Where a file of the web is kept, in `torch.hub`'s folder."""
    *folders, name = urlsplit(url).path.strip('/').split('/')
    if not re.search(r'\d', name):
        # `model.safetensors` and its like say nothing of their model, and another of the same name may lie there
        name = '--'.join([*folders, name])
    return Path(torch.hub.get_dir(), 'checkpoints', name)


def download(url: str, path: Path) -> Path:
    """The file of a web address at this path, fetched unless it is there; in all processes at once.

    Raises:
        ValueError: it cannot be fetched; says where to put it by hand.
    """

    def fetch() -> None:
        if path.exists():
            return
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(path), progress=sys.stderr.isatty())
        except CONNECTION_ERRORS as error:
            reason = f'{type(error).__name__}: {error}. Check the URL and the connection'
            raise Unreadable(f'{reason}, or fetch it in another way and save it as {path}') from error

    try:
        if get_rank() == 0:
            fetch()
    finally:
        barrier()
    fetch()  # on other machines than the first process's
    return path


def _read_local(path: str) -> Content:
    with open(path, 'rb') as file:
        head = file.read(64)
    if head.startswith(b'PK\3\4'):
        return _read_zip(path), {}
    # a length below 2**48 and the first brace of the header
    if head[6:9] == b'\0\0{':
        return _read_safetensors(path)
    if LEGACY_MAGIC in head:
        return _read_legacy(path), {}
    if head.startswith(b'\x80'):
        with open(path, 'rb') as file:
            return RestrictedUnpickler(file).load(), {}
    if not head:
        raise Unreadable(f'it is empty. {AGAIN}')
    if head.lstrip().startswith(b'<'):
        raise Unreadable(f'it is a web page, as servers send for a file that they lack or refuse. {AGAIN}')
    if head.startswith(b'version https://git-lfs'):
        raise Unreadable('it is a placeholder of Git LFS. Fetch the file with `git lfs pull`')
    raise Unreadable(
        f'it begins with {head[:8]!r}, so it is truncated or no file of PyTorch, safetensors or pickle. {AGAIN}'
    )


def _read_safetensors(path: str) -> Content:
    try:
        from safetensors import safe_open
    except ImportError as error:
        raise Unreadable('it is a safetensors file: pip install safetensors') from error
    with safe_open(path, framework='pt', device='cpu') as file:
        # mapped, as in `_read_zip`
        return {key: file.get_tensor(key) for key in file.keys()}, dict(file.metadata() or {})  # noqa: SIM118


def _read_zip(path: str) -> object:
    """A file of torch >= 1.6: mapped, not copied, so that a large one costs the pages that are read, once.

    PyTorch takes the mapped sizes from the pickle, without a look at the records: a storage that claims more than its
    record would show what comes next in the file as weights, and a compressed record its compressed bytes.
    """
    with zipfile.ZipFile(path) as archive:
        records = {record.filename: record for record in archive.infolist()}
        folder = next(iter(records), '').partition('/')[0]
        if f'{folder}/constants.pkl' in records:
            raise Unreadable('it is a TorchScript program. Save the state_dict of the model instead')
        if f'{folder}/data.pkl' not in records:
            raise Unreadable('it is a zip archive, but not of torch.save. If it holds a checkpoint, unpack it')
        size = Path(path).stat().st_size
        for name, record in records.items():
            if record.compress_type != zipfile.ZIP_STORED:
                raise Unreadable(f'{name} in it is compressed, as torch.save never does. Unpack it, and zip it with -0')
            if record.header_offset + record.file_size > size:
                raise Unreadable(f'{DAMAGED}: {name} in it ends behind the file. {AGAIN}')
        survey = TorchSurvey(io.BytesIO(archive.read(f'{folder}/data.pkl')))
        survey.load()
    for key, claim in survey.claims.items():
        claimed = records.get(f'{folder}/data/{key}')
        held = claimed.file_size if claimed else 0
        if claim != held:
            raise Unreadable(f'{DAMAGED}: a tensor claims {claim} bytes of a record that has {held}. {AGAIN}')
    return _torch_load(path, survey.names, mmap=True)


def _read_legacy(path: str) -> object:
    """A file of torch < 1.6: five pickles and then the storages, each after its number of elements; not mapped."""
    with open(path, 'rb') as file:
        for _ in range(3):  # the magic number, the protocol, and the system that wrote it
            TorchSurvey(file).load()
        survey = TorchSurvey(file)
        survey.load()
        RestrictedUnpickler(file).load()  # the keys in order
        held = Path(path).stat().st_size - file.tell()
    claim = sum(survey.claims.values()) + 8 * len(survey.claims)
    if claim > held:
        raise Unreadable(f'{DAMAGED}: its tensors claim {claim} bytes, {held} are left. {AGAIN}')
    return _torch_load(path, survey.names, mmap=False)


def _torch_load(path: str, names: Iterable[str], mmap: bool) -> object:
    """`torch.load`, with stand-ins for those named objects that PyTorch does not know and that do nothing but hold."""
    # with two things under one name, chance would decide, so whoever has registered the real one keeps it
    known = {entry[1] if isinstance(entry, tuple) else _full_name(entry) for entry in get_safe_globals()}
    offered = [(STAND_INS[name], name) for name in names if name in STAND_INS and name not in known]
    with safe_globals(offered), open(path, 'rb') as file:
        misnamed = path.endswith('.safetensors')  # which PyTorch believes; a file without a name cannot be mapped
        target, mmap = (file, False) if misnamed else (path, mmap)
        try:
            return torch.load(target, map_location='cpu', weights_only=True, mmap=mmap)
        except UnpicklingError as error:
            refused = re.search(r'GLOBAL (\S+)', str(error))
            if refused is None:
                raise
            raise Unreadable(refusal(refused[1])) from error


def _full_name(thing: Callable) -> str:
    return f'{thing.__module__}.{thing.__qualname__}'
