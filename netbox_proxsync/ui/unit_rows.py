"""The guests and nodes of a plan or a run as rows that unfold: names, links, and numbers of changes by action."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from dcim.models import Device
from django.db.models import Count, QuerySet
from django.utils.translation import gettext as _

from ..choices import ChangeActionChoices
from ..models import Binding, ProxmoxGuest, SyncChange, SyncRun
from ..models.runs import unit_key
from ..models.users import AnyUser

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('NAMED_KINDS', 'UnitRow', 'badges', 'link_units', 'severity', 'unit_rows')

SEVERITY = {action: rank for rank, action in enumerate(ChangeActionChoices.BY_SEVERITY)}
# Kinds whose objects have the name of their guest or node.
NAMED_KINDS = ('vm', 'device')


@dataclass
class UnitRow:
    """
    The changes of one guest or node, or of the cluster (whose unit is '').

    Attributes:
        actions: The number of changes by action.
        name: '' if there is none, or if the user may not view the guest.
        url: The page of the guest or device; '' likewise.
    """

    unit: str
    actions: Mapping[str, int]
    name: str = ''
    url: str = ''
    changes: list[SyncChange] = field(default_factory=list)

    @property
    def number(self) -> int:
        """The number of changes."""
        return sum(self.actions.values())

    @property
    def title(self) -> str:
        """The name for display."""
        if not self.unit:
            return _('The cluster itself')
        return self.name or self.unit

    @property
    def badges(self) -> list[tuple['StrOrPromise', str, int]]:
        """Label, color and number of each action."""
        return badges(self.actions)

    @property
    def order(self) -> tuple[int, list[tuple[int, str]]]:
        """The key by which rows are sorted: the most severe action first, then as in Proxmox VE."""
        return min(map(severity, self.actions)), unit_key(self.unit)


def severity(action: str) -> int:
    """The rank of an action: the lowest number is what a user has to look at first."""
    return SEVERITY.get(action, len(SEVERITY))


def badges(actions: Mapping[str, int]) -> list[tuple['StrOrPromise', str, int]]:
    """Label, color and number of each action, by severity."""
    labels = dict(ChangeActionChoices)
    return [
        (labels.get(action, action), ChangeActionChoices.colors.get(action, 'gray'), actions[action])
        for action in sorted(actions, key=severity)
    ]


def unit_rows(changes: QuerySet[SyncChange]) -> list[UnitRow]:
    """A row for each guest and node, by severity, without names. One query that returns a few rows for each."""
    numbers: dict[str, Counter[str]] = {}
    for unit, action, number in changes.order_by().values_list('unit', 'action').annotate(Count('pk')):
        numbers.setdefault(unit, Counter())[action] = number
    return sorted((UnitRow(unit, actions) for unit, actions in numbers.items()), key=lambda row: row.order)


def link_units(run: SyncRun, user: AnyUser, rows: Iterable[UnitRow]) -> None:
    """Set the names and links of some rows, for a user, with a constant number of queries."""
    by_unit = {row.unit: row for row in rows if row.unit}
    vmids = {int(vmid) for unit in by_unit if (vmid := unit.partition('/')[2]).isdecimal()}
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint=run.endpoint_id, vmid__in=vmids)
    for guest in guests.order_by().only('type', 'vmid', 'name'):
        if row := by_unit.get(guest.key):
            row.name, row.url = guest.name, guest.get_absolute_url()
    unnamed = {unit for unit, row in by_unit.items() if not row.url}
    bound = Binding.objects.filter(endpoint=run.endpoint_id, kind='device', unit__in=unnamed).order_by()
    devices = dict(bound.values_list('object_id', 'unit')) if unnamed else {}
    for device in Device.objects.restrict(user, 'view').filter(pk__in=devices).order_by().only('pk', 'name'):
        by_unit[devices[device.pk]].url = device.get_absolute_url()
    named = SyncChange.objects.restrict(user, 'view').filter(run=run, unit__in=unnamed, kind__in=NAMED_KINDS).order_by()
    labels = dict(named.exclude(label='').values_list('unit', 'label')) if unnamed else {}
    for unit in unnamed:
        kind, _slash, name = unit.partition('/')
        by_unit[unit].name = _('Node {name}').format(name=name) if kind == 'node' else labels.get(unit, '')
