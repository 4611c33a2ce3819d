"""The write policy of an endpoint is honored in syncs, limited runs and applied plans, and shows what it withholds."""

import pytest
from django.urls import reverse
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint

pytestmark = pytest.mark.django_db


def outcomes(run, **values) -> set[tuple[str, str]]:
    return set(run.changes.filter(**values).values_list('action', 'outcome'))


def allow(endpoint: ProxmoxEndpoint, policy: str) -> None:
    endpoint.write_policy = policy
    endpoint.full_clean()
    endpoint.save()


def status_of(endpoint: ProxmoxEndpoint) -> str:
    return ProxmoxEndpoint.objects.get(pk=endpoint.pk).sync_status


def test_the_changes_that_each_write_policy_permits(standin, make_endpoint, sync, admin_client):
    pve = standin(nodes=1, vms=7, containers=0, templates=0, seed=4)
    endpoint = make_endpoint(pve)
    vmids = sorted(guest.vmid for guest in pve.cluster.guests.values())
    first, gone = vmids[0], vmids[1:]

    # Nothing is written, not even a binding, and everything is planned.
    allow(endpoint, 'report-only')
    run = sync(endpoint)
    assert run.status == 'completed'
    assert outcomes(run) == {('create', 'withheld')}
    assert not VirtualMachine.objects.exists()
    assert not Binding.objects.exists()
    assert [message['level'] for message in run.messages if message['subject'] == 'write policy'] == ['info']
    assert {guest.state for guest in endpoint.guests.all()} == {'new'}
    assert {guest.reason for guest in endpoint.guests.all()} == {'Withheld by the write policy of the endpoint.'}

    # A plan that was made under another policy is applied under the present one.
    allow(endpoint, 'everything')
    preview = sync(endpoint, 'preview')
    allow(endpoint, 'report-only')
    page = admin_client.get(reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])).content.decode()
    assert f'{preview.total_changes} changes are withheld by the write policy "Report Only"' in page
    applied = SyncJob.enqueue_plan(preview, None, immediate=True)
    assert outcomes(applied) == {('create', 'withheld')}
    assert not VirtualMachine.objects.exists()

    # New objects are created, and existing ones are not changed.
    allow(endpoint, 'create-only')
    run = sync(endpoint)
    assert VirtualMachine.objects.count() == 7
    assert status_of(endpoint) == 'in-sync'
    before = VirtualMachine.objects.get(custom_field_data__vmid=first)
    pve.set_config(first, memory=12345)
    run = sync(endpoint, vmids=[first])
    assert outcomes(run, kind='vm') == {('update', 'withheld')}
    assert VirtualMachine.objects.get(pk=before.pk).memory == before.memory
    assert endpoint.guests.get(vmid=first).state == 'changed'
    assert status_of(endpoint) == 'pending'

    # Updates are written, and removals are not. They do not exceed the change limit, either.
    allow(endpoint, 'no-removals')
    for vmid in gone:
        pve.delete(vmid)
    run = sync(endpoint)
    assert run.status == 'completed'
    assert ('update', 'applied') in outcomes(run, unit=f'qemu/{first}')
    assert outcomes(run, kind='vm', action='retire') == {('retire', 'withheld')}
    assert VirtualMachine.objects.get(pk=before.pk).memory != before.memory
    assert not VirtualMachine.objects.filter(status='decommissioning').exists()
    assert {guest.state for guest in endpoint.guests.filter(vmid__in=gone)} == {'missing'}
    assert status_of(endpoint) == 'pending'
    # Without the policy, the same run is blocked.
    allow(endpoint, 'everything')
    assert sync(endpoint).status == 'refused'
    assert status_of(endpoint) == 'attention'
