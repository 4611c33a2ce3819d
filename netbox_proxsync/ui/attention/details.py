"""What a page shows of some rows."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime

from dcim.models import Device
from django.db.models import Min

from ...choices import AttentionChoices, ChangeActionChoices
from ...models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from ...models.users import AnyUser
from ...sync.kind_names import DEVICE
from ..resolutions import add_resolutions, visible_objects
from .questions import vmid_of
from .rows import AttentionRow
from .runs import reading_runs

__all__ = ('add_machines', 'complete')


def complete(rows: Sequence[AttentionRow], user: AnyUser) -> None:
    """Load what a page shows of some rows, with a number of queries that does not depend on their number."""
    add_changes(rows, user)
    add_machines(rows, user)
    endpoints = {row.endpoint.pk for row in rows}
    permitted = {}
    for action in ('sync', 'accept'):
        found = ProxmoxEndpoint.objects.restrict(user, action).filter(pk__in=endpoints).order_by()
        permitted[action] = set(found.values_list('pk', flat=True))
    for row in rows:
        action = 'accept' if row.question == AttentionChoices.BLOCKED else 'sync'
        row.may_act = row.endpoint.pk in permitted[action]


def add_changes(rows: Sequence[AttentionRow], user: AnyUser) -> None:
    """Load the conflicts and candidates with their buttons, and since when runs have reported them."""
    of_change = {row.change_id: row for row in rows if row.change_id}
    if not of_change:
        return
    found = SyncChange.objects.filter(pk__in=of_change).select_related('run__endpoint').prefetch_related('object')
    changes = list(found.order_by())
    add_resolutions(changes, user)
    objects = visible_objects(changes, user)
    since = first_reported(of_change.values())
    for change in changes:
        row = of_change[change.pk]
        row.change, row.object = change, objects.get(change.pk)
        row.since = since.get((*row.identity, row.question), row.since)
    viewed = SyncRun.objects.restrict(user, 'view').filter(pk__in={row.run_id for row in of_change.values()})
    runs = viewed.order_by().in_bulk()
    for row in of_change.values():
        if row.run_id in runs:
            row.run = runs[row.run_id]
            row.run.endpoint = row.endpoint


def first_reported(rows: Collection[AttentionRow]) -> dict[tuple[int, str, str, str], datetime]:
    """When the first run that is retained has reported them, by endpoint, kind, key and action."""
    runs = reading_runs().filter(endpoint__in={row.endpoint.pk for row in rows}).exclude(counts={}).order_by()
    changes = SyncChange.objects.filter(
        run__in=runs.values('pk'), unit__in={row.unit for row in rows}, key__in={row.key for row in rows}
    )
    names = ('run__endpoint', 'kind', 'key', 'action')
    found = changes.filter(action__in=ChangeActionChoices.OPEN).order_by().values_list(*names)
    return {(*key,): created for *key, created in found.annotate(Min('run__created'))}


def add_machines(rows: Iterable[AttentionRow], user: AnyUser) -> None:
    """Load the guests and devices that the rows are about, as far as the user may view them."""
    by_unit: dict[tuple[int, str], list[AttentionRow]] = {}
    for row in rows:
        if row.unit:
            by_unit.setdefault((row.endpoint.pk, row.unit), []).append(row)
    endpoints = {endpoint for endpoint, _unit in by_unit}
    vmids = {vmid for _endpoint, unit in by_unit if (vmid := vmid_of(unit)) is not None}
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint__in=endpoints, vmid__in=vmids).order_by()
    for guest in guests.only('endpoint', 'type', 'vmid', 'name', 'state'):
        for row in by_unit.get((guest.endpoint_id, guest.key), ()):
            row.guest = guest
    units = {unit for _endpoint, unit in by_unit if unit.startswith('node/')}
    bound = Binding.objects.filter(endpoint__in=endpoints, kind=DEVICE, key__in=units).order_by()
    devices = {pk: (endpoint, key) for pk, endpoint, key in bound.values_list('object_id', 'endpoint', 'key')}
    for device in Device.objects.restrict(user, 'view').filter(pk__in=devices).order_by().only('pk', 'name'):
        for row in by_unit.get(devices[device.pk], ()):
            row.device = device
