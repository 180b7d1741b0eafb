"""tools/render_zoo.py: READMEs and metafiles of the configs."""

import re
from pathlib import Path

import pytest
import yaml

import swin_mmdet
from swin_mmdet.commands import render_zoo as program
from swin_mmdet.maintenance.zoo import find_entries, render

from ..configs.conftest import ROOT, read_config

CONFIGS = ROOT / 'configs'
HEADER = 'config,box_ap,mask_ap,other,params_m,gflops,memory_gb,by,source,note\n'
CONFIG = '''"""A detector; 8 GPUs x 4 images.

More about it.
"""

data_root = 'data/coco/'
train_dataloader = dict(batch_size=4, dataset=dict(pipeline=[[dict(type='RandomCrop')]]))
auto_scale_lr = dict(base_batch_size=64)
train_cfg = dict(max_epochs=12)
optim_wrapper = dict(type='AmpOptimWrapper', optimizer=dict(type='AdamW'))
'''


@pytest.fixture
def zoo(tmp_path: Path) -> Path:
    """One folder with one config, of which two published results."""
    folder = tmp_path / 'configs/net'
    folder.mkdir(parents=True)
    (tmp_path / 'swin_mmdet/.mim').mkdir(parents=True)
    (folder / 'net_coco.py').write_text(CONFIG)
    (tmp_path / 'configs/folders.csv').write_text(
        'folder,title,paper,url,about\nnet,Net,Nets,https://net.org,What it is.\n'
    )
    (tmp_path / 'configs/published.csv').write_text(
        f'{HEADER}net/net_coco,40.1,,,48,267,,A,"arXiv 1234.5678, table 2",old\n'
        'net/net_coco,40.2,35.0,,48,267,,B,https://b.org,\n'
    )
    counted = tmp_path / 'tools/benchmarks/results/model_complexity.csv'
    counted.parent.mkdir(parents=True)
    counted.write_text('config,params_m,gflops_paper\nnet/net_coco,47.79,266.6\n')
    return tmp_path / 'configs'


def test_the_files_say_what_tables_and_configs_say():
    stale = [path for path, text in render(CONFIGS, read_config).items() if path.read_text() != text]
    assert not stale, 'run tools/render_zoo.py'


def test_docstrings_state_a_published_result():
    compared = 0
    for entry in (entry for entries in find_entries(CONFIGS, read_config).values() for entry in entries):
        text = entry.path.read_text().split('"""')[1]
        for pattern, keys in (
            (r'([\d.]+) box / ([\d.]+) mask AP', ('box_ap', 'mask_ap')),
            (r'(\d+)M parameters, (\d+) GFLOPs', ('params_m', 'gflops')),
            (r'published ([\d.]+) box AP', ('box_ap',)),
        ):
            for figures in re.findall(pattern, text):
                figures = figures if isinstance(figures, tuple) else (figures,)
                published = {tuple(line[key] for key in keys) for line in entry.published}
                if published == {('', '')} and keys == ('params_m', 'gflops'):
                    continue  # counted here: tests of their recipes compare them
                assert figures in published, entry.path
                compared += 1
    assert compared > 10


def test_a_readme_has_each_result_and_commands_that_keep_the_batch(zoo: Path):
    text = render(zoo)[zoo / 'net/README.md']
    head = '# Net\n\nWhat it is.\n\nPaper: [Nets](https://net.org)\n\n'
    assert text.startswith(head)
    config = '[net_coco](net_coco.py) | 12 epochs, batch 64, AMP | yes | 47.8M, 266.6G | 48 | 267'
    assert [line for line in text.splitlines() if line.startswith('|')] == [
        # `GB per GPU` and `other` are unknown of all
        '| config | schedule | crops | counted here | parameters, M | GFLOPs at 1280x800 '
        '| box AP | mask AP | by | note | rerun by us |',
        '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
        f'| {config} | 40.1 |  | [A](https://arxiv.org/abs/1234.5678), table 2 | old | no |',
        f'| {config} | 40.2 | 35.0 | [B](https://b.org) |  | no |',
    ]
    assert text.endswith(
        '```bash\n# A detector; 8 GPUs x 4 images.\npython tools/train.py configs/net/net_coco.py --accumulate auto\n'
        'bash tools/dist_train.sh configs/net/net_coco.py 8 --accumulate auto\n```\n'
    )


