"""
A preview is validated with NetBox: what its plan contains is applied without a rejection, what NetBox rejects is shown
with the reason, and nothing of the trial remains in NetBox.
"""

import pytest
from core.models import ObjectType
from dcim.models import Device, Site
from django.db import connection
from django.urls import reverse
from django.utils.html import escape
from extras.models import CachedValue, CustomField, EventRule, Notification, NotificationGroup, Tag
from extras.validators import CustomValidator
from users.models import User
from virtualization.models import VirtualDisk, VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.ledger import trial, writer
from netbox_proxsync.models import ProxmoxEndpoint
from tests.scenarios.synced import Stage, after_first_sync

pytestmark = pytest.mark.django_db

# What a preview writes by itself.
OF_PREVIEWS = {
    'core_job', 'netbox_proxsync_syncrun', 'netbox_proxsync_syncchange', 'netbox_proxsync_plannedbinding',
    'netbox_proxsync_proxmoxguest', 'extras_cachedvalue',
}  # fmt: skip


@pytest.fixture(scope='module')
def stage() -> Stage:
    site = {'name': 'Linz', 'slug': 'linz'}
    return Stage(
        {'nodes': 2, 'vms': 3, 'containers': 1, 'running': 1, 'agent': 1, 'vlan': 1, 'seed': 3, 'templates': 0},
        lambda: {'site': Site.objects.create(**site), 'sync_nodes': True},
    )


@pytest.fixture
def preview(endpoint, sync):
    """A preview that has succeeded."""

    def create():
        run = sync(endpoint, 'preview')
        assert run.status == 'completed', run.error
        return run

    return create


def applied(preview):
    """The run that applies a preview, of which NetBox must reject nothing."""
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    assert run.status == 'completed', run.error
    assert not run.changes.exclude(outcome='applied').exclude(action__in=('conflict', 'candidate')).exists()
    return run


def rejected(run) -> dict[str, str]:
    """The reasons of what NetBox rejects of a preview, by key."""
    return dict(run.changes.filter(outcome='rejected').values_list('key', 'message'))


def guests(pve, guest_type: str = 'qemu') -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return endpoint.bindings.get(kind='vm', unit__endswith=f'/{vmid}').object


def rows() -> dict[str, int]:
    """The number of rows of every table that a trial must leave as it is."""
    numbers = {}
    with connection.cursor() as cursor:
        for table in connection.introspection.table_names(cursor):
            if table not in OF_PREVIEWS:
                cursor.execute(f'SELECT count(*) FROM "{table}"')
                numbers[table] = cursor.fetchone()[0]
    return numbers


def test_nothing_of_a_trial_remains(endpoint, preview, django_capture_on_commit_callbacks):
    group = NotificationGroup.objects.create(name='Everybody')
    group.users.add(User.objects.create_user('reader'))
    rule = EventRule.objects.create(
        name='Machines', event_types=['object_created'], action_type='notification', action_object=group
    )
    rule.object_types.set([ObjectType.objects.get_for_model(VirtualMachine)])
    before = rows()
    with django_capture_on_commit_callbacks() as callbacks:
        run = preview()
    assert run.changes.filter(action='create', outcome='planned').count() > 20
    assert rows() == before
    indexed = CachedValue.objects.values_list('object_type__app_label', flat=True)
    assert not {'dcim', 'ipam', 'virtualization'}.intersection(indexed)
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).cluster is None
    # NetBox marks the callbacks that update its search index.
    assert not [callback for callback in callbacks if hasattr(callback, '_netbox_search_flush_batch')]
    assert applied(run).changes.count() == run.changes.count()
    assert Notification.objects.exists()


def test_a_first_preview_is_applied_without_a_rejection(pve, endpoint, preview, settings, admin_client):
    settings.CUSTOM_VALIDATORS = {
        'virtualization.virtualdisk': [{'size': {'max': 1}}],
        'dcim.interface': [{'name': {'regex': '^(?!vmbr0$).*$'}}],
        'extras.tag': [{'name': {'max_length': 3}}],
    }
    pve.set_tags(guests(pve)[0], 'web', 'production')
    run = preview()
    reasons = rejected(run)
    disk = run.changes.filter(kind='disk', unit=f'qemu/{guests(pve)[0]}').first().key
    assert {disk, 'node/pve1/vmbr0'} <= {*reasons}
    assert all(reasons.values())
    assert not any(kind == 'disk' for kind in run.counts)
    # Only one of the two tags is rejected, and the machine is part of the plan without it.
    machine = run.changes.filter(unit=f'qemu/{guests(pve)[0]}', kind='vm')
    assert set(machine.values_list('outcome', flat=True)) == {'planned', 'rejected'}
    page = admin_client.get(run.get_absolute_url()).content.decode()
    number = run.changes.filter(outcome='rejected').count()
    assert f'{number} changes would be rejected by NetBox, and are not part of the plan' in page
    listed = admin_client.get(run.get_absolute_url(), {'outcome': 'rejected', 'q': disk}).content.decode()
    assert 'Rejected' in listed
    assert escape(reasons[disk]) in listed
    chosen = admin_client.get(reverse('plugins:netbox_proxsync:syncrun_apply', args=[run.pk])).content.decode()
    assert f'{number} changes would be rejected by NetBox, and are not part of the plan.' in chosen
    # Guests of which a change is rejected are conflicts, before the plan is applied and afterwards.
    assert {guest.state for guest in endpoint.guests.all()} == {'conflict'}
    applied(run)
    assert {guest.state for guest in endpoint.guests.all()} == {'conflict'}
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).sync_status == 'attention'
    assert not VirtualDisk.objects.exists()
    assert set(Tag.objects.values_list('name', flat=True)) >= {'web'}
    assert not Tag.objects.filter(name='production').exists()
    # What was left out is found again.
    settings.CUSTOM_VALIDATORS = {}
    run = preview()
    assert not rejected(run)
    applied(run)
    assert VirtualDisk.objects.exists()
    assert set(vm_of(endpoint, guests(pve)[0]).tags.values_list('name', flat=True)) >= {'web', 'production'}
    assert not preview().changes.exists()


