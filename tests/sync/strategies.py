"""What hypothesis needs to make clusters: small ones, full of what goes wrong in large ones."""

from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal

from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.proxmox.inventory import AddressOrigin, Guest, GuestType, Inventory, TagStyle, Unreadable
from tests.sync.builders import addresses, config, disk, guest, inventory, nic, node, node_interface

VMIDS = {100: GuestType.QEMU, 101: GuestType.QEMU, 102: GuestType.QEMU, 200: GuestType.LXC}
REFUSED = Unreadable('refused')

NAMES = ['web', 'Web', 'db', 'db2', 'x' * 64, 'X' * 64, 'y' * 80]
# One in a prefix that tests make, one without length, two families, a network's own address that NetBox refuses.
ADDRESSES = ['10.0.0.5/24', '10.0.0.6/24', '10.0.1.7', 'fd00::5/64', '2001:db8::5/64', '10.0.0.0/24']
TAGS = ['web', 'Web', 'tier-1', 'tier.1', 'tier_1', 'ünï', '🐧', 't' * 120]
NOTES = [
    '', 'notes', ' \x01 lead', 'a\x1bb\nsecond', '<b>&amp;</b>', '🐧' * 3, 'n' * 10_000, 'os: Debian 12',
    'first\nOS:  debian 12', 'os: De\ufffdb', '\u2028x', '\r\n\r\ntext',
]  # fmt: skip
# What all NICs are connected to.
BRIDGE = node_interface('vmbr0', InterfaceType.BRIDGE, mtu=9000, vlan_aware=True)
MACS = [f'BC:24:11:00:00:0{number}' for number in range(4)]


class Drawn:
    """A guest that shows, in a falsifying example, what tells it from others."""

    def __init__(self, guest: Guest):
        self.guest = guest

    def _repr_pretty_(self, printer, cycle):
        printer.text(repr(self))

    def __repr__(self) -> str:
        entry, conf = self.guest, self.guest.config
        found = {key: ' '.join(str(a.interface) for a in nic.addresses) for key, nic in entry.addresses.items()}
        nics = '; '.join(f'{card.key} {card.name or ""} {card.mac} {found[card.key]}' for card in conf.nics)
        disks = ', '.join(f'{found.key} {found.size}' for found in conf.disks)
        return (
            f'<{entry.key} {entry.name[:20]} {entry.status} tags={entry.tags} notes={conf.description[:20]!r} '
            f'template={entry.template} nics=[{nics}] disks=[{disks}]>'
        )


@st.composite
def guests(
    draw, vmid: int, ips=tuple(ADDRESSES), names=tuple(NAMES), macs=tuple(MACS), generations=(0,) * 9 + (1,)
) -> Guest:
    """A guest of which everything is known."""
    guest_type = VMIDS[vmid]
    generation = draw(st.sampled_from(generations))
    is_lxc = guest_type is GuestType.LXC
    keys = draw(st.lists(st.sampled_from(['net0', 'net1', 'net2']), max_size=3, unique=True).map(sorted))
    inside = draw(st.permutations(['eth0', 'eth1', 'eth2']))
    own = draw(st.permutations(['ens18', 'ens19', 'br0']))
    nics = tuple(
        nic(
            key,
            draw(st.sampled_from([*macs, None])),
            name=inside[number] if is_lxc else None,
            model='veth' if is_lxc else 'virtio',
            link_down=draw(st.booleans()),
            mtu=draw(st.sampled_from([None, 1, 1400])),
            rate_mbps=draw(st.sampled_from([None, Decimal('12.5')])),
        )
        for number, key in enumerate(keys)
    )
    left = draw(st.lists(st.sampled_from(ips), max_size=3, unique=True)) if ips else []
    found = {}
    for number, key in enumerate(keys):
        count = len(left) if number == len(keys) - 1 else draw(st.integers(0, len(left)))
        mine, left = left[:count], left[count:]
        found[key] = replace(
            addresses(*mine, origin=draw(st.sampled_from(list(AddressOrigin))), gateway=draw(st.booleans())),
            guest_name=None if is_lxc else draw(st.sampled_from([None, own[number]])),
        )
    disks = ['rootfs', 'mp0'] if is_lxc else ['scsi0', 'scsi1', 'sata0']
    conf = config(
        nics=nics,
        disks=tuple(
            disk(key, draw(st.sampled_from([1, 2**30, 32 * 2**30, REFUSED])))
            for key in sorted(draw(st.sets(st.sampled_from(disks))))
        ),
        cores=draw(st.sampled_from([1, 3, None])),
        cpulimit=draw(st.sampled_from([None, Decimal('0.5'), Decimal('1.333')])) if is_lxc else None,
        description=draw(st.sampled_from(NOTES)),
        ostype=draw(st.sampled_from(['l26', 'debian', 'other', 'brand-new'])),
        # Nearly always the same machine; else another one that has its VM ID now.
        uuid=None if is_lxc else f'00000000-0000-4000-8000-{generation:09}{vmid}',
        created=None if is_lxc else 1790000000 + generation,
        boot_disk=draw(st.sampled_from([None, disks[0]])),
    )
    return guest(
        vmid,
        draw(st.sampled_from(names)),
        type=guest_type,
        config=conf,
        addresses=found,
        node=draw(st.sampled_from(['pve1', 'pve2'])),
        status=draw(st.sampled_from(['running', 'stopped', 'paused', 'io-error', 'unknown'])),
        lock=draw(st.sampled_from([None, 'backup', 'suspended'])),
        template=draw(st.sampled_from([False] * 7 + [True])),
        tags=tuple(sorted(draw(st.sets(st.sampled_from(TAGS), max_size=4)))),
        pool=draw(st.sampled_from([None, 'gold'])),
    )


