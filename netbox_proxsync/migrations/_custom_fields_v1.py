"""
The custom fields of the first release, and how they come and go.

Frozen: migrations depend on it. What a later release adds goes to a module of its own.
"""

from collections.abc import Iterable
from typing import Any

from django.contrib.postgres.fields import ArrayField
from django.core.management.base import CommandError
from django.db.models import F, Func, JSONField, TextField, Value

__all__ = ('FIELDS', 'install', 'uninstall')

GROUP = 'Proxmox'
CHOICE_SET = 'Proxmox VM status'
CHOICES = ('Deployed', 'Deleted')
COLORS = {'Deployed': 'green', 'Deleted': 'red'}

VM = ('virtualization', 'virtualmachine')
VMINTERFACE = ('virtualization', 'vminterface')
DEVICE = ('dcim', 'device')
INTERFACE = ('dcim', 'interface')

# Object, name, type, label: in the order of display.
FIELDS = (
    (VM, 'vmid', 'integer', 'VMID'),
    (VM, 'vm_status', 'select', 'VM Status'),
    (VM, 'vm_last_sync', 'datetime', 'Last Sync'),
    (VM, 'proxmox_pool', 'text', 'Pool'),
    (VM, 'proxmox_ha_state', 'text', 'HA State'),
    (VM, 'proxmox_template', 'boolean', 'Template'),
    (VM, 'cpu_sockets', 'integer', 'CPU Sockets'),
    (VM, 'qemu_cores_per_socket', 'integer', 'Cores per Socket'),
    (VM, 'qemu_cpu_type', 'text', 'CPU Type'),
    (VM, 'qemu_numa_enabled', 'boolean', 'NUMA Enabled'),
    (VM, 'min_memory_mb', 'integer', 'Minimum Memory (MiB)'),
    (VM, 'qemu_bios_type', 'text', 'BIOS Type'),
    (VM, 'qemu_machine_type', 'text', 'Machine Type'),
    (VM, 'qemu_boot_order', 'text', 'Boot Order'),
    (VM, 'boot_disk_storage', 'text', 'Boot Disk Storage'),
    (VM, 'boot_disk_format', 'text', 'Boot Disk Format'),
    (VM, 'lxc_architecture', 'text', 'Architecture'),
    (VM, 'lxc_unprivileged', 'boolean', 'Unprivileged'),
    (VM, 'lxc_features', 'text', 'Features'),
    (VM, 'lxc_rootfs_storage', 'text', 'RootFS Storage'),
    (VMINTERFACE, 'bridge', 'text', 'Bridge'),
    (VMINTERFACE, 'interface_model', 'text', 'Interface Model'),
    (VMINTERFACE, 'proxmox_firewall', 'boolean', 'Firewall'),
    (VMINTERFACE, 'proxmox_rate_limit', 'decimal', 'Rate Limit (MB/s)'),
    (DEVICE, 'proxmox_pve_version', 'text', 'PVE Version'),
    (DEVICE, 'proxmox_cpu_model', 'text', 'CPU Model'),
    (DEVICE, 'proxmox_cpu_sockets', 'integer', 'CPU Sockets'),
    (DEVICE, 'proxmox_cpu_cores_total', 'integer', 'CPU Cores'),
    (DEVICE, 'proxmox_memory_total_gb', 'integer', 'Total Memory (GiB)'),
    (DEVICE, 'proxmox_rootfs_total_gb', 'integer', 'RootFS Size (GiB)'),
    (DEVICE, 'proxmox_node_last_sync', 'datetime', 'Node Last Sync'),
    (INTERFACE, 'proxmox_interface_type', 'text', 'Interface Type'),
    (INTERFACE, 'proxmox_interface_ports', 'text', 'Interface Ports'),
)  # fmt: skip

# The global search indexes one row per object and field: only what people search for is worth that.
SEARCHED = {'vmid': 500, 'proxmox_pool': 1000}


WEIGHT = 100


def install(apps: Any, using: str, fields: tuple = FIELDS, weight: int = WEIGHT):
    """
    Create the fields that are missing and adopt those that exist.

    Args:
        apps: The app registry of a migration, or Django's own.
        using: Alias of the database.
        fields: Those of this release, or of a later one.
        weight: Of the first of them; the others follow.

    Raises:
        CommandError: Fields of that name exist that cannot be adopted. Nothing is written then.
    """
    custom_fields = apps.get_model('extras', 'CustomField').objects.using(using)
    existing = {field.name: field for field in custom_fields.filter(name__in=[name for _, name, _, _ in fields])}
    _refuse_conflicts(apps, using, existing, fields)
    records = apps.get_model('netbox_proxsync', 'ManagedCustomField').objects.using(using)
    for position, (model, name, type_, label) in enumerate(fields):
        choice_set, choice_set_created = None, False
        if (field := existing.get(name)) is None:
            if type_ == 'select':
                choice_set, choice_set_created = _choice_set(apps, using)
            field = custom_fields.create(
                name=name,
                type=type_,
                label=label,
                group_name=GROUP,
                weight=weight + position,
                ui_visible='if-set',
                ui_editable='no',
                search_weight=SEARCHED.get(name, 0),
                choice_set=choice_set,
            )
        records.create(
            name=name,
            created=name not in existing,
            object_type_added=_assign(apps, using, field, model),
            choice_set_created=choice_set_created,
        )


