import pytest

from netbox_proxsync.sync.hints import GuestHints, RuledHints
from netbox_proxsync.sync.kinds.device import DeviceHints
from netbox_proxsync.sync.state import Hints, Item
from netbox_proxsync.sync.values import Pointer, Shared
from tests.sync.builders import NetBox, guest, inventory


def test_hints_are_those_of_their_kind():
    hints = DeviceHints(name='pve1', serial=None)
    item = Item(kind='device', key='node/pve1', unit='node/pve1', label='pve1', values={}, hints=hints)
    assert DeviceHints.of(item) is hints
    assert Hints.of(item) is hints
    with pytest.raises(TypeError, match='DeviceHints are no GuestHints'):
        GuestHints.of(item)
    with pytest.raises(TypeError):
        RuledHints.of(item)


def test_only_pointers_lead_to_records_and_bindings():
    netbox = NetBox()
    netbox.sync(inventory(guest()))
    existing = netbox.existing
    bound = existing.bindings['vm', 'qemu/100']
    assert existing.record_of(bound.pointer) is existing.by_pointer[bound.pointer]
    assert existing.binding_of(bound.pointer) is bound
    for value in (None, 'qemu/100', Shared('dcim.platform', 'none'), Pointer(bound.pointer.model, 999)):
        assert existing.record_of(value) is None
        assert existing.binding_of(value) is None
        assert existing.shared_object(value) == value


def test_a_shared_value_means_the_object_that_exists():
    netbox = NetBox()
    wanted = Shared('dcim.platform', 'Debian')
    netbox.shared[wanted] = pointer = Pointer('dcim.platform', 7, 'Debian')
    assert netbox.existing.shared_object(wanted) == pointer
