"""The whole estate through the real job, from a stand-in over HTTPS."""

import pytest
from core.models import ObjectChange
from dcim.models import Device, Interface
from django.apps import apps
from virtualization.models import VirtualMachine

from tests.scenarios.nodes.conftest import CHECKED
from tests.scenarios.nodes.counting import queries_of_nothing
from tests.scenarios.playing import rolled_back

pytestmark = pytest.mark.django_db


def test_a_generated_cluster_with_its_nodes(standin, make_endpoint, sync, site):
    pve = standin(nodes=2, vms=4, containers=2, running=1, agent=1, seed=3)
    endpoint = make_endpoint(pve, site=site, create_vlans=True)
    run = sync(endpoint)
    assert run.status == 'completed'
    assert not run.changes.filter(outcome='failed').exists(), list(run.changes.values('key', 'message'))
    devices = {device.name: device for device in Device.objects.all()}
    assert set(devices) == {'pve1', 'pve2'}
    assert all(device.custom_field_data.get('proxmox_pve_version') for device in devices.values()), run.messages
    assert Interface.objects.filter(device=devices['pve1'], type='bridge').exists()
    on_nodes = {vm.custom_field_data['vmid']: vm.device.name for vm in VirtualMachine.objects.all()}
    assert on_nodes == {guest.vmid: guest.node for guest in pve.cluster.guests.values()}
    for model in CHECKED:
        for instance in apps.get_model(model).objects.all():
            instance.full_clean()
    logged = ObjectChange.objects.count()
    run = sync(endpoint)
    assert list(run.changes.exclude(action='conflict').values('kind', 'key', 'fields')) == []
    assert ObjectChange.objects.count() == logged


def test_nodes_that_have_not_changed_take_as_many_queries_whatever_their_number(standin, make_endpoint, sync, site):
    def queries(count: int) -> int:
        """Of a run, in a NetBox that holds nothing else."""
        pve = standin(nodes=count, vms=4, containers=2, running=1, agent=1, seed=3)
        with rolled_back():
            endpoint = make_endpoint(pve, site=site, create_vlans=True)
            assert not sync(endpoint).changes.exclude(outcome='applied').exists()
            assert Device.objects.count() == count
            return queries_of_nothing(sync, endpoint)

    assert queries(2) == queries(6)
