"""Virtual machines and containers -> virtualization.VirtualMachine."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from ...proxmox.inventory import Guest, GuestConfig, GuestType, Inventory, Reading, Unreadable, known
from ..guest_identity import identity_of
from ..kind import Field, Kind, Located, Owner, Removal, decision_of, guests_of, label_of
from ..mapping import guest_addresses
from ..mapping.fallback_values import SECOND_CHOICES, without_second_choices
from ..mapping.guest_names import NAME_LENGTH, free_names
from ..mapping.nodes import device_ref, nodes_of
from ..mapping.notes_summary import summary_of
from ..mapping.platforms import is_second_choice, platform_of
from ..mapping.recognition import GuestRecognition
from ..mapping.rule_outcomes import apply_rules, take_back
from ..mapping.tags import tags_of
from ..rules import Decision
from ..settings import Settings
from ..state import Existing, Item
from ..values import Shared, Value, decimal_text, in_units
from .cluster import cluster_ref

__all__ = ('VMKind',)

VM_TYPES = {
    GuestType.QEMU: Shared('virtualization.virtualmachinetype', 'Proxmox VM'),
    GuestType.LXC: Shared('virtualization.virtualmachinetype', 'Proxmox container'),
}
# QMP status of a running or stopped VM; LXC knows the first two only. Anything else (prelaunch, io-error, ...) exists
# and is neither up nor down.
STATUSES = {'running': 'active', 'stopped': 'offline', 'paused': 'paused', 'suspended': 'paused'}
OTHER_STATUS = 'staged'
RETIRED_STATUS = 'decommissioning'


class VMKind(Kind):
    name = 'vm'
    plural = 'virtual machines'
    model = 'virtualization.virtualmachine'
    removal = Removal.RETIRE
    stamp = 'vm_last_sync'
    retired = {'status': RETIRED_STATUS, 'cf_vm_status': 'Deleted'}
    fields = (
        Field('name', Owner.EDITORIAL, needed=True),
        Field('status', Owner.FACT),
        Field('cluster', Owner.FACT, fixed=True),
        # A node that NetBox refuses must not keep its guests out.
        Field('device', Owner.FACT, late=True, beside='cluster'),
        Field('virtual_machine_type', Owner.EDITORIAL),
        Field('role', Owner.EDITORIAL),
        Field('tenant', Owner.EDITORIAL),
        Field('platform', Owner.EDITORIAL),
        Field('vcpus', Owner.FACT),
        Field('memory', Owner.FACT),
        Field('start_on_boot', Owner.FACT),
        Field('serial', Owner.EDITORIAL),
        Field('description', Owner.EDITORIAL),
        Field('comments', Owner.EDITORIAL),
        Field('tags', Owner.SET),
        Field('primary_ip4', Owner.EDITORIAL, late=True),
        Field('primary_ip6', Owner.EDITORIAL, late=True),
        Field('cf_vmid', Owner.FACT, fixed=True),
        Field('cf_vm_status', Owner.FACT),
        Field('cf_cpu_sockets', Owner.FACT),
        Field('cf_qemu_cores_per_socket', Owner.FACT),
        Field('cf_min_memory_mb', Owner.FACT),
        Field('cf_qemu_cpu_type', Owner.FACT),
        Field('cf_qemu_bios_type', Owner.FACT),
        Field('cf_qemu_machine_type', Owner.FACT),
        Field('cf_qemu_numa_enabled', Owner.FACT),
        Field('cf_qemu_boot_order', Owner.FACT),
        Field('cf_boot_disk_storage', Owner.FACT),
        Field('cf_boot_disk_format', Owner.FACT),
        Field('cf_lxc_architecture', Owner.FACT),
        Field('cf_lxc_unprivileged', Owner.FACT),
        Field('cf_lxc_features', Owner.FACT),
        Field('cf_lxc_rootfs_storage', Owner.FACT),
        Field('cf_proxmox_pool', Owner.FACT),
        Field('cf_proxmox_ha_state', Owner.FACT),
        Field('cf_proxmox_template', Owner.FACT),
        Field('cf_proxmox_backed_up', Owner.FACT),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        cpus = {node.name: node.cpus for node in inventory.nodes}
        nodes = {node.name for node in nodes_of(inventory, settings)}
        vmids, keys = frozenset(guest.vmid for guest in inventory.guests), keys_by_name(inventory)
        for guest in guests_of(inventory, settings):
            decision = decision_of(guest, settings)
            values = {
                'cluster': cluster_ref(inventory, settings),
                'virtual_machine_type': VM_TYPES[guest.type],
                **({'device': device_ref(guest.node)} if guest.node in nodes else {}),
                **listed(guest, inventory),
                **(configured(guest, guest.config, cpus.get(guest.node), settings) if known(guest.config) else {}),
                **primary_addresses(guest, settings),
            }
            yield Item(
                kind=self.name,
                key=guest.key,
                unit=guest.key,
                label=label_of(guest),
                values=apply_rules(values, decision, {'role': settings.guest_role, 'tenant': settings.tenant}),
                hints=recognition(guest)
                | {'decision': decision, SECOND_CHOICES: second_choices(guest, decision), **around(guest, vmids, keys)},
                identity=identity_of(guest),
                partial=not (known(guest.config) and known(guest.name)),
                reasons=decision.reasons,
            )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        if inventory.guests_incomplete is not None:
            return []
        wanted = {GuestType.QEMU: settings.sync_vms, GuestType.LXC: settings.sync_containers}
        return [str(guest_type) for guest_type, is_wanted in wanted.items() if is_wanted]

    def scope(self, key: str, unit: str) -> str:
        return key.partition('/')[0]

    def settle(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        return [take_back(item, ('role', 'tenant'), existing, settings) for item in items]

    def recognition(
        self, items: Sequence[Item], existing: Existing, located: Located, settings: Settings
    ) -> GuestRecognition:
        return GuestRecognition(items, existing, located, settings)

    def fit(self, items: Sequence[Item], existing: Existing, located: Located, settings: Settings) -> Sequence[Item]:
        names = free_names(items, existing, located, settings.owner(self.name, 'name', Owner.EDITORIAL))
        named = [
            replace(item, values={**item.values, 'name': names[item.key]}) if item.key in names else item
            for item in items
        ]
        return [without_second_choices(item, existing, located) for item in named]


def second_choices(guest: Guest, decision: Decision) -> frozenset[str]:
    """The fields whose value comes from a less reliable source, because a better one could not be read."""
    is_open = known(decision.platform) and decision.platform is None and known(guest.config)
    return frozenset({'platform'} if is_open and is_second_choice(guest, guest.config) else ())


def primary_addresses(guest: Guest, settings: Settings) -> dict[str, Value]:
    """As the guest tells them; where its missing addresses are left alone, none is taken from the machine."""
    found = guest_addresses.primary_addresses(guest)
    if settings.missing_addresses == 'leave':
        return {name: address for name, address in found.items() if address is not None}
    return found


def listed(guest: Guest, inventory: Inventory) -> dict[str, Value]:
    """What the list of guests tells, without the guest's configuration."""
    values: dict[str, Value] = {'cf_vmid': guest.vmid, 'cf_vm_status': 'Deployed'}
    if known(guest.name):
        values['name'] = guest.name[:NAME_LENGTH]
    if (status := status_of(guest)) is not None:
        values['status'] = status
    if known(guest.template):
        values['cf_proxmox_template'] = guest.template
    if known(guest.tags) and (tags := tags_of(guest.tags, inventory.tag_style)) is not None:
        values['tags'] = tags
    if known(guest.pool):
        values['cf_proxmox_pool'] = guest.pool
    if known(guest.ha_state):
        values['cf_proxmox_ha_state'] = guest.ha_state
    if known(inventory.not_backed_up):
        values['cf_proxmox_backed_up'] = guest.vmid not in inventory.not_backed_up
    return values