def clusters(**pools) -> st.SearchStrategy[dict[int, Guest]]:
    """Some guests by VM ID."""
    return st.sets(st.sampled_from(sorted(VMIDS)), max_size=3).flatmap(
        lambda vmids: st.fixed_dictionaries({vmid: guests(vmid, **pools) for vmid in sorted(vmids)})
    )


def seen(found: Mapping[int, Guest], case_sensitive: bool = True) -> Inventory:
    """The inventory of a cluster that was read completely."""
    return inventory(
        *sorted(found.values(), key=lambda entry: (entry.type, entry.vmid)),
        nodes=tuple(node(name, interfaces=(BRIDGE,)) for name in ('pve1', 'pve2')),
        tag_style=TagStyle(colors={'web': 'AA0000'}, case_sensitive=case_sensitive),
    )


GUEST_FAULTS = ('config', 'addresses', 'silent', 'tags', 'status', 'name', 'pool', 'ha_state', 'template', 'sizes')
CLUSTER_FAULTS = ('list', 'name', 'tag style', 'nodes')


def faults() -> st.SearchStrategy[frozenset]:
    """What of a cluster cannot be read: ('config', 100), ('list', None), ('hidden', 100), ..."""
    of_guests = st.tuples(st.sampled_from((*GUEST_FAULTS, 'hidden')), st.sampled_from(sorted(VMIDS)))
    of_cluster = st.tuples(st.sampled_from(CLUSTER_FAULTS), st.none())
    return st.frozensets(of_guests | of_cluster, max_size=5)


def blinded(inv: Inventory, broken: frozenset) -> Inventory:
    """
    The inventory as it looks when some of its parts cannot be read.

    A guest is hidden only from a list that is known to be incomplete: that is what the collector promises.
    """
    hidden = {vmid for fault, vmid in broken if fault == 'hidden'}
    found = []
    for entry in inv.guests:
        if entry.vmid not in hidden:
            for fault, vmid in sorted(broken, key=str):
                entry = blinded_guest(entry, fault) if vmid == entry.vmid else entry
            found.append(entry)
    parts = {fault for fault, vmid in broken if vmid is None}
    inv = replace(inv, guests=tuple(found))
    if hidden or 'list' in parts:
        inv = replace(inv, guests_incomplete=REFUSED)
    if 'name' in parts:
        inv = replace(inv, cluster_name=REFUSED)
    if 'tag style' in parts:
        inv = replace(inv, tag_style=REFUSED)
    if 'nodes' in parts:
        inv = replace(
            inv, nodes=tuple(replace(entry, online=False, cpus=REFUSED, interfaces=REFUSED) for entry in inv.nodes)
        )
    return inv


def blinded_guest(entry: Guest, fault: str) -> Guest:
    match fault:
        case 'config':
            return replace(entry, config=REFUSED, addresses=REFUSED)
        case 'silent' if not isinstance(entry.addresses, Unreadable):
            # What is configured is still known.
            return replace(
                entry,
                addresses={
                    key: replace(
                        found,
                        running=REFUSED,
                        guest_name=None,
                        addresses=tuple(a for a in found.addresses if a.origin is AddressOrigin.STATIC),
                    )
                    for key, found in entry.addresses.items()
                },
            )
        case 'sizes' if not isinstance(entry.config, Unreadable):
            disks = tuple(replace(found, size=REFUSED) for found in entry.config.disks)
            return replace(entry, config=replace(entry.config, disks=disks))
        case 'silent' | 'sizes':
            return entry
        case _:
            return replace(entry, **{fault: REFUSED})