@pytest.mark.parametrize(
    ('per_gpu', 'batch', 'arguments'),
    [
        (2, 16, ['.py --accumulate auto', '.py 8']),
        (32, 128, ['.py --accumulate auto', '.py 4']),
        (2, 32, ['.py --accumulate auto', '.py 8 --accumulate auto']),
        (16, 16, ['.py', '.py 1']),
    ],
)
def test_commands_fit_the_batch(zoo: Path, per_gpu: int, batch: int, arguments: list[str]):
    path = zoo / 'net/net_coco.py'
    path.write_text(CONFIG.replace('batch_size=4', f'batch_size={per_gpu}').replace('=64', f'={batch}'))
    lines = render(zoo)[zoo / 'net/README.md'].splitlines()
    assert [line.partition('net_coco')[2] for line in lines if line.startswith(('python', 'bash'))] == arguments


def test_the_package_lists_its_metafiles(zoo: Path):
    index = render(zoo)[zoo.parent / 'swin_mmdet/.mim/model-index.yml']
    assert yaml.safe_load(index) == {'Import': ['configs/net/metafile.yml']}


def test_a_metafile_is_a_model_index_without_weights(zoo: Path):
    index = yaml.safe_load(render(zoo)[zoo / 'net/metafile.yml'])
    assert index == dict(
        Collections=[
            dict(
                Name='Net',
                Metadata={'Training Data': 'COCO', 'Architecture': ['Swin Transformer']},
                Paper=dict(URL='https://net.org', Title='Nets'),
                README='configs/net/README.md',
            )
        ],
        Models=[
            {
                'Name': 'net_coco',
                'In Collection': 'Net',
                'Config': 'configs/net/net_coco.py',
                'Metadata': {
                    'Training Data': 'COCO',
                    'Epochs': 12,
                    'Batch Size': 64,
                    'Training Techniques': ['AdamW', 'Mixed Precision'],
                    'Parameters (M)': 48,
                    'FLOPs (G)': 267,
                    'Published By': 'A',
                    'Source': 'arXiv 1234.5678, table 2',
                },
                'Results': [dict(Task='Object Detection', Dataset='COCO', Metrics={'box AP': 40.1})],
            }
        ],
    )


def test_other_data_have_no_index_and_one_command(zoo: Path):
    path = zoo / 'net/net_coco.py'
    path.write_text(CONFIG.replace('data/coco/', 'data/mine/'))
    texts = render(zoo)
    assert list(texts) == [zoo / 'net/README.md']
    assert texts[zoo / 'net/README.md'].count('tools/dist_train.sh') == 0


@pytest.mark.parametrize(
    ('name', 'text', 'message'),
    [
        ('net/other_coco.py', CONFIG, 'no line for net/other_coco'),
        ('published.csv', f'{HEADER}net/net_coco,,,,,,,,,n\nnet/gone,,,,,,,,,n\n', 'no config net/gone'),
        ('published.csv', f'{HEADER}net/net_coco,40.1,,,,,,,,\n', 'net/net_coco: a result needs'),
        ('published.csv', f'{HEADER}net/net_coco,,,,,,,A,https://a.org,\n', 'net/net_coco: a result needs'),
        ('net/net_coco.py', CONFIG.replace('=64', '=2'), r'net_coco\.py: .*=2, but 4 images a GPU'),
        ('net/net_coco.py', CONFIG.replace('auto_scale_lr', 'unread'), r'net_coco\.py: .*=0, but 4 images a GPU'),
        ('folders.csv', 'folder,title,paper,url,about\n', r"folders.csv: .*\['net'\]"),
    ],
)
def test_tables_and_configs_that_do_not_fit_are_refused(
    zoo: Path, user_error: type[Exception], name: str, text: str, message: str
):
    (zoo / name).write_text(text)
    with pytest.raises(user_error, match=message):
        render(zoo)


def test_check_fails_until_the_files_are_written(
    zoo: Path, user_error: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(swin_mmdet, '__file__', str(zoo.parent / 'swin_mmdet/__init__.py'))
    with pytest.raises(user_error, match=r'not up to date, .*README\.md, .*metafile\.yml'):
        program.main(['--check'])
    program.main([])
    program.main(['--check'])
    (zoo / 'net/README.md').write_text('older')
    with pytest.raises(user_error, match=r'not up to date, .*README\.md$'):
        program.main(['--check'])


def test_an_installed_package_has_no_pages(
    tmp_path: Path, user_error: type[Exception], monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.setattr(swin_mmdet, '__file__', str(tmp_path / 'swin_mmdet/__init__.py'))
    with pytest.raises(user_error, match='works on a checkout'):
        program.main([])
