"""
Stores the bindings and guests of main from before a merge, so that a revert restores them: they are not in the change
log, by which netbox-branching reverts everything else.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Self

from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q
from django.utils.dateparse import parse_datetime
from virtualization.models import VirtualMachine

from ..choices import GuestStateChoices
from ..ledger.guests import save
from ..models import Binding, BranchState, ProxmoxEndpoint, ProxmoxGuest
from ..models.branch_states import set_guests_read
from ..models.deletion import delete_unread
from ..proxmox.messages import Message
from .bindings import existing, object_of

__all__ = ('Before', 'restore')

BATCH = 1000

type Rows = dict[str, dict[str, Any]]

REVERTED = Message('A branch was reverted since the guests were last read. The next run compares the guest.')


@dataclass(frozen=True)
class Before:
    """The rows of an endpoint in main, by their primary keys."""

    bindings: Rows
    guests: Rows
    guests_read: str | None

    @classmethod
    def of(cls, endpoint: ProxmoxEndpoint) -> Self:
        """The present rows of an endpoint."""
        read = ProxmoxEndpoint.objects.values_list('guests_read', flat=True).get(pk=endpoint.pk)
        return cls(
            bindings=stored(Binding, endpoint),
            guests=stored(ProxmoxGuest, endpoint),
            guests_read=read.isoformat() if read else None,
        )

    def keep(self, endpoint: ProxmoxEndpoint, state: BranchState) -> None:
        """
        Store with the branch which of these rows a merge has changed. To be called after it.

        What was stored before remains: if the rows are merged a second time, nothing else changes.
        """
        now, kept = Before.of(endpoint), state.previous_state or {}
        state.previous_state = {
            'bindings': {**changed(self.bindings, now.bindings), **kept.get('bindings', {})},
            'guests': {**changed(self.guests, now.guests), **kept.get('guests', {})},
            'guests_read': kept.get('guests_read', self.guests_read),
        }
        state.save(update_fields=['previous_state'])


def stored(model: type[models.Model], endpoint: ProxmoxEndpoint) -> Rows:
    """The rows of an endpoint in main, as plain data."""
    rows = model._base_manager.using(DEFAULT_DB_ALIAS).filter(endpoint_id=endpoint.pk).order_by('pk')
    return {str(row['id']): {name: plain(value) for name, value in row.items()} for row in rows.values()}


def plain(value: Any) -> Any:
    """A value for JSON. Times are converted here, since Django's encoder truncates microseconds."""
    return value.isoformat() if isinstance(value, datetime) else value


def changed(before: Rows, after: Rows) -> dict[str, dict[str, Any] | None]:
    """The rows that differ, as they were before; None for those that did not exist."""
    return {pk: before.get(pk) for pk in {**before, **after} if before.get(pk) != after.get(pk)}


def restore(endpoint: ProxmoxEndpoint, state: BranchState, written: Collection[str]) -> None:
    """
    Restore the bindings and guests of main from before a merge that was reverted.

    Args:
        written: The units that runs in main have written since. Their rows are correct and remain.
    """
    if state.previous_state is None:
        return
    restore_bindings(endpoint, state.previous_state['bindings'], written)
    restore_guests(endpoint, state, state.previous_state, written)


def restore_bindings(endpoint: ProxmoxEndpoint, before: Mapping[str, Any], written: Collection[str]) -> None:
    """Restore bindings whose objects exist and that do not collide with present ones."""
    mine = {str(row.pk): row for row in Binding.objects.filter(endpoint=endpoint)}
    pks = [pk for pk, row in before.items() if not units_of(row, mine.get(pk)) & set(written)]
    back = [Binding(**before[pk]) for pk in pks if before[pk] is not None]
    for row in back:
        # Users decide that, in main only.
        row.unmanaged = mine[str(row.pk)].unmanaged if str(row.pk) in mine else row.unmanaged
    # Objects that a user has set to unmanaged since the merge remain unmanaged.
    gone = {pk for pk in pks if pk in mine and not (before[pk] is None and mine[pk].unmanaged)}
    kept = [row for pk, row in mine.items() if pk not in gone]
    there = existing(back, DEFAULT_DB_ALIAS)
    keys, objects = {(row.kind, row.key) for row in kept}, {object_of(row) for row in kept}
    foreign = set(
        Binding.objects.exclude(endpoint=endpoint).order_by()
        .filter(object_id__in=[row.object_id for row in back]).values_list('object_type_id', 'object_id')
    )  # fmt: skip
    back = [
        row for row in back
        if object_of(row) in there and (row.kind, row.key) not in keys and object_of(row) not in objects | foreign
    ]  # fmt: skip
    moments = [moment(row.first_seen) for row in back]
    delete_unread(Binding, Q(pk__in=[int(pk) for pk in gone]), DEFAULT_DB_ALIAS)
    Binding.objects.bulk_create(back, batch_size=BATCH)
    for row, first_seen in zip(back, moments, strict=True):
        row.first_seen = first_seen
    Binding.objects.bulk_update(back, ['first_seen'], batch_size=BATCH)


def restore_guests(
    endpoint: ProxmoxEndpoint, state: BranchState, previous: Mapping[str, Any], written: Collection[str]
) -> None:
    """
    Restore guests. If a run in main has read them since, only their states are reset: they are not known then.

    Args:
        previous: What was stored before the merge.
    """
    before = previous['guests']
    mine = {str(row.pk): row for row in ProxmoxGuest.objects.filter(endpoint=endpoint)}
    read_before = moment(previous['guests_read'])
    if endpoint.guests_read not in (state.guests_read, read_before):
        unsure = [mine[pk] for pk in before if pk in mine and not mine[pk].ignored]
        for row in unsure:
            row.state = GuestStateChoices.UNKNOWN
            row.reason, row.reason_source = REVERTED, REVERTED.source
        save(unsure, [])
        return
    machines = {row['virtual_machine_id'] for row in before.values() if row}
    there = set(VirtualMachine.objects.filter(pk__in=machines - {None}).order_by().values_list('pk', flat=True))
    back, gone = [], []
    for pk, values in before.items():
        now = mine.get(pk)
        if now is not None and now.key in written:
            continue
        if values is not None:
            row = ProxmoxGuest(**values)
            row.virtual_machine_id = row.virtual_machine_id if row.virtual_machine_id in there else None
            row.seen_until = moment(row.seen_until)
            # A user may have made a decision about the guest since then.
            if now is None or now.ignored == row.ignored:
                back.append(row)
        elif now is not None and not now.ignored:
            gone.append(now)
    save(back, gone)
    set_guests_read(endpoint, read_before)


def units_of(before: Mapping[str, Any] | None, now: Binding | None) -> set[str]:
    """The units to which a binding belonged before and belongs now."""
    return {unit for unit in (before and before['unit'], now and now.unit) if unit}


def moment(value: Any) -> Any:
    """A time from a stored row."""
    return parse_datetime(value) if isinstance(value, str) else value
