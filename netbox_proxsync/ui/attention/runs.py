"""The endpoints and runs that a user may view, of which the rows are made."""

from collections.abc import Collection
from typing import Any

from django.db.models import Exists, OuterRef, QuerySet, Subquery

from ...models import ProxmoxEndpoint, SyncRun
from ...models.sync_status import plan_of
from ...models.users import AnyUser
from ..resolutions import READ, READING

__all__ = ('reading_runs', 'viewed_endpoints', 'viewed_runs')


def viewed_endpoints(user: AnyUser, chosen: Collection[int] | None) -> dict[int, Any]:
    """The endpoints with their sync status, the run of their waiting plan, and the last run that has read them."""
    latest = reading_runs().filter(endpoint=OuterRef('pk'), vmids__isnull=True).order_by('-created', '-pk')
    rows = ProxmoxEndpoint.objects.restrict(user, 'view').with_sync_status()
    rows = rows.annotate(plan=plan_of(), latest=Subquery(latest.values('pk')[:1])).order_by()
    if chosen is not None:
        rows = rows.filter(pk__in=chosen)
    return {endpoint.pk: endpoint for endpoint in rows}


def reading_runs() -> QuerySet[SyncRun]:
    """The runs in main that have read Proxmox VE and compared."""
    return SyncRun.objects.filter(branch_id='', mode__in=READING, status__in=READ)


def viewed_runs(user: AnyUser, endpoints: dict[int, Any]) -> dict[int, Any]:
    """The runs of these endpoints that the rows are about, as far as the user may view them."""
    pks = {pk for each in endpoints.values() for pk in (each.plan, each.latest, each.last_run_id) if pk}
    if not pks:
        return {}
    applied = Exists(SyncRun.objects.filter(applies=OuterRef('pk')))
    runs = SyncRun.objects.restrict(user, 'view').filter(pk__in=pks).annotate(is_applied=applied).order_by()
    found = {run.pk: run for run in runs}
    for run in found.values():
        run.endpoint = endpoints[run.endpoint_id]
    return found
