"""
Who has an address, over many rounds, on a NetBox in memory.

Guests of two endpoints start, stop, move to the other endpoint, swap and share addresses; NICs become unreadable; a
user assigns and unassigns. A witness remembers who was last seen with each address and to whom a user gave it, and
judges every round by that alone.
"""

import os
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from datetime import timedelta

from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from netbox_proxsync.proxmox.inventory import Unreadable
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.hints import AddressRecordHints
from netbox_proxsync.sync.mapping.missing_addresses import ABSENT
from netbox_proxsync.sync.state import Record
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, NetBox, addresses, config, guest, inventory, nic, plan

SHARED = ('anycast', 'vip', 'vrrp', 'carp', 'hsrp', 'glbp')
HOSTS = ('10.0.0.5', '10.0.0.6', '10.0.0.7')
VMIDS = (100, 101, 102)
NICS = ('net0', 'net1')
OUT_OF_SIGHT = Unreadable('No interface in the guest has its MAC address.')
OFF = Unreadable('It is not running.')

# The endpoint, and the unit.
type Identity = tuple[int, str]


@dataclass
class Machine:
    """
    A guest as it is.

    Attributes:
        endpoint: The endpoint that has it.
        runs: It runs, and its agent answers.
        on: The NIC that each of its addresses is on.
        hidden: NICs that cannot be read.
        link_down: NICs whose link is down.
        gone: NICs that were taken away.
    """

    vmid: int
    endpoint: int = 1
    runs: bool = True
    on: dict[str, str] = field(default_factory=dict)
    hidden: set[str] = field(default_factory=set)
    link_down: set[str] = field(default_factory=set)
    gone: set[str] = field(default_factory=set)

    def is_read(self, key: str) -> bool:
        return self.runs and key not in self.hidden

    @property
    def identity(self) -> Identity:
        return self.endpoint, f'qemu/{self.vmid}'

    @property
    def seen(self) -> set[str]:
        """The addresses that a read of it shows."""
        return {host for host, key in self.on.items() if key not in self.gone and self.is_read(key)}

    def as_guest(self):
        keys = [key for key in NICS if key not in self.gone]
        found = {}
        for key in keys:
            mine = [f'{host}/24' for host, on in sorted(self.on.items()) if on == key and self.is_read(key)]
            reason = None if self.is_read(key) else OUT_OF_SIGHT if self.runs else OFF
            found[key] = replace(addresses(*mine), running=reason)
        nics = tuple(
            nic(key, f'BC:24:11:00:{self.vmid:02X}:0{key[-1]}', link_down=key in self.link_down) for key in keys
        )
        return guest(
            self.vmid,
            f'n{self.vmid}',
            status='running' if self.runs else 'stopped',
            config=config(nics=nics),
            addresses=found,
            guest_only=() if self.runs else OFF,
        )


class World:
    """One NetBox with two endpoints, of which one is synced at a time."""

    def __init__(self):
        self.netbox = NetBox()
        self.bindings: dict[int, dict] = {1: {}, 2: {}}
        self.now = NOW

    def existing(self, endpoint: int):
        """What exists for an endpoint, with what the other one keeps and gives up, as the ledger reads it."""
        self.netbox.bindings = self.bindings[endpoint]
        others = self.bindings[3 - endpoint]
        retired = self.retired(3 - endpoint)
        mine = {bound.pointer for bound in self.bindings[endpoint].values()}
        found = self.netbox.existing
        holders = {record.pointer: AddressRecordHints.of(record).machine for record in found.records['ip']}
        foreign = {
            bound.pointer: 'other'
            for bound in others.values()
            if bound.pointer not in mine
            and not (bound.kind == 'ip' and (bound.unit in retired or holders.get(bound.pointer) in mine))
        }
        machines = {bound.pointer for bound in others.values() if bound.kind == 'vm' and bound.unit in retired}
        return replace(found, foreign=foreign, retired_elsewhere=frozenset(machines))

    def retired(self, endpoint: int) -> set[str]:
        return {bound.unit for bound in self.bindings[endpoint].values() if bound.missing_since}

    def plan(self, endpoint: int, inv, **values):
        pointer = Pointer('netbox_proxsync.proxmoxendpoint', endpoint, f'lab{endpoint}')
        chosen = replace(SETTINGS, endpoint=pointer, change_limit=100, **values)
        made = plan(inv, self.existing(endpoint), chosen, self.now)
        assert not made.refusal
        return made

    def sync(self, endpoint: int, inv, **values):
        self.now += timedelta(hours=1)
        made = self.plan(endpoint, inv, **values)
        taken = {change.pointer for change in made.changes if change.action is Action.ADOPT}
        self.netbox.apply(made, self.now)
        # As `ObjectWriter.bind`: an object is bound once.
        others = self.bindings[3 - endpoint]
        for identity in [identity for identity, bound in others.items() if bound.pointer in taken]:
            del others[identity]
        self.free_primaries(by_sync=True)

    def free_primaries(self, by_sync: bool):
        """
        As NetBox demands: the primary address of a machine is on one of its interfaces. See
        `Displacement.clear_primary_ip`.
        """
        for vm in list(self.netbox.records['vm'].values()):
            address = self.netbox.records['ip'].get(vm.values['primary_ip4'])
            interface = address and self.netbox.records['interface'].get(address.values['assigned_object'])
            if vm.values['primary_ip4'] is None or (interface and interface.values['virtual_machine'] == vm.pointer):
                continue
            self.netbox.edit('vm', vm.pointer, primary_ip4=None)
            for bindings in self.bindings.values() if by_sync else ():
                for identity, bound in bindings.items():
                    if bound.pointer == vm.pointer and bound.last.get('primary_ip4') == vm.values['primary_ip4']:
                        bindings[identity] = replace(bound, last={**bound.last, 'primary_ip4': None})

    def machines(self) -> dict[Pointer, Identity]:
        """The guest that each virtual machine is."""
        return {
            bound.pointer: (endpoint, bound.unit)
            for endpoint, bindings in self.bindings.items()
            for bound in bindings.values()
            if bound.kind == 'vm'
        }

    def records(self, host: str) -> list[Record]:
        records = self.netbox.records['ip'].values()
        return [record for record in records if record.values['address'].partition('/')[0] == host]

    def holders(self, host: str) -> list[tuple[Identity, Record]]:
        """The records of an address that are assigned, each with the guest that has it."""
        machines, interfaces = self.machines(), self.netbox.records['interface']
        return [
            (machines[interfaces[record.values['assigned_object']].values['virtual_machine']], record)
            for record in self.records(host)
            if record.values['assigned_object'] in interfaces
        ]