def status_of(guest: Guest) -> str | None:
    """The NetBox status; None: unknown, leave it. Passing locks (backup, snapshot, migrate, ...) change nothing."""
    if guest.template is True:
        return OTHER_STATUS
    if guest.lock == 'suspended':
        return 'paused'
    if not known(guest.lock) and guest.status == 'stopped':
        return None  # it may be suspended
    if not known(guest.status) or guest.status == 'unknown':
        return None
    return STATUSES.get(guest.status, OTHER_STATUS)


def configured(guest: Guest, config: GuestConfig, node_cpus: object, settings: Settings) -> dict[str, Value]:
    """What the guest's own configuration tells. What of it cannot be read is not there."""
    readings: dict[str, Reading[Value]] = {
        'vcpus': vcpus_of(guest.type, config, node_cpus),
        'platform': platform_of(guest, config),
        **boot_disk(config),
        **(qemu_fields(config) if guest.type is GuestType.QEMU else lxc_fields(config)),
    }
    if known(config.memory):
        readings['memory'] = in_units(config.memory, settings.ram_unit)
    if known(config.start_on_boot):
        readings['start_on_boot'] = 'on' if config.start_on_boot else 'off'
    if known(config.description):
        readings |= {'description': summary_of(config.description), 'comments': config.description.strip()}
    return {name: reading for name, reading in readings.items() if known(reading)}


