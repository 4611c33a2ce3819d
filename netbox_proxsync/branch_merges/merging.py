"""
Merges bindings, guests and shared objects when a branch is merged, synced or reverted.

netbox-branching replays the change log, which does not have these rows. Here they are merged according to what became
of their objects.
"""

from datetime import datetime
from typing import TYPE_CHECKING

from django.db import DEFAULT_DB_ALIAS, transaction
from django.db.models import Q, QuerySet
from django.utils import timezone

from ..branching import installed, within
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices
from ..ledger.bindings import dangling
from ..ledger.clusters import remember_cluster
from ..ledger.tracking import tracked_transaction
from ..models import Binding, BranchState, ProxmoxEndpoint, SyncChange, SyncRun
from ..models.branch_states import guests_read, set_guests_read
from ..models.users import service_user
from .bindings import BindingMerger, WrittenUnits
from .guests import GuestMerger
from .previous_state import Before, restore
from .reverting import revert
from .shared_objects import merge_shared_objects

if TYPE_CHECKING:
    from netbox_branching.models import Branch as BranchRow

__all__ = (
    'after_deprovision',
    'after_merge',
    'after_revert',
    'after_sync',
    'assign_cluster',
    'before_deprovision',
    'before_revert',
    'incompletely_merged',
    'on_provision',
    'restore_endpoint_cluster',
)  # fmt: skip

# The outcomes of changes that may have been written, at least in part.
WRITTEN = (ChangeOutcomeChoices.APPLIED, ChangeOutcomeChoices.OUTDATED, ChangeOutcomeChoices.FAILED)


def on_provision(branch: 'BranchRow') -> None:
    """After a branch was created: its guests were read when those of main were."""
    endpoints = ProxmoxEndpoint.objects.exclude(guests_read=None)
    BranchState.objects.bulk_create(
        [BranchState(endpoint=each, branch_id=branch.schema_id, guests_read=each.guests_read) for each in endpoints],
        ignore_conflicts=True,
    )


def after_merge(branch: 'BranchRow') -> None:
    """After a merge: merge the rows of the branch into main. To repeat it changes nothing."""
    runs = SyncRun.objects.filter(branch_id=branch.schema_id).exclude(mode__in=RunModeChoices.PLANNING)
    with within(''), transaction.atomic():
        for endpoint in endpoints_of(runs):
            state = BranchState.objects.filter(endpoint=endpoint, branch_id=branch.schema_id).first()
            written = units_written_by(runs.filter(endpoint=endpoint))
            before = Before.of(endpoint)
            BindingMerger(endpoint, branch.connection_name, DEFAULT_DB_ALIAS, written).merge()
            merge_shared_objects(endpoint, branch.connection_name, DEFAULT_DB_ALIAS)
            read = state.guests_read if state else None
            newer = read is not None and (endpoint.guests_read is None or endpoint.guests_read < read)
            GuestMerger(endpoint, branch.connection_name, DEFAULT_DB_ALIAS).merge(newer)
            if newer and read is not None:
                set_guests_read(endpoint, read)
            if state:
                remember_cluster(endpoint, state.cluster_identity)
                before.keep(endpoint, state)
            assign_cluster(endpoint, runs)
        BranchState.objects.filter(branch_id=branch.schema_id).update(bindings_merged=timezone.now())


def after_sync(branch: 'BranchRow') -> None:
    """After a branch was synced from main: merge what runs in main have written since the branch was created."""
    # The branch may already have what a run has written that has not ended yet.
    since = Q(completed__gt=branch.created) | Q(completed=None)
    runs = SyncRun.objects.filter(since, branch_id='').exclude(mode__in=RunModeChoices.PLANNING)
    with within(branch.schema_id), transaction.atomic(), transaction.atomic(using=branch.connection_name):
        for endpoint in ProxmoxEndpoint.objects.all():
            written = units_written_by(runs.filter(endpoint=endpoint))
            BindingMerger(endpoint, DEFAULT_DB_ALIAS, branch.connection_name, written).merge()
            merge_shared_objects(endpoint, DEFAULT_DB_ALIAS, branch.connection_name)
            read = guests_read(endpoint)
            newer = endpoint.guests_read is not None and (read is None or read < endpoint.guests_read)
            GuestMerger(endpoint, DEFAULT_DB_ALIAS, branch.connection_name).merge(newer)
            if newer:
                set_guests_read(endpoint, endpoint.guests_read)


def before_revert(branch: 'BranchRow') -> None:
    """Before a merge is reverted: clear clusters of endpoints that the revert will delete."""
    made = changes_of(branch).filter(kind='cluster', action=ChangeActionChoices.CREATE)
    with within(''):
        for endpoint in ProxmoxEndpoint.objects.filter(cluster__in=made.values('object_id')):
            run = SyncRun.objects.filter(endpoint=endpoint, branch_id=branch.schema_id).first()
            set_cluster(endpoint, None, run)


