"""Copies decisions of users from main into a branch, for a run in that branch."""

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q

from ..branching import active_row, atomic
from ..models import Binding, ProxmoxEndpoint
from ..models.deletion import delete_unread
from .guests import GuestMerger, ignored_units

__all__ = ('copy_decisions_from_main',)


def copy_decisions_from_main(endpoint: ProxmoxEndpoint) -> None:
    """
    Apply the decisions about guests and objects of an endpoint that users have made in main to the active branch.
    In main, do nothing.

    Decisions are not in the change log, so syncing the branch does not always follow one.
    """
    row = active_row()
    if row is None:
        return
    with atomic():
        GuestMerger(endpoint, DEFAULT_DB_ALIAS, row.connection_name).copy_decisions()
        copy_unmanaged(endpoint, row.connection_name)


def copy_unmanaged(endpoint: ProxmoxEndpoint, target: str) -> None:
    """Copy which objects are unmanaged, by object, and delete bindings of ignored guests that main has deleted."""
    names = ('object_type', 'object_id')
    mains = Binding.objects.using(DEFAULT_DB_ALIAS).filter(endpoint_id=endpoint.pk).order_by()
    decided = {(*key,): unmanaged for *key, unmanaged in mains.values_list(*names, 'unmanaged')}
    ignored = ignored_units(endpoint)
    changed: dict[bool, list[int]] = {True: [], False: []}
    dropped = []
    rows = Binding.objects.using(target).filter(endpoint_id=endpoint.pk).order_by()
    for pk, unit, unmanaged, *key in rows.values_list('pk', 'unit', 'unmanaged', *names):
        decision = decided.get((*key,))
        if decision is None and unit in ignored:
            dropped.append(pk)
        elif decision is not None and decision != unmanaged:
            changed[decision].append(pk)
    for decision, pks in changed.items():
        rows.filter(pk__in=pks).update(unmanaged=decision)
    delete_unread(Binding, Q(pk__in=dropped), target)
