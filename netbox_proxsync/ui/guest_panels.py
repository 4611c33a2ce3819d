from abc import ABC, abstractmethod
from typing import Any

from django.utils.translation import gettext_lazy as _
from netbox.ui import attrs, panels

from ..wording import worded_entry

__all__ = (
    'CandidatesPanel',
    'DisksPanel',
    'GuestPanel',
    'GuestStatePanel',
    'IgnoredAddressesPanel',
    'NicsPanel',
    'UnreadPanel',
)

# The parts that `sync.guest_details` reports as unreadable.
PARTS = {
    'config': _('Configuration'),
    'name': _('Name'),
    'status': _('Status'),
    'template': _('Template'),
    'tags': _('Tags'),
    'pool': _('Pool'),
    'ha_state': _('HA state'),
    'addresses': _('Addresses'),
    'os_name': _('Operating system'),
    'host_name': _('Hostname'),
    'size': _('Size of the disk {key}'),
    'running': _('Addresses of the NIC {key} in the guest'),
}
# `proxmox.inventory.AddressOrigin`
ORIGINS = {
    'static': _('Static'),
    'dhcp': _('DHCP'),
    'slaac': _('SLAAC'),
    'observed': _('Observed'),
}
# The sources of addresses (`proxmox.parsers.addresses`).
SOURCES = {
    'cloud-init': _('cloud-init'),
    'container configuration': _('container configuration'),
    'guest agent': _('guest agent'),
    'container interfaces': _('container interfaces'),
}
UNITS = ('bytes', 'KiB', 'MiB', 'GiB', 'TiB', 'PiB')


class GuestPanel(panels.ObjectAttributesPanel):
    title = _('Details from Proxmox VE')
    endpoint = attrs.RelatedObjectAttr('endpoint', linkify=True)
    type = attrs.ChoiceAttr('type')
    vmid = attrs.TextAttr('vmid', label=_('VM ID'), style='font-monospace')
    name = attrs.TextAttr('name')
    node = attrs.TextAttr('node')
    status = attrs.ChoiceAttr('status')
    lock = attrs.TextAttr('lock', label=_('Lock'))
    pool = attrs.TextAttr('pool')
    ha_state = attrs.TextAttr('ha_state', label=_('HA state'))
    tags = attrs.ArrayAttr('tags', label=_('Proxmox VE tags'))
    template = attrs.BooleanAttr('template')
    last_seen = attrs.DateTimeAttr('last_seen', label=_('Last seen'))
    known_until = attrs.DateTimeAttr('known_until', label=_('Known until'))


class GuestStatePanel(panels.ObjectAttributesPanel):
    title = _('In NetBox')
    state = attrs.ChoiceAttr('state')
    reason = attrs.TextAttr('shown_reason', label=_('Reason'))
    virtual_machine = attrs.RelatedObjectAttr('virtual_machine', linkify=True, label=_('Virtual machine'))
    ignored = attrs.BooleanAttr('ignored')


class CandidatesPanel(panels.ObjectPanel):
    """The virtual machines in NetBox that may be the guest and that the user may view."""

    title = _('Candidates')
    template_name = 'netbox_proxsync/panels/guest_candidates.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        guest, user = context['object'], context['request'].user
        return {**super().get_context(context), 'candidates': guest.candidates(user)}

    def should_render(self, context: dict[str, Any]) -> bool:
        return bool(context['candidates'])


class DetailPanel(panels.ObjectPanel, ABC):
    """One part of the details of a guest. Guests control the values, so the templates escape them."""

    def get_context(self, context: Any) -> dict[str, Any]:
        guest = context['object']
        return {**super().get_context(context), 'rows': self.rows(guest), 'was_read': 'nics' in guest.details}

    @abstractmethod
    def rows(self, guest: Any) -> list[dict[str, Any]]:
        """The rows of the panel's table; their keys are those that the template shows."""


class NicsPanel(DetailPanel):
    title = _('NICs and Addresses')
    template_name = 'netbox_proxsync/panels/guest_nics.html'

    def rows(self, guest: Any) -> list[dict[str, Any]]:
        return [{**nic, 'addresses': [shown_address(address) for address in nic['addresses']]} for nic in guest.nics]


class IgnoredAddressesPanel(DetailPanel):
    """The addresses that a guest reported and that are not synced."""

    title = _('Excluded Addresses')
    template_name = 'netbox_proxsync/panels/guest_ignored.html'

    def rows(self, guest: Any) -> list[dict[str, Any]]:
        rows = [{**shown_reason(address), 'nic': nic['key']} for nic in guest.nics for address in nic['ignored']]
        for interface in guest.detail('guest_only'):
            # Addresses without a reason of their own are ignored because of their interface.
            reason = shown_reason(interface)['shown_reason']
            rows += [{**address, 'nic': '', 'shown_reason': reason} for address in interface['addresses']]
            rows += [{**shown_reason(address), 'nic': ''} for address in interface['ignored']]
        return rows


class DisksPanel(DetailPanel):
    title = _('Disks')
    template_name = 'netbox_proxsync/panels/guest_disks.html'

    def rows(self, guest: Any) -> list[dict[str, Any]]:
        return [{**disk, 'shown_size': shown_size(disk['size'])} for disk in guest.detail('disks')]


class UnreadPanel(DetailPanel):
    """The parts that the last run could not read. It did not change them in NetBox."""

    title = _('Unread Data')
    template_name = 'netbox_proxsync/panels/guest_unread.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        return {**super().get_context(context), 'unknown_keys': context['object'].detail('unknown_keys')}

    def rows(self, guest: Any) -> list[dict[str, Any]]:
        return [
            {**shown_reason(entry), 'part': PARTS.get(entry['part'], entry['part']).format(key=entry['of'])}
            for entry in guest.detail('unread')
        ]

    def should_render(self, context: dict[str, Any]) -> bool:
        guest = context['object']
        return bool(guest.detail('unread') or guest.detail('unknown_keys'))


def shown_reason(entry: dict[str, Any]) -> dict[str, Any]:
    """A detail with its reason in the language of the reader."""
    return worded_entry(entry, 'reason')


def shown_address(address: dict[str, Any]) -> dict[str, Any]:
    return {
        **address,
        'origin': ORIGINS.get(address['origin'], address['origin']),
        'source': SOURCES.get(address['source'], address['source']),
    }


def shown_size(size: int | None) -> str:
    """A size in bytes as text in the largest unit in which it is at least 1; '' if it is not known."""
    if size is None:
        return ''
    number, unit = float(size), UNITS[0]
    for unit in UNITS:
        if number < 1024 or unit == UNITS[-1]:
            break
        number /= 1024
    return f'{number:.1f}'.removesuffix('.0') + f' {unit}'
