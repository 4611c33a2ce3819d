"""Virtual machines and containers -> virtualization.VirtualMachine."""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal

from ...proxmox.inventory import Guest, GuestConfig, GuestType, Inventory, Reading, Unreadable, known
from ...proxmox.messages import Message, gettext_noop
from ..guest_identity import identity_of_guest
from ..hints import GuestHints
from ..kind import Field, Kind, Owner, Removal, ResolvedObjects, decision_of, guests_of, label_of
from ..kind_names import ADDRESS, GUEST
from ..mapping import guest_addresses
from ..mapping.chosen_names import with_chosen_names
from ..mapping.fallback_values import without_second_choices
from ..mapping.guest_names import NAME_LENGTH, free_names
from ..mapping.nodes import device_ref, nodes_of
from ..mapping.notes_summary import summary_of
from ..mapping.platforms import is_second_choice, platform_of
from ..mapping.recognition import GuestRecognition
from ..mapping.rule_outcomes import apply_rules, take_back
from ..mapping.tags import tags_of
from ..rules import Decision
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Shared, Value, decimal_text, in_units
from .cluster import cluster_ref

__all__ = ('VMKind',)

VM_TYPES = {
    GuestType.QEMU: Shared('virtualization.virtualmachinetype', 'Proxmox VM'),
    GuestType.LXC: Shared('virtualization.virtualmachinetype', 'Proxmox container'),
}
# The QMP status of a VM; containers have only the first two. In any other status (prelaunch, io-error, ...), a guest is
# neither up nor down.
STATUSES = {'running': 'active', 'stopped': 'offline', 'paused': 'paused', 'suspended': 'paused'}
OTHER_STATUS = 'staged'
RETIRED_STATUS = 'decommissioning'
CPUS_UNKNOWN = Message('The CPUs of the node are not known.')


class VMKind(Kind):
    """The virtual machines and containers."""

    name = GUEST
    label = gettext_noop('Virtual machine')
    plural = Message('virtual machines')
    model = 'virtualization.virtualmachine'
    removal = Removal.RETIRE
    stamp = 'vm_last_sync'
    retired = {'status': RETIRED_STATUS, 'cf_vm_status': 'Deleted'}
    fields = (
        Field('name', Owner.EDITORIAL, needed=True),
        Field('status', Owner.FACT),
        Field('cluster', Owner.FACT, fixed=True),
        # A device that NetBox refuses must not prevent its guests from being created.
        Field('device', Owner.FACT, deferred=True, checked_with='cluster'),
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
        Field('primary_ip4', Owner.EDITORIAL, deferred=True),
        Field('primary_ip6', Owner.EDITORIAL, deferred=True),
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
        """
        Yield the guests that are synced. A guest whose configuration or name was not read is partial: no virtual
        machine is created for it.
        """
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
                hints=hints_of(guest, decision, vmids, keys),
                identity=identity_of_guest(guest),
                partial=not (known(guest.config) and known(guest.name)),
                reasons=decision.reasons,
            )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The types of guests (VMs, containers) that are synced, if all guests were listed."""
        if inventory.guests_incomplete is not None:
            return []
        wanted = {GuestType.QEMU: settings.sync_vms, GuestType.LXC: settings.sync_containers}
        return [str(guest_type) for guest_type, is_wanted in wanted.items() if is_wanted]

    def scope(self, key: str, unit: str) -> str:
        """The type of the guest, which is the first part of its key: 'qemu' or 'lxc'."""
        return key.partition('/')[0]

    def resolve_values(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        """Clear a role and a tenant that a rule set before and that nothing sets now."""
        return [take_back(item, ('role', 'tenant'), existing, settings) for item in items]

    def recognition(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> GuestRecognition:
        """Compare all guests with all unbound virtual machines, since two guests may resemble the same one."""
        return GuestRecognition(items, existing, resolved, settings)

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """
        Choose names, those of users or others that are free in the cluster. Prefer existing values to those of less
        reliable sources.
        """
        items = with_chosen_names(items, settings)
        names = free_names(items, existing, resolved, settings.owner(self.name, 'name', Owner.EDITORIAL))
        named = [
            replace(item, values={**item.values, 'name': name})
            if (name := names.get(item.key)) is not None and name != item.values['name']
            else item
            for item in items
        ]
        return [without_second_choices(item, existing, resolved) for item in named]

    def finalize(
        self,
        item: Item,
        record: Record | None,
        parts: Mapping[str, Sequence[Item]],
        kept: Container[tuple[str, str]],
        existing: Existing,
        settings: Settings,
    ) -> Item:
        """Choose the primary addresses among those that are written or stay."""
        leaves_missing = settings.missing_addresses == 'leave'
        return guest_addresses.with_primary_addresses(
            item, record, parts.get(ADDRESS, ()), kept, existing, leaves_missing
        )


def second_choices(guest: Guest, decision: Decision) -> frozenset[str]:
    """The fields whose value comes from a less reliable source, because a better one could not be read."""
    if not known(guest.config) or not known(decision.platform) or decision.platform is not None:
        return frozenset()
    return frozenset({'platform'} if is_second_choice(guest, guest.config) else ())


def primary_addresses(guest: Guest, settings: Settings) -> dict[str, Value]:
    """
    The primary addresses that the guest reports; none is removed if the endpoint leaves missing addresses unchanged.
    """
    found = guest_addresses.primary_addresses(guest)
    if settings.missing_addresses == 'leave':
        return {name: address for name, address in found.items() if address is not None}
    return found


def listed(guest: Guest, inventory: Inventory) -> dict[str, Value]:
    """The values from the list of guests, without the configuration of the guest."""
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
    """
    The NetBox status; None: unknown, leave it unchanged. Transient locks (backup, snapshot, migrate, ...) are ignored.
    """
    if guest.template is True:
        return OTHER_STATUS
    if guest.lock == 'suspended':
        return 'paused'
    if not known(guest.lock) and guest.status == 'stopped':
        return None  # The guest may be suspended.
    if not known(guest.status) or guest.status == 'unknown':
        return None
    return STATUSES.get(guest.status, OTHER_STATUS)


def configured(guest: Guest, config: GuestConfig, node_cpus: object, settings: Settings) -> dict[str, Value]:
    """The values from the configuration of the guest, without those that could not be read."""
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
    The number of virtual CPUs as decimal text; Unreadable if it depends on a value that could not be read.

    It is taken from the configuration, because the lists limit it to the number of CPUs of the host. A container
    without limits has all CPUs of the host (pve-container, LXC.pm `vmstatus`).
    """
    if guest_type is GuestType.QEMU:
        return decimal_text_of(config.vcpus if config.vcpus or not known(config.vcpus) else cores_of(config))
    for limit in (config.cores, config.cpulimit):
        if isinstance(limit, Unreadable):
            return limit
        if limit:
            # virtualization.VirtualMachine.vcpus has two decimal places, and at least 0.01.
            return decimal_text(max(Decimal('0.01'), round(Decimal(limit), 2)))
    return decimal_text(node_cpus) if isinstance(node_cpus, int) else Unreadable(CPUS_UNKNOWN)


