"""Nodes -> dcim.Device."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from ...proxmox.estate import NodeFacts
from ...proxmox.inventory import Inventory, Node, Notice, known
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Pointer, Shared, Value
from .base import Candidate, Conflict, Field, Kind, Located, Owner, Removal
from .cluster import CLUSTER_KEY, cluster_ref
from .device_types import UNTOLD, device_type_of
from .nodes import address_ref, addresses_of_node, hardware_of, node_key, nodes_of

__all__ = ('DeviceKind',)

DEFAULT_ROLE = Shared('dcim.devicerole', 'Hypervisor')
SCOPE = 'nodes'
GIB = 1024**3
# dcim.Device.name, serial
NAME_LENGTH, SERIAL_LENGTH = 64, 50
ONLINE, OFFLINE = 'active', 'offline'


class DeviceKind(Kind):
    name = 'device'
    plural = 'devices'
    model = 'dcim.device'
    removal = Removal.RETIRE
    is_deletable = False
    stamp = 'proxmox_node_last_sync'
    retired = {'status': 'decommissioning'}
    fields = (
        Field('name', Owner.EDITORIAL, needed=True),
        Field('status', Owner.EDITORIAL),
        Field('cluster', Owner.FACT, fixed=True),
        Field('site', Owner.EDITORIAL, needed=True),
        Field('role', Owner.EDITORIAL, needed=True),
        Field('device_type', Owner.EDITORIAL, needed=True),
        Field('tenant', Owner.EDITORIAL),
        Field('platform', Owner.EDITORIAL),
        Field('serial', Owner.EDITORIAL),
        Field('primary_ip4', Owner.EDITORIAL, late=True),
        Field('primary_ip6', Owner.EDITORIAL, late=True),
        Field('cf_proxmox_pve_version', Owner.FACT),
        Field('cf_proxmox_cpu_model', Owner.FACT),
        Field('cf_proxmox_cpu_sockets', Owner.FACT),
        Field('cf_proxmox_cpu_cores_total', Owner.FACT),
        Field('cf_proxmox_memory_total_gb', Owner.FACT),
        Field('cf_proxmox_rootfs_total_gb', Owner.FACT),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        for node in nodes_of(inventory, settings):
            values = {
                'name': node.name[:NAME_LENGTH],
                'status': ONLINE if node.online else OFFLINE,
                'cluster': cluster_ref(inventory, settings),
                'site': settings.site,
                'role': settings.node_role or DEFAULT_ROLE,
                'device_type': device_type_of(node, settings),
                **({'tenant': settings.tenant} if settings.tenant else {}),
                **(reported(node.facts) if known(node.facts) else {}),
                **serial_of(node),
                **primary_address(node),
            }
            key = node_key(node.name)
            hints = {'name': node.name.lower(), 'serial': values.get('serial')}
            yield Item(kind=self.name, key=key, unit=key, label=node.name, values=values, hints=hints)

    def omissions(self, inventory: Inventory, settings: Settings) -> Iterable[Notice]:
        if settings.sync_nodes and not settings.site:
            yield Notice(
                subject='nodes',
                message='The nodes are left out, because NetBox demands a site of a device and this endpoint has none.',
                remedy='Choose a site on the endpoint, or switch "sync nodes" off.',
            )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        # A cluster without quorum, or a token that may not ask for the members, tells less than there is.
        whole = inventory.quorate is True and known(inventory.cluster_name)
        return [SCOPE] if whole and nodes_of(inventory, settings) else []

    def scope(self, key: str, unit: str) -> str:
        return SCOPE

    def adopt(self, item: Item, existing: Existing, located: Located, settings: Settings) -> Record | Conflict | None:
        cluster = located.get('cluster', CLUSTER_KEY)
        found = [
            record
            for record in existing.find(self.name, 'name', item.hints['name'])
            if record.values['site'] == settings.site and record.pointer not in existing.bound_to
        ]
        here = [record for record in found if cluster and record.values['cluster'] == cluster]
        if len(here) == 1:
            return here[0]
        alike = [record for record in found if record.values['cluster'] is None and is_alike(record, item, existing)]
        if len(found) == 1 and alike:
            return alike[0]
        if kept := [record for record in found if record.pointer in existing.foreign]:
            return Conflict(
                f'The device "{kept[0].pointer.label}" has the name of this node and is at the same site. Rename '
                'one of the two nodes in NetBox, or give the endpoints different sites.',
                kept[0],
            )
        likely = [*found, *elsewhere(item, existing, cluster)]
        return undecided(item, likely, settings) if likely else None

    def fit(self, items: Sequence[Item], existing: Existing, located: Located, settings: Settings) -> Sequence[Item]:
        return [fitted(item, existing, located) for item in items]


def is_alike(record: Record, item: Item, existing: Existing) -> bool:
    """Whether a device outside of all clusters is this node: it has a hypervisor's role, or this serial number."""
    role = item.values['role']
    wanted = existing.shared.get(role, role) if isinstance(role, Shared) else role
    serial = item.hints['serial']
    return record.values['role'] == wanted or bool(serial and record.values['serial'] == serial)


