"""Optional columns for NetBox's own tables of virtual machines and devices. The import registers them."""

from collections.abc import Callable
from typing import Any, cast

import django_tables2 as tables
from dcim.tables import DeviceTable
from django.contrib.contenttypes.models import ContentType
from django.template import Context, Template
from django.utils.translation import gettext_lazy as _
from netbox.context import current_request
from utilities.tables import register_table_column
from virtualization.tables import VirtualMachineTable

from ..models import Binding, ProxmoxGuest

__all__ = ('ProxmoxColumn',)

CACHED = '_proxsync_rows'
STATE = Template(
    '{% load helpers %}<a href="{{ row.get_absolute_url }}" title="{{ row.shown_reason }}">'
    '{% badge row.get_state_display bg_color=row.get_state_color %}</a>'
)


class ProxmoxColumn(tables.Column):
    """
    A column with a value of the guest, or of the binding, of each row. One query loads those of all displayed rows.

    Args:
        value_of: Returns the displayed value, which is escaped on rendering.
        html: Renders the value for a page, where plain text is not enough.
    """

    def __init__(self, value_of: Callable[[Any], Any], html: Callable[[Any], str] | None = None, **kwargs: Any) -> None:
        super().__init__(empty_values=(), accessor='pk', orderable=False, **kwargs)
        self.value_of, self.html = value_of, html

    def render(self, record: Any, table: tables.Table) -> Any:
        row = rows_of(table).get(record.pk)
        if row is None:
            return self.default
        return self.html(row) if self.html else self.value_of(row)

    def value(self, record: Any, table: tables.Table) -> Any:
        row = rows_of(table).get(record.pk)
        return '' if row is None else self.value_of(row)


def rows_of(table: tables.Table) -> dict[int, Any]:
    """The guests of the displayed virtual machines, or the bindings of the devices, that the user may view, by pk."""
    if not hasattr(table, CACHED):
        page = getattr(table, 'page', None)
        pks = [row.record.pk for row in (page.object_list if page else table.rows)]
        request = current_request.get()
        find = guests_of if isinstance(table, VirtualMachineTable) else bindings_of
        setattr(table, CACHED, find(request.user, pks) if request else {})
    return cast(dict[int, Any], getattr(table, CACHED))


def guests_of(user: Any, pks: list[int]) -> dict[int, ProxmoxGuest]:
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(virtual_machine__in=pks)
    return {guest.virtual_machine_id: guest for guest in guests.select_related('endpoint').defer('details')}


def bindings_of(user: Any, pks: list[int]) -> dict[int, Binding]:
    device = ContentType.objects.get_for_model(DeviceTable._meta.model)
    bindings = Binding.objects.restrict(user, 'view').filter(object_type=device, object_id__in=pks)
    return {
        binding.object_id: binding
        for binding in bindings.select_related('endpoint').defer('values', 'proxmox_values', 'kept_values')
    }


def state_badge(guest: ProxmoxGuest) -> str:
    return STATE.render(Context({'row': guest}))


register_table_column(
    ProxmoxColumn(ProxmoxGuest.get_state_display, html=state_badge, verbose_name=_('Proxmox VE sync status')),
    'proxmox_state',
    VirtualMachineTable,
)
register_table_column(
    ProxmoxColumn(lambda guest: guest.node, verbose_name=_('Proxmox VE node')), 'proxmox_node', VirtualMachineTable
)
register_table_column(
    ProxmoxColumn(lambda binding: binding.unit.partition('/')[2], verbose_name=_('Proxmox VE node')),
    'proxmox_node',
    DeviceTable,
)
register_table_column(
    ProxmoxColumn(lambda row: str(row.endpoint), verbose_name=_('Proxmox VE endpoint')),
    'proxmox_endpoint',
    VirtualMachineTable,
    DeviceTable,
)
