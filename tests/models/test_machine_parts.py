"""Which objects belong to virtual machines and devices follows from the kinds and from NetBox's models."""

from dcim.models import Device, Interface, MACAddress
from ipam.models import IPAddress
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.models.machine_parts import machine_models, part_lookups
from netbox_proxsync.sync.kinds import KINDS


def test_guests_and_nodes_are_machines():
    assert machine_models() == {'vm': VirtualMachine, 'device': Device}


def test_parts_lead_to_their_machines():
    assert set(part_lookups(VirtualMachine)) >= {
        (VMInterface, 'virtual_machine'),
        (VirtualDisk, 'virtual_machine'),
        (MACAddress, 'vminterface__virtual_machine'),
        (IPAddress, 'vminterface__virtual_machine'),
    }
    assert set(part_lookups(Device)) >= {
        (Interface, 'device'),
        (MACAddress, 'interface__device'),
        (IPAddress, 'interface__device'),
    }


def test_every_kind_with_a_holder_is_hidden_together_with_its_machine():
    parts = {model._meta.label_lower for machine in machine_models().values() for model, _ in part_lookups(machine)}
    assert parts == {kind.model for kind in KINDS.values() if kind.holder}
