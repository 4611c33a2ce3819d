"""Which device of NetBox a node is, and its values."""

from dataclasses import replace
from ipaddress import ip_interface

import pytest

from netbox_proxsync.proxmox.infrastructure import NodeFacts, NodeHardware, PhysicalNic
from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer, Shared
from tests.sync.builders import SETTINGS, UNREAD, NetBox, inventory, node, node_interface, plan

SITE, ELSEWHERE = Pointer('dcim.site', 1, 'Berlin'), Pointer('dcim.site', 2, 'Bonn')
ROLE = Pointer('dcim.devicerole', 5, 'Hypervisor')
SYNCED = replace(SETTINGS, sync_nodes=True, site=SITE, node_role=ROLE)
SERIAL = '7XK2M93'


def hardware(**values) -> NodeHardware:
    return NodeHardware(
        **({'manufacturer': 'Dell Inc.', 'product': 'PowerEdge R740', 'serial': SERIAL, 'nics': ()} | values)
    )


class World(NetBox):
    def __init__(self):
        super().__init__()
        self.sync(inventory(nodes=()), SYNCED)
        self.cluster = self.object('cluster', 'cluster').pointer
        self.outside: list[Pointer] = []

    def device(self, name='pve1', site=SITE, **values) -> Pointer:
        pointer = self.add('device', name, name=name, site=site, **values)
        if site != SITE:
            self.outside.append(pointer)
        return pointer

    @property
    def existing(self):
        found = super().existing
        rows, outside = found.records['device'], getattr(self, 'outside', ())
        return replace(
            found,
            records={**found.records, 'device': [row for row in rows if row.pointer not in outside]},
            elsewhere={'device': [row for row in rows if row.pointer in outside]},
        )

    def found(self, *nodes, **changed):
        """What happens to the device of the node, as which object, and why."""
        made = plan(inventory(nodes=nodes or (node(hardware=hardware()),)), replace(self.existing, **changed), SYNCED)
        return [(change.action, change.pointer, change.reason) for change in made.changes if change.key == 'node/pve1']


@pytest.mark.parametrize(
    'values', [{'cluster': True}, {'role': ROLE}, {'serial': SERIAL}, {'name': 'PVE1', 'cluster': True}]
)
def test_a_device_of_the_name_is_adopted_in_the_cluster_or_with_the_role_or_serial_number(values):
    world = World()
    if 'cluster' in values:
        values = {**values, 'cluster': world.cluster}
    pointer = world.device(**values)
    assert world.found()[0][:2] == (Action.ADOPT, pointer)


def test_the_device_in_the_cluster_comes_before_others_of_the_name():
    world = World()
    world.device(role=ROLE)
    pointer = world.device(cluster=world.cluster)
    assert world.found()[0][:2] == (Action.ADOPT, pointer)


@pytest.mark.parametrize(
    ('values', 'words'),
    [
        ({}, 'it has the same name, but is in another cluster or has another role.'),
        ({}, '"Link to This Device" if it is this node'),
        ({}, '"Create Under Another Name" if it is another machine.'),
        ({'site': ELSEWHERE}, 'it has the same name, but is at the site "Bonn".'),
        ({'site': ELSEWHERE}, '"Link to This Device" if it is this node'),
        ({'site': ELSEWHERE}, '"Create Separately" if it is another machine.'),
        ({'site': ELSEWHERE, 'name': 'x', 'serial': SERIAL}, 'it has the same serial number, but'),
        ({'site': ELSEWHERE, 'name': 'x', 'serial': SERIAL}, '"Create Separately" if it is another machine.'),
    ],
)
def test_a_similar_device_is_a_candidate(values, words):
    world = World()
    pointer = world.device(**values)
    ((action, candidate, reason),) = world.found()
    assert (action, candidate) == (Action.CANDIDATE, pointer)
    assert words in reason


def test_several_candidates_are_mentioned():
    world = World()
    world.device()
    world.device(site=ELSEWHERE)
    found = world.found()
    assert [action for action, _pointer, _reason in found] == [Action.CANDIDATE] * 2
    assert all(reason.endswith(' 2 devices may be this node.') for _action, _pointer, reason in found)


@pytest.mark.parametrize(
    'values',
    [{'serial': 'OTHER'}, {'cluster': Pointer('virtualization.cluster', 99)}, {'name': 'x'}],
)
def test_another_machine_at_another_site_is_no_candidate(values):
    world = World()
    world.device(site=ELSEWHERE, **values)
    assert world.found()[0][0] is Action.CREATE


def test_a_node_of_another_endpoint_at_the_same_site_is_a_conflict():
    world = World()
    pointer = world.device()
    ((action, found, reason),) = world.found(foreign={pointer: '7'})
    assert (action, found) == (Action.CONFLICT, pointer)
    assert reason.startswith('The device "pve1" has the name of this node and is at the same site.')
    assert reason.endswith('"pve1" is managed by another endpoint (ID 7).')


def test_nodes_need_a_site():
    made = plan(inventory(), settings=replace(SETTINGS, sync_nodes=True))
    assert 'device' not in made.counts
    assert made.notices[0].message.startswith('Nodes are not synchronized: NetBox requires a site')
    assert plan(inventory(), settings=SETTINGS).notices == ()


def values_of(one, world=None) -> dict[str, object]:
    world = world or World()
    world.sync(inventory(nodes=(one,)), SYNCED)
    return world.object('device', f'node/{one.name}').values


