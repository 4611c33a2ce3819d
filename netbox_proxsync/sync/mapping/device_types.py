"""The hardware of a node -> dcim.DeviceType and dcim.Manufacturer."""

import re

from ...proxmox.inventory import Node, known
from ..settings import Settings
from ..values import Pointer, Shared
from .nodes import hardware_of

__all__ = ('PLACEHOLDER_TYPE', 'device_type_of')

# dcim.Manufacturer.name, dcim.DeviceType.model
NAME_LENGTH = 100
PLACEHOLDER_TYPE = Shared('dcim.devicetype', 'Proxmox VE node', within='Generic')
# 'Dell Inc.' and 'Supermicro Corporation' are 'Dell' and 'Supermicro' in NetBox and its device type library.
LEGAL_FORM = re.compile(
    r'[\s,]+(inc|corp|corporation|co|company|ltd|limited|llc|gmbh|ag|s\.?a|b\.?v|computer inc)\.?$', re.IGNORECASE
)


def device_type_of(node: Node, settings: Settings) -> Pointer | Shared:
    """The device type: that of the endpoint, otherwise that of the hardware, otherwise a placeholder."""
    if settings.node_device_type:
        return settings.node_device_type
    hardware = hardware_of(node)
    if hardware and known(hardware.manufacturer) and known(hardware.product):
        manufacturer, product = manufacturer_name(hardware.manufacturer or ''), (hardware.product or '').strip()
        if manufacturer and product:
            return Shared('dcim.devicetype', product[:NAME_LENGTH], within=manufacturer)
    return PLACEHOLDER_TYPE


def manufacturer_name(text: str) -> str:
    """The name without its legal form."""
    name, before = text.strip(), None
    while name != before:
        name, before = LEGAL_FORM.sub('', name).strip(), name
    return name[:NAME_LENGTH]