def uninstall(apps: Any, using: str, fields: tuple = FIELDS):
    """
    Remove the fields that `install` created, with their data, and the assignments that it added to others.
    """
    custom_fields = apps.get_model('extras', 'CustomField').objects.using(using)
    records = apps.get_model('netbox_proxsync', 'ManagedCustomField').objects.using(using)
    models = {name: model for model, name, _, _ in fields}
    removed: dict[tuple[str, str], list[str]] = {}
    for record in records.filter(name__in=models):
        if (field := custom_fields.filter(name=record.name).first()) is None:
            continue
        if record.object_type_added:
            field.object_types.remove(_content_type(apps, using, models[record.name]))
            removed.setdefault(models[record.name], []).append(record.name)
        # Assigned to other objects by a person meanwhile, it is theirs.
        if record.created and not field.object_types.exists():
            field.delete()
        if record.choice_set_created:
            choice_sets = apps.get_model('extras', 'CustomFieldChoiceSet').objects.using(using)
            choice_sets.filter(name=CHOICE_SET, choices_for=None).delete()
    for model, names in removed.items():
        _remove_data(apps.get_model(*model).objects.using(using), names)


def _refuse_conflicts(apps: Any, using: str, existing: dict[str, Any], fields: tuple):
    problems = [
        problem for _, name, type_, _ in fields if name in existing and (problem := _problem(existing[name], type_))
    ]
    if 'select' in {type_ for _, name, type_, _ in fields if name not in existing}:
        choice_set = apps.get_model('extras', 'CustomFieldChoiceSet').objects.using(using).filter(name=CHOICE_SET)
        if (found := choice_set.first()) and (missing := _missing_choices(found)):
            problems.append(f'The choice set "{CHOICE_SET}" exists without {missing}: rename it, or add them.')
    if problems:
        lines = '\n'.join(f'  - {problem}' for problem in problems)
        raise CommandError(
            'Proxmox Sync needs custom fields that it cannot have as they are:\n'
            f'{lines}\n'
            'Change them under Customization > Custom Fields and run the migration again. Nothing was changed.'
        )


def _problem(field: Any, type_: str) -> str:
    if field.type != type_:
        return (
            f'"{field.name}" exists with the type "{field.type}", and "{type_}" is needed: '
            'rename it, or delete it if it is not used any more.'
        )
    if field.status != 'active':
        return f'"{field.name}" is being changed or deleted by a background job: wait until that has ended.'
    if type_ == 'select' and (missing := _missing_choices(field.choice_set)):
        return (
            f'"{field.name}" has a choice set without {missing}: add them to the choice set "{field.choice_set.name}".'
        )
    return ''


def _missing_choices(choice_set: Any) -> str:
    values = {value for value, _ in choice_set.extra_choices or ()}
    return ' and '.join(f'"{choice}"' for choice in CHOICES if choice not in values)


def _choice_set(apps: Any, using: str) -> tuple[Any, bool]:
    return (
        apps.get_model('extras', 'CustomFieldChoiceSet')
        .objects.using(using)
        .get_or_create(
            name=CHOICE_SET,
            defaults={'extra_choices': [[choice, choice] for choice in CHOICES], 'choice_colors': COLORS},
        )
    )


def _content_type(apps: Any, using: str, model: tuple[str, str]) -> Any:
    # On a fresh database they come into being only after the last migration.
    app_label, model_name = model
    content_types = apps.get_model('contenttypes', 'ContentType').objects.using(using)
    return content_types.get_or_create(app_label=app_label, model=model_name)[0]


def _assign(apps: Any, using: str, field: Any, model: tuple[str, str]) -> bool:
    content_type = _content_type(apps, using, model)
    if field.object_types.filter(pk=content_type.pk).exists():
        return False
    field.object_types.add(content_type)
    return True


def _remove_data(objects: Any, names: Iterable[str]):
    names = list(names)
    without = Func(
        F('custom_field_data'),
        Value(names, output_field=ArrayField(TextField())),
        template='(%(expressions)s)',
        arg_joiner=' - ',
        output_field=JSONField(),
    )
    objects.filter(custom_field_data__has_any_keys=names).update(custom_field_data=without)
