"""The kinds of files that a traced program becomes."""

import shutil
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from xml.etree import ElementTree

import torch
from torch.export import ExportedProgram

from swin_mmdet.errors import UserError
from swin_mmdet.export.runtime import ABOUT, DIGEST, NO_DIGEST, digest

OPSET = 18
# protobuf's limit of one file
MOST_BYTES = 2**31


@dataclass(frozen=True)
class Target:
    """A kind of file.

    `write` writes a traced program with named outputs to a path, `annotate` adds a text about it to a file so written.
    """

    name: str
    suffix: str
    packages: tuple[str, ...]
    write: Callable[[ExportedProgram, Sequence[str], Path], None]
    annotate: Callable[[Path, str], None]
    # what lies beside a file, by suffix
    beside: tuple[str, ...] = ()
    programs: tuple[str, ...] = ()

    def files(self, path: Path) -> list[Path]:
        """All that a file of this name consists of."""
        return [path, *(path.with_suffix(suffix) for suffix in self.beside)]

    def check(self) -> None:
        """UserError where a package or a program is missing."""
        for name in self.programs:
            if not shutil.which(name):
                raise UserError(f'--to {self.name} needs {name}, a compiler: install it or take another --to')
        missing = [name for name in self.packages if not find_spec(name)]
        if missing:
            extra = 'swin_mmdet[openvino]' if 'openvino' in missing else 'swin_mmdet[export]'
            raise UserError(f"--to {self.name} needs {', '.join(missing)}: pip install '{extra}'")


def target_of(name: str) -> Target:
    """The kind of that name."""
    for target in TARGETS:
        if target.name == name:
            return target
    raise UserError(f'--to {name}: there are {", ".join(target.name for target in TARGETS)}')


def write_torch(traced: ExportedProgram, names: Sequence[str], path: Path) -> None:
    """A zip file of `torch.export`."""
    del names
    # what tracing supposed of maps with one place, of whose views these are, is not so; the proof has such maps
    traced._guards_code = []
    torch.export.save(traced, path)


def annotate_archive(path: Path, about: str) -> None:
    """Among the `extra` files of a zip file of PyTorch."""
    with zipfile.ZipFile(path, 'a') as archive:
        top = archive.namelist()[0].partition('/')[0]
        archive.writestr(f'{top}/extra/{ABOUT}', about)
    found = digest(path, NO_DIGEST)
    with zipfile.ZipFile(path, 'a') as archive:
        archive.writestr(f'{top}/extra/{DIGEST}', found)


def write_onnx(traced: ExportedProgram, names: Sequence[str], path: Path) -> None:
    """One file, whose RoIAlign and NonMaxSuppression are ONNX's own operators."""
    if sum(value.numel() * value.element_size() for value in traced.state_dict.values()) > MOST_BYTES:
        raise UserError('the weights are more than the 2 GiB that an ONNX file holds: use --to torch')
    made = torch.onnx.export(
        traced, (), None, input_names=['images', 'sizes'], output_names=list(names), opset_version=OPSET,
        dynamo=True, external_data=False, verbose=False,
    )  # fmt: skip
    path.write_bytes(made.model_proto.SerializeToString())


def write_aoti(traced: ExportedProgram, names: Sequence[str], path: Path) -> None:
    """A zip file with a library that AOTInductor compiled for this kind of processor."""
    del names
    torch._inductor.aoti_compile_and_package(traced, package_path=str(path))


def write_openvino(traced: ExportedProgram, names: Sequence[str], path: Path) -> None:
    """An `.xml` file and its weights in a `.bin`, from the same as ONNX."""
    import openvino

    onnx = path.with_suffix('.onnx')
    write_onnx(traced, names, onnx)
    model = openvino.convert_model(onnx)
    onnx.unlink()
    # as they are: OpenVINO itself chooses the precision of its computations
    openvino.save_model(model, path, compress_to_fp16=False)


def annotate_openvino(path: Path, about: str) -> None:
    """Among the `rt_info` of the model."""
    tree = ElementTree.parse(path)
    info = tree.getroot().find('rt_info')
    assert info is not None  # which OpenVINO writes into every model
    for key, value in ((ABOUT, about), (DIGEST, NO_DIGEST)):
        ElementTree.SubElement(info, key.replace('.', '_'), value=value)
    tree.write(path)
    fill_in_digest(path)


def annotate_onnx(path: Path, about: str) -> None:
    """In the metadata of a model."""
    import onnx

    more = onnx.ModelProto()
    for key, value in ((ABOUT, about), (DIGEST, NO_DIGEST)):
        more.metadata_props.add(key=key, value=value)
    # two messages of protobuf, one after the other, are one
    path.write_bytes(path.read_bytes() + more.SerializeToString())
    fill_in_digest(path)


def fill_in_digest(path: Path) -> None:
    """Write a file's checksum in the place of none."""
    found = digest(path, NO_DIGEST)
    path.write_bytes(path.read_bytes().replace(NO_DIGEST.encode(), found.encode(), 1))


ONNX = 'onnx', 'onnxscript', 'onnxruntime'
TARGETS = (
    Target('torch', '.pt2', (), write_torch, annotate_archive),
    Target('onnx', '.onnx', ONNX, write_onnx, annotate_onnx),
    Target('aoti', '.pt2', (), write_aoti, annotate_archive, programs=('g++',)),
    Target('openvino', '.xml', (*ONNX, 'openvino'), write_openvino, annotate_openvino, beside=('.bin',)),
)
