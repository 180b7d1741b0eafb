"""The benchmarks of whole backbones, on a small model and a CPU."""

import csv

import backbone
import backbone_memory
import harness
import peers
import pytest
import torch
import where_time_goes

from swin_mmdet import variants

SMALL = variants.SwinVariant(16, (1, 1, 2, 1), (1, 2, 4, 8))
SIZES = peers.Sizes(SMALL, 4, (68, 96))
# Triton's kernels would be interpreted here, which takes minutes
NAMES = [name for name in peers.BUILDERS if name != 'ours triton']


@pytest.fixture
def small_tiny(monkeypatch):
    """'tiny' is a small model."""
    monkeypatch.setitem(variants.VARIANTS, 'tiny', SMALL)


def read(path):
    with path.open() as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize('train', [True, False], ids=['train', 'infer'])
@pytest.mark.parametrize('name', NAMES)
def test_every_peer_takes_steps_and_leaves_no_gradients(name, train):
    pytest.importorskip('swin_mmdet' if name.startswith('ours') else name)
    model = peers.build_peer(name, SIZES, 'cpu')
    step = peers.Step(model, torch.randn(2, 3, 68, 96), SIZES.map_shapes(2), 'fp32', train)
    before = [parameter.clone() for parameter in step.parameters]
    step()
    assert all(parameter.grad is None for parameter in step.parameters)
    assert all(map(torch.equal, before, step.parameters))
    parameters = sum(parameter.numel() for parameter in step.parameters)
    assert step.held_mib() > 4 * parameters / 2**20


def test_maps_of_another_shape_are_refused():
    with pytest.raises(ValueError, match='the maps have shapes'):
        peers.Step(
            peers.build_peer('ours', SIZES, 'cpu'), torch.randn(1, 3, 64, 64), SIZES.map_shapes(1), 'fp32', False
        )


@pytest.mark.usefixtures('small_tiny')
def test_cases_become_rows_and_a_peer_that_fails_one_with_the_reason(tmp_path, monkeypatch):
    def missing(_sizes):
        raise ModuleNotFoundError("No module named 'timm'")

    monkeypatch.setitem(peers.BUILDERS, 'timm', missing)
    out = tmp_path / 'backbone.csv'
    options = '--device cpu --size 32 64 --batches 2 --repeats 2 --commit abc --peers timm ours mmdet'
    backbone.main([*options.split(), '--out', str(out)])
    rows = read(out)
    cases = [(mode, peer) for mode in ('train', 'infer') for peer in ('timm', 'ours', 'mmdet')]
    assert [(row['mode'], row['peer']) for row in rows] == cases
    for row in rows:
        assert (row['variant'], row['window'], row['dtype'], row['height'], row['width']) == (
            'tiny',
            '7',
            'fp32',
            '32',
            '64',
        )
        assert row['commit'] == 'abc'
        assert 'threads' in row['device']
        if row['peer'] == 'timm':
            assert row['problem'] == "ModuleNotFoundError: No module named 'timm'"
            assert row['median ms'] == ''
        else:
            assert row['problem'] == ''
            assert 0 < float(row['p20 ms']) <= float(row['median ms']) <= float(row['p80 ms'])
            assert float(row['to mmdet']) > 0
            assert row['to timm compiled'] == row['peak GiB'] == row['kernels'] == ''


@pytest.mark.usefixtures('small_tiny')
def test_checkpointing_is_in_proportion_to_none(tmp_path):
    out = tmp_path / 'memory.csv'
    options = '--device cpu --variants tiny --size 32 64 --dtype fp32 --repeats 2 --commit abc'
    backbone_memory.main([*options.split(), '--out', str(out)])
    rows = read(out)
    assert [row['checkpointed stages'] for row in rows] == ['none', '1 and 2', 'all']
    assert rows[0]['time to none'] == '1.0'
    for row in rows:
        ratio = float(row['median ms']) / float(rows[0]['median ms'])
        assert float(row['time to none']) == pytest.approx(ratio, rel=1e-3)


def test_ways_take_turns():
    calls = []
    ways = {name: lambda name=name: calls.append(name) for name in 'ab'}
    result = harness.measure(ways, repeats=3, warmup=1, device='cpu')
    assert ''.join(calls) == 'ab' + 3 * 'ab'
    assert list(result) == ['a', 'b']


