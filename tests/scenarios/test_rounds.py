"""
Rounds of syncs, with a person's edits and failing reads between them, on the real NetBox: whatever happens, nothing
that a person made is lost, nothing unknown changes anything, and a second run has nothing to do.
"""

from dataclasses import replace

import pytest
from dcim.models import MACAddress
from extras.models import JournalEntry, Tag
from hypothesis import example, given, note
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule, run_state_machine_as_test
from ipam.models import VRF, IPAddress, Prefix, Service
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.proxmox.inventory import GuestType, Unreadable, known
from tests.scenarios.playing import check_nothing_is_left_of, pace, stage_with_faults
from tests.scenarios.rounds import Lab, content
from tests.sync.builders import config, guest, nic
from tests.sync.strategies import VMIDS, Drawn, blinded, faults, guests, seen

pytestmark = pytest.mark.django_db

vmids = st.sampled_from(sorted(VMIDS))
picks = st.integers(0, 30)
HAND_WRITTEN = ['by hand', '', 'By Hand 2']


class Rounds(stage_with_faults(faults(), blinded)):
    """A cluster that changes, a person who edits, and runs, complete or not."""

    def __init__(self):
        super().__init__()
        self.cluster = {}

    @initialize(case_sensitive=st.booleans(), prefixed=st.booleans(), missing=st.sampled_from(['retire', 'delete']),
                naming=st.sampled_from(['proxmox', 'guest']))  # fmt: skip
    def start(self, case_sensitive, prefixed, missing, naming):
        if prefixed:
            blue = VRF.objects.create(name='Blue')
            Prefix.objects.create(prefix='10.0.1.0/24', vrf=blue)
        self.case_sensitive = case_sensitive
        self.lab = Lab(missing_guests=missing, grace_days=3, interface_naming=naming)
        self.other = {}
        self.complete = None

    # Proxmox VE

    @property
    def inventory(self):
        return seen(self.cluster, self.case_sensitive)

    @rule(drawn=vmids.flatmap(guests).map(Drawn))
    def guest_is_made_or_changed(self, drawn):
        self.cluster[drawn.guest.vmid] = drawn.guest
        self.complete = None

    @rule(vmid=vmids)
    def guest_goes(self, vmid):
        self.cluster.pop(vmid, None)
        self.complete = None

    # The person

    @rule(number=picks, what=st.sampled_from([
        ('name', 'by hand'), ('name', 'WEB'), ('description', 'by hand'), ('description', ''), ('comments', 'by hand'),
        ('comments', ''), ('status', 'active'), ('status', 'decommissioning'), ('memory', 7), ('vcpus', 9),
        ('serial', 'by hand'), ('platform', None), ('start_on_boot', 'laststate'),
    ]))  # fmt: skip
    def a_person_edits_a_machine(self, number, what):
        if vm := self.pick(number, VirtualMachine):
            note(f'{vm}.{what[0]} = {what[1]!r}: {self.lab.edit(vm, **dict([what]))}')
            self.edited()

    @rule(number=picks, what=st.sampled_from(['cluster', 'role', 'tenant', 'none']))
    def a_person_places_a_machine(self, number, what):
        if vm := self.pick(number, VirtualMachine):
            values = {'role': None, 'tenant': None} if what == 'none' else {what: self.lab.place(what)}
            note(f'{vm} to {values}: {self.lab.edit(vm, **values)}')
            self.edited()

    @rule(prefix=st.sampled_from(['10.0.0.0/16', '10.0.0.0/28', '10.0.1.0/25', 'fd00::/32']),
          vrf=st.sampled_from([None, 'Blue', 'Red']))  # fmt: skip
    def a_person_documents_a_prefix(self, prefix, vrf):
        found = (VRF.objects.filter(name=vrf).first() or VRF.objects.create(name=vrf)) if vrf else None
        note(f'documents {prefix} in {vrf}: {self.lab.make(Prefix(prefix=prefix, vrf=found))}')
        self.edited()

    @rule(number=picks, what=st.sampled_from([
        ('name', 'by hand'), ('name', 'net1'), ('enabled', True), ('mtu', 1234), ('description', 'by hand'),
        ('size', 7), ('status', 'reserved'), ('dns_name', 'by.hand'), ('address', '10.0.0.6/23'),
        ('assigned_object', None), ('primary_mac_address', None), ('mac_address', 'BC:24:11:00:00:02'),
    ]))  # fmt: skip
    def a_person_edits_a_part(self, number, what):
        part = self.pick(number, VMInterface, VirtualDisk, IPAddress, MACAddress)
        if part and hasattr(part, what[0]):
            note(f'{part!r}.{what[0]} = {what[1]!r}: {self.lab.edit(part, **dict([what]))}')
            self.edited()

    @rule(number=picks, other=picks)
    def a_person_moves_an_address(self, number, other):
        address, interface = self.pick(number, IPAddress, MACAddress), self.pick(other, VMInterface)
        if address and interface:
            note(f'{address!r} to {interface!r}: {self.lab.edit(address, assigned_object=interface)}')
            self.edited()

    @rule(number=picks, other=picks)
    def a_person_chooses_a_primary_address(self, number, other):
        vm = self.pick(number, VirtualMachine)
        found = list(IPAddress.objects.filter(vminterface__virtual_machine=vm).order_by('pk')) if vm else []
        if address := found[other % len(found)] if found else None:
            note(f'primary {address} of {vm}: {self.lab.edit(vm, **{f"primary_ip{address.family}": address})}')
            self.edited()

    @rule(number=picks, vrf=st.booleans())
    def a_person_changes_a_vrf(self, number, vrf):
        if address := self.pick(number, IPAddress):
            note(f'VRF of {address}: {self.lab.edit(address, vrf=VRF.objects.first() if vrf else None)}')
            self.edited()

    @rule(number=picks, name=st.sampled_from(['web', 'tier-1', 'Mine']), adds=st.booleans())
    def a_person_tags(self, number, name, adds):
        if vm := self.pick(number, VirtualMachine):
            if adds:
                tag = Tag.objects.filter(name=name).first() or Tag.objects.create(name=name, slug=f'{name.lower()}-x')
                vm.tags.add(tag)
            else:
                vm.tags.clear()
            self.lab.noted()
            self.edited()

    @rule(number=picks, what=st.sampled_from(['interface', 'disk', 'ip', 'mac', 'service', 'journal']),
          name=st.sampled_from(['net1', 'scsi1', 'eth1', 'mine']))  # fmt: skip
    def a_person_adds_to_a_machine(self, number, what, name):
        vm, interface = self.pick(number, VirtualMachine), self.pick(number, VMInterface)
        part = None
        if vm and what == 'interface':
            part = VMInterface(virtual_machine=vm, name=name)
        elif vm and what == 'disk':
            part = VirtualDisk(virtual_machine=vm, name=name, size=3)
        elif vm and what == 'service':
            part = Service(parent=vm, name='ssh', port_mappings=['tcp/22'])
        elif interface and what == 'ip':
            part = IPAddress(address='10.0.0.6/25' if number % 2 else '192.0.2.1/24', assigned_object=interface)
        elif interface and what == 'mac':
            part = MACAddress(mac_address='BC:24:11:00:00:01', assigned_object=interface)
        elif what == 'journal' and (target := self.pick(number, VirtualMachine, VMInterface, VirtualDisk, IPAddress)):
            part = JournalEntry(assigned_object=target, comments='by hand')
        if part is not None:
            note(f'adds {what} {part!r} to {vm}, {interface}: {self.lab.make(part)}')
            self.edited()

    @rule(name=st.sampled_from(['web', 'DB', 'web (101)']), vmid=st.sampled_from([None, 100, 101]))
    def a_person_makes_a_machine(self, name, vmid):
        self.lab.endpoint.refresh_from_db()
        if cluster := self.lab.endpoint.cluster:
            vm = VirtualMachine(name=name, cluster=cluster, description='by hand', disk=11)
            if vmid:
                vm.custom_field_data['vmid'] = vmid
            note(f'makes {name}: {self.lab.make(vm)}')
            self.edited()

    @rule(address=st.sampled_from(['10.0.0.5/24', '10.0.0.6/32', 'fd00::5/64']))
    def a_person_documents_an_address(self, address):
        note(f'documents {address}: {self.lab.make(IPAddress(address=address, description="by hand"))}')
        self.edited()

    @rule(number=picks)
    def a_person_deletes(self, number):
        if instance := self.pick(number, VirtualMachine, VMInterface, VirtualDisk, IPAddress, MACAddress):
            note(f'deletes {instance!r}: {self.lab.delete(instance)}')
            self.edited()

    # The runs

    @rule(drawn=st.lists(vmids.flatmap(guests).map(Drawn), min_size=1, max_size=2), stays=st.booleans())
    def guests_change_and_a_run_follows(self, drawn, stays):
        if not stays:
            self.cluster.clear()
        self.cluster |= {entry.guest.vmid: entry.guest for entry in drawn}
        self.a_run()

    @rule(drawn=st.lists(vmids.flatmap(guests).map(Drawn), max_size=2))
    def a_run_of_another_endpoint(self, drawn):
        """Another cluster with guests of the same names and VM IDs; what one endpoint keeps the other leaves alone."""
        self.other = {entry.guest.vmid: entry.guest for entry in drawn}
        with self.lab.as_endpoint('Other'):
            note(f'other: {self.lab.sync(replace(seen(self.other, self.case_sensitive), cluster_name="other"))}')
        self.edited()

    @precondition(lambda self: self.complete and self.cluster)
    @rule(number=picks)
    def a_guest_that_comes_back_is_what_it_was(self, number):
        # A template is left alone, retired or not; of a guest whose status cannot be read, the old one is not known.
        found = [guest.vmid for guest in self.complete.guests if not guest.template and guest.status != 'unknown']
        if not found:
            return
        vmid = found[number % len(found)]
        before = content(self.lab.endpoint)
        rest = {key: guest for key, guest in self.cluster.items() if key != vmid}
        note(str(self.lab.sync(seen(rest, self.case_sensitive))))
        note(str(self.lab.sync(self.inventory)))
        assert content(self.lab.endpoint) == before


