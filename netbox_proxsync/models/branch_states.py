"""The state of an endpoint in the active branch. The row of the endpoint itself has the state in main."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, cast

from netbox.context import query_cache

from ..branching import active, existing, in_branch
from .branches import BranchState
from .endpoints import ProxmoxEndpoint

__all__ = ('begin_writing', 'guests_read', 'known_identity', 'remember_identity', 'set_guests_read', 'still_needed')

CACHE = 'proxsync_guests_read'


def guests_read(endpoint: ProxmoxEndpoint) -> datetime | None:
    """When the displayed values of guests were read from Proxmox VE, in main or in the active branch."""
    if not in_branch():
        return endpoint.guests_read
    return read_times().get(endpoint.pk, endpoint.guests_read)


def read_times() -> Mapping[int, datetime | None]:
    """The times in the active branch by endpoint. Loaded once for each request: lists of guests ask for many."""
    cache = query_cache.get()
    branch = active().schema_id
    if cache is not None and branch in cache[CACHE]:
        return cast(Mapping[int, datetime | None], cache[CACHE][branch])
    found = dict(BranchState.objects.filter(branch_id=branch).values_list('endpoint', 'guests_read'))
    if cache is not None:
        cache[CACHE][branch] = found
    return found


def set_guests_read(endpoint: ProxmoxEndpoint, at: datetime) -> None:
    if in_branch():
        save_state(endpoint, guests_read=at)
    else:
        # By update(), because the change log does not record the state of an endpoint.
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(guests_read=at)
        endpoint.guests_read = at


def known_identity(endpoint: ProxmoxEndpoint) -> Mapping[str, Any]:
    """The identity of the Proxmox VE cluster that was synced into main or the active branch."""
    if not in_branch():
        return cast(Mapping[str, Any], endpoint.cluster_identity)
    state = BranchState.objects.filter(endpoint=endpoint, branch_id=active().schema_id).first()
    return {**(state.cluster_identity if state else {}), **endpoint.cluster_identity}


def remember_identity(endpoint: ProxmoxEndpoint, identity: Mapping[str, Any]) -> None:
    if in_branch():
        save_state(endpoint, cluster_identity=identity)
    else:
        ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(cluster_identity=identity)
        endpoint.cluster_identity = dict(identity)


def begin_writing(endpoint: ProxmoxEndpoint) -> None:
    """Register the active branch before a run writes, so that a merge of the branch also merges its bindings."""
    if in_branch():
        save_state(endpoint)


def still_needed(endpoint: ProxmoxEndpoint) -> list[str]:
    """The schema IDs of the branches whose state is needed for a later merge or revert."""
    return existing(endpoint.branch_states.order_by().values_list('branch_id', flat=True))


def save_state(endpoint: ProxmoxEndpoint, **values: Any) -> None:
    # New bindings are not merged yet, even if the branch was merged and reverted before.
    BranchState.objects.update_or_create(
        endpoint=endpoint,
        branch_id=active().schema_id,
        defaults={**values, 'bindings_merged': None},
        create_defaults={'guests_read': endpoint.guests_read, **values},
    )