def test_work_on_the_gpu_is_read_from_a_trace():
    events = [
        {'name': 'k', 'cat': 'kernel', 'dur': 2.5},
        {'name': 'Memset', 'cat': 'gpu_memset', 'dur': 1},
        {'name': 'cudaLaunchKernel', 'cat': 'cuda_runtime', 'dur': 9},
        {'name': 'process_name', 'ph': 'M'},
    ]
    assert harness.work_of({'traceEvents': events}) == [('k', 2.5), ('Memset', 1)]


KERNELS = {
    'forward_kernel': 'attention forward',
    'backward_kernel': 'attention backward',
    'norm_forward_kernel': 'norms',
    'norm_backward_kernel': 'norms',
    'gelu_forward_kernel': 'GELU',
    'fmha_cutlassF_bf16_aligned_64x64_rf_sm80(PyTorchMemEffAttention::AttentionKernel)': 'attention forward',
    'fmha_cutlassB_bf16_aligned_64x64_k32_sm80(...)': 'attention backward',
    'void at::native::(anonymous namespace)::vectorized_layer_norm_kernel<float, float>(int)': 'norms',
    'void at::native::(anonymous namespace)::GammaBetaBackwardCUDAKernelTemplate<float>': 'norms',
    'void at::native::vectorized_elementwise_kernel<8, at::native::GeluCUDAKernelImpl(at::Tensor&)>': 'GELU',
    'void (anonymous namespace)::softmax_warp_forward<float, float, float, 6, false, false>': 'softmax',
    'nvjet_tst_192x192_64x4_2x1_v_bz_coopA_NNT': 'matrix products',
    'sm80_xmma_fprop_implicit_gemm_bf16bf16_bf16f32_f32_nhwckrsc_nchw_tilesize128x128x32': 'matrix products',
    'void cublasLt::splitKreduce_kernel<32, 16, int, float, __nv_bfloat16>': 'matrix products',
    'void at::native::unrolled_elementwise_kernel<at::native::direct_copy_kernel_cuda(at::Tensor)>': 'casts and copies',
    'void at::native::vectorized_elementwise_kernel<8, at::native::bfloat16_copy_kernel_cuda>': 'casts and copies',
    'void at::native::roll_cuda_kernel<c10::BFloat16>': 'casts and copies',
    'Memset (Device)': 'casts and copies',
    'void at::native::reduce_kernel<128, 4, at::native::ReduceOp<float>>': 'reductions',
    'void at::native::vectorized_elementwise_kernel<4, at::native::CUDAFunctor_add<float>>': 'element-wise',
    'triton_per_fused_add_native_layer_norm_12': 'norms',
    'triton_poi_fused_add_mul_3': 'element-wise',
    'something_else': 'other',
}


@pytest.mark.parametrize('kernel', KERNELS, ids=lambda name: name[:40])
def test_kernels_find_their_group(kernel):
    assert where_time_goes.group_of(kernel) == KERNELS[kernel]


def test_groups_and_waiting_make_up_the_step():
    work = 2 * [('forward_kernel', 30.0), ('gelu_forward_kernel', 5.0), ('gelu_forward_kernel', 15.0)]
    rows = where_time_goes.table(work, 2, 100.0, {'GELU': 10.0})
    found = {(row['group'], row['kernel']): (row['calls'], row['us'], row['share'], row['floor us']) for row in rows}
    assert found == {
        ('attention forward', 'all'): (1, 30.0, 0.3, None),
        ('attention forward', 'forward_kernel'): (1, 30.0, 0.3, None),
        ('GELU', 'all'): (2, 20.0, 0.2, 10.0),
        ('GELU', 'gelu_forward_kernel'): (2, 20.0, 0.2, None),
        ('waiting', 'all'): (0, 50.0, 0.5, None),
        ('step', 'all'): (3, 100.0, 1.0, 10.0),
    }


def test_the_floor_of_attention_is_that_of_its_own_benchmark():
    sizes = peers.Sizes(variants.SwinVariant(96, (1,), (3,)), 7, (800, 1344))
    floors = where_time_goes.floor_us(sizes, 2, 'bf16')
    # qkv and the output of stage 1 at 3.0 TB/s, forward; in backward the gradients as well
    assert floors['attention forward'] == pytest.approx(34.4, rel=1e-2)
    assert floors['attention backward'] == pytest.approx(60.2, rel=1e-2)
