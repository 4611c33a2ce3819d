"""Every recorded cluster of a real Proxmox VE syncs completely, checked against an independent reading of it."""

from collections import Counter

import pytest
from core.models import ObjectChange
from dcim.models import MACAddress
from django.conf import settings
from ipam.models import IPAddress
from virtualization.models import Cluster, VirtualDisk, VirtualMachine, VMInterface

from tests.independent import NAMES, Recording
from tests.pve import StandIn
from tests.scenarios.synced import kept_database, pin, run_job

# Each test begins with the same first sync.
pytestmark = pytest.mark.django_db

MODELS = (Cluster, VirtualMachine, VMInterface, MACAddress, IPAddress, VirtualDisk)


@pytest.fixture(params=NAMES, scope='module')
def recording(request) -> Recording:
    return Recording(request.param)


@pytest.fixture(scope='module')
def netbox(recording, django_db_setup, django_db_blocker):
    with kept_database(django_db_blocker):
        yield


@pytest.fixture(scope='module')
def synced(recording, netbox):
    """The endpoint after its first sync."""
    with StandIn(recording.name) as pve:
        endpoint = pin(pve, name='First', sync_templates=True)
        run = run_job(endpoint)
        assert (run.status, run.error) == ('completed', '')
        assert not run.changes.exclude(outcome='applied').exists(), list(
            run.changes.exclude(outcome='applied').values('kind', 'key', 'outcome', 'reason', 'message')
        )
        yield endpoint


def machines(endpoint) -> dict[str, VirtualMachine]:
    return {binding.key: binding.object for binding in endpoint.bindings.filter(kind='vm')}


def test_every_guest_is_there_with_its_values(recording, synced):
    found = machines(synced)
    guests = recording.guests()
    assert guests
    assert set(found) == {guest.key for guest in guests}
    for guest in guests:
        vm = found[guest.key]
        assert vm.name == guest.name
        assert vm.status == guest.status, guest.key
        assert vm.custom_field_data['vmid'] == guest.vmid
        assert vm.vcpus == guest.vcpus, guest.key
        assert vm.memory == round(guest.memory_bytes / settings.RAM_BASE_UNIT**2), guest.key
        assert {tag.name for tag in vm.tags.all()} == guest.tags, guest.key
        assert vm.cluster.name == (recording.cluster_name or 'First')


def test_every_disk_is_there_with_its_size(recording, synced):
    for guest in recording.guests():
        vm = machines(synced)[guest.key]
        expected = {key: max(1, round(size / settings.DISK_BASE_UNIT**2)) for key, size in guest.disks.items()}
        assert dict(vm.virtualdisks.values_list('name', 'size')) == expected, guest.key
        assert (vm.disk or 0) == sum(expected.values())


def test_every_nic_is_there_with_its_mac(recording, synced):
    for guest in recording.guests():
        vm = machines(synced)[guest.key]
        found = {interface.name: interface for interface in vm.interfaces.all()}
        assert set(found) == {nic['name'] for nic in guest.nics.values()}, guest.key
        for nic in guest.nics.values():
            interface = found[nic['name']]
            assert str(interface.primary_mac_address.mac_address) == nic['mac']
            assert interface.custom_field_data.get('bridge') == nic['bridge']
            assert interface.enabled is ('link_down=1' not in nic['text'])


def test_every_address_is_on_its_nic(recording, synced):
    for guest in recording.guests():
        vm = machines(synced)[guest.key]
        for key, addresses in guest.addresses.items():
            interface = vm.interfaces.get(name=guest.nics[key]['name'])
            assert {str(ip.address) for ip in interface.ip_addresses.all()} == addresses, (guest.key, key)


def test_a_second_sync_writes_nothing(synced, sync, django_assert_max_num_queries):
    before = {model: list(model.objects.order_by('pk').values()) for model in MODELS}
    logged = ObjectChange.objects.count()
    run = sync(synced)
    assert (run.status, run.counts) == ('completed', {})
    assert not run.changes.exists()
    assert ObjectChange.objects.count() == logged
    assert {model: list(model.objects.order_by('pk').values()) for model in MODELS} == before


def test_every_object_passes_netboxs_own_validation(synced):
    for model in MODELS:
        for instance in model.objects.all():
            instance.full_clean()


def test_a_preview_writes_nothing_and_shows_the_same_changes(recording, synced, standin, make_endpoint, sync):
    # In a NetBox that holds nothing of it.
    synced.delete()
    for model in (VirtualMachine, Cluster, MACAddress, IPAddress):
        model.objects.all().delete()
    endpoint = make_endpoint(standin(recording.name), sync_templates=True)
    before = Counter({model: model.objects.count() for model in MODELS})
    logged = ObjectChange.objects.count()
    preview = sync(endpoint, mode='preview')
    assert preview.status == 'completed'
    assert Counter({model: model.objects.count() for model in MODELS}) == before
    assert ObjectChange.objects.count() == logged
    assert not endpoint.bindings.exists()
    run = sync(endpoint)
    assert run.counts == preview.counts
    assert list(run.changes.values_list('kind', 'key', 'action')) == list(
        preview.changes.values_list('kind', 'key', 'action')
    )
