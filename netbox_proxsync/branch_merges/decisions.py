"""What people have decided in main, for a run in a branch."""

from django.db import DEFAULT_DB_ALIAS
from django.db.models import Q

from ..branching import active_row, atomic
from ..models import Binding, ProxmoxEndpoint
from ..models.deletion import delete_unread
from .guests import GuestMerger, ignored_units

__all__ = ('copy_decisions_from_main',)


def copy_decisions_from_main(endpoint: ProxmoxEndpoint) -> None:
    """
    Let count in the active branch what people have decided in main about what an endpoint keeps; nothing to do in main.

    Decisions are not in the change log, so netbox-branching does not always sync after one.
    """
    row = active_row()
    if row is None:
        return
    with atomic():
        GuestMerger(endpoint, DEFAULT_DB_ALIAS, row.connection_name).copy_decisions()
        copy_unmanaged(endpoint, row.connection_name)


def copy_unmanaged(endpoint: ProxmoxEndpoint, target: str) -> None:
    """By object, whatever key its binding has here or there; and without what main does not manage any more."""
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
