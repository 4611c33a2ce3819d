"""
Values of Proxmox VE for managed objects that differ from the written values: edits that are preserved, ignored fields,
and planned changes. They are only displayed; no decision depends on them.
"""

from collections.abc import Iterable, Mapping
from itertools import batched
from typing import Any

from ..models import Binding, ProxmoxEndpoint
from ..sync.changes import Action
from ..sync.guest_states import Pending
from ..sync.values import Value, decode, encode_all

__all__ = ('clear_written_values', 'store_proxmox_values')

BATCH = 1000
# Objects are not bound before these changes are written.
UNBOUND = (Action.CREATE, Action.ADOPT)

type Identity = tuple[str, str]


def store_proxmox_values(
    endpoint: ProxmoxEndpoint,
    seen: Mapping[Identity, Mapping[str, Value]],
    pending: Iterable[Pending],
    stored: Mapping[Identity, Mapping[str, Any]] | None = None,
) -> None:
    """
    Store the values that a run has read, writing only bindings that differ.

    Args:
        seen: By (kind, key), for every object that was compared: the values that differ from the written ones if all
            changes are applied.
        pending: The changes of the plan that are not applied.
        stored: What is stored, as JSON, by (kind, key), if there is anything; None: load it.
    """
    stored = stored_of(endpoint) if stored is None else stored
    # Most objects have no such values.
    wanted = {identity: encode_all(values) for identity, values in seen.items() if values or identity in stored}
    unbound = set()
    for entry in pending:
        identity = (entry.change.kind, entry.change.key)
        if entry.change.action in UNBOUND:
            unbound.add(identity)
        elif identity in seen:
            planned = encode_all({field.name: field.want for field in entry.change.writes})
            wanted[identity] = wanted.get(identity, {}) | planned
    differing = {
        identity: values
        for identity, values in wanted.items()
        if identity not in unbound and values != stored.get(identity, {})
    }
    for batch in batched(differing, BATCH):
        found = Binding.objects.filter(endpoint=endpoint, key__in=[key for _kind, key in batch]).only('kind', 'key')
        rows = [row for row in found if (row.kind, row.key) in differing]
        for row in rows:
            row.proxmox_values = differing[row.kind, row.key]
        Binding.objects.bulk_update(rows, ['proxmox_values'])


def clear_written_values(endpoint: ProxmoxEndpoint) -> None:
    """Remove the values that are written now, after a stored plan was applied."""
    changed = []
    for row in Binding.objects.filter(endpoint=endpoint).exclude(proxmox_values={}).only('values', 'proxmox_values'):
        left = {
            name: value for name, value in row.proxmox_values.items() if decode(value) != decode(row.values.get(name))
        }
        if left != row.proxmox_values:
            row.proxmox_values = left
            changed.append(row)
    Binding.objects.bulk_update(changed, ['proxmox_values'], batch_size=BATCH)


def stored_of(endpoint: ProxmoxEndpoint) -> dict[Identity, Any]:
    """The stored values of Proxmox VE that differ from those of the bindings, as JSON, by (kind, key)."""
    rows = Binding.objects.filter(endpoint=endpoint).exclude(proxmox_values={}).order_by()
    return {(kind, key): seen for kind, key, seen in rows.values_list('kind', 'key', 'proxmox_values')}
