"""
The kinds of NetBox objects that a sync manages, in the order in which they can be created.

A new kind is one module here and one entry in `KINDS`.
"""

from ..kind import Field, Kind, Owner, Removal
from .cluster import ClusterKind
from .device import DeviceKind
from .disk import DiskKind
from .interface import InterfaceKind
from .ip import IPKind
from .mac import MACKind
from .node_interface import NodeInterfaceKind
from .vm import VMKind

__all__ = ('KINDS', 'Field', 'Kind', 'Owner', 'Removal')

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        ClusterKind(),
        DeviceKind(),
        NodeInterfaceKind(),
        VMKind(),
        InterfaceKind(),
        MACKind(),
        IPKind(),
        DiskKind(),
    )
}
