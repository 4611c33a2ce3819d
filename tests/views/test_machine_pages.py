"""The panels and tabs on NetBox's own pages of virtual machines, devices and clusters, after runs of the real job."""

import pytest
from core.models import ObjectType
from dcim.models import Device, Site
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from users.models import ObjectPermission, User
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncRun
from netbox_proxsync.ui.bound_objects import binding_of, bound_objects, web_url

from ..scenarios.synced import Stage, after_first_sync
from ..scenarios.test_sync import SMALL, running_vm, vm_of, written

pytestmark = [pytest.mark.django_db, after_first_sync]


@pytest.fixture(scope='module')
def stage():
    return Stage(SMALL, lambda: {'site': Site.objects.create(name='Berlin', slug='berlin'), 'change_limit': 100})


@pytest.fixture
def client(admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


@pytest.fixture
def machine(pve, endpoint) -> VirtualMachine:
    return vm_of(endpoint, running_vm(pve))


def tab(instance) -> str:
    return reverse(f'{instance._meta.app_label}:{instance._meta.model_name}_proxmox', args=[instance.pk])


def page(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def user_with(*permissions: tuple[type, dict | None]) -> Client:
    user = User.objects.create_user(username='reader')
    for model, constraints in permissions:
        permission = ObjectPermission.objects.create(name=f'{model}', actions=['view'], constraints=constraints)
        permission.users.add(user)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
    client = Client()
    client.force_login(user)
    return client


def fields(machine, admin_user, kind: str = 'vm') -> dict:
    found = bound_objects(binding_of(machine), admin_user)
    return {field.name: field for entry in found if entry.kind.name == kind for field in entry.fields}


def test_the_panel_displays_the_node_and_the_sync_status_of_a_machine(client, endpoint, machine):
    text = page(client, machine.get_absolute_url())
    guest = endpoint.guests.get(virtual_machine=machine)
    assert 'Open in Proxmox VE' in text
    assert f'href="https://{endpoint.hosts[0]}/#v1:0:=qemu%2F{guest.vmid}"' in text
    assert 'In sync' in text
    assert guest.get_absolute_url() in text
    assert endpoint.get_absolute_url() in text
    assert endpoint.runs.get().get_absolute_url() in text
    assert tab(machine) in text


def test_devices_and_clusters_have_it_too(client, pve, endpoint, machine, sync):
    node = Device.objects.get(name='pve1')
    text = page(client, node.get_absolute_url())
    assert '#v1:0:=node%2Fpve1' in text
    assert tab(node) in text
    assert 'In sync' in text
    assert 'Open in Proxmox VE' in page(client, machine.cluster.get_absolute_url())
    other = Device.objects.get(name='pve2')
    pve.node_offline('pve2')
    sync(endpoint, mode='preview')
    assert 'Changed' in page(client, other.get_absolute_url())
    assert 'Changed' not in page(client, node.get_absolute_url())


def test_who_is_not_bound_pays_one_query_and_sees_nothing(client, machine):
    kind = ClusterType.objects.create(name='Other', slug='other')
    cluster = Cluster.objects.create(name='other', type=kind)
    for instance in (VirtualMachine.objects.create(name='unbound', cluster=cluster), cluster):
        with CaptureQueriesContext(connection) as queries:
            text = page(client, instance.get_absolute_url())
        assert 'Open in Proxmox VE' not in text
        assert '/proxmox/"' not in text
        asked = [query['sql'] for query in queries if 'netbox_proxsync_' in query['sql']]
        assert len([sql for sql in asked if 'netbox_proxsync_binding' in sql]) == 1
    assert client.get(tab(VirtualMachine.objects.get(name='unbound'))).status_code == 404


def test_a_kept_edit_shows_all_three_values(client, pve, endpoint, machine, sync, admin_user):
    vmid = machine.custom_field_data['vmid']
    before = machine.name
    machine.name = 'by-hand'
    machine.save()
    pve.rename(vmid, 'from-proxmox')
    sync(endpoint)
    field = fields(machine, admin_user)['name']
    machine.refresh_from_db()
    field = fields(VirtualMachine.objects.get(pk=machine.pk), admin_user)['name']
    assert (field.reported, field.now, field.written, field.owner) == ('from-proxmox', 'by-hand', before, 'editorial')
    assert field.differs
    text = page(client, tab(machine))
    for value in ('from-proxmox', 'by-hand', before, 'Differs'):
        assert value in text


def test_values_of_a_preview_are_displayed_until_they_are_written(pve, endpoint, machine, sync, admin_user):
    vmid = machine.custom_field_data['vmid']
    before = machine.name
    pve.rename(vmid, 'from-proxmox')
    sync(endpoint, mode='preview')
    field = fields(machine, admin_user)['name']
    assert (field.reported, field.now, field.written) == ('from-proxmox', before, before)
    sync(endpoint)
    field = fields(VirtualMachine.objects.get(pk=machine.pk), admin_user)['name']
    assert (field.reported, field.now, field.written) == ('from-proxmox', 'from-proxmox', 'from-proxmox')
    assert not Binding.objects.filter(key=f'qemu/{vmid}', proxmox_values__has_key='name').exists()


def test_an_ignored_field_is_seen_and_not_compared(endpoint, machine, sync, admin_user):
    endpoint.field_policy = {'vm.memory': 'ignored'}
    endpoint.save()
    VirtualMachine.objects.filter(pk=machine.pk).update(memory=1)
    sync(endpoint)
    field = fields(VirtualMachine.objects.get(pk=machine.pk), admin_user)['memory']
    assert (field.owner, field.differs) == ('ignored', False)
    assert f'({machine.memory} ' in field.reported
    assert field.now.startswith('1 ')


def test_a_run_that_changes_nothing_writes_nothing_of_what_was_seen(pve, endpoint, machine, sync):
    machine.name = 'by-hand'
    machine.save()
    sync(endpoint)
    with CaptureQueriesContext(connection) as queries:
        run = sync(endpoint)
    assert written(run) == []
    assert not [query for query in queries if query['sql'].startswith('UPDATE "netbox_proxsync_binding"')]


def test_the_tab_shows_parts_sources_and_what_was_ignored(client, pve, endpoint, machine):
    text = page(client, tab(machine))
    guest = endpoint.guests.get(virtual_machine=machine)
    nic, disk = guest.nics[0], guest.detail('disks')[0]
    for value in (nic['mac'], nic['addresses'][0]['address'].partition('/')[0], 'guest agent', disk['volume']):
        assert value in text
    assert nic['ignored']
    assert all(ignored['reason'] in text for ignored in nic['ignored'])
    for action in ('preview', 'sync'):
        assert reverse(f'plugins:netbox_proxsync:proxmoxguest_{action}', args=[guest.pk]) in text


def test_the_tab_costs_the_same_for_many_parts(client, pve, endpoint, machine, sync):
    def cost() -> int:
        page(client, tab(machine))
        with CaptureQueriesContext(connection) as queries:
            page(client, tab(machine))
        return len(queries)

    before = cost()
    for number in range(3, 7):
        pve.add_nic(machine.custom_field_data['vmid'], f'net{number}')
        pve.add_disk(machine.custom_field_data['vmid'])
    sync(endpoint)
    assert cost() == before


def test_the_tab_of_a_device(client, endpoint, machine):
    text = page(client, tab(Device.objects.get(name='pve1')))
    for value in ('node/pve1', 'vmbr0', 'Source of truth'):
        assert value in text


def test_who_may_not_view_bindings_or_endpoints_learns_nothing_of_them(endpoint, machine):
    reader = user_with((VirtualMachine, None))
    text = page(reader, machine.get_absolute_url())
    assert endpoint.hosts[0] not in text
    assert tab(machine) not in text
    assert reader.get(tab(machine)).status_code == 403
    User.objects.all().delete()
    reader = user_with((VirtualMachine, None), (Binding, None))
    for url in (machine.get_absolute_url(), tab(machine)):
        text = page(reader, url)
        assert 'In sync' in text
        assert endpoint.hosts[0] not in text
        assert 'Sync this guest' not in text


def test_text_from_guests_is_escaped(client, pve, endpoint, machine, sync):
    script = '<script>alert(1)</script>'
    vmid = machine.custom_field_data['vmid']
    pve.set_config(vmid, description=script)
    sync(endpoint)
    Binding.objects.filter(unit=f'qemu/{vmid}').update(values={'name': script, 'description': script})
    ProxmoxGuest.objects.filter(vmid=vmid).update(reason=script, node=script, status=script)
    for url in (machine.get_absolute_url(), tab(machine)):
        text = page(client, url)
        assert script not in text
        assert '&lt;script&gt;' in text
    columns = 'proxmox_state,proxmox_node,proxmox_endpoint'
    text = page(client, reverse('virtualization:virtualmachine_list') + f'?include_columns={columns}')
    assert script not in text


def test_columns_of_the_tables_cost_one_query(client, endpoint, machine):
    columns = 'proxmox_state,proxmox_node,proxmox_endpoint'
    url = reverse('virtualization:virtualmachine_list')
    with CaptureQueriesContext(connection) as queries:
        text = page(client, f'{url}?include_columns={columns}')
    assert len([query for query in queries if 'FROM "netbox_proxsync_proxmoxguest"' in query['sql']]) == 1
    assert text.count('In sync') >= 6
    exported = page(client, f'{url}?include_columns={columns}&export=table')
    assert 'In sync' in exported
    text = page(client, reverse('dcim:device_list') + '?include_columns=proxmox_node,proxmox_endpoint')
    assert text.count('Lab') >= 2


def test_columns_tell_nothing_to_who_may_not_view_guests(machine):
    reader = user_with((VirtualMachine, None))
    text = page(reader, reverse('virtualization:virtualmachine_list') + '?include_columns=proxmox_state')
    assert 'In sync' not in text


def test_links_into_proxmox(endpoint):
    assert web_url(ProxmoxEndpoint(hosts=['pve1', 'pve2'])) == 'https://pve1:8006/'
    assert web_url(ProxmoxEndpoint(hosts=['2001:db8::1']), 'lxc/7') == 'https://[2001:db8::1]:8006/#v1:0:=lxc%2F7'
    assert web_url(ProxmoxEndpoint(hosts=['pve1:443']), 'qemu/100#1') == 'https://pve1:443/'


def test_verified_is_the_last_run_that_looked_at_it(client, pve, endpoint, machine, sync):
    other = next(guest.vmid for guest in endpoint.guests.all() if guest.virtual_machine_id != machine.pk)
    sync(endpoint, vmids=[other])
    limited = SyncRun.objects.order_by('-pk').first()
    assert limited.get_absolute_url() not in page(client, machine.get_absolute_url())
    assert limited.get_absolute_url() in page(client, vm_of(endpoint, other).get_absolute_url())
