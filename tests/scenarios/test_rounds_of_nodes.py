"""
Rounds of syncs of nodes, as `test_rounds` plays them of guests: devices, their interfaces, addresses and VLANs, with a
user's edits and failing reads between them.
"""

from dataclasses import replace

import pytest
from dcim.models import Cable, Device, DeviceRole, DeviceType, Interface, MACAddress, Manufacturer, Site
from extras.models import JournalEntry
from hypothesis import given, note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from ipam.models import VLAN, IPAddress, VLANGroup
from virtualization.models import VMInterface

from netbox_proxsync.proxmox.inventory import Node
from tests.scenarios.nodes.strategies import NAMES, DrawnNode, blinded, estate, faults, guests_on, nodes
from tests.scenarios.playing import check_nothing_is_left_of, pace, stage_with_faults
from tests.scenarios.rounds import Lab, content

pytestmark = pytest.mark.django_db

VMIDS = (100, 101)
names, vmids, picks = st.sampled_from(NAMES), st.sampled_from(VMIDS), st.integers(0, 30)


def new_lab(**values) -> Lab:
    site = Site.objects.create(name='Berlin', slug='berlin')
    maker = Manufacturer.objects.create(name='Acme', slug='acme')
    DeviceType.objects.create(manufacturer=maker, model='Switch', slug='switch')
    DeviceRole.objects.create(name='Switch', slug='switch', vm_role=False)
    DeviceRole.objects.create(name='Hypervisor', slug='hypervisor')
    return Lab(site=site, **values)


