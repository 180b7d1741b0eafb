"""The operators for torch alone are torchvision's."""

import subprocess
import sys

import pytest
import torch
import torchvision

CODE = """
import sys
sys.modules['torchvision'] = None
import torch
import runpy
ops = runpy.run_path({path!r})
inputs = torch.load({inputs!r})
nms = torch.ops.torchvision.nms(*inputs['nms'])
regions = [torch.ops.torchvision.roi_align(*one) for one in inputs['roi_align']]
torch.save({{'nms': nms, 'roi_align': regions}}, {found!r})
"""


@pytest.fixture(scope='module')
def both(tmp_path_factory, request):
    """What a process without torchvision found, and torchvision itself."""
    generator = torch.Generator().manual_seed(0)
    start = 40 * torch.rand(50, 2, generator=generator)
    boxes = torch.cat([start, start + 2 + 30 * torch.rand(50, 2, generator=generator)], 1)
    scores = torch.rand(50, generator=generator)
    # beside the map, without a size, smaller than a pixel, larger than the map
    odd = torch.tensor([[-20.0, -9.0, 3.0, 5.0], [0, 0, 0, 0], [5.0, 5.0, 5.3, 5.9], [-30.0, -30.0, 90.0, 99.0]])
    rois = torch.cat([torch.arange(54)[:, None] % 2, torch.cat([boxes, odd])], 1)
    maps = torch.randn(2, 3, 13, 17, generator=generator)
    cases = [(maps, rois, 0.25, 7, 7, ratio, aligned) for ratio in (-1, 2) for aligned in (True, False)]
    inputs = {'nms': (boxes, scores, 0.4), 'roi_align': cases}
    folder = tmp_path_factory.mktemp('ops')
    torch.save(inputs, folder / 'inputs.pt')
    path = request.config.rootpath / 'swin_mmdet/export/torch_ops.py'
    code = CODE.format(path=str(path), inputs=str(folder / 'inputs.pt'), found=str(folder / 'found.pt'))
    subprocess.run([sys.executable, '-c', code], check=True)
    return torch.load(folder / 'found.pt'), inputs


def test_nms_is_torchvisions(both):
    found, inputs = both
    expected = torchvision.ops.nms(*inputs['nms'])
    assert 5 < len(expected) < 50
    assert torch.equal(found['nms'], expected)


def test_regions_are_torchvisions(both):
    found, inputs = both
    for own, case in zip(found['roi_align'], inputs['roi_align'], strict=True):
        maps, rois, scale, *size, ratio, aligned = case
        expected = torchvision.ops.roi_align(maps, rois, size, scale, ratio, aligned)
        torch.testing.assert_close(own, expected, rtol=0, atol=1e-5)
