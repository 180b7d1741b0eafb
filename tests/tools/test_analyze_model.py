"""analyze_model.py: a table, JSON and a CSV, and what cannot be analyzed."""

import csv
import importlib
import json
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

CONFIG = 'quickstart/mask-rcnn_swin-micro_shapes'


def analyze(*arguments: object) -> None:
    importlib.import_module('swin_mmdet.commands.analyze_model').main([str(argument) for argument in arguments])


@pytest.fixture
def config(repository: Path) -> Path:
    return repository / 'configs' / f'{CONFIG}.py'


def test_json_has_totals_and_parts(config: Path, capsys: pytest.CaptureFixture):
    frozen = 'model.backbone.frozen_stages=1'
    analyze(config, '--shape', '96', '128', '--json', '--cfg-options', frozen)
    (cost,) = json.loads(capsys.readouterr().out)
    assert (cost['config'], cost['shape']) == (str(config), [96, 128])
    for name in ('parameters', 'trained', 'macs', 'paper_macs', 'saved_bytes'):
        assert cost[name] == sum(part[name] for part in cost['parts']) > 0
    assert cost['trained'] < cost['parameters']


def test_the_table_has_a_row_for_each_part(config: Path, capsys: pytest.CaptureFixture):
    analyze(config, '--shape', '96', '128')
    title, _, header, *rows = capsys.readouterr().out.splitlines()
    assert title.endswith('96 x 128')
    names = [row.split('  ')[0] for row in rows[: rows.index('')]]
    assert names[0] == 'backbone.patch_embed'
    assert {'backbone.stages.3', 'neck', 'rpn_head', 'roi_head.mask_head'} < set(names)
    assert names[-1] == 'total'
    # the numbers of a row stand under the last letters of their heads
    assert {len(row) for row in rows[: rows.index('')]} == {len(header)}


def test_a_csv_has_published_figures_beside_ours(
    config: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    module = importlib.import_module('swin_mmdet.commands.analyze_model')
    figures = {'published_params_m': '2', 'published_gflops': '1.5'}
    monkeypatch.setattr(module, 'published_figures', lambda: {CONFIG: figures})
    broken = tmp_path / 'broken.py'
    broken.write_text("model = dict(type='NoSuchDetector')\n")
    analyze(config, broken, '--shape', '96', '128', '--csv', tmp_path / 'out.csv')
    with (tmp_path / 'out.csv').open(newline='') as file:
        one, other = csv.DictReader(file)
    assert (one['config'], one['published_gflops'], one['note']) == (CONFIG, '1.5', '')
    assert float(one['difference_percent']) == pytest.approx(100 * (float(one['gflops_paper']) / 1.5 - 1), abs=5)
    assert float(one['gflops']) == pytest.approx(2 * float(one['gmacs']), abs=0.1)
    assert 'NoSuchDetector' in other['note']
    assert other['gmacs'] == ''


def test_mistakes_are_named(config: Path, tmp_path: Path, user_error: type[Exception]):
    with pytest.raises(user_error, match='give a config file'):
        analyze()
    with pytest.raises(user_error, match='sides of at least 32'):
        analyze(config, '--shape', '800', '8')
    broken = tmp_path / 'broken.py'
    broken.write_text("model = dict(type='NoSuchDetector')\n")
    with pytest.raises(user_error, match=r'model\.type: no model is called NoSuchDetector'):
        analyze(broken)
    broken.write_text("model = dict(type='RetinaNet', backbone=None)\n")
    with pytest.raises(user_error, match=r'broken\.py cannot be analyzed: TypeError: .*missing'):
        analyze(broken)
    broken.write_text('work_dir = 1\n')
    with pytest.raises(user_error, match=r'broken\.py has no .model.'):
        analyze(broken)