class Rounds(stage_with_faults(faults(), blinded)):
    """A cluster whose nodes change, a user who edits, and runs, complete or not."""

    def __init__(self):
        super().__init__()
        self.nodes, self.guests = {}, {}

    @initialize(creates=st.booleans(), grouped=st.booleans(), missing=st.sampled_from(['retire', 'delete']))
    def start(self, creates, grouped, missing):
        self.lab = new_lab(create_vlans=creates, missing_guests=missing, grace_days=3)
        if grouped:
            self.lab.endpoint.vlan_group = VLANGroup.objects.create(name='Fabric', slug='fabric')
            self.lab.endpoint.save()
            self.lab.noted()
        self.complete = None

    # Proxmox VE

    @property
    def inventory(self):
        return estate(self.nodes, self.guests)

    @rule(drawn=names.flatmap(nodes).map(DrawnNode))
    def node_is_made_or_changed(self, drawn):
        self.nodes[drawn.node.name] = drawn.node
        self.complete = None

    @rule(name=names)
    def node_goes(self, name):
        self.nodes.pop(name, None)
        self.complete = None

    @rule(vmid=vmids, data=st.data(), stays=st.booleans())
    def guest_moves_or_goes(self, vmid, data, stays):
        self.guests.pop(vmid, None)
        if stays:
            self.guests[vmid] = data.draw(guests_on(vmid))
        self.complete = None

    # The user

    @rule(number=picks, what=st.sampled_from([
        ('name', 'by hand'), ('name', 'PVE2'), ('status', 'staged'), ('status', 'active'), ('status', 'offline'),
        ('status', 'decommissioning'), ('serial', 'by hand'), ('serial', ''), ('platform', None), ('cluster', None),
        ('description', 'by hand'), ('primary_ip4', None),
    ]))  # fmt: skip
    def a_person_edits_a_device(self, number, what):
        if device := self.pick(number, Device):
            note(f'{device}.{what[0]} = {what[1]!r}: {self.lab.edit(device, **dict([what]))}')
            self.edited()

    @rule(number=picks, switch=st.booleans())
    def a_person_gives_a_device_another_role_or_type(self, number, switch):
        if device := self.pick(number, Device):
            values = {'role': DeviceRole.objects.get(slug='switch')}
            if switch:
                values = {'device_type': DeviceType.objects.get(slug='switch')}
            note(f'{device}: {values} {self.lab.edit(device, **values)}')
            self.edited()

    @rule(number=picks, what=st.sampled_from([
        ('name', 'by hand'), ('name', 'eno1'), ('enabled', False), ('mtu', 1234), ('mtu', None), ('type', '10gbase-t'),
        ('type', 'virtual'), ('description', 'by hand'), ('mgmt_only', True), ('mode', 'access'), ('mode', ''),
        ('untagged_vlan', None), ('lag', None), ('bridge', None), ('parent', None), ('primary_mac_address', None),
        ('label', 'by hand'), ('speed', 1000),
    ]))  # fmt: skip
    def a_person_edits_an_interface(self, number, what):
        interface = self.pick(number, Interface, VMInterface)
        if interface and hasattr(interface, what[0]):
            note(f'{interface!r}.{what[0]} = {what[1]!r}: {self.lab.edit(interface, **dict([what]))}')
            self.edited()

    @rule(number=picks, what=st.sampled_from([
        ('role', 'vip'), ('role', ''), ('role', 'anycast'), ('status', 'reserved'), ('dns_name', 'by.hand'),
        ('description', 'by hand'), ('assigned_object', None), ('mac_address', 'AA:BB:CC:00:01:01'),
    ]))  # fmt: skip
    def a_person_edits_an_address(self, number, what):
        address = self.pick(number, IPAddress, MACAddress)
        if address and hasattr(address, what[0]):
            note(f'{address!r}.{what[0]} = {what[1]!r}: {self.lab.edit(address, **dict([what]))}')
            self.edited()

    @rule(number=picks, other=picks)
    def a_person_moves_an_address(self, number, other):
        address, interface = self.pick(number, IPAddress, MACAddress), self.pick(other, Interface, VMInterface)
        if address and interface:
            note(f'{address!r} to {interface!r}: {self.lab.edit(address, assigned_object=interface)}')
            self.edited()

    @rule(number=picks, other=picks, field=st.sampled_from(['lag', 'bridge', 'parent']))
    def a_person_relates_interfaces(self, number, other, field):
        interface, target = self.pick(number, Interface), self.pick(other, Interface)
        if interface and target:
            note(f'{field} of {interface!r} = {target!r}: {self.lab.edit(interface, **{field: target})}')
            self.edited()

    @rule(number=picks, other=picks)
    def a_person_chooses_a_vlan(self, number, other):
        interface, vlan = self.pick(number, Interface, VMInterface), self.pick(other, VLAN)
        if interface and vlan:
            values = {'mode': interface.mode or 'access', 'untagged_vlan': vlan}
            note(f'{vlan!r} on {interface!r}: {self.lab.edit(interface, **values)}')
            self.edited()

    @rule(vid=st.sampled_from([20, 21, 30]), place=st.sampled_from(['site', 'group', 'nowhere']))
    def a_person_makes_a_vlan(self, vid, place):
        places = {'site': {'site': self.lab.endpoint.site}, 'group': {'group': VLANGroup.objects.first()}}
        values = places.get(place, {})
        note(f'makes VLAN {vid} {place}: {self.lab.make(VLAN(vid=vid, name=f"by hand {vid} {place}", **values))}')
        self.edited()

    @rule(number=picks, other=picks, what=st.sampled_from(['interface', 'ip', 'shared ip', 'mac', 'journal', 'cable']),
          name=st.sampled_from(['eno1', 'vmbr0', 'storage', 'iDRAC']))  # fmt: skip
    def a_person_adds_to_a_device(self, number, other, what, name):
        device, port, far = self.pick(number, Device), self.pick(number, Interface), self.pick(other, Interface)
        part = None
        if device and what == 'interface':
            part = Interface(device=device, name=name, type='1000base-t', mgmt_only=name == 'iDRAC')
        elif port and what == 'ip':
            part = IPAddress(address='192.0.2.1/24', assigned_object=port)
        elif port and what == 'shared ip':
            part = IPAddress(address='10.20.0.1/16', assigned_object=port, role='vip' if other % 2 else '')
        elif port and what == 'mac':
            part = MACAddress(mac_address='AA:BB:CC:00:01:01', assigned_object=port)
        elif port and what == 'cable':
            part = Cable(a_terminations=[port], b_terminations=[far])
        elif what == 'journal' and (target := self.pick(number, Device, Interface, IPAddress)):
            part = JournalEntry(assigned_object=target, comments='by hand')
        if part is not None:
            note(f'adds {what} {part!r} to {device}, {port}: {self.lab.make(part)}')
            self.edited()

    @rule(name=st.sampled_from(['pve1', 'PVE2', 'pve3', 'other']), role=st.sampled_from(['switch', 'hypervisor']))
    def a_person_makes_a_device(self, name, role):
        device = Device(
            name=name, site=self.lab.endpoint.site, role=DeviceRole.objects.get(slug=role), description='by hand',
            device_type=DeviceType.objects.get(slug='switch'),
        )  # fmt: skip
        note(f'makes {name} {role}: {self.lab.make(device)}')
        self.edited()

    @rule(address=st.sampled_from(['10.0.0.1/24', 'fd00::2/64', '10.20.0.1/16']))
    def a_person_documents_an_address(self, address):
        note(f'documents {address}: {self.lab.make(IPAddress(address=address, description="by hand"))}')
        self.edited()

    @rule(number=picks)
    def a_person_deletes(self, number):
        if instance := self.pick(number, Device, Interface, IPAddress, MACAddress, VLAN):
            note(f'deletes {instance!r}: {self.lab.delete(instance)}')
            self.edited()

    # The runs

    @rule(drawn=st.lists(names.flatmap(nodes).map(DrawnNode), min_size=1, max_size=2), stays=st.booleans())
    def nodes_change_and_a_run_follows(self, drawn, stays):
        if not stays:
            self.nodes.clear()
        self.nodes |= {entry.node.name: entry.node for entry in drawn}
        self.a_run()

    @precondition(lambda self: self.complete and self.nodes)
    @rule(number=picks)
    def a_node_that_comes_back_is_what_it_was(self, number):
        name = sorted(self.nodes)[number % len(self.nodes)]
        before, there = content(self.lab.endpoint), dict(self.nodes)
        pk = self.lab.endpoint.bindings.get(kind='device', key=f'node/{name}').object_id
        rest = {key: entry for key, entry in there.items() if key != name}
        note(str(self.lab.sync(estate(rest, self.guests))))
        note(str(self.lab.sync(self.inventory)))
        assert content(self.lab.endpoint) == before
        assert self.lab.endpoint.bindings.get(kind='device', key=f'node/{name}').object_id == pk