def decimal_text_of(number: Reading[int | None]) -> Reading[str | None]:
    """The number as decimal text."""
    return decimal_text(number) if known(number) else number


def cores_of(config: GuestConfig) -> Reading[int]:
    """The cores of all sockets of a virtual machine."""
    if not known(config.sockets):
        return config.sockets
    if not known(config.cores):
        return config.cores
    return (config.sockets or 1) * (config.cores or 1)


def boot_disk(config: GuestConfig) -> dict[str, Reading[Value]]:
    """The storage and the format of the boot disk."""
    if isinstance(config.boot_disk, Unreadable):
        return {}
    disk = next((disk for disk in config.disks if disk.key == config.boot_disk), None)
    return {
        'cf_boot_disk_storage': disk.storage if disk else None,
        'cf_boot_disk_format': disk.format if disk else None,
    }


def qemu_fields(config: GuestConfig) -> dict[str, Reading[Value]]:
    """The values that only virtual machines have."""
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
    """The values that only containers have."""
    rootfs = next((disk for disk in config.disks if disk.key == 'rootfs'), None)
    return {
        'cf_lxc_architecture': config.architecture,
        'cf_lxc_unprivileged': config.unprivileged,
        'cf_lxc_features': config.features,
        'cf_lxc_rootfs_storage': rootfs.storage if rootfs else None,
    }


def hints_of(guest: Guest, decision: Decision, vmids: frozenset[int], keys: Mapping[str, Sequence[str]]) -> GuestHints:
    """
    The hints of a guest.

    Args:
        vmids: The VM IDs of all guests.
        keys: See `keys_by_name`.
    """
    uuid = guest.config.uuid if known(guest.config) else None
    macs = [nic.mac for nic in guest.config.nics] if known(guest.config) else []
    name = guest.name.lower() if known(guest.name) else None
    return GuestHints(
        decision=decision,
        vmid=guest.vmid,
        uuid=uuid.lower() if known(uuid) and uuid else None,
        name=name,
        macs=frozenset(mac for mac in macs if known(mac) and mac),
        second_choices=second_choices(guest, decision),
        vmids=vmids,
        namesakes=tuple(key for key in keys[name] if key != guest.key) if name is not None else (),
    )


def keys_by_name(inventory: Inventory) -> dict[str, list[str]]:
    """The keys of all guests by their names in lower case, including guests that are not synced."""
    keys: dict[str, list[str]] = {}
    for guest in inventory.guests:
        if known(guest.name):
            keys.setdefault(guest.name.lower(), []).append(guest.key)
    return keys