def after_revert(branch: 'BranchRow') -> None:
    """After a merge was reverted: restore the rows of main from before it."""
    with within(''), transaction.atomic():
        for endpoint in endpoints_of(SyncRun.objects.filter(branch_id=branch.schema_id)):
            changes = changes_of(branch).filter(run__endpoint=endpoint)
            state = BranchState.objects.filter(endpoint=endpoint, branch_id=branch.schema_id).first()
            if state and state.previous_state and state.bindings_merged:
                written = written_since(endpoint, state.bindings_merged)
                restore(endpoint, state, written)
                changes = changes.filter(unit__in=written)
            revert(changes)
            Binding.objects.filter(pk__in=dangling(endpoint)).delete()
        BranchState.objects.filter(branch_id=branch.schema_id).update(bindings_merged=None, previous_state=None)


def before_deprovision(branch: 'BranchRow') -> None:
    """Before the tables of a branch are dropped: merge its rows now, if that has failed after the merge."""
    if branch.merged and is_incompletely_merged(branch):
        after_merge(branch)


def after_deprovision(branch: 'BranchRow') -> None:
    """After the tables of a branch were dropped: delete its states of endpoints."""
    BranchState.objects.filter(branch_id=branch.schema_id).delete()


def incompletely_merged() -> list['BranchRow']:
    """The branches that are merged, and whose rows have not been merged into main."""
    if not installed():
        return []
    from netbox_branching.models import Branch

    return [branch for branch in Branch.objects.filter(status='merged') if is_incompletely_merged(branch)]


def is_incompletely_merged(branch: 'BranchRow') -> bool:
    """Whether runs have written into a branch whose rows have not been merged into main."""
    wrote = SyncRun.objects.filter(branch_id=branch.schema_id).exclude(mode__in=RunModeChoices.PLANNING).order_by()
    states = BranchState.objects.filter(branch_id=branch.schema_id, bindings_merged=None)
    return states.filter(endpoint__in=wrote.values('endpoint')).exists()


def endpoints_of(runs: QuerySet[SyncRun]) -> QuerySet[ProxmoxEndpoint]:
    """The endpoints of runs."""
    return ProxmoxEndpoint.objects.filter(pk__in=runs.order_by().values('endpoint'))


def changes_of(branch: 'BranchRow') -> QuerySet[SyncChange]:
    """The changes that runs have written into a branch."""
    runs = SyncRun.objects.filter(branch_id=branch.schema_id).exclude(mode__in=RunModeChoices.PLANNING).order_by()
    return SyncChange.objects.filter(run__in=runs.values('pk'), outcome__in=WRITTEN)


def written_since(endpoint: ProxmoxEndpoint, moment: datetime) -> set[str]:
    """The units of which runs in main have written a part since the given time."""
    runs = SyncRun.objects.filter(endpoint=endpoint, branch_id='').exclude(mode__in=RunModeChoices.PLANNING)
    since = runs.filter(Q(completed__gt=moment) | Q(completed=None)).order_by()
    changes = SyncChange.objects.filter(run__in=since.values('pk'), outcome__in=WRITTEN).order_by()
    return set(changes.values_list('unit', flat=True).distinct())


def units_written_by(runs: QuerySet[SyncRun]) -> WrittenUnits:
    """What runs have written."""
    changes = SyncChange.objects.filter(run__in=runs.order_by().values('pk'), outcome__in=WRITTEN).order_by()
    released = changes.filter(action=ChangeActionChoices.RELEASE, outcome=ChangeOutcomeChoices.APPLIED)
    return WrittenUnits(
        units=frozenset(changes.values_list('unit', flat=True).distinct()),
        released=frozenset(released.values_list('kind', 'key')),
    )


def assign_cluster(endpoint: ProxmoxEndpoint, runs: QuerySet[SyncRun]) -> None:
    """
    Assign the cluster that is bound to an endpoint without one, as a run in main does at once.

    Args:
        runs: The change log entry is made as by the latest of these runs of the endpoint.
    """
    bound = Binding.objects.filter(endpoint=endpoint, kind='cluster').first()
    if endpoint.cluster_id or bound is None or bound.object is None:
        return
    taken = ProxmoxEndpoint.objects.filter(cluster=bound.object_id, enabled=True).exclude(pk=endpoint.pk)
    if not (endpoint.enabled and taken.exists()):
        set_cluster(endpoint, bound.object_id, runs.filter(endpoint=endpoint).first())


def restore_endpoint_cluster(run: SyncRun) -> None:
    """Assign its cluster again to an endpoint that has lost it to a revert that was a dry run, or has failed."""
    endpoint = run.endpoint
    if run.branch_id or endpoint.cluster_id:
        return
    if endpoint.branch_states.exclude(bindings_merged=None).exists():
        assign_cluster(endpoint, SyncRun.objects.filter(pk=run.pk))


def set_cluster(endpoint: ProxmoxEndpoint, cluster: int | None, run: SyncRun | None) -> None:
    """Set the cluster of an endpoint, with an entry in the change log as by a run; without a run, do nothing."""
    user = (run and run.user) or service_user()
    if run is None:
        return
    with tracked_transaction(user, run.request_id, quiet=True):
        instance = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
        instance.snapshot()
        instance.cluster_id = cluster
        instance.save()
    endpoint.cluster_id = cluster
