"""The list of guests alone, over real HTTPS: what it contains, and rows that cannot be understood."""

import pytest

from netbox_proxsync.proxmox.errors import ProxmoxError
from netbox_proxsync.proxmox.http.client import ProxmoxClient
from netbox_proxsync.proxmox.readers.guest_list import GuestList, read_guest_list
from tests.pve import StandIn

from ..reading import answer_of, connection, serve

LIST = '/cluster/resources'


@pytest.fixture
def pve(standin) -> StandIn:
    return standin(nodes=1, vms=3, containers=0, templates=0)


def listed(pve: StandIn) -> GuestList:
    with ProxmoxClient(connection(pve)) as client:
        return read_guest_list(client)


def rows_of(pve: StandIn) -> list[dict]:
    return [row for row in answer_of(pve, LIST) if row['type'] == 'qemu']


def test_three_calls_return_all_guests(pve):
    found = listed(pve)
    assert [guest.key for guest in found.guests] == [row['id'] for row in rows_of(pve)]
    assert found.total == 3
    assert len(pve.log) == 3


@pytest.mark.parametrize(
    'values', [{'vmid': 'x'}, {'vmid': 0}, {'vmid': None}, {'node': None}, {'node': ''}, {'type': 'lxd'}], ids=str
)
def test_a_row_that_cannot_be_understood_is_left_out(pve, values):
    first, *others = rows_of(pve)
    serve(pve, LIST, [first | values, *others])
    found = listed(pve)
    assert [guest.key for guest in found.guests] == [row['id'] for row in others]
    assert found.total == 2


def test_an_element_that_is_not_an_object_is_left_out(pve):
    serve(pve, LIST, ['x', None, *rows_of(pve)])
    assert len(listed(pve).guests) == 3


def test_a_list_that_is_none_is_an_error(pve):
    serve(pve, LIST, {'qemu/100': {}})
    with pytest.raises(ProxmoxError, match='The list of guests is not a list'):
        listed(pve)
