"""Files of every kind, from disk and from a server, with whatever their writers put beside the weights."""

import argparse
import collections
import os
import pathlib
import pickle
import re
import sys
import types
import zipfile
from contextlib import nullcontext
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import numpy as np
import pytest
import torch

from swin_mmdet.checkpoint import files
from swin_mmdet.checkpoint.files import read_checkpoint, read_state_dict
from tests.checkpoint.writers import WEIGHTS, WRITERS, assert_same, refused, write, write_torch

every_kind = pytest.mark.parametrize('kind', WRITERS)


@every_kind
@pytest.mark.parametrize('suffix', ['pth', 'safetensors', 'pkl'])
def test_a_kind_is_told_by_its_content_whatever_the_name(kind, suffix, tmp_path):
    file = read_checkpoint(write(kind, tmp_path / f'weights.{suffix}'))
    assert_same(file.state_dict)
    assert file.source.endswith(f'weights.{suffix}')
    assert file.weights == ('' if kind == 'safetensors' else "under 'model'")
    assert file.meta == {'epoch': '3' if kind == 'safetensors' else 3}
    assert (file.averaged, file.has_raw_and_averaged) == (False, False)


def test_detectron2_pickles_say_who_wrote_them(tmp_path):
    file = read_checkpoint(write('pickle4', tmp_path / 'd2.pkl', __author__='somebody', matching_heuristics=True))
    assert file.meta == {'epoch': 3, 'author': 'somebody', 'matching_heuristics': True}


def test_pickles_of_python_2_are_read(tmp_path):
    numbers = np.arange(6, dtype='<f4').tobytes()
    (tmp_path / 'python2.pkl').write_bytes(
        b'\x80\x02}q\x01U\x05modelq\x02}q\x03U\x06weightq\x04cnumpy.core.multiarray\n_reconstruct\nq\x05cnumpy\n'
        b'ndarray\nq\x06K\x00\x85U\x01b\x87Rq\x07(K\x01K\x02K\x03\x86cnumpy\ndtype\nq\x08U\x02f4K\x00K\x01\x87Rq\t'
        b'(K\x03U\x01<NNNJ\xff\xff\xff\xffJ\xff\xff\xff\xffK\x00tb\x89U\x18' + numbers + b'tbss.'
    )
    assert_same(read_state_dict(tmp_path / 'python2.pkl'), {'weight': torch.arange(6.0).reshape(2, 3)})


@pytest.mark.parametrize('protocol', [2, 4, 5])
def test_arrays_of_every_number_and_order_are_read(protocol, tmp_path):
    arrays = {f'{code}': np.array([[0, 1, 2], [3, 4, 5]]).astype(code) for code in '?bhilqBefdFD'}
    arrays['fortran'] = np.asfortranarray(arrays['f'])
    arrays['transposed'] = np.zeros((2, 3, 4), 'f4').transpose(1, 0, 2) + np.arange(3)[:, None, None]
    arrays['big-endian'] = arrays['f'].astype('>f4')
    arrays['empty'], arrays['scalar'] = np.zeros((0, 3)), np.array(2.5)
    content = {'model': arrays, 'score': np.float32(0.5), 'step': np.int64(7)}
    (tmp_path / 'arrays.pkl').write_bytes(pickle.dumps(content, protocol))
    file = read_checkpoint(tmp_path / 'arrays.pkl')
    assert list(file.state_dict) == list(arrays)
    for key, value in arrays.items():
        assert np.array_equal(file.state_dict[key].numpy(), value)
    assert file.meta == {'score': 0.5, 'step': 7}


NUMBERS = [
    torch.float64, torch.float32, torch.float16, torch.bfloat16, torch.int64, torch.int32, torch.int16, torch.int8,
    torch.uint8, torch.bool, torch.complex64, torch.complex128,
]  # fmt: skip


@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_tensors_of_every_number_take_the_bytes_that_their_pickle_claims(kind, tmp_path):
    """Those of recent years have a storage of bytes, and old files none; a part of a storage is in it once."""
    numbers = NUMBERS if kind == 'legacy' else [*NUMBERS, torch.float8_e4m3fn, torch.uint16]
    weights = {str(dtype): torch.arange(7).to(dtype) for dtype in numbers}
    weights |= {'part': weights['torch.int64'][2:4], 'none': torch.zeros(0)}
    WRITERS[kind](str(tmp_path / 'numbers.pth'), {'model': weights})
    found = read_checkpoint(tmp_path / 'numbers.pth').state_dict
    assert found.keys() == weights.keys()
    for name, value in weights.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name].contiguous().view(torch.uint8), value.contiguous().view(torch.uint8)), name


