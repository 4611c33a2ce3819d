"""What decisions are about: guests, nodes and parts of them in Proxmox VE."""

from dataclasses import dataclass
from typing import Any

from dcim.models import Device
from virtualization.models import VirtualMachine

from ..choices import DecisionChoices
from ..models import ProxmoxEndpoint
from ..sync.kind_names import ADDRESS, CLUSTER, DEVICE, GUEST

__all__ = ('LINKED_MODELS', 'DecisionError', 'Question', 'choices_for')

# The models of the objects that can be linked, by kind.
LINKED_MODELS: dict[str, type[VirtualMachine | Device]] = {GUEST: VirtualMachine, DEVICE: Device}


class DecisionError(Exception):
    """A decision cannot be made. The message is for users: the reason, and what can be done."""


@dataclass(frozen=True)
class Question:
    """
    Something in Proxmox VE about which a user decides.

    Attributes:
        key: Identity of the guest, node or address: 'qemu/100', 'node/pve1', 'lxc/101/10.0.0.1'.
        instance: The virtual machine or device that it is linked to, the IP address that is moved, or its new VRF.
        name: The name of the new object, if the user chooses it.
    """

    endpoint: ProxmoxEndpoint
    kind: str
    key: str
    instance: Any = None
    name: str = ''


def choices_for(kind: str) -> tuple[str, ...]:
    """The decisions that can be stored about an object of a kind. Guests are ignored by `ignore`."""
    if kind in LINKED_MODELS:
        return DecisionChoices.LINK, DecisionChoices.SEPARATE, DecisionChoices.RENAME
    if kind == ADDRESS:
        return DecisionChoices.MOVE, DecisionChoices.VRF, DecisionChoices.IGNORE
    return () if kind == CLUSTER else (DecisionChoices.IGNORE,)


def unit_of(key: str) -> str:
    """The guest or node of an object, from its key."""
    return '/'.join(key.split('/')[:2])
