"""The bindings that a run knows while it writes: those that the plan names, and others when they are asked for."""

import pytest
from dcim.models import Site

from netbox_proxsync.ledger import managed_objects
from netbox_proxsync.ledger.managed_objects import ManagedObjects, Named
from netbox_proxsync.ledger.rollback import Journal
from netbox_proxsync.models import Binding
from netbox_proxsync.sync.changes import Action, Change, FieldChange
from netbox_proxsync.sync.kinds import Owner
from netbox_proxsync.sync.values import Pointer, Ref

pytestmark = pytest.mark.django_db

ABSENT = Pointer('virtualization.virtualmachine', 2_000_000)


@pytest.fixture
def endpoint(standin, make_endpoint, sync):
    endpoint = make_endpoint(standin(nodes=1, vms=2, containers=1), site=Site.objects.create(name='Site', slug='site'))
    assert sync(endpoint).status == 'completed'
    return endpoint


@pytest.fixture
def guest(endpoint) -> Binding:
    """The binding of a guest."""
    return Binding.objects.filter(endpoint=endpoint, kind='vm').first()


def named(guest: Binding) -> Named:
    """What a change of a guest names."""
    field = FieldChange(
        name='device',
        owner=Owner.EDITORIAL,
        last=None,
        now=None,
        want=Ref('device', 'node/pve1', 'pve1'),
        has_last=False,
    )
    change = Change(
        action=Action.UPDATE,
        kind='vm',
        key=guest.key,
        unit=guest.unit,
        label='a',
        pointer=Pointer(guest.object_type.model_class()._meta.label_lower, guest.object_id),
        fields=(field,),
    )
    found = Named()
    assert [*found.noting([change])] == [change]
    return found


def test_what_a_plan_names_is_read_together(endpoint, guest, django_assert_num_queries):
    objects = ManagedObjects(endpoint, Journal())
    parts = Binding.objects.filter(endpoint=endpoint, unit=guest.unit)
    assert parts.count() > 1
    wanted = named(guest)
    with django_assert_num_queries(1):
        objects.expect(wanted)
    with django_assert_num_queries(0):
        assert objects.pointers['vm', guest.key].pk == guest.object_id
        assert objects.bound_to[objects.pointers['vm', guest.key]].pk == guest.pk
        # A node has no virtual machine.
        assert objects.pointers.get(('device', guest.unit)) is None
        assert ('device', 'node/pve1') in objects.pointers
    with django_assert_num_queries(1):
        found = {(row.kind, row.key) for row in parts}
    with django_assert_num_queries(0):
        assert all(identity in objects.pointers for identity in found)


def test_others_are_read_when_they_are_asked_for(endpoint, guest, django_assert_num_queries):
    other = Binding.objects.filter(endpoint=endpoint, kind='vm').exclude(pk=guest.pk).first()
    objects = ManagedObjects(endpoint, Journal())
    objects.expect(named(guest))
    with django_assert_num_queries(1):
        pointer = objects.pointers['vm', other.key]
    with django_assert_num_queries(1):
        assert objects.bound_to[pointer].pk == other.pk
    with django_assert_num_queries(2):
        assert objects.pointers.get(('vm', 'qemu/999')) is None
        assert ABSENT not in objects.bound_to
    with django_assert_num_queries(0):
        assert (objects.pointers['vm', other.key], objects.bound_to[pointer].unit) == (pointer, other.unit)
        assert objects.pointers.get(('vm', 'qemu/999')) is None
        assert ABSENT not in objects.bound_to


def test_for_a_large_plan_all_are_read(endpoint, guest, django_assert_num_queries, monkeypatch):
    monkeypatch.setattr(managed_objects, 'ALL_FROM', 1)
    objects, wanted = ManagedObjects(endpoint, Journal()), named(guest)
    with django_assert_num_queries(1):
        objects.expect(wanted)
    stored = [*Binding.objects.filter(endpoint=endpoint)]
    with django_assert_num_queries(0):
        assert {objects.bound_to[objects.pointers[row.kind, row.key]].pk for row in stored} == {
            row.pk for row in stored
        }
        assert objects.pointers.get(('vm', 'qemu/999')) is None
        assert ABSENT not in objects.bound_to


def test_they_are_read_again_before_a_transaction_is_repeated(endpoint, guest):
    objects = ManagedObjects(endpoint, Journal())
    objects.expect(named(guest))
    pointer = objects.pointers['vm', guest.key]
    Binding.objects.filter(pk=guest.pk).update(unmanaged=True)
    assert not objects.bound_to[pointer].unmanaged
    objects.load()
    assert objects.bound_to[pointer].unmanaged
    Binding.objects.filter(pk=guest.pk).delete()
    objects.load()
    assert objects.pointers.get(('vm', guest.key)) is None
    assert pointer not in objects.bound_to


def test_a_binding_that_does_not_exist_is_removed_without_effect(endpoint, guest):
    objects = ManagedObjects(endpoint, Journal())
    objects.load()
    objects.remove('vm', 'qemu/999999')
    assert objects.pointers[guest.kind, guest.key].pk == guest.object_id