class Addresses(RuleBasedStateMachine):
    """Guests and users, and a run of both endpoints after every event."""

    def __init__(self):
        super().__init__()
        self.world = World()
        self.guests = {vmid: Machine(vmid) for vmid in VMIDS}
        # By host: all guests that a read ever showed with it, and those to which a user gave it.
        self.seen: dict[str, set[Identity]] = defaultdict(set)
        self.given: dict[str, set[Identity]] = defaultdict(set)
        # The NIC on which a guest was last seen with an address, and the complete reads since then without it.
        self.nic: dict[tuple[Identity, str], str] = {}
        self.misses: Counter[tuple[Identity, str]] = Counter()

    @initialize(reads=st.integers(1, 3))
    def start(self, reads):
        self.reads = reads
        self.run()

    # What happens

    @rule(vmid=st.sampled_from(VMIDS))
    def starts_or_stops(self, vmid):
        self.guests[vmid].runs = not self.guests[vmid].runs
        self.run()

    @rule(vmid=st.sampled_from(VMIDS))
    def moves_to_the_other_endpoint(self, vmid):
        self.guests[vmid].endpoint = 3 - self.guests[vmid].endpoint
        self.run()

    @rule(vmid=st.sampled_from(VMIDS), host=st.sampled_from(HOSTS), key=st.sampled_from(NICS))
    def gets_an_address(self, vmid, host, key):
        self.guests[vmid].on[host] = key
        self.run()

    @rule(vmid=st.sampled_from(VMIDS), host=st.sampled_from(HOSTS))
    def loses_an_address(self, vmid, host):
        self.guests[vmid].on.pop(host, None)
        self.run()

    @rule(one=st.sampled_from(VMIDS), other=st.sampled_from(VMIDS))
    def swap_addresses(self, one, other):
        self.guests[one].on, self.guests[other].on = dict(self.guests[other].on), dict(self.guests[one].on)
        self.run()

    @rule(vmid=st.sampled_from(VMIDS), key=st.sampled_from(NICS), what=st.sampled_from(['hidden', 'link_down', 'gone']))
    def a_nic_changes(self, vmid, key, what):
        getattr(self.guests[vmid], what).symmetric_difference_update({key})
        self.run()

    @rule(vmid=st.sampled_from(VMIDS), host=st.sampled_from(HOSTS), number=st.integers(0, 3))
    def a_user_assigns(self, vmid, host, number):
        """One of the records, to a guest that has none of them: NetBox accepts that in any case."""
        identity, records = self.guests[vmid].identity, self.world.records(host)
        machines = self.world.machines()
        interfaces = [
            record.pointer
            for record in self.world.netbox.records['interface'].values()
            if machines[record.values['virtual_machine']] == identity
        ]
        if not (interfaces and records) or identity in dict(self.world.holders(host)):
            return
        self.world.netbox.edit('ip', records[number % len(records)].pointer, assigned_object=interfaces[0])
        self.world.free_primaries(by_sync=False)
        self.given[host].add(identity)
        self.run()

    @rule(host=st.sampled_from(HOSTS), number=st.integers(0, 3))
    def a_user_unassigns(self, host, number):
        if records := self.world.records(host):
            self.world.netbox.edit('ip', records[number % len(records)].pointer, assigned_object=None)
            self.world.free_primaries(by_sync=False)
            self.run()

    @rule(host=st.sampled_from(HOSTS), role=st.sampled_from([None, 'anycast', 'vip']))
    def a_user_sets_the_role(self, host, role):
        records = self.world.records(host)
        # NetBox refuses to take the role away from one of several records.
        if records and (role or len(records) == 1):
            for record in records:
                self.world.netbox.edit('ip', record.pointer, role=role)
            self.run()

    @rule()
    def nothing_happens(self):
        for _read in range(self.reads):
            self.run()
        for endpoint in (1, 2):
            again = self.world.plan(endpoint, self.inventory(endpoint), missing_address_reads=self.reads)
            left = [change for change in again.changes if change.action is not Action.CONFLICT]
            assert (left, again.refreshed, again.forgotten) == ([], {}, ())

    # The runs, and what must be true after each

    def inventory(self, endpoint: int):
        here = [entry.as_guest() for entry in self.guests.values() if entry.endpoint == endpoint]
        return inventory(*here, cluster_name=f'lab{endpoint}')

    def run(self):
        for endpoint in (1, 2):
            self.witness(endpoint)
            inv = self.inventory(endpoint)
            self.world.sync(endpoint, inv, missing_address_reads=self.reads)
            for host in HOSTS:
                self.check(host, endpoint)
            again = self.world.plan(endpoint, inv, missing_address_reads=self.reads)
            left = [change for change in again.changes if change.action is not Action.CONFLICT]
            # That an address is not found a second time is news, also where nothing has changed.
            assert all(is_about_absence(change) for change in left), [
                (change.action, change.kind, change.key, change.writes) for change in left
            ]
            assert all(ABSENT in values for values in again.refreshed.values())

    def witness(self, endpoint: int):
        """Note what a read of an endpoint shows."""
        for entry in self.guests.values():
            if entry.endpoint != endpoint:
                continue
            for host in HOSTS:
                about = (entry.identity, host)
                if host in entry.seen:
                    self.seen[host].add(entry.identity)
                    self.nic[about] = entry.on[host]
                    self.misses[about] = 0
                elif (key := self.nic.get(about)) and (key in entry.gone or entry.is_read(key)):
                    self.misses[about] += 1

    def check(self, host: str, endpoint: int):
        holders = self.world.holders(host)
        interfaces = [record.values['assigned_object'] for _holder, record in holders]
        assert len(interfaces) == len(set(interfaces)), f'{host} is twice on one interface'
        roles = [record.values['role'] for _holder, record in holders]
        assert len(holders) < 2 or set(roles) <= set(SHARED), f'{host} has {len(holders)} records with {roles}'
        self.given[host] &= {holder for holder, _record in holders}
        here = {entry.identity: entry for entry in self.guests.values() if entry.endpoint == endpoint}
        up = {
            identity for identity, entry in here.items() if host in entry.seen and entry.on[host] not in entry.link_down
        }
        for holder, record in holders:
            assert holder in self.seen[host] | self.given[host], f'{host} is on {holder}, which never had it'
            if holder in self.given[host]:
                continue
            is_retired = holder[1] in self.world.retired(holder[0])
            if holder in here:
                self.check_not_missing(holder, host, here[holder])
            if holder in here and host in here[holder].seen:
                continue
            needy = up - {other for other, _record in holders}
            if record.values['role'] != 'anycast' and (holder in here or is_retired):
                assert not needy, f'{host} is on {holder}, and {needy} are seen with it'
        records = {record.pointer for record in self.world.records(host)}
        is_kept_by_other = any(bound.pointer in records for bound in self.world.bindings[3 - endpoint].values())
        if up and not holders and len(records) < 2 and not is_kept_by_other:
            raise AssertionError(f'{host} is on nobody, and {up} are seen with it')

    def check_not_missing(self, holder: Identity, host: str, entry: Machine):
        if host not in entry.seen:
            assert self.misses[holder, host] < self.reads, f'{host} is still on {holder}'
            assert self.nic[holder, host] not in entry.gone, f'{host} is on a NIC of {holder} that is gone'


def is_about_absence(change) -> bool:
    names = {entry.name for entry in change.writes}
    return (change.kind == 'ip' and change.action.removes_object) or (change.kind == 'vm' and names == {'primary_ip4'})


def test_every_address_is_on_a_guest_that_was_last_seen_with_it_or_that_a_user_gave_it_to():
    pace = settings(
        max_examples=int(os.environ.get('ROUNDS', '15')), stateful_step_count=40, deadline=None,
        suppress_health_check=list(HealthCheck), phases=(Phase.explicit, Phase.reuse, Phase.generate),
        derandomize='ROUNDS' not in os.environ,
    )  # fmt: skip
    run_state_machine_as_test(Addresses, settings=pace)
