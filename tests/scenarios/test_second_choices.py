"""
A value from a better source is not replaced by one from a lesser source because the better one cannot be read for the
moment; through the real job against a stand-in Proxmox VE.

Values with more than one source: the platform (notes, guest agent, `ostype`), the name of an interface (guest agent,
key in Proxmox VE), the size of a disk (configuration, list of the storage), the vCPUs of a container (configuration,
CPUs of its node), the DNS name (guest agent), the device type of a node (SSH, "Proxmox VE node") and the name of the
cluster. Unreadable: guest off, agent silent, agent with errors, privilege lost, storage and node not readable.
"""

import pytest
from dcim.models import Device, Platform, Site
from ipam.models import IPAddress
from virtualization.models import VirtualMachine

from netbox_proxsync.models import Binding

pytestmark = pytest.mark.django_db

DEBIAN = 'Debian GNU/Linux 13 (trixie)'


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=2, containers=1, running=1, agent=1, seed=3, templates=0)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve, read_os_info=True, read_host_names=True, interface_naming='guest')


@pytest.fixture
def vmid(pve) -> int:
    vmid = min(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    pve.set_config(vmid, ostype='l26')
    return vmid


def vm(endpoint, vmid: int) -> VirtualMachine:
    return Binding.objects.get(endpoint=endpoint, kind='vm', key__endswith=f'/{vmid}').object


def switch_off(pve, vmid: int):
    pve.stop(vmid)


def silence(pve, vmid: int):
    pve.agent_silent(vmid)


def confuse(pve, vmid: int):
    pve.agent_error(vmid)


def forbid(pve, vmid: int):
    for privilege in ('VM.Monitor', 'VM.GuestAgent.Audit', 'VM.GuestAgent.Unrestricted'):
        pve.revoke(privilege)


UNREADABLE = [switch_off, silence, confuse, forbid]


@pytest.mark.parametrize('hide', UNREADABLE)
def test_the_platform_that_the_agent_reported_is_retained_while_it_cannot_be_read(pve, endpoint, sync, vmid, hide):
    sync(endpoint)
    platform = vm(endpoint, vmid).platform
    assert platform.name not in ('Linux', None), platform
    dns_names = set(IPAddress.objects.values_list('pk', 'dns_name'))
    interfaces = set(vm(endpoint, vmid).interfaces.values_list('pk', 'name'))
    hide(pve, vmid)
    run = sync(endpoint)
    assert run.status == 'completed'
    assert vm(endpoint, vmid).platform == platform
    assert set(IPAddress.objects.values_list('pk', 'dns_name')) == dns_names
    assert set(vm(endpoint, vmid).interfaces.values_list('pk', 'name')) == interfaces
    assert not sync(endpoint).changes.exists()


@pytest.mark.parametrize('hide', UNREADABLE)
def test_a_guest_whose_agent_could_never_be_read_has_the_platform_of_its_ostype(pve, endpoint, sync, vmid, hide):
    hide(pve, vmid)
    sync(endpoint)
    assert vm(endpoint, vmid).platform.name == 'Linux'
    assert not sync(endpoint).changes.exists()
    # It follows that, since nothing better was ever known.
    pve.set_config(vmid, ostype='win11')
    sync(endpoint)
    assert vm(endpoint, vmid).platform.name == 'Windows 11/2022/2025'
    assert not sync(endpoint).changes.exists()


def test_the_agent_wins_as_soon_as_it_answers_and_is_retained(pve, endpoint, sync, vmid):
    pve.agent_silent(vmid)
    sync(endpoint)
    pve.agent_running(vmid)
    sync(endpoint)
    platform = vm(endpoint, vmid).platform
    assert platform.name != 'Linux'
    pve.agent_silent(vmid)
    assert not sync(endpoint).changes.exists()
    assert vm(endpoint, vmid).platform == platform


def test_a_line_in_the_notes_counts_whether_the_agent_answers_or_not(pve, endpoint, sync, vmid):
    sync(endpoint)
    pve.agent_silent(vmid)
    pve.set_config(vmid, description='os: Plan 9')
    sync(endpoint)
    assert vm(endpoint, vmid).platform.name == 'Plan 9'


def test_an_agent_that_is_disabled_is_no_source_any_more(pve, endpoint, sync, vmid):
    sync(endpoint)
    pve.set_config(vmid, agent='0')
    sync(endpoint)
    assert vm(endpoint, vmid).platform.name == 'Linux'


def test_a_platform_that_a_user_chose_is_retained(pve, endpoint, sync, vmid):
    pve.agent_silent(vmid)
    sync(endpoint)
    chosen = Platform.objects.create(name='Mine', slug='mine')
    VirtualMachine.objects.filter(pk=vm(endpoint, vmid).pk).update(platform=chosen)
    pve.set_config(vmid, ostype='win11')
    sync(endpoint)
    assert vm(endpoint, vmid).platform == chosen


def test_the_vcpus_of_a_container_stay_while_its_node_cannot_be_read(pve, endpoint, sync):
    container = next(guest for guest in pve.cluster.guests.values() if guest.type == 'lxc')
    pve.delete_config(container.vmid, 'cores', 'cpulimit')
    sync(endpoint)
    before = vm(endpoint, container.vmid).vcpus
    assert before
    pve.node_offline(container.node)
    sync(endpoint)
    assert vm(endpoint, container.vmid).vcpus == before


@pytest.mark.parametrize(('version', 'name'), [('7.4-20', 'Proxmox VE 7.4'), ('9.2.11', 'Proxmox VE 9.2')])
def test_the_platform_of_a_node_is_the_release_and_not_the_build(standin, make_endpoint, sync, version, name):
    pve = standin(nodes=1, vms=0, containers=0, templates=0, version=version)
    sync(make_endpoint(pve, site=Site.objects.create(name='Linz', slug='linz'), sync_nodes=True))
    device = Device.objects.get()
    assert device.platform.name == name
    assert device.custom_field_data['proxmox_pve_version'] == version