def test_whatever_happens_nothing_of_a_persons_is_lost():
    run_state_machine_as_test(Rounds, settings=pace(8, stateful_step_count=25))


# What NetBox takes for the same tag if it has the one and not the other: by case, or by slug.
SPELLINGS = {'Web': 'web', 'tier.1': 'tier-1', 'tier_1': 'tier-1'}


def spelled(guest):
    """The guest with each tag in one spelling only."""
    tags = tuple(dict.fromkeys(SPELLINGS.get(tag, tag) for tag in guest.tags)) if known(guest.tags) else guest.tags
    config = replace(guest.config, tags=tags) if known(guest.config) and known(tags) else guest.config
    return replace(guest, tags=tags, config=config)


@st.composite
def undisputed(draw):
    """
    Rounds of clusters in which no two guests ever want the same name, and no two want the same address at a time, and
    no tag comes in two spellings.

    The addresses are dealt anew in each round, so they move between guests.
    """
    rounds = []
    for _number in range(draw(st.integers(2, 4))):
        found, free = {}, draw(st.permutations(['10.0.0.5/24', '10.0.0.6/24', 'fd00::5/64', '2001:db8::5/64']))
        for position, vmid in enumerate(draw(st.lists(vmids, unique=True, max_size=3))):
            mine = tuple(free[position::3])
            names = (f'n{vmid}', f'N{vmid}', f'other-{vmid}')
            found[vmid] = spelled(draw(guests(vmid, ips=mine, names=names, generations=(0,))))
        rounds.append(found)
    return rounds


