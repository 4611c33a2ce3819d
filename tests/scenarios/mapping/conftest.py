"""Clusters that the real job has synced once. Tests check the result; their own changes are rolled back."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from dcim.models import DeviceRole, DeviceType, InterfaceTemplate, Manufacturer, Site
from ipam.models import VLAN, VRF, IPAddress, Prefix, VLANGroup
from tenancy.models import Tenant
from virtualization.models import ClusterGroup, ClusterType

from tests.proxmox.ssh.outputs import DELL, bond_member, card, printed
from tests.proxmox.ssh.servers import DMI, LINKS, NIC_FACTS, Node, prints, serving_node
from tests.pve import StandIn
from tests.scenarios.mapping.fleet import GONE, fleet
from tests.scenarios.synced import Synced, kept_database, pin, run_job

PASSWORD = '0a6b5a4e-ssh-password'


def named(model, name: str, **values):
    return model.objects.create(name=name, slug=name.lower().replace(' ', '-'), **values)


@pytest.fixture(scope='package')
def netbox(django_db_setup, django_db_blocker):
    """The database of this package's tests."""
    with kept_database(django_db_blocker):
        yield


@contextmanager
def served(pve: StandIn, runs: int = 2, between=lambda pve: None, **values) -> Iterator[Synced]:
    """The cluster after so many runs; `between` is what happens after the first of them."""
    with pve:
        endpoint = pin(pve, **values)
        made = []
        for number in range(runs):
            made.append(run_job(endpoint))
            if number == 0:
                between(pve)
        endpoint.refresh_from_db()
        yield Synced(pve, endpoint, tuple(made))


@pytest.fixture(scope='package')
def lab9(netbox):
    """The recorded cluster of three nodes, with everything on the endpoint that can be chosen."""
    maker, site = named(Manufacturer, 'Acme'), named(Site, 'Linz')
    box = DeviceType.objects.create(manufacturer=maker, model='Box 9', slug='box-9')
    InterfaceTemplate.objects.create(device_type=box, name='eno1', type='10gbase-x-sfpp')
    InterfaceTemplate.objects.create(device_type=box, name='ipmi', type='1000base-t', mgmt_only=True)
    with served(
        StandIn('pve-9.2.11-cluster'),
        name='lab9',
        site=site,
        cluster_type=named(ClusterType, 'Hypervisors'),
        cluster_group=named(ClusterGroup, 'Labs'),
        tenant=named(Tenant, 'Research'),
        guest_role=named(DeviceRole, 'Guest'),
        node_role=named(DeviceRole, 'Host'),
        node_device_type=box,
        vrf=VRF.objects.create(name='lab9'),
        vlan_group=named(VLANGroup, 'Lab fabric', scope=site),
        sync_templates=True,
        create_vlans=True,
    ) as synced:
        yield synced


@pytest.fixture(scope='package')
def solo(netbox):
    """The recorded stand-alone host, with SSH, and guests' own names for their NICs."""
    node = Node(user='netbox', password=PASSWORD, answers=reported_by_ssh())
    with (
        serving_node(node),
        served(
            StandIn('pve-8.4.21-solo'),
            name='solo',
            site=named(Site, 'Graz'),
            create_vlans=True,
            interface_naming='guest',
            ssh_user='netbox',
            ssh_port=node.port,
            ssh_password=PASSWORD,
            ssh_host_keys=node.host_key.line,
        ) as synced,
    ):
        yield synced


def reported_by_ssh() -> dict:
    links = printed(
        card(2, 'eno1', '3c:ec:ef:01:02:03'),
        card(3, 'enp65s0f0', 'a0:36:9f:12:34:56', bond_member('a0:36:9f:12:34:56'), master='bond0'),
        card(
            4, 'enp65s0f1np1', 'a0:36:9f:12:34:56', bond_member('a0:36:9f:12:34:58'), master='bond0',
            permaddr='a0:36:9f:12:34:58',
        ),
    )  # fmt: skip
    speeds = ''.join(
        f'/sys/class/net/{name}/speed:{speed}\n'
        for name, speed in (('eno1', 1000), ('enp65s0f0', 25000), ('enp65s0f1np1', 25000))
    )
    return {
        LINKS: prints(links),
        NIC_FACTS: prints(speeds),
        DMI: prints(f'/proc/sys/kernel/hostname:pveold8\n{DELL}'),
    }


@pytest.fixture(scope='package')
def made(netbox):
    """The generated cluster with a guest for each rule, in a NetBox that has some VLANs and prefixes already."""
    site = named(Site, 'Wien')
    VLAN.objects.create(vid=20, name='everywhere')
    VLAN.objects.create(vid=20, name='servers', site=site)
    VLAN.objects.create(vid=30, name='global')
    VLAN.objects.create(vid=10, name='elsewhere', site=named(Site, 'Paris'))
    for group in ('a', 'b'):
        VLAN.objects.create(vid=77, name=f'in-{group}', group=named(VLANGroup, group, scope=site))
    customer = VRF.objects.create(name='customer')
    Prefix.objects.create(prefix='10.1.8.0/22', vrf=customer)
    Prefix.objects.create(prefix='10.1.8.0/26', vrf=customer)
    Prefix.objects.create(prefix='10.2.0.0/16', vrf=customer)
    for vrf in (customer, VRF.objects.create(name='other')):
        Prefix.objects.create(prefix='10.99.0.0/16', vrf=vrf)
    IPAddress.objects.create(address='10.1.3.5/24', description='reserved for two-ways')
    with served(
        fleet(),
        runs=3,
        between=lambda pve: pve.delete(GONE),
        name='fleet',
        site=site,
        sync_templates=True,
        create_vlans=True,
        read_os_info=True,
        read_host_names=True,
        ignored_interfaces=['lo', 'docker*', 'mesh?'],
        ignored_prefixes=['10.66.0.0/16'],
        change_limit=50,
    ) as synced:
        yield synced