def vcpus_of(guest_type: GuestType, config: GuestConfig, node_cpus: object) -> Reading[str | None]:
    """
    The number of virtual CPUs as decimal text; Unreadable if a part on which it depends cannot be read.

    From the configuration: the lists clamp it to the host's number of CPUs. A container without limits has all of the
    host's (pve-container, LXC.pm `vmstatus`).
    """
    if guest_type is GuestType.QEMU:
        for part in [config.vcpus] if config.vcpus or not known(config.vcpus) else [config.sockets, config.cores]:
            if isinstance(part, Unreadable):
                return part
        return decimal_text(config.vcpus or (config.sockets or 1) * (config.cores or 1))
    for limit in (config.cores, config.cpulimit):
        if isinstance(limit, Unreadable):
            return limit
        if limit:
            # virtualization.VirtualMachine.vcpus has two decimal places, and at least 0.01.
            return decimal_text(max(Decimal('0.01'), round(Decimal(limit), 2)))
    return decimal_text(node_cpus) if isinstance(node_cpus, int) else Unreadable('The CPUs of the node are not known.')


def boot_disk(config: GuestConfig) -> dict[str, Reading[Value]]:
    if isinstance(config.boot_disk, Unreadable):
        return {}
    disk = next((disk for disk in config.disks if disk.key == config.boot_disk), None)
    return {
        'cf_boot_disk_storage': disk.storage if disk else None,
        'cf_boot_disk_format': disk.format if disk else None,
    }


def qemu_fields(config: GuestConfig) -> dict[str, Reading[Value]]:
    fields: dict[str, Reading[Value]] = {
        'cf_cpu_sockets': config.sockets,
        'cf_qemu_cores_per_socket': config.cores,
        'cf_qemu_cpu_type': config.cpu_type,
        'cf_qemu_bios_type': config.bios,
        'cf_qemu_machine_type': config.machine,
        'cf_qemu_numa_enabled': config.numa,
    }
    if known(config.uuid):
        fields['serial'] = (config.uuid or '')[:50]
    if known(config.min_memory):
        fields['cf_min_memory_mb'] = config.min_memory // 1024**2 if config.min_memory else None
    if known(config.boot_order):
        fields['cf_qemu_boot_order'] = ';'.join(config.boot_order) or None
    return fields


def lxc_fields(config: GuestConfig) -> dict[str, Reading[Value]]:
    rootfs = next((disk for disk in config.disks if disk.key == 'rootfs'), None)
    return {
        'cf_lxc_architecture': config.architecture,
        'cf_lxc_unprivileged': config.unprivileged,
        'cf_lxc_features': config.features,
        'cf_lxc_rootfs_storage': rootfs.storage if rootfs else None,
    }


def recognition(guest: Guest) -> dict[str, object]:
    """What recognises this guest among virtual machines that other hands made."""
    uuid = guest.config.uuid if known(guest.config) else None
    macs = [nic.mac for nic in guest.config.nics] if known(guest.config) else []
    return {
        'vmid': guest.vmid,
        'uuid': uuid.lower() if known(uuid) and uuid else None,
        'name': guest.name.lower() if known(guest.name) else None,
        'macs': frozenset(mac for mac in macs if known(mac) and mac),
    }


def keys_by_name(inventory: Inventory) -> dict[str, list[str]]:
    """The guests of each name, in lower case; those too that the endpoint leaves out."""
    keys: dict[str, list[str]] = {}
    for guest in inventory.guests:
        if known(guest.name):
            keys.setdefault(guest.name.lower(), []).append(guest.key)
    return keys


def around(guest: Guest, vmids: frozenset[int], keys: Mapping[str, list[str]]) -> dict[str, object]:
    """What the other guests have that may be taken for this one: all VM IDs, and the guests of the same name."""
    same_name = keys[guest.name.lower()] if known(guest.name) else []
    return {'vmids': vmids, 'namesakes': tuple(key for key in same_name if key != guest.key)}
