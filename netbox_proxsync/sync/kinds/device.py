"""Nodes -> dcim.Device."""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from ipaddress import IPv4Address, IPv6Address, IPv6Network

from ...proxmox.infrastructure import NodeFacts
from ...proxmox.inventory import Inventory, Node, Notice, Reading, known
from ...proxmox.messages import EMPTY, Message, gettext_noop, joined
from ..answers import Choice
from ..hints import NamedRecordHints
from ..kind import Candidate, Conflict, Field, Kind, Owner, Removal, ResolvedObjects, faults_of
from ..kind_names import CLUSTER, DEVICE
from ..mapping.chosen_names import with_chosen_names
from ..mapping.device_types import PLACEHOLDER_TYPE, device_type_of
from ..mapping.nodes import (
    address_ref,
    addresses_of_node,
    hardware_of,
    management_address,
    management_in_doubt,
    node_key,
    nodes_of,
)
from ..settings import Settings
from ..state import Existing, Hints, Item, Record
from ..values import Pointer, Shared, Value, show
from .cluster import CLUSTER_KEY, cluster_ref

__all__ = ('DeviceHints', 'DeviceKind')

DEFAULT_ROLE = Shared('dcim.devicerole', 'Hypervisor')
SCOPE = 'nodes'
GIB = 1024**3
# '9.2.11', and up to 7.4 '7.4-20'.
RELEASE = re.compile(r'\d+\.\d+')
# dcim.Device.name, serial
NAME_LENGTH, SERIAL_LENGTH = 64, 50
UNIQUE_LOCAL = IPv6Network('fc00::/7')
ONLINE, OFFLINE = 'active', 'offline'


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceHints(Hints):
    """
    A node.

    Attributes:
        name: In lower case.
        serial: The serial number that the node reports, '' if it has none; None if it is not known.
    """

    name: str
    serial: str | None


class DeviceKind(Kind):
    """The nodes of the cluster."""

    name = DEVICE
    label = gettext_noop('Device')
    plural = Message('devices')
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
        Field('primary_ip4', Owner.EDITORIAL, deferred=True),
        Field('primary_ip6', Owner.EDITORIAL, deferred=True),
        Field('cf_proxmox_pve_version', Owner.FACT),
        Field('cf_proxmox_cpu_model', Owner.FACT),
        Field('cf_proxmox_cpu_sockets', Owner.FACT),
        Field('cf_proxmox_cpu_cores_total', Owner.FACT),
        Field('cf_proxmox_memory_total_gb', Owner.FACT),
        Field('cf_proxmox_rootfs_total_gb', Owner.FACT),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield one device for each node. Sizes are in GiB; the serial number is left out if it was not read."""
        for node in nodes_of(inventory, settings):
            serial = serial_of(node)
            values = {
                'name': node.name[:NAME_LENGTH],
                'status': ONLINE if node.online else OFFLINE,
                'cluster': cluster_ref(inventory, settings),
                'site': settings.site,
                'role': settings.node_role or DEFAULT_ROLE,
                'device_type': device_type_of(node, settings),
                **({'tenant': settings.tenant} if settings.tenant else {}),
                **(reported(node.facts) if known(node.facts) else {}),
                **({'serial': serial} if serial is not None else {}),
                **primary_addresses(node),
            }
            key = node_key(node.name)
            yield Item(
                kind=self.name,
                key=key,
                unit=key,
                label=node.name,
                values=values,
                hints=DeviceHints(name=node.name.lower(), serial=serial),
                faults=(doubt(node),) if management_in_doubt(node) else (),
            )

    def omissions(self, inventory: Inventory, settings: Settings) -> Iterable[Notice]:
        """Report that no nodes are synced because the endpoint has no site."""
        if settings.sync_nodes and not settings.site:
            yield Notice(
                subject='nodes',
                message=Message(
                    'Nodes are not synchronized: NetBox requires a site for every device, and this endpoint has none.'
                ),
                remedy=Message('Choose a site on the endpoint, or disable "sync nodes".'),
            )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """All devices, if the cluster has quorum and its members were read."""
        # Without quorum, or without the privilege to read the members, the list may be incomplete.
        whole = inventory.quorate is True and known(inventory.cluster_name)
        return [SCOPE] if whole and nodes_of(inventory, settings) else []

    def scope(self, key: str, unit: str) -> str:
        """One scope for all devices: the list of nodes is read as a whole."""
        return SCOPE

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """
        The device at the endpoint's site with the name of the node, if it is in the cluster, or if it is in no cluster
        and has the role of the nodes or the serial number of this one. Others that may be the node are a conflict.
        """
        answer = settings.answers.get((self.name, item.key))
        if answer and answer.is_separate:
            return None
        linked = existing.by_pointer.get(answer.pointer) if answer and answer.pointer else None
        if linked and linked.pointer not in existing.bound_to:
            return linked
        taken = {each.pointer for each in settings.answers.values() if each.choice is Choice.LINK}
        cluster = resolved.get(CLUSTER, CLUSTER_KEY)
        found = [
            record
            for record in existing.find(self.name, 'name', DeviceHints.of(item).name)
            if record.values['site'] == settings.site
            and record.pointer not in existing.bound_to
            and record.pointer not in taken
        ]
        here = [record for record in found if cluster and record.values['cluster'] == cluster]
        if len(here) == 1:
            return here[0]
        if len(found) == 1 and found[0].values['cluster'] is None and is_alike(found[0], item, existing):
            return found[0]
        managed = next((record for record in found if record.pointer in existing.foreign), None)
        if managed:
            return Conflict(
                Message(
                    'The device "{name}" has the name of this node and is at the same site. Select "Create Under '
                    'Another Name", or give the endpoints different sites.',
                    name=managed.pointer.label,
                ),
                managed,
            )
        likely = [*found, *elsewhere(item, existing, cluster)]
        return undecided(item, likely, settings) if likely else None

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Use names that users have chosen. Leave out a status and a device type that would overwrite better ones."""
        return [adjust_status(item, existing, resolved) for item in with_chosen_names(items, settings)]

    def notices(self, items: Sequence[Item]) -> Iterable[Notice]:
        """Report management addresses that could not be assigned to an interface."""
        return faults_of(items)