def test_the_values_that_the_node_reports():
    facts = NodeFacts(
        version='9.2.11', cpu_model='EPYC', cpu_sockets=2, cpus=64, memory=2**36, rootfs=None
    )  # fmt: skip
    world = World()
    values = values_of(node(facts=facts, hardware=hardware()), world)
    assert values['serial'] == SERIAL
    assert values['cf_proxmox_memory_total_gb'] == 64
    assert values['platform'].label == 'Proxmox VE 9.2'
    assert values['device_type'].label == 'PowerEdge R740'
    assert Shared('dcim.devicetype', 'PowerEdge R740', within='Dell') in world.shared
    odd = values_of(node(facts=replace(facts, version='beta'), hardware=hardware(product=' ', serial=None)))
    assert (odd['platform'].label, odd['device_type'].label, odd['serial']) == (
        'Proxmox VE beta',
        'Proxmox VE node',
        None,
    )
    silent = values_of(node(facts=replace(facts, version=UNREAD, memory=UNREAD), hardware=hardware(serial=UNREAD)))
    assert (silent['platform'], silent['cf_proxmox_memory_total_gb'], silent['serial']) == (None, None, None)
    chosen = replace(SYNCED, node_device_type=Pointer('dcim.devicetype', 3, 'T'))
    world = World()
    world.sync(inventory(nodes=(node(hardware=hardware()),)), chosen)
    assert world.object('device', 'node/pve1').values['device_type'].label == 'T'


@pytest.mark.parametrize(
    ('status', 'after'), [('active', 'offline'), ('offline', 'offline'), ('staged', 'staged'), ('failed', 'failed')]
)
def test_a_node_that_is_off_is_offline_unless_a_user_knows_better(status, after):
    facts = replace(SYNCED, field_policy={'device.status': 'fact'})
    world = World()
    world.sync(inventory(), facts)
    world.edit('device', world.object('device', 'node/pve1').pointer, status=status)
    world.sync(inventory(nodes=(node(online=False),)), facts)
    assert world.object('device', 'node/pve1').values['status'] == after


def test_a_node_that_returns_switched_off_is_offline():
    world = World()
    two = inventory(nodes=(node(), node('pve2')))
    world.sync(two, SYNCED)
    world.sync(inventory(nodes=(node('pve2'),)), SYNCED)
    assert world.object('device', 'node/pve1').values['status'] == 'decommissioning'
    world.sync(inventory(nodes=(node(online=False), node('pve2'))), SYNCED)
    assert world.object('device', 'node/pve1').values['status'] == 'offline'
    assert world.bindings['device', 'node/pve1'].missing_since is None


def test_an_incomplete_list_of_nodes_retires_none():
    for unread in ({'quorate': False}, {'cluster_name': UNREAD}):
        world = World()
        world.sync(inventory(), SYNCED)
        assert (
            not plan(inventory(nodes=(node('pve2'),), **unread), world.existing, SYNCED).counts['device'].get('retire')
        )


def primary(*texts, address='10.0.0.1') -> dict[str, str | None]:
    world = World()
    one = node(address=address, interfaces=(node_interface('vmbr0', addresses=tuple(map(ip_interface, texts))),))
    world.sync(inventory(nodes=(one,)), SYNCED)
    values = world.object('device', 'node/pve1').values
    return {name: values[name] and values[name].label for name in ('primary_ip4', 'primary_ip6')}


def test_the_management_address_and_the_best_one_of_the_other_family_are_primary():
    assert primary('10.0.0.1/24') == {'primary_ip4': '10.0.0.1', 'primary_ip6': None}
    assert primary('10.0.0.1/24', 'fd00::1/64', '2001:db8::1/64')['primary_ip6'] == '2001:db8::1'
    assert primary('10.0.0.1/24', '2001:db8::1/64', address='2001:db8::1') == {
        'primary_ip4': '10.0.0.1',
        'primary_ip6': '2001:db8::1',
    }
    assert primary('10.0.0.9/24') == {'primary_ip4': None, 'primary_ip6': None}
    assert primary('10.0.0.9/24', address=None) == {'primary_ip4': None, 'primary_ip6': None}


def test_a_management_address_on_no_interface_is_a_warning():
    made = plan(inventory(nodes=(node(interfaces=(node_interface('eno1', addresses=()),)),)), settings=SYNCED)
    assert [notice.subject for notice in made.notices] == ['node/pve1']
    assert 'does not show on which interface it is' in made.notices[0].message


def test_permanent_mac_addresses_and_speeds_come_from_ssh():
    nics = tuple(
        PhysicalNic(name=name, mac=mac, permanent_mac=mac, speed_mbps=speed)
        for name, mac, speed in (
            ('eno1', 'BC:24:11:00:00:01', 10000),
            ('eno2', None, None),
            ('eno3', UNREAD, UNREAD),
            ('gone', 'BC:24:11:00:00:04', 1000),
        )
    )
    interfaces = tuple(node_interface(name) for name in ('eno1', 'eno2', 'eno3'))
    world = World()
    world.sync(inventory(nodes=(node(interfaces=interfaces, hardware=hardware(nics=nics)),)), SYNCED)
    assert {key for kind, key in world.bindings if kind == 'mac'} == {'node/pve1/eno1/BC:24:11:00:00:01'}
    types = {key: world.object(kind, key).values['type'] for kind, key in world.bindings if kind == 'node_interface'}
    assert types == {
        'node/pve1/eno1': '10gbase-x-sfpp',
        'node/pve1/eno2': 'other',
        'node/pve1/eno3': 'other',
    }
    # Without SSH, nothing is removed.
    silent = inventory(nodes=(node(interfaces=interfaces, hardware=Unreadable('No SSH.')),))
    assert not plan(silent, world.existing, SYNCED).changes