def test_a_file_of_old_pytorch_that_lacks_its_last_byte_is_said_to(tmp_path):
    path = write('legacy', tmp_path / 'cut')
    path.write_bytes(path.read_bytes()[:-1])
    claim, left = re.search(r'its tensors claim (\d+) bytes, (\d+) are left', refused(path)).groups()
    # the numbers of the four of WEIGHTS, and the length of each storage
    assert int(claim) == 24 * 4 + 5 * 2 + 9 * 8 + 8 + 4 * 8 == int(left) + 1


def test_an_array_of_objects_is_refused(tmp_path):
    (tmp_path / 'objects.pkl').write_bytes(pickle.dumps({'model': {'a': np.array([{}, None])}}, 4))
    with pytest.raises(ValueError, match=r"objects\.pkl.* cannot be read.*'O8', not of numbers"):
        read_checkpoint(tmp_path / 'objects.pkl')


class CfgNode(dict):
    """As yacs: a dict with a state of its own."""

    def __init__(self, *items):
        super().__init__(*items)
        self.__dict__['frozen'] = True


@pytest.mark.usefixtures('bare_pytorch')
@pytest.mark.parametrize('kind', ['zip', 'legacy'])
def test_a_resume_checkpoint_of_microsoft_is_read_without_yacs(kind, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, 'yacs', types.ModuleType('yacs'))
    monkeypatch.setitem(sys.modules, 'yacs.config', types.SimpleNamespace(CfgNode=CfgNode))
    monkeypatch.setattr(CfgNode, '__module__', 'yacs.config')
    config = CfgNode({'MODEL': CfgNode({'TYPE': 'swin'})})
    optimizer = {'state': {0: {'exp_avg': torch.zeros(3)}}, 'param_groups': [{'lr': 0.1}]}
    path = write(kind, tmp_path / 'resume.pth', config=config, optimizer=optimizer, max_accuracy=81.2, scaler={})
    monkeypatch.undo()
    file = read_checkpoint(path)
    assert_same(file.state_dict)
    assert file.meta == {'epoch': 3, 'max_accuracy': 81.2}


def settings():
    yield 'argparse', argparse.Namespace(lr=0.1, output_dir=pathlib.PosixPath('out'))
    yield 'path', pathlib.PureWindowsPath('C:/out')
    yield 'namespace', types.SimpleNamespace(a=1)
    yield 'defaultdict', collections.defaultdict(list, a=[1])
    yield 'numpy', {'best': np.float64(3), 'history': np.arange(3.0), 'flag': np.bool_(True)}


@pytest.mark.usefixtures('bare_pytorch')
@pytest.mark.parametrize('kind', ['zip', 'legacy'])
@pytest.mark.parametrize('name', ['yacs', 'omegaconf', 'easydict', 'mmengine', *dict(settings())])
def test_settings_of_known_programs_do_not_stand_in_the_way(kind, name, tmp_path):
    values = {'a': 1, 'b': {'c': [1, 2.5, 'x', True]}}
    if name == 'yacs':
        thing = pytest.importorskip('yacs.config').CfgNode(values)
    elif name == 'omegaconf':
        thing = pytest.importorskip('omegaconf').OmegaConf.create(values)
    elif name == 'easydict':
        thing = pytest.importorskip('easydict').EasyDict(values)
    elif name == 'mmengine':
        from mmengine.config import ConfigDict

        thing = ConfigDict(values)
    else:
        thing = dict(settings())[name]
    before = set(torch.serialization.get_safe_globals())
    assert_same(read_state_dict(write(kind, tmp_path / 'settings.pth', args=thing)))
    assert set(torch.serialization.get_safe_globals()) == before


def test_names_that_others_declared_safe_stay_safe(tmp_path, monkeypatch):
    """And mean the same while a file is read: of two things under one name PyTorch would take any."""
    from swin_mmdet.compat import safe_load

    safe_load.apply()
    before = set(torch.serialization.get_safe_globals())
    offered = []
    monkeypatch.setattr(files, 'safe_globals', lambda names: offered.extend(names) or nullcontext())
    path = write('zip', tmp_path / 'settings.pth', best=np.float64(3))
    assert read_checkpoint(path).meta == {'epoch': 3, 'best': 3.0}
    assert offered == []
    monkeypatch.undo()
    read_checkpoint(write('zip', tmp_path / 'settings.pth', args=argparse.Namespace(a=1), best=np.float64(3)))
    assert set(torch.serialization.get_safe_globals()) == before


def zip_again(path, compression):
    """As somebody would who unpacked the file to look into it."""
    with zipfile.ZipFile(path) as archive:
        records = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, 'w', compression) as archive:
        for name, data in records.items():
            archive.writestr(name, data)


