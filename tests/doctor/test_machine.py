"""Limits of a machine that break trainings are named."""

from collections import namedtuple

import pytest

from swin_mmdet.doctor import machine
from swin_mmdet.doctor.machine import GIB, gpus_by_driver, machine_findings

Usage = namedtuple('Usage', 'total used free')


@pytest.mark.parametrize(('name', 'disk', 'shared', 'files', 'is_broken'), [
    ('', 50, 8, 65536, False),
    ('disk', 1, 8, 65536, False),
    ('shared memory', 50, 0.0625, 65536, True),
    ('open files', 50, 8, 256, False),
])  # fmt: skip
def test_each_limit_is_said_with_its_remedy(monkeypatch, tmp_path, name, disk, shared, files, is_broken):
    import resource

    free = {machine.SHARED_MEMORY: shared}
    monkeypatch.setattr(
        machine.shutil, 'disk_usage', lambda path: Usage(100 * GIB, 0, int(free.get(path, disk) * GIB))
    )
    monkeypatch.setattr(resource, 'getrlimit', lambda _: (files, 524288))
    found = machine_findings(tmp_path)
    assert [one.name for one in found if one.wrong] == [name] * bool(name)
    for one in found:
        assert bool(one.wrong) == bool(one.remedy)
        assert not one.wrong or one.is_broken == is_broken


def test_gpus_are_listed_by_their_driver(monkeypatch, tmp_path):
    monkeypatch.setenv('PATH', str(tmp_path))
    assert gpus_by_driver() == []
    (tmp_path / 'nvidia-smi').write_text('#!/bin/sh\necho "NVIDIA H200, 570.86"\necho "NVIDIA H200, 570.86"\n')
    (tmp_path / 'nvidia-smi').chmod(0o755)
    assert gpus_by_driver() == ['NVIDIA H200, 570.86'] * 2
    (tmp_path / 'nvidia-smi').write_text('#!/bin/sh\necho "NVIDIA-SMI has failed"\nexit 9\n')
    assert gpus_by_driver() == []
