"""What to read."""

from dataclasses import dataclass, field

from ..parsers.addresses import AddressFilters
from ..readings import Reading
from ..ssh.settings import SSHSettings

__all__ = ('CollectOptions',)


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectOptions:
    """
    What to read of an endpoint.

    Attributes:
        os_info: Ask the guest agents for the operating system: one more call for each running virtual machine.
        host_names: Ask them for the host name: likewise.
        nodes: Read the facts and the certificates of the nodes. Their networks are read in any case: bridges decide
            which VLANs guests are in.
        filters: Which addresses are left out.
        vms, containers: Read the configuration of that type. Guests of a type that is not read are still in the
            inventory, with everything that takes a call of its own unknown: they are there.
        only: The ids of the guests that are read; the others are treated like those of a type that is not read. None:
            all are.
        ssh: How to ask each node for its hardware. None: it is not asked; Unreadable: the settings cannot be used.
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
        return self.only is None or vmid in self.only