def test_other_files_are_told_apart(tmp_path):
    def message(content):
        path = tmp_path / 'other.pth'
        path.write_bytes(content)
        return refused(path)

    assert 'it is empty' in message(b'')
    assert 'web page' in message(b'\n<!DOCTYPE html><html><body>404 Not Found</body></html>')
    assert 'git lfs pull' in message(b'version https://git-lfs.github.com/spec/v1\noid sha256:0')
    assert "begins with b'\\x89HDF" in message(b'\x89HDF\r\n\x1a\n' + bytes(100))
    with zipfile.ZipFile(tmp_path / 'other.zip', 'w') as archive:
        archive.writestr('readme.txt', 'no weights')
    assert 'not of torch.save' in refused(tmp_path / 'other.zip')
    torch.jit.script(torch.nn.Linear(1, 1)).save(tmp_path / 'script.pt')
    assert 'TorchScript' in refused(tmp_path / 'script.pt')
    zip_again(write('zip', tmp_path / 'deflated.pth'), zipfile.ZIP_DEFLATED)
    assert 'compressed' in refused(tmp_path / 'deflated.pth')
    zip_again(write('zip', tmp_path / 'stored.pth'), zipfile.ZIP_STORED)
    assert_same(read_state_dict(tmp_path / 'stored.pth'))
    with pytest.raises(FileNotFoundError, match='does not exist'):
        read_checkpoint(tmp_path)


def test_a_plain_pickle_of_tensors_says_how_to_save_it(tmp_path):
    (tmp_path / 'tensors.pkl').write_bytes(pickle.dumps(WEIGHTS))
    assert 'Use torch.save' in refused(tmp_path / 'tensors.pkl')


def test_safetensors_without_its_library_says_what_to_install(tmp_path, monkeypatch):
    path = write('safetensors', tmp_path / 'weights.safetensors')
    monkeypatch.setitem(sys.modules, 'safetensors', None)
    assert 'pip install safetensors' in refused(path)


@pytest.fixture
def served(tmp_path, monkeypatch):
    """A folder and the address under which a server on this machine offers it; downloads go to another folder."""
    monkeypatch.setenv('no_proxy', '127.0.0.1')
    monkeypatch.setattr(torch.hub, 'get_dir', lambda: str(tmp_path / 'hub'))
    folder = tmp_path / 'served'
    folder.mkdir()
    handler = type('Handler', (SimpleHTTPRequestHandler,), {'log_message': lambda *_: None})
    with ThreadingHTTPServer(('127.0.0.1', 0), partial(handler, directory=str(folder))) as server:
        Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield folder, f'http://127.0.0.1:{server.server_port}'
        server.shutdown()


@every_kind
def test_a_url_may_be_of_any_kind_and_is_fetched_once(kind, served, tmp_path):
    folder, address = served
    path = write(kind, folder / 'swin_224.bin')
    assert_same(read_state_dict(f'{address}/swin_224.bin'))
    path.unlink()
    assert_same(read_state_dict(f'{address}/swin_224.bin?download=true'))
    assert [path.name for path in (tmp_path / 'hub/checkpoints').iterdir()] == ['swin_224.bin']


def test_names_of_mmengine_are_resolved(served, monkeypatch):
    folder, address = served
    write('zip', folder / 'model1.pth')
    monkeypatch.setitem(files.MODEL_ZOOS, 'torchvision', lambda: {'swin_t': f'{address}/model1.pth'})
    assert_same(read_state_dict('torchvision://swin_t'))
    with pytest.raises(ValueError, match=r"cannot be read: mmengine knows no model 'swin_x'"):
        read_checkpoint('torchvision://swin_x')
    with pytest.raises(ValueError, match=r'cannot be read: mmengine cannot fetch it'):
        read_checkpoint('nothing://swin_t')


def test_names_that_many_models_share_do_not_meet_in_the_cache(served):
    folder, address = served
    for name, value in (('a', 1.0), ('b', 2.0)):
        (folder / name).mkdir()
        write_torch(folder / name / 'model.pth', {'weight': torch.tensor(value)})
    assert [read_state_dict(f'{address}/{name}/model.pth')['weight'].item() for name in 'ab'] == [1.0, 2.0]


def test_a_failed_download_says_why(served):
    folder, address = served
    with pytest.raises(ValueError, match=r'gone\.pth.* cannot be read: HTTPError: HTTP Error 404.* Check'):
        read_checkpoint(f'{address}/gone.pth')
    (folder / 'page1.pth').write_text('<html>log in first</html>')
    with pytest.raises(ValueError, match=r'web page.* kept as .*page1\.pth, delete that'):
        read_checkpoint(f'{address}/page1.pth')


def test_nothing_in_a_download_is_executed(served, tmp_path):
    folder, address = served
    canary = tmp_path / 'executed'
    write('zip', folder / 'malicious1.pth', extra=pathlib.PosixPath('x'), attack=Touch(canary))
    with pytest.raises(ValueError, match=r'holds objects other than weights, here posix\.system'):
        read_checkpoint(f'{address}/malicious1.pth')
    assert not canary.exists()


class Touch:
    """Unpickling makes a file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.system, (f'touch {self.path}',)