def test_a_preview_of_which_everything_is_rejected(endpoint, preview, settings, admin_client):
    settings.CUSTOM_VALIDATORS = {'virtualization.cluster': [{'name': {'max_length': 1}}]}
    run = preview()
    assert run.counts == {}
    assert set(run.changes.filter(kind='vm').values_list('outcome', flat=True)) == {'rejected'}
    assert any('The object requires' in reason for reason in rejected(run).values())
    page = admin_client.get(run.get_absolute_url()).content.decode()
    assert 'No change can be applied, because NetBox would reject all of them.' in page
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).sync_status == 'attention'


def test_a_required_custom_field(endpoint, preview):
    field = CustomField.objects.create(name='cost_center', type='text', required=True)
    field.object_types.set([ObjectType.objects.get_for_model(VirtualDisk)])
    run = preview()
    assert not run.changes.filter(kind='disk', outcome='planned').exclude(action='conflict').exists()
    applied(run)
    assert VirtualMachine.objects.count() == 4


class AtMostTwo(CustomValidator):
    """A rule about several objects, which only shows when they are written one after the other."""

    def validate(self, instance, request):
        if instance._state.adding and VirtualMachine.objects.count() >= 2:
            self.fail('There are two virtual machines already.')


def test_each_change_sees_those_before_it(endpoint, preview, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [AtMostTwo()]}
    run = preview()
    machines = run.changes.filter(kind='vm', outcome='rejected')
    assert set(machines.values_list('message', flat=True)) == {'There are two virtual machines already.'}
    applied(run)
    assert VirtualMachine.objects.count() == 2


@pytest.mark.parametrize('size', [1, 50])
def test_a_plan_that_takes_several_transactions(endpoint, preview, monkeypatch, size):
    monkeypatch.setattr(trial, 'SECONDS_PER_TRANSACTION', 0)
    for name in ('UNITS_PER_TRANSACTION', 'CREATED_PER_TRANSACTION'):
        monkeypatch.setattr(writer, name, size)
    before = rows()
    run = preview()
    assert not rejected(run)
    assert rows() == before
    applied(run)
    assert Device.objects.count() == 2
    assert VirtualMachine.objects.filter(device__isnull=False).count() == 4
    assert not preview().changes.exists()


@after_first_sync
def test_a_protection_rule(pve, endpoint, preview, settings):
    settings.PROTECTION_RULES = {'virtualization.virtualdisk': [{'name': {'eq': 'nothing'}}]}
    disk = endpoint.bindings.filter(kind='disk', unit__startswith='qemu/').order_by('key').first()
    _type, vmid, name = disk.key.split('/')
    pve.remove_disk(int(vmid), name)
    run = preview()
    assert 'Deletion is prevented by a protection rule' in rejected(run)[disk.key]
    assert not run.changes.filter(action='delete', outcome='planned').exists()
    assert VirtualDisk.objects.filter(pk=disk.object_id).exists()
    settings.PROTECTION_RULES = {}
    run = preview()
    assert VirtualDisk.objects.filter(pk=disk.object_id).exists()
    applied(run)
    assert not VirtualDisk.objects.filter(pk=disk.object_id).exists()


@after_first_sync
def test_a_rejected_rename_keeps_its_name_from_others(pve, endpoint, preview, settings):
    one, other = guests(pve)[:2]
    first, second = vm_of(endpoint, one), vm_of(endpoint, other)
    name = first.name
    pve.rename(one, 'forbidden')
    pve.rename(other, name)
    endpoint.field_policy = {'vm.name': 'fact'}
    endpoint.save()
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'name': {'regex': '^(?!forbidden$).*$'}}]}
    run = preview()
    assert {f'qemu/{one}', f'qemu/{other}'} <= {*rejected(run)}
    if run.counts:
        applied(run)
    for machine in (first, second):
        before = machine.name
        machine.refresh_from_db()
        assert machine.name == before


@after_first_sync
def test_an_object_that_a_user_has_created_meanwhile_is_no_rejection(pve, endpoint, preview):
    vmid = guests(pve)[0]
    pve.rename(vmid, 'renamed')
    run = preview()
    machine = vm_of(endpoint, vmid)
    machine.name = 'mine'
    machine.save()
    result = SyncJob.enqueue_plan(run, None, immediate=True)
    assert set(result.changes.values_list('outcome', flat=True)) == {'outdated'}


def test_a_refused_sync_is_validated_as_well(standin, make_endpoint, sync, settings):
    pve = standin(nodes=1, vms=7, containers=0, templates=0, seed=4)
    endpoint = make_endpoint(pve)
    sync(endpoint)
    for vmid in guests(pve)[1:]:
        pve.delete(vmid)
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'name': {'max_length': 1}}]}
    run = sync(endpoint)
    assert run.status == 'refused'
    assert run.changes.filter(kind='vm', action='retire', outcome='rejected').count() == 6
    assert not VirtualMachine.objects.filter(status='decommissioning').exists()
