"""The one walk over a config: every dict once, with the key by which an option reaches it."""

from functools import reduce

from mmengine.config import Config

from swin_mmdet.config import keyed_nodes, nodes

CONTENT = dict(
    model=dict(
        backbone=dict(type='A', init_cfg=dict(type='B')),
        heads=[dict(type='C'), (dict(type='D', backbone=dict(type='E')), 3)],
    ),
    lr=0.1,
    names=('x', 'y'),
)


def test_every_dict_is_found_by_its_key_the_outer_ones_first():
    cfg = Config(CONTENT)
    found = dict(keyed_nodes(cfg))
    assert list(found) == [
        '', 'model', 'model.backbone', 'model.backbone.init_cfg', 'model.heads.0', 'model.heads.1.0',
        'model.heads.1.0.backbone',
    ]  # fmt: skip
    for key, node in list(found.items())[1:]:
        steps = (int(name) if name.isdigit() else name for name in key.split('.'))
        assert node == reduce(lambda part, step: part[step], steps, CONTENT)
    assert list(nodes(cfg)) == list(found.values())
    assert [key for key, _ in keyed_nodes(cfg.model.heads, 'model.heads')] == list(found)[4:]


def test_what_is_skipped_is_not_entered():
    assert [key for key, _ in keyed_nodes(CONTENT, skip=('backbone',))] == [
        '', 'model', 'model.heads.0', 'model.heads.1.0',
    ]  # fmt: skip


def test_a_node_may_be_changed_where_it_is_found():
    model = dict(neck=dict(type='FPN'))
    for node in nodes(model):
        if node.get('type') == 'FPN':
            node['norm_cfg'] = dict(type='BN')
    assert [node.get('type') for node in nodes(model)] == [None, 'FPN', 'BN']


def test_other_values_have_no_dicts():
    for value in (None, 'text', 3, ['a', ('b',)]):
        assert list(nodes(value)) == []
