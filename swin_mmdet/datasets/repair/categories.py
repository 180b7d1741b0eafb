"""Categories put right: names that are text, one of each name, and the same in every split."""

from collections.abc import Hashable, Iterable

from swin_mmdet.datasets.coco_file import shown_id
from swin_mmdet.datasets.faults import is_id, spelt
from swin_mmdet.datasets.repair.change import Changes


def repair_categories(data: dict, note: Changes) -> None:
    """In place; annotations of a second category of one name go to the first."""
    categories = data['categories']
    used = {spelt(ann['category_id']) for ann in data['annotations'] if is_id(ann.get('category_id'))}
    first: dict[str, Hashable] = {}
    instead: dict[str, Hashable] = {}
    kept = []
    # of two of one name, that with annotations
    for index in sorted(range(len(categories)), key=lambda index: spelt(categories[index].get('id')) not in used):
        category, shown = categories[index], f'category {shown_id(categories[index], index)}'
        if not is_id(category.get('id')):
            note('category_keys', shown, 'left out: it has no id')
            continue
        _name(category, shown, note)
        if category['name'] in first:
            other = instead[spelt(category['id'])] = first[category['name']]
            note('category_name_twice', shown, f'left out: category {other} has the name {category["name"]!r}, too')
            continue
        first[category['name']] = category['id']
        kept.append(index)
    data['categories'] = [categories[index] for index in sorted(kept)]
    for ann in data['annotations']:
        if is_id(ann.get('category_id')) and spelt(ann['category_id']) in instead:
            ann['category_id'] = instead[spelt(ann['category_id'])]


def _name(category: dict, shown: str, note: Changes) -> None:
    name = category.get('name')
    if isinstance(name, str) and name.strip():
        return
    known = isinstance(name, (int, float))
    category['name'] = str(name) if known else shown
    note('category_keys', shown, f'name {name!r} written as {category["name"]!r}')


def add_categories(data: dict, names: Iterable[str], note: Changes) -> None:
    """Those of other splits that a file lacks, in place, last and with new ids."""
    present = {category['name'] for category in data['categories']}
    numbers = [category['id'] for category in data['categories'] if isinstance(category['id'], (int, float))]
    for name in names:
        if name not in present:
            numbers.append(int(max(numbers, default=0)) + 1)
            data['categories'].append({'id': numbers[-1], 'name': name})
            note('categories_differ', f'category {numbers[-1]}', f'{name!r} added, which another split has')