def with_mtus(*mtus):
    """A container whose NIC's MTU is changed from round to round."""
    return [
        {200: guest(200, 'n200', (), type=GuestType.LXC, config=config(nics=(nic(name='eth0', mtu=mtu),), disks=()))}
        for mtu in mtus
    ]


@given(rounds=undisputed())
# An MTU that was configured gives way to the bridge's.
@example(rounds=with_mtus(1400, 1))
@pace(5)
def test_rounds_one_by_one_end_where_the_last_one_alone_ends(rounds):
    """
    For the guests of the last round, NetBox holds the same whether it saw the rounds before or not.

    Held by content, and claimed only where nothing of it depends on the past by design: every round is read completely;
    nobody edits between; no VM ID is given to another machine; no two guests want one name (the first bearer keeps it),
    nor one address at a time (the first holder keeps it); no tag comes in two spellings (NetBox's own is taken where
    it has one); disks without a size, guests without a readable status and templates stay as they were seen last, so
    the last round has none of them.
    Retired guests, tags and platforms of earlier rounds stay, and are not compared.
    """
    last = seen({vmid: guest for vmid, guest in rounds[-1].items() if is_told(guest)})
    units = {guest.key for guest in last.guests} | {''}
    check_nothing_is_left_of(map(seen, rounds[:-1]), last, units, Lab)


def is_told(guest) -> bool:
    told = not guest.template and guest.status != 'unknown'
    return told and not any(isinstance(disk.size, Unreadable) for disk in guest.config.disks)
