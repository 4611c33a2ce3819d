"""What runs have reported and bound, among that about which users decide."""

from collections.abc import Collection, Sequence
from typing import Any

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..sync.cluster_state import ClusterState
from ..sync.kind_names import DEVICE, GUEST
from .questions import LINKED_MODELS, Question, unit_of

__all__ = (
    'bound_keys',
    'guests_by',
    'guests_of',
    'known_keys',
)


def known_keys(kind: str, questions: Sequence[Question]) -> set[tuple[int, str]]:
    """The objects of one kind that runs have reported, by endpoint and key."""
    if kind == GUEST:
        return set(guests_of(questions))
    endpoints = {each.endpoint.pk: each.endpoint for each in questions}
    known = {(pk, key) for pk, endpoint in endpoints.items() for key in known_nodes(endpoint) if kind == DEVICE}
    others = [each for each in questions if (each.endpoint.pk, each.key) not in known]
    if others:
        units, keys = {unit_of(each.key) for each in others}, {each.key for each in others}
        rows = SyncChange.objects.filter(run__endpoint__in=endpoints, unit__in=units, kind=kind, key__in=keys)
        known.update(rows.order_by().values_list('run__endpoint', 'key').distinct())
    return known


def known_nodes(endpoint: ProxmoxEndpoint) -> set[str]:
    """The keys of the nodes that the last run has read."""
    return {f'node/{node.name}' for node in ClusterState.parse(endpoint.cluster_state).nodes}


def guests_of(questions: Sequence[Question]) -> dict[tuple[int, str], ProxmoxGuest]:
    """The guests among these objects that runs have reported, by endpoint and key."""
    wanted = {(each.endpoint.pk, each.key) for each in questions}
    endpoints, keys = {pk for pk, _key in wanted}, {key for _pk, key in wanted}
    rows = ProxmoxGuest.objects.filter(endpoint__in=endpoints, **guests_by(keys)).order_by()
    found = {(row.endpoint_id, row.key): row for row in rows.only('type', 'vmid', 'endpoint', 'ignored')}
    return {identity: row for identity, row in found.items() if identity in wanted}


def guests_by(keys: Collection[str]) -> dict[str, Any]:
    """A filter for the guests with these keys. Proxmox VE uses a VM ID for one guest only."""
    parts = [key.partition('/') for key in keys]
    found = [(guest_type, int(vmid)) for guest_type, _slash, vmid in parts if vmid.isdecimal() and len(vmid) < 10]
    return {'type__in': {guest_type for guest_type, _vmid in found}, 'vmid__in': {vmid for _type, vmid in found}}


def bound_keys(kind: str, endpoints: Collection[int], keys: Collection[str]) -> dict[int, set[str]]:
    """The guests or nodes that have an object which exists, by endpoint."""
    rows = Binding.objects.filter(endpoint__in=endpoints, kind=kind, key__in=keys).order_by()
    found = list(rows.values_list('endpoint_id', 'key', 'object_id'))
    model = LINKED_MODELS[kind]
    pks = [pk for _endpoint, _key, pk in found]
    existing = set(model._base_manager.filter(pk__in=pks).values_list('pk', flat=True)) if pks else set()
    bound: dict[int, set[str]] = {}
    for endpoint, key, pk in found:
        if pk in existing:
            bound.setdefault(endpoint, set()).add(key)
    return bound
