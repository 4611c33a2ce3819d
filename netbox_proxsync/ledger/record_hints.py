"""What kinds need to know of existing objects to recognize them, beyond the values that they write."""

from collections import defaultdict
from collections.abc import Iterable
from typing import Any

from dcim.models import Device, Interface, MACAddress
from django.db.models import Model
from ipam.models import IPAddress
from netbox.models import NetBoxModel
from virtualization.models import Cluster, VirtualMachine, VMInterface

from ..sync.hints import (
    AddressRecordHints,
    GuestRecordHints,
    InterfaceRecordHints,
    MACRecordHints,
    NamedRecordHints,
    PartRecordHints,
)
from ..sync.kinds import Kind
from ..sync.state import Hints
from ..sync.values import Pointer
from .fields import pointer_to

__all__ = ('RecordHintsReader',)


class RecordHintsReader:
    """
    Reads the hints of loaded objects. It runs no query: what it reads was loaded with the objects.

    Args:
        macs: The loaded MAC addresses.
    """

    def __init__(self, macs: Iterable[MACAddress]) -> None:
        # Of interfaces, and of their machines.
        self.macs: dict[Pointer, set[str]] = defaultdict(set)
        for mac in macs:
            if (interface := holder_of(mac)) is not None:
                for holder in (interface, interface.parent_object):
                    self.macs[pointer_to(holder)].add(str(mac.mac_address))

    def hints_of(self, kind: Kind, instance: NetBoxModel) -> Hints:
        """The hints of an object of a kind."""
        match instance:
            case Cluster() | Device():
                return NamedRecordHints(name=(instance.name or '').lower())
            case VirtualMachine():
                return GuestRecordHints(
                    name=instance.name.lower(),
                    vmid=instance.custom_field_data.get('vmid'),
                    uuid=instance.serial.lower() or None,
                    macs=self.macs_of(instance),
                )
            case VMInterface() | Interface():
                return InterfaceRecordHints(machine=pointer_to(instance.parent_object), macs=self.macs_of(instance))
            case MACAddress():
                interface = holder_of(instance)
                return MACRecordHints(
                    mac=str(instance.mac_address),
                    is_primary=getattr(interface, 'primary_mac_address_id', None) == instance.pk,
                    holder=holder_text(interface),
                )
            case IPAddress():
                holder = holder_of(instance)
                return AddressRecordHints(
                    host=str(instance.address.ip), holder=holder_text(holder), machine=machine_of(holder)
                )
        machine = machine_of(getattr(instance, kind.holder)) if kind.holder else None
        return PartRecordHints(machine=machine) if machine else Hints()

    def macs_of(self, holder: NetBoxModel) -> frozenset[str]:
        """The MAC addresses of an interface or a machine."""
        return frozenset(self.macs.get(pointer_to(holder), ()))


def holder_of(instance: IPAddress | MACAddress) -> Any:
    """The object to which an address is assigned, which is loaded. Django would compare its type each time."""
    return type(instance)._meta.get_field('assigned_object').get_cached_value(instance, default=None)


def holder_text(holder: Model | None) -> str:
    """The display name of an object to which an address is assigned, with its machine."""
    if holder is None:
        return ''
    parent = getattr(holder, 'parent_object', None)
    return f'"{holder}" of "{parent}"' if parent else f'"{holder}"'


def machine_of(holder: Model | None) -> Pointer | None:
    """The virtual machine or device that an object is, or to which it belongs."""
    match holder:
        case VirtualMachine() | Device():
            return pointer_to(holder)
        case VMInterface() | Interface():
            return pointer_to(holder.parent_object)
    return None
