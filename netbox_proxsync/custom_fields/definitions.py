"""The custom fields that a sync writes, in the order in which NetBox shows them."""

from typing import NamedTuple

__all__ = ('CHOICES', 'CHOICE_SET', 'COLORS', 'CUSTOM_FIELDS', 'GROUP', 'SEARCH_WEIGHTS', 'WEIGHT', 'Definition')


class Definition(NamedTuple):
    """
    Attributes:
        model: The app label and model name of the object type that the field is for.
        type: A value of NetBox's `CustomFieldTypeChoices`.
    """

    model: tuple[str, str]
    name: str
    type: str
    label: str


GROUP = 'Proxmox VE'
CHOICE_SET = 'Proxmox VM status'
CHOICES = ('Deployed', 'Deleted')
COLORS = {'Deployed': 'green', 'Deleted': 'red'}

VM = ('virtualization', 'virtualmachine')
VMINTERFACE = ('virtualization', 'vminterface')
DEVICE = ('dcim', 'device')
INTERFACE = ('dcim', 'interface')

CUSTOM_FIELDS = (
    Definition(VM, 'vmid', 'integer', 'VM ID'),
    Definition(VM, 'vm_status', 'select', 'VM Status'),
    Definition(VM, 'vm_last_sync', 'datetime', 'Last Sync'),
    Definition(VM, 'proxmox_pool', 'text', 'Pool'),
    Definition(VM, 'proxmox_ha_state', 'text', 'HA State'),
    Definition(VM, 'proxmox_template', 'boolean', 'Template'),
    Definition(VM, 'cpu_sockets', 'integer', 'CPU Sockets'),
    Definition(VM, 'qemu_cores_per_socket', 'integer', 'Cores per Socket'),
    Definition(VM, 'qemu_cpu_type', 'text', 'CPU Type'),
    Definition(VM, 'qemu_numa_enabled', 'boolean', 'NUMA Enabled'),
    Definition(VM, 'min_memory_mb', 'integer', 'Minimum Memory (MiB)'),
    Definition(VM, 'qemu_bios_type', 'text', 'BIOS Type'),
    Definition(VM, 'qemu_machine_type', 'text', 'Machine Type'),
    Definition(VM, 'qemu_boot_order', 'text', 'Boot Order'),
    Definition(VM, 'boot_disk_storage', 'text', 'Boot Disk Storage'),
    Definition(VM, 'boot_disk_format', 'text', 'Boot Disk Format'),
    Definition(VM, 'lxc_architecture', 'text', 'Architecture'),
    Definition(VM, 'lxc_unprivileged', 'boolean', 'Unprivileged'),
    Definition(VM, 'lxc_features', 'text', 'Features'),
    Definition(VM, 'lxc_rootfs_storage', 'text', 'RootFS Storage'),
    Definition(VMINTERFACE, 'bridge', 'text', 'Bridge'),
    Definition(VMINTERFACE, 'interface_model', 'text', 'Interface Model'),
    Definition(VMINTERFACE, 'proxmox_firewall', 'boolean', 'Firewall'),
    Definition(VMINTERFACE, 'proxmox_rate_limit', 'decimal', 'Rate Limit (MB/s)'),
    Definition(DEVICE, 'proxmox_pve_version', 'text', 'PVE Version'),
    Definition(DEVICE, 'proxmox_cpu_model', 'text', 'CPU Model'),
    Definition(DEVICE, 'proxmox_cpu_sockets', 'integer', 'CPU Sockets'),
    Definition(DEVICE, 'proxmox_cpu_cores_total', 'integer', 'CPU Cores'),
    Definition(DEVICE, 'proxmox_memory_total_gb', 'integer', 'Total Memory (GiB)'),
    Definition(DEVICE, 'proxmox_rootfs_total_gb', 'integer', 'RootFS Size (GiB)'),
    Definition(DEVICE, 'proxmox_node_last_sync', 'datetime', 'Node Last Sync'),
    Definition(INTERFACE, 'proxmox_interface_type', 'text', 'Interface Type'),
    Definition(INTERFACE, 'proxmox_interface_ports', 'text', 'Interface Ports'),
    Definition(VM, 'proxmox_backed_up', 'boolean', 'Backed Up'),
)

# NetBox's search index has one row for each object and field, so it contains only fields that users search for.
SEARCH_WEIGHTS = {'vmid': 500, 'proxmox_pool': 1000}
# The display weight of the first field; each further field has one more.
WEIGHT = 100