def test_whatever_happens_nothing_of_a_users_is_lost():
    run_state_machine_as_test(Rounds, settings=pace(8, stateful_step_count=25))


@st.composite
def undisputed(draw):
    """Rounds of clusters whose nodes are asked over SSH always or never, and share no address."""
    rounds = []
    ssh = {name: draw(st.booleans()) for name in NAMES}
    for _number in range(draw(st.integers(2, 4))):
        free = draw(st.permutations(['10.9.0.1/24', '10.9.0.2/31', 'fd00:9::1/127', '10.9.0.4/32']))
        chosen = draw(st.lists(names, unique=True, max_size=3))
        found = {
            name: without_doubt(
                draw(nodes(name, addresses=tuple(free[position::3]), ssh=(ssh[name],), shares=(False,)))
            )
            for position, name in enumerate(chosen)
        }
        there = [name for name, entry in found.items() if entry.online] or ['pve0']
        rounds.append((found, {vmid: draw(guests_on(vmid, there)) for vmid in VMIDS}))
    return rounds


def without_doubt(node: Node) -> Node:
    """A node whose management address is on none of its interfaces keeps its addresses; here no node is in doubt."""
    stated = {str(found.ip) for interface in node.interfaces for found in interface.addresses}
    return node if node.address in stated else replace(node, address=None)


@given(rounds=undisputed())
@pace(5)
def test_rounds_one_by_one_end_where_the_last_one_alone_ends(rounds):
    """
    For the nodes and guests of the last round, NetBox holds the same whether it saw the rounds before or not.

    Claimed only where nothing depends on the past by design: nodes that are off keep what was read of them before, so
    in the last round none is; a node that was never asked over SSH stays of the generic type; an address is on one node
    at a time. Retired nodes, VLANs and platforms of earlier rounds stay, and are not compared.
    """
    *before, (found, guests) = rounds
    last = estate({name: entry for name, entry in found.items() if entry.online}, guests)
    units = {f'node/{entry.name}' for entry in last.nodes} | {guest.key for guest in last.guests} | {''}
    earlier = (estate(*entry) for entry in before)
    check_nothing_is_left_of(earlier, last, units, lambda: new_lab(create_vlans=True))
