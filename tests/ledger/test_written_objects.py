"""What is read back of the objects that a run has written or deleted, in order to revert the run."""

from collections.abc import Iterator
from uuid import uuid4

import pytest
from core.signals import clear_signal_history
from dcim.models import Site
from django.db import models
from extras.models import Tag
from users.models import User

from netbox_proxsync.ledger.fields import pointer_to, read_all
from netbox_proxsync.ledger.tracking import tracked_transaction
from netbox_proxsync.ledger.written_objects import deleted_values, present_values
from netbox_proxsync.models import Binding, ProxmoxEndpoint
from netbox_proxsync.sync.changes import Action, Change
from netbox_proxsync.sync.kinds import KINDS

from ..scenarios.synced import Stage, after_first_sync

pytestmark = [pytest.mark.django_db, after_first_sync]

# NetBox protects an object to which others refer, so these are deleted first.
ORDER = ('disk', 'ip', 'mac', 'interface', 'node_interface', 'vm', 'device', 'cluster')


@pytest.fixture(scope='module')
def stage() -> Stage:
    return Stage(
        {'nodes': 1, 'vms': 2, 'containers': 1, 'templates': 0, 'running': 1, 'agent': 1, 'vlan': 1, 'seed': 3},
        lambda: {'site': Site.objects.create(name='Linz', slug='linz'), 'sync_nodes': True, 'create_vlans': True},
    )


def rows_of(endpoint) -> Iterator[Binding]:
    for kind in ORDER:
        # VLAN interfaces and ports of bridges before what they belong to.
        yield from endpoint.bindings.filter(kind=kind).order_by('-object_id')


def values_of(instance: models.Model, kind: str) -> dict:
    return read_all(instance, [spec.name for spec in KINDS[kind].fields])


def delete(instance: models.Model, request_id) -> None:
    user = User.objects.get_or_create(username='admin')[0]
    with tracked_transaction(user, request_id):
        instance.snapshot()
        instance.delete()
    # As at the end of a request: NetBox logs each deletion once, and the tests delete the same objects.
    clear_signal_history(sender=None)


def test_the_change_log_returns_the_values_of_deleted_objects_of_every_kind(endpoint):
    # NetBox protects the cluster of an endpoint.
    ProxmoxEndpoint.objects.update(cluster=None)
    request_id, before, kinds = uuid4(), {}, {}
    for row in rows_of(endpoint):
        # As it is by now: the deletion of others has emptied fields of it.
        instance = row.object
        pointer = pointer_to(instance)
        before[pointer], kinds[pointer] = values_of(instance, row.kind), KINDS[row.kind]
        delete(instance, request_id)
    assert {kind.name for kind in kinds.values()} == set(ORDER)
    found = deleted_values(kinds, request_id)
    assert found.keys() == before.keys()
    for pointer, values in before.items():
        assert found[pointer] == values, pointer


def test_an_address_that_was_assigned_to_nothing(endpoint):
    address = endpoint.bindings.filter(kind='ip').first().object
    address.snapshot()
    address.assigned_object = None
    address.save()
    request_id, pointer = uuid4(), pointer_to(address)
    delete(address, request_id)
    assert deleted_values({pointer: KINDS['ip']}, request_id)[pointer]['assigned_object'] is None


def test_values_are_unknown_if_a_tag_was_deleted_since(endpoint):
    machines = [row.object for row in endpoint.bindings.filter(kind='vm')]
    tag = Tag.objects.create(name='Fast', slug='fast')
    machines[0].tags.add(tag)
    request_id, pointers = uuid4(), [pointer_to(machine) for machine in machines]
    for machine in machines:
        delete(machine, request_id)
    tag.delete()
    # The third one is not asked for.
    found = deleted_values(dict.fromkeys(pointers[:2], KINDS['vm']), request_id)
    assert set(found) == {pointers[1]}


def test_a_change_without_an_object_has_no_present_values(endpoint):
    row = endpoint.bindings.filter(kind='vm').first()
    known, unknown = (
        Change(action=Action.CREATE, kind='vm', key=key, unit=key, label='x', pointer=pointer)
        for key, pointer in ((row.key, pointer_to(row.object)), ('qemu/999', None))
    )
    assert present_values([known, unknown]) == {known.pointer: values_of(row.object, 'vm')}
