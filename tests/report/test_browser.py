"""The page in a browser: no error, no request, filters and sorting work, nothing is wider than a narrow screen."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

import swin_mmdet.compat  # noqa: F401  before mmdet

# isort: split
from swin_mmdet.commands.check_dataset import main as check
from swin_mmdet.datasets.checks.options import CheckOptions
from swin_mmdet.report.run_report import write_report
from tests.report.sample_run import sample_run

pytestmark = pytest.mark.long

NAMES = ['cat', '<script>alert(1)</script>', """a "quoted" 'name' & more""", 'verylongname' * 12]
BROWSERS = ('chromium', 'chromium-browser', 'google-chrome')


@pytest.fixture(scope='module')
def browser() -> Iterator:
    sync_api = pytest.importorskip('playwright.sync_api', reason='pip install playwright drives the browser')
    program = next((path for name in BROWSERS if (path := shutil.which(name))), None)
    if program is None:
        pytest.skip(f'no browser: none of {", ".join(BROWSERS)} is installed')
    with sync_api.sync_playwright() as playwright:
        # a sandbox needs rights that containers do not have
        browser = playwright.chromium.launch(executable_path=program, args=['--no-sandbox'])
        yield browser
        browser.close()


@pytest.fixture(scope='module')
def pages(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """The report of a run and the page of a check, in folders with a space in their names."""
    folder = tmp_path_factory.mktemp('a run')
    work_dir = sample_run(folder, NAMES, images=16)
    report = write_report(work_dir, options=CheckOptions(pixels=False))
    checked = folder / 'check.html'
    check([str(work_dir / 'tiny.py'), '--html', str(checked), '--quick'])
    return {'report': report, 'check': checked}


@pytest.fixture
def opened(browser, pages: dict[str, Path]) -> Iterator:
    """opened(name, width, theme) -> the page, from its file; errors and requests fail the test in the end."""
    trouble, contexts = [], []

    def open_page(name: str = 'report', width: int = 1600, theme: str = 'light'):
        context = browser.new_context(viewport={'width': width, 'height': 900}, color_scheme=theme, offline=True)
        contexts.append(context)
        page = context.new_page()
        address = pages[name].resolve().as_uri()
        page.on('console', lambda message: trouble.append(message.text))
        page.on('pageerror', lambda error: trouble.append(str(error)))
        page.on('dialog', lambda dialog: (trouble.append(dialog.message), dialog.dismiss()))
        page.on('request', lambda request: None if request.url.startswith(('data:', address)) else
                trouble.append(request.url))  # fmt: skip
        page.goto(address)
        return page

    yield open_page
    for context in contexts:
        context.close()
    assert trouble == []


@pytest.mark.parametrize('theme', ['light', 'dark'])
@pytest.mark.parametrize('width', [400, 1600])
@pytest.mark.parametrize('name', ['report', 'check'])
def test_nothing_is_wider_than_the_screen_and_all_is_readable(opened, name: str, width: int, theme: str):
    page = opened(name, width, theme)
    assert page.evaluate('document.documentElement.scrollWidth') <= width
    images = page.evaluate('[...document.images].map(image => [image.complete, image.naturalWidth])')
    assert images
    assert all(complete and wide > 0 for complete, wide in images)
    # text and ground are far apart, in both themes
    channels = page.evaluate("""() => {
        const value = (name) => getComputedStyle(document.body)[name].match(/\\d+/g).slice(0, 3).map(Number);
        return [value('color'), value('backgroundColor')];
    }""")
    ink, ground = (sum(colour) / 3 for colour in channels)
    assert ink < 60 < 200 < ground if theme == 'light' else ground < 60 < 200 < ink
    smallest = page.evaluate("""() => Math.min(...[...document.querySelectorAll('svg text')].map(
        (text) => text.getBoundingClientRect().height))""")
    assert smallest >= 7


def test_the_filters_of_the_gallery(opened):
    page = opened()
    cards = page.locator('.shot')
    marks = [card.get_attribute('data-errors').split() for card in cards.all()]
    assert cards.count() == len(marks) > 5

    def shown() -> list[int]:
        return [index for index, card in enumerate(cards.all()) if card.is_visible()]

    assert shown() == list(range(len(marks)))
    pairs = sorted({mark for card in marks for mark in card})
    for kind in {pair.split(':')[0] for pair in pairs}:
        page.select_option('#filter-kind', kind)
        expected = [index for index, card in enumerate(marks) if any(mark.startswith(f'{kind}:') for mark in card)]
        assert shown() == expected
        assert page.locator('#filtered').inner_text() == f'{len(expected)} of {len(marks)} images'
    for pair in pairs:
        kind, label = pair.split(':')
        page.select_option('#filter-kind', kind)
        page.select_option('#filter-class', label)
        assert shown() == [index for index, card in enumerate(marks) if pair in card]
    page.select_option('#filter-kind', '')
    expected = [index for index, card in enumerate(marks) if any(mark.endswith(f':{label}') for mark in card)]
    assert shown() == expected
    options = page.locator('#filter-class option').all_inner_texts()
    assert set(options) <= {'all', *NAMES}


def test_a_click_enlarges_an_image(opened):
    card = opened().locator('.shot').first
    before = card.bounding_box()['width']
    card.click()
    assert card.bounding_box()['width'] > 1.5 * before


def test_tables_are_sorted_by_their_heads(opened):
    page = opened()
    table = page.locator('table.classes').first

    def column(number: int) -> list[str]:
        return [row.locator('th, td').nth(number).inner_text() for row in table.locator('tbody tr').all()]

    head = table.locator('thead th')
    head.nth(1).click()
    numbers = [int(text) for text in column(1)]
    assert numbers == sorted(numbers, reverse=True)
    head.nth(1).click()
    assert [int(text) for text in column(1)] == sorted(numbers)
    assert head.nth(1).get_attribute('aria-sort') == 'ascending'
    head.nth(0).press('Enter')
    names = [cell.get_attribute('title') for cell in table.locator('tbody th').all()]
    assert sorted(names) == sorted(NAMES)
    shown = column(0)
    assert shown == page.evaluate('(names) => names.sort((a, b) => b.localeCompare(a))', shown)


def test_a_class_is_chosen_in_the_list_and_in_the_table(opened):
    page = opened()
    page.select_option('#curve-class', '1')
    chosen = page.locator('g.class-on')
    assert chosen.count() == 8  # four figures each of boxes and masks
    assert all(one.get_attribute('id').endswith('-class-1') for one in chosen.all())
    page.locator('table.classes tr[data-class="2"]').first.click()
    assert page.locator('#curve-class').input_value() == '2'
    assert all(one.get_attribute('id').endswith('-class-2') for one in page.locator('g.class-on').all())
    page.select_option('#curve-class', '')
    assert page.locator('g.class-on, g.class-off').count() == 0
