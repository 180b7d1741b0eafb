"""The kinds of files that a traced program becomes."""

import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

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

    def check(self) -> None:
        """UserError where a package is missing."""
        missing = [name for name in self.packages if not find_spec(name)]
        if missing:
            extra = 'swin_mmdet[export]' if self.name == 'onnx' else ' '.join(missing)
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


TARGETS = (
    Target('torch', '.pt2', (), write_torch, annotate_archive),
    Target('onnx', '.onnx', ('onnx', 'onnxscript', 'onnxruntime'), write_onnx, annotate_onnx),
)
