"""Links from NetBox's own pages of virtual machines and devices to the guests and nodes that they are."""

import pytest
from dcim.models import Device, DeviceRole, DeviceType, MACAddress, Manufacturer, Site
from django.test import Client
from django.urls import reverse
from users.models import User
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.models import Binding, Decision, ProxmoxEndpoint, ProxmoxGuest

from ..cases import allow

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(db) -> Cluster:
    return Cluster.objects.create(name='lab', type=ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve'))


@pytest.fixture
def site(db) -> Site:
    return Site.objects.create(name='Site', slug='site')


@pytest.fixture
def pve(standin):
    pve = standin(nodes=1, vms=0, containers=0, templates=0, seed=3, name='lab')
    smbios = 'uuid=11111111-2222-3333-4444-555555555555'
    pve.create(vmid=300, name='web', config={'smbios1': smbios, 'net0': 'virtio=02:00:00:00:00:01,bridge=vmbr0'})
    pve.create(vmid=301, name='db', config={})
    return pve


@pytest.fixture
def endpoint(pve, make_endpoint, cluster, site, sync):
    endpoint = make_endpoint(pve, cluster=cluster, site=site)
    sync(endpoint, 'preview')
    endpoint.refresh_from_db()
    return endpoint


@pytest.fixture
def admin(endpoint):
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    return client


def link_url(instance) -> str:
    return reverse(f'{instance._meta.app_label}:{instance._meta.model_name}_proxmox_link', args=[instance.pk])


def page(client, url: str) -> str:
    answer = client.get(url)
    assert answer.status_code == 200
    return answer.content.decode()


def test_a_machine_is_linked_to_the_guest_that_resembles_it(admin, endpoint, cluster, sync):
    vm = VirtualMachine.objects.create(name='by hand', cluster=cluster, serial='11111111-2222-3333-4444-555555555555')
    nic = VMInterface.objects.create(virtual_machine=vm, name='eth0')
    MACAddress.objects.create(mac_address='02:00:00:00:00:01', assigned_object=nic)
    assert f'href="{link_url(vm)}"' in page(admin, vm.get_absolute_url())
    text = page(admin, link_url(vm))
    guest = endpoint.guests.get(vmid=300)
    assert guest.get_absolute_url() in text
    assert 'Same MAC address Same serial number' in text
    assert endpoint.guests.get(vmid=301).get_absolute_url() not in text
    answer = admin.post(link_url(vm), {'target': guest.pk}, follow=True)
    assert 'The next run applies it' in answer.content.decode()
    text = page(admin, vm.get_absolute_url())
    assert 'Linked to qemu/300' in text
    assert 'Revoke Decision' in text
    assert link_url(vm) not in text
    assert sync(endpoint).status == 'completed'
    assert Binding.objects.get(kind='vm', key='qemu/300').object == vm
    assert link_url(vm) not in page(admin, vm.get_absolute_url())
    # The guest has its machine now.
    other = VirtualMachine.objects.create(name='web', cluster=cluster)
    assert admin.post(link_url(other), {'target': guest.pk}).status_code == 200
    assert Decision.objects.count() == 1


def test_names_are_compared_without_case(admin, endpoint, cluster):
    vm = VirtualMachine.objects.create(name='DB', cluster=cluster)
    assert 'Same name' in page(admin, link_url(vm))
    assert 'required' in admin.post(link_url(vm), {}).content.decode()


def test_a_device_is_linked_to_a_node(admin, endpoint, cluster, site, sync):
    kind = {
        'role': DeviceRole.objects.create(name='Role', slug='role'),
        'device_type': DeviceType.objects.create(
            manufacturer=Manufacturer.objects.create(name='Maker', slug='maker'), model='Model', slug='model'
        ),
    }
    name = endpoint.cluster_state['nodes'][0]['name']
    rack = Device.objects.create(name='rack 1', site=site, cluster=cluster, **kind)
    loose = Device.objects.create(name=name.upper(), site=site, **kind)
    switch = Device.objects.create(name='switch', site=site, **kind)
    assert link_url(rack) in page(admin, rack.get_absolute_url())
    assert link_url(loose) in page(admin, loose.get_absolute_url())
    # Most devices of a site are no nodes.
    assert link_url(switch) not in page(admin, switch.get_absolute_url())
    assert 'Same name' in page(admin, link_url(loose))
    assert 'Same name' not in page(admin, link_url(rack))
    answer = admin.post(link_url(rack), {'target': f'{endpoint.pk}:{name}'}, follow=True)
    assert 'The next run applies it' in answer.content.decode()
    sync(endpoint)
    assert Binding.objects.get(kind='device').object == rack
    assert link_url(loose) not in page(admin, loose.get_absolute_url())


def test_only_users_who_may_decide_have_the_button(endpoint, cluster, pve):
    vm = VirtualMachine.objects.create(name='by hand', cluster=cluster)
    secret = VirtualMachine.objects.create(name='top-secret', cluster=cluster)
    ProxmoxGuest.objects.filter(vmid=301).update(virtual_machine=secret)
    user = User.objects.create_user('ada')
    client = Client()
    client.force_login(user)
    allow(user, VirtualMachine, 'view', {'name': 'by hand'})
    allow(user, ProxmoxGuest, 'view')
    assert link_url(vm) not in page(client, vm.get_absolute_url())
    assert client.get(link_url(vm)).status_code == 403
    allow(user, ProxmoxEndpoint, 'sync')
    assert link_url(vm) in page(client, vm.get_absolute_url())
    assert client.get(link_url(secret)).status_code == 404
    # A machine that the user may not change.
    guest = endpoint.guests.get(vmid=300)
    assert 'do not have permission' in client.post(link_url(vm), {'target': guest.pk}).content.decode()
    hidden = client.post(link_url(vm), {'target': endpoint.guests.get(vmid=301).pk}).content.decode()
    assert 'top-secret' not in hidden
    assert not Decision.objects.exists()
    # In a cluster that no endpoint syncs, there is nothing to link.
    vm.cluster = Cluster.objects.create(name='other', type=cluster.type)
    vm.save()
    assert link_url(vm) not in page(client, vm.get_absolute_url())
    assert client.get(link_url(vm)).status_code == 403
