"""The page of a run: what is on it, what it says where something is missing, and that names stay text."""

import json
import re
import shutil
from html.parser import HTMLParser
from pathlib import Path

import numpy as np
import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.commands.report import main
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.errors import UserError
from swin_mmdet.report.images import Images
from swin_mmdet.report.page import duration, number, percent, write_page
from swin_mmdet.report.run_report import gather, write_report
from tests.report.sample_run import sample_run
from tests.report.test_matching import pycocotools

ATTACK = '<script>alert(1)</script>'
QUOTES = """a "quoted" 'name' & more"""
NAMES = ['cat', ATTACK, QUOTES, 'very long name ' * 12]
QUICK = CheckOptions(pixels=False)


class Page(HTMLParser):
    """The elements of a page, those that are open, and its texts."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags, self.texts, self.attributes = [], [], []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list) -> None:
        self.tags.append(tag)
        self.attributes += [(tag, name, value) for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


@pytest.fixture(scope='module')
def work_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return sample_run(tmp_path_factory.mktemp('run'), NAMES)


@pytest.fixture(scope='module')
def text(work_dir: Path) -> str:
    return write_report(work_dir, options=QUICK).read_text()


@pytest.fixture
def copied(work_dir: Path, tmp_path: Path) -> Path:
    """A copy to spoil, whose annotations and images are its own."""
    folder = tmp_path / 'copy'
    shutil.copytree(work_dir.parent, folder)
    for path in [*folder.rglob('*.py'), *folder.rglob('about.json')]:
        path.write_text(path.read_text().replace(str(work_dir.parent), str(folder)))
    return folder / work_dir.name


def test_every_part_is_there_and_nothing_is_fetched(text: str):
    page = Page(text)
    ids = {value for _, name, value in page.attributes if name == 'id'}
    assert {'training', 'ap', 'curves', 'confusion', 'errors', 'gallery', 'data', 'conditions'} <= ids
    for tag, name, value in page.attributes:
        if name in ('src', 'href', 'xlink:href'):
            assert value.startswith(('#', 'data:image/jpeg;base64,')), (tag, name, value[:80])
    assert not {'link', 'iframe', 'object'} & set(page.tags)
    assert '@import' not in text
    assert "'my config.py' --lr 0.1" in ''.join(page.texts)
    assert 'some CPU' in text


def test_names_are_text_wherever_they_stand(text: str):
    page = Page(text)
    assert page.tags.count('script') == 1, 'only our own'
    assert ATTACK not in text
    shown = ''.join(page.texts)
    for name in NAMES:
        assert name.strip() in shown
    titles = [value for _, name, value in page.attributes if name == 'title']
    assert QUOTES in titles


def test_ids_of_figures_are_of_one_figure_each(text: str):
    page = Page(text)
    ids = [value for _, name, value in page.attributes if name == 'id']
    assert len(ids) == len(set(ids))
    for reference in re.findall(r'url\(#([^)]+)\)', text):
        assert reference in ids


def test_the_same_run_gives_the_same_page(work_dir: Path, text: str):
    again = write_report(str(work_dir), str(work_dir / 'again.html'), QUICK).read_text()
    # but for the minute in which it was made
    assert re.sub(r'Training report · [-\d :]+', '', again) == re.sub(r'Training report · [-\d :]+', '', text)
    (work_dir / 'again.html').unlink()


def test_ap_is_pycocotools_for_every_class_and_size(work_dir: Path):
    found = gather(work_dir, QUICK, pictures=0)
    assert [one.iou_type for one in found.evaluated] == ['bbox', 'segm']
    for one in found.evaluated:
        evaluator = pycocotools(found.ground_truth, one.detections, one.iou_type)
        with np.errstate(all='ignore'):
            evaluator.summarize()
        named = one.scores.named
        keys = ['mAP', 'mAP_50', 'mAP_75', 'mAP_s', 'mAP_m', 'mAP_l']
        np.testing.assert_allclose([named[key] for key in keys], evaluator.stats[:6], atol=1e-9)
        precision = evaluator.eval['precision']
        for row in one.rows:
            for area, value in enumerate((row.ap, row.ap_small, row.ap_medium, row.ap_large)):
                of_class = precision[:, :, row.index, area, -1]
                expected = of_class[of_class > -1].mean() if (of_class > -1).any() else -1
                assert value == pytest.approx(expected, abs=1e-9)
            assert row.ap50 == pytest.approx(precision[0, :, row.index, 0, -1].mean(), abs=1e-9)


def test_the_ap_on_the_page_is_that_of_the_evaluation(work_dir: Path, text: str):
    found = gather(work_dir, QUICK, pictures=0)
    tiles = re.findall(r'<div class="tile[^"]*"><b>([\d.]+)</b><span>(\w+) AP</span>', text)
    expected = {'box': found.evaluated[0], 'mask': found.evaluated[1]}
    assert {name: value for value, name in tiles} == {
        name: f'{100 * one.scores.named["mAP"]:.1f}' for name, one in expected.items()
    }


def test_the_gallery_has_the_worst_first_and_every_kind_that_there_is(work_dir: Path):
    found = gather(work_dir, QUICK, pictures=6)
    weights = [card.weight for card in found.cards]
    assert weights == sorted(weights, reverse=True)
    assert len(found.cards) == 6
    everything = gather(work_dir, QUICK, pictures=100)
    kinds = {kind for card in everything.cards for kind, _ in card.counts}
    above = everything.evaluated[-1].above
    assert kinds == set(above.kind[above.kind >= 0].tolist()) | ({5} if above.missed.any() else set())
    total = sum(count for card in everything.cards for _, count in card.counts)
    assert total == (above.kind >= 0).sum() + above.missed.sum()
    for card in everything.cards:
        assert card.truth.startswith('data:image/jpeg;base64,')
        assert {int(mark.partition(':')[0]) for mark in card.marks.split()} == {kind for kind, _ in card.counts}


def test_removed_images_are_told_on_the_page(copied: Path):
    shutil.rmtree(copied.parent / 'data/images')
    text = write_report(copied, options=QUICK).read_text()
    assert 'images of the gallery cannot be read' in text
    assert 'no such file' in text
    assert 'data:image/jpeg' not in text


def test_annotations_that_are_gone(copied: Path):
    (copied.parent / 'data/truth.json').unlink()
    text = write_report(copied, options=QUICK).read_text()
    assert 'No evaluation: ' in text
    assert 'id="training"' in text
    assert 'id="ap"' not in text


def test_annotations_that_were_changed_since(copied: Path):
    about = copied / 'detections/about.json'
    about.write_text(json.dumps(json.loads(about.read_text()) | {'values': {'bbox_mAP': 0.9}}))
    assert any('logged bbox_mAP 0.9000, measured again it is 0.' in note for note in gather(copied, QUICK, 0).notes)


UNKNOWN_IMAGE = json.dumps([dict(image_id=999, category_id=2, score=1, bbox=[0, 0, 1, 1], segmentation={})])


@pytest.mark.parametrize('damage', ['[', '[{"image_id": 1}]', '{}', UNKNOWN_IMAGE])
def test_detections_that_cannot_be_read(copied: Path, damage: str):
    for name in ('bbox', 'segm'):
        (copied / f'detections/{name}.json').write_text(damage)
    found = gather(copied, QUICK)
    assert any(note.startswith('No evaluation: ') for note in found.notes)
    assert found.splits


def test_a_run_without_an_evaluation_and_one_with_nothing_else(copied: Path):
    shutil.rmtree(copied / '20261130_100000')
    assert any('No curves of a training' in note for note in gather(copied, QUICK, 0).notes)
    shutil.rmtree(copied / 'detections')
    text = write_report(copied, options=QUICK).read_text()
    assert 'No predictions were kept here' in text
    assert 'id="data"' in text


def test_a_config_that_cannot_be_read(copied: Path):
    (copied / 'tiny.py').write_text('model = dict(')
    found = gather(copied, QUICK)
    assert any('No data and no pictures: ' in note for note in found.notes)
    assert found.evaluated
    assert all(card.problem for card in found.cards)


def test_boxes_alone(copied: Path):
    (copied / 'detections/segm.json').unlink()
    about = copied / 'detections/bbox.json'
    about.write_text(json.dumps([{key: value for key, value in one.items() if key != 'segmentation'}
                                 for one in json.loads(about.read_text())]))  # fmt: skip
    text = write_report(copied, options=QUICK).read_text()
    assert 'box AP' in text
    assert 'mask AP50' not in re.sub(r'<svg.*?</svg>', '', text, flags=re.DOTALL)
    assert 'data:image/jpeg' in text


def test_nothing_was_found_at_all(copied: Path):
    for name in ('bbox', 'segm'):
        (copied / f'detections/{name}.json').write_text('[]')
    text = write_report(copied, options=QUICK).read_text()
    assert 'Missed' in text
    assert 'nan' not in Page(text).texts


def test_names_that_lead_out_of_the_folder_are_not_opened(copied: Path):
    ann_file = copied.parent / 'data/truth.json'
    truth = json.loads(ann_file.read_text())
    (copied.parent / 'data/images' / truth['images'][0]['file_name']).rename(copied.parent / 'data/secret.jpg')
    for image in truth['images']:
        image['file_name'] = '../secret.jpg'
    ann_file.write_text(json.dumps(truth))
    found = gather(copied, QUICK)
    assert {card.problem.partition(' leads')[0] for card in found.cards} == {"'../secret.jpg'"}
    assert not any(card.truth for card in found.cards)


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['nowhere'], 'no work-dir at nowhere'),
        (['{file}'], 'is a file; give the work-dir'),
        (['{empty}'], 'has no run: no scalars.json, no config, no detections'),
        (['{empty}', '--pictures', '-1'], '--pictures -1: give a number from 0'),
        (['{empty}', '--out', '{empty}'], 'is a folder; name a file in it'),
        (['{empty}', '--checkpoint', 'gone.pth'], 'no checkpoint at gone.pth'),
        (['{empty}', '--checkpoint', 'a.pth', '--no-predict'], '--checkpoint and --no-predict: give one'),
        (['{empty}', '--checkpoint', '{file}'], 'has no config to evaluate it with'),
    ],
)
def test_what_cannot_be_done_is_one_sentence(words: list[str], message: str, work_dir: Path, tmp_path: Path):
    (tmp_path / 'empty').mkdir()
    (tmp_path / 'a file').write_text('')
    places = dict(file=tmp_path / 'a file', empty=tmp_path / 'empty', run=work_dir)
    with pytest.raises(UserError, match=re.escape(message)):
        main([word.format(**places) for word in [*words, '--quick']])


def test_a_page_that_cannot_be_written_is_one_sentence(tmp_path: Path):
    (tmp_path / 'a file').write_text('')
    with pytest.raises(UserError, match=r'cannot be written .* name another file: --out FILE'):
        write_page(tmp_path / 'a file/report.html', '', '--out')


def test_the_program_says_where_the_page_is(work_dir: Path, tmp_path: Path, capsys: pytest.CaptureFixture):
    out = tmp_path / 'new folder/page.html'
    main([str(work_dir), '--out', str(out), '--pictures', '2', '--quick'])
    assert capsys.readouterr().out.splitlines()[-1] == f'report: {out}'
    assert out.read_text().count('<article') == 2


def test_two_hundred_classes(tmp_path: Path):
    names = [f'class {index} <b>' for index in range(200)]
    work_dir = sample_run(tmp_path, names, images=10)
    path = write_report(work_dir, options=QUICK, pictures=4)
    text = path.read_text()
    assert 'Of 200 classes those with most errors' in text
    assert 'other classes' in text
    assert 'class 199 &lt;b&gt;' in text
    assert '<b>' not in re.sub(r'<b>[^<]*</b>', '', text)
    assert path.stat().st_size < 4e6


@pytest.mark.parametrize(
    ('seconds', 'words'), [(0, '0 s'), (59.6, '1 min 00 s'), (3725, '1 h 02 min'), (200000, '2 d 7 h')]
)
def test_durations(seconds: float, words: str):
    assert duration(seconds) == words


def test_numbers_that_cannot_be_measured_are_a_dash():
    assert [percent(value) for value in (-1.0, None, float('nan'))] == ['\u2013'] * 3
    assert percent(0.3333) == '33.3'
    assert number(float('inf')) == '\u2013'


def test_images_are_read_in_rgb(tmp_path: Path):
    import cv2

    from swin_mmdet.datasets.read_image import ImageReader

    cv2.imwrite(str(tmp_path / 'red.png'), np.full((4, 6, 3), (0, 0, 255), np.uint8))
    assert Images(tmp_path, ImageReader()).read('red.png')[0, 0].tolist() == [255, 0, 0]