def doubt(node: Node) -> tuple[Message, Message]:
    """The fault of a node whose management address could not be assigned to an interface."""
    message = Message(
        'The cluster uses the address {address} for node {node}, but the network configuration '
        'of the node does not show on which interface it is. It was not assigned.',
        address=node.address,
        node=node.name,
    )
    return message, Message(
        'Assign it in NetBox, or configure it on its interface in Proxmox VE (node > System > Network).'
    )


def is_alike(record: Record, item: Item, existing: Existing) -> bool:
    """
    Whether a device outside of all clusters is this node: it has the role of the nodes, or the same serial number.
    """
    serial = DeviceHints.of(item).serial
    has_role = record.values['role'] == existing.shared_object(item.values['role'])
    return has_role or bool(serial and record.values['serial'] == serial)


def elsewhere(item: Item, existing: Existing, cluster: Pointer | None) -> list[Record]:
    """
    The devices at other sites with the name or the serial number of this node, which may be this node. A device with
    another serial number, or in another cluster, is another machine.
    """
    hints = DeviceHints.of(item)
    return [
        record
        for record in existing.elsewhere.get(DeviceKind.name, ())
        if (hints.serial and record.values['serial'] == hints.serial)
        or (
            not (hints.serial and record.values['serial'])
            and NamedRecordHints.of(record).name == hints.name
            and record.values['cluster'] in (None, cluster)
        )
    ]


def undecided(item: Item, found: Sequence[Record], settings: Settings) -> Conflict:
    """The conflict of a node that may be one of several devices."""
    others = Message('{number} devices may be this node.', number=len(found)) if len(found) > 1 else EMPTY
    return Conflict(
        EMPTY,
        candidates=tuple(Candidate(record, joined((explanation(item, record, settings), others))) for record in found),
    )


