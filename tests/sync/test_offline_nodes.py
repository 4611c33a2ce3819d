"""Which guests wait for a node that is offline."""

from datetime import timedelta

import pytest

from netbox_proxsync.sync.offline_nodes import LastSeen, Waiting
from tests.sync.builders import NOW, guest, inventory, node

LATER = NOW + timedelta(hours=1)
OFFLINE = inventory(guest(101), nodes=(node('pve1', online=False), node('pve2', online=False), node('pve3')))


def waiting(seen=None, since=None) -> Waiting:
    return Waiting.of(OFFLINE, {'qemu/100': seen} if seen else {}, since or {})


@pytest.mark.parametrize(
    ('seen', 'since', 'nodes'),
    [
        (None, {}, ('pve1', 'pve2')),
        (LastSeen('pve1', NOW), {}, ('pve1',)),
        (LastSeen('pve3', NOW), {'pve1': LATER, 'pve2': NOW}, ('pve1',)),
        (LastSeen('pve3', LATER), {'pve1': NOW}, ('pve2',)),
        (LastSeen('pve3', None), {'pve1': NOW, 'pve2': NOW}, ('pve1', 'pve2')),
        (LastSeen('', NOW), {'pve1': NOW, 'pve2': NOW}, ('pve1', 'pve2')),
    ],
)
def test_a_guest_may_be_where_it_was_or_where_it_may_have_moved(seen, since, nodes):
    assert waiting(seen, since).nodes_of('qemu/100') == nodes


def test_listed_guests_and_other_units_do_not_wait():
    found = waiting()
    for unit in ('qemu/101', 'qemu/101#1', 'node/pve1', ''):
        assert found.nodes_of(unit) == ()
        assert found.reason(unit) == ''
    assert found.nodes_of('qemu/100#1') == ('pve1', 'pve2')
    assert Waiting.of(inventory(), {}, {}).nodes_of('qemu/100') == ()


@pytest.mark.parametrize(
    ('seen', 'words'),
    [
        (LastSeen('pve1', NOW), 'The guest was on node pve1, which is offline.'),
        (None, 'The guest may be on node pve1 or pve2, which are offline.'),
    ],
)
def test_why_a_guest_waits(seen, words):
    assert words in waiting(seen).reason('qemu/100')
