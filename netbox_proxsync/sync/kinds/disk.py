"""Data disks and mount points of guests -> virtualization.VirtualDisk."""

from collections.abc import Iterable

from ...proxmox.inventory import Disk, Guest, Inventory, known
from ...proxmox.messages import Message, gettext_noop
from ..kind import Conflict, Field, Kind, Owner, Removal, ResolvedObjects, guests_of, label_of
from ..kind_names import DISK, GUEST
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Ref, Value, in_units

__all__ = ('DiskKind',)

# virtualization.VirtualDisk.description
DESCRIPTION_LENGTH = 200


class DiskKind(Kind):
    """The data disks and mount points of guests."""

    name = DISK
    label = gettext_noop('Virtual disk')
    plural = Message('virtual disks')
    model = 'virtualization.virtualdisk'
    removal = Removal.DELETE
    holder = 'virtual_machine'
    fields = (
        Field('virtual_machine', Owner.FACT, fixed=True),
        Field('name', Owner.EDITORIAL, needed=True),
        Field('size', Owner.FACT, needed=True),
        Field('description', Owner.EDITORIAL),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield the disks of the guests whose configurations were read. Sizes are in the unit of NetBox, at least 1."""
        for guest in guests_of(inventory, settings):
            for disk in guest.config.disks if known(guest.config) else ():
                yield Item(
                    kind=self.name,
                    key=f'{guest.key}/{disk.key}',
                    unit=guest.key,
                    label=disk.key,
                    values=disk_values(guest, disk, settings),
                    # NetBox requires a size.
                    partial=not known(disk.size),
                )

    def complete(self, inventory: Inventory, settings: Settings) -> Iterable[str]:
        """The guests whose configurations were read."""
        return [guest.key for guest in guests_of(inventory, settings) if known(guest.config)]

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """The unbound disk of the virtual machine with the name."""
        vm = resolved.get(GUEST, item.unit)
        for record in existing.find(self.name, 'machine', vm):
            if vm and record.values['name'] == item.values['name'] and record.pointer not in existing.bound_to:
                return record
        return None


def disk_values(guest: Guest, disk: Disk, settings: Settings) -> dict[str, Value]:
    """The values of a disk, without those that could not be read."""
    values: dict[str, Value] = {'virtual_machine': Ref(GUEST, guest.key, label_of(guest)), 'name': disk.key}
    if (description := describe(disk)) is not None:
        values['description'] = description
    if known(disk.size):
        # NetBox stores whole units; a smaller disk still exists.
        values['size'] = max(1, in_units(disk.size, settings.disk_unit))
    return values


def describe(disk: Disk) -> str | None:
    """
    Storage, volume, format and mount point; never the raw property string, which may contain serial numbers. None if a
    part of it could not be read.
    """
    if not all(known(part) for part in (disk.storage, disk.volume, disk.format, disk.mount_point, disk.passthrough)):
        return None
    volume = f'{disk.storage}:{disk.volume}' if disk.storage else disk.volume
    parts = [volume, disk.format, disk.mount_point, 'pass-through' if disk.passthrough else None]
    return ', '.join(part for part in parts if known(part) and part)[:DESCRIPTION_LENGTH]