def explanation(item: Item, record: Record, settings: Settings) -> Message:
    """Why it is not certain that a device is this node, and what the user can do."""
    name, site = record.pointer.label, record.values['site']
    has_name = NamedRecordHints.of(record).name == DeviceHints.of(item).name
    if site == settings.site:
        template = (
            gettext_noop(
                'The device "{name}" may be this node: it has the same name, but is in another cluster or has '
                'another role. No device is created until a user decides: "Link to This Device" if it is this '
                'node, "Create Under Another Name" if it is another machine.'
            )
            if has_name
            else gettext_noop(
                'The device "{name}" may be this node: it has the same serial number, but is in another cluster '
                'or has another role. No device is created until a user decides: "Link to This Device" if it is '
                'this node, "Create Separately" if it is another machine.'
            )
        )
        return Message(template, name=name)
    template = (
        gettext_noop(
            'The device "{name}" may be this node: it has the same name, but is at the site "{site}". No device '
            'is created until a user decides: "Link to This Device" if it is this node, "Create Separately" if '
            'it is another machine.'
        )
        if has_name
        else gettext_noop(
            'The device "{name}" may be this node: it has the same serial number, but is at the site "{site}". '
            'No device is created until a user decides: "Link to This Device" if it is this node, "Create '
            'Separately" if it is another machine.'
        )
    )
    return Message(template, name=name, site=show(site))


def adjust_status(item: Item, existing: Existing, resolved: ResolvedObjects) -> Item:
    """
    The item without values that would overwrite better ones: a node that is off becomes offline only if it was active,
    because a user may have set 'staged' or 'failed'.
    """
    record = existing.record_of(resolved.get(item.kind, item.key))
    values = dict(item.values)
    if record and values['status'] == OFFLINE and record.values['status'] not in (ONLINE, OFFLINE):
        bound = existing.binding(item)
        if not (bound and bound.missing_since):
            del values['status']
    if record and values['device_type'] == PLACEHOLDER_TYPE:
        # Only a new device needs a placeholder type. SSH may be unavailable only temporarily.
        del values['device_type']
    return replace(item, values=values)


def reported(facts: NodeFacts) -> dict[str, Value]:
    """The values that the node reports, without those that could not be read."""
    version = facts.version
    stated: dict[str, Reading[Value]] = {
        'cf_proxmox_pve_version': version,
        'cf_proxmox_cpu_model': facts.cpu_model,
        'cf_proxmox_cpu_sockets': facts.cpu_sockets,
        'cf_proxmox_cpu_cores_total': facts.cpus,
        'cf_proxmox_memory_total_gb': in_gib(facts.memory),
        'cf_proxmox_rootfs_total_gb': in_gib(facts.rootfs),
    }
    values: dict[str, Value] = {name: value for name, value in stated.items() if known(value)}
    if known(version) and version:
        release = RELEASE.match(version)
        values['platform'] = Shared('dcim.platform', f'Proxmox VE {release[0] if release else version}')
    return values


def in_gib(size: Reading[int | None]) -> Reading[int | None]:
    """A size in bytes as whole GiB, rounded; None and Unreadable are returned unchanged."""
    return round(size / GIB) if known(size) and size is not None else size


def serial_of(node: Node) -> str | None:
    """The serial number, '' if the node has none; None if that was not read."""
    hardware = hardware_of(node)
    if hardware is None or not known(hardware.serial):
        return None
    return (hardware.serial or '')[:SERIAL_LENGTH]


def primary_addresses(node: Node) -> dict[str, Value]:
    """
    The management address, if it is on one of the interfaces of the node, and the first address of the other family
    there.
    """
    management = management_address(node)
    found = list(addresses_of_node(node))
    first = next((each for each in found if each.address.ip == management), None)
    if management is None or first is None:
        return {}
    chosen: dict[int, IPv4Address | IPv6Address] = {management.version: management}
    others = [
        each.address.ip
        for each in found
        if each.interface.name == first.interface.name and each.address.version != management.version
    ]
    if others:
        # Global IPv6 addresses before unique local ones; the first of the interface otherwise.
        other = min(others, key=lambda ip: ip.version == 6 and ip in UNIQUE_LOCAL)
        chosen[other.version] = other
    return {f'primary_ip{version}': address_ref(node, str(address)) for version, address in chosen.items()}