def elsewhere(item: Item, existing: Existing, cluster: Pointer | None) -> list[Record]:
    """
    The devices at other sites that may be this node: of its name or serial number. One with another serial number, or
    in another cluster, is another machine.
    """
    serial = item.hints['serial']
    return [
        record
        for record in existing.elsewhere.get(DeviceKind.name, ())
        if (serial and record.values['serial'] == serial)
        or (
            not (serial and record.values['serial'])
            and record.hints['name'] == item.hints['name']
            and record.values['cluster'] in (None, cluster)
        )
    ]


def undecided(item: Item, found: Sequence[Record], settings: Settings) -> Conflict:
    others = f' {len(found)} devices may be this node.' if len(found) > 1 else ''
    return Conflict('', candidates=tuple(Candidate(record, told(item, record, settings) + others) for record in found))


def told(item: Item, record: Record, settings: Settings) -> str:
    """Why a device is not this node beyond doubt, and what the user can do."""
    has_name = record.hints['name'] == item.hints['name']
    here = record.values['site'] == settings.site
    where = 'is in another cluster or has another role' if here else f'is at the site "{record.values["site"].label}"'
    remedy = "put it into the endpoint's cluster or give it the role of the nodes"
    if not here:
        remedy = f'move it to the site "{settings.site.label}" and {remedy}'
    other = 'rename it or put it into its own cluster' if has_name else 'correct its serial number'
    if here:
        other = 'rename it'
    what = 'name' if has_name else 'serial number'
    return (
        f'The device "{record.pointer.label}" may be this node: it has the same {what}, but {where}. No device is '
        f'created until this is settled. If it is this node, {remedy}. If it is another machine, {other}.'
    )


def fitted(item: Item, existing: Existing, located: Located) -> Item:
    """A node that is off is offline only where it was active: 'staged' or 'failed', by a person, says more."""
    pointer = located.get(item.kind, item.key)
    record = existing.by_pointer.get(pointer) if pointer else None
    values = dict(item.values)
    if record and values['status'] == OFFLINE and record.values['status'] not in (ONLINE, OFFLINE):
        bound = existing.bindings.get((item.kind, item.key))
        if not (bound and bound.missing_since):
            del values['status']
    if record and values['device_type'] == UNTOLD:
        # Only a new device needs a type whatever it is; SSH may be silent today.
        del values['device_type']
    return replace(item, values=values)


def reported(facts: NodeFacts) -> dict[str, Value]:
    version = facts.version
    values: dict[str, Value] = {
        'cf_proxmox_pve_version': version,
        'cf_proxmox_cpu_model': facts.cpu_model,
        'cf_proxmox_cpu_sockets': facts.cpu_sockets,
        'cf_proxmox_cpu_cores_total': facts.cpus,
        'cf_proxmox_memory_total_gb': in_gib(facts.memory),
        'cf_proxmox_rootfs_total_gb': in_gib(facts.rootfs),
    }
    if version:
        values['platform'] = Shared('dcim.platform', f'Proxmox VE {".".join(version.split(".")[:2])}')
    return values


def in_gib(size: int | None) -> int | None:
    return None if size is None else round(size / GIB)


def serial_of(node: Node) -> dict[str, Value]:
    hardware = hardware_of(node)
    if hardware is None or not known(hardware.serial):
        return {}
    return {'serial': (hardware.serial or '')[:SERIAL_LENGTH]}


def primary_address(node: Node) -> dict[str, Value]:
    """The address that the cluster uses, if it is on one of the node's interfaces."""
    if not known(node.address):
        return {}
    for _interface, address in addresses_of_node(node):
        if str(address.ip) == node.address:
            return {f'primary_ip{address.version}': address_ref(node, node.address)}
    return {}
