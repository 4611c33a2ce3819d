"""The options of a read."""

from dataclasses import dataclass, field

from ..parsers.address_filters import AddressFilters
from ..readings import Reading
from ..ssh.settings import SSHSettings

__all__ = ('CollectOptions',)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """
    The options of a read.

    Attributes:
        os_info: Query guest agents for the operating system, with one more call per running virtual machine.
        host_names: Query guest agents for the hostname, with one more call likewise.
        nodes: Read the facts and certificates of the nodes. Their networks are always read, because bridges determine
            the VLANs of guests.
        filters: The addresses to exclude.
        vms, containers: Read the configurations of this type of guests. Guests of a type that is not read are still in
            the inventory, as listed.
        only: The ids of the guests to read; the others are in the inventory as listed. None means all.
        ssh: The SSH settings for the hardware of nodes. None: not read; Unreadable: invalid settings.
    """

    os_info: bool = False
    host_names: bool = False
    nodes: bool = False
    filters: AddressFilters = field(default_factory=AddressFilters)
    vms: bool = True
    containers: bool = True
    only: frozenset[int] | None = None
    ssh: Reading[SSHSettings | None] = None

    def includes(self, vmid: int) -> bool:
        """Return whether the guest with this id is read."""
        return self.only is None or vmid in self.only
