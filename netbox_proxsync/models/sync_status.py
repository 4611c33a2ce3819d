"""
The sync status of an endpoint: one word for how NetBox stands to Proxmox VE, computed by the database.

It is not the outcome of the last run: a preview can succeed and leave thousands of changes to apply.
"""

from typing import Any

from django.db.models import (
    BooleanField,
    Case,
    CharField,
    Exists,
    ExpressionWrapper,
    F,
    Func,
    JSONField,
    OuterRef,
    Q,
    QuerySet,
    Subquery,
    Value,
    When,
)
from django.db.models.expressions import Combinable
from django.db.models.functions import Coalesce
from django.db.models.lookups import Exact

from ..choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    GuestStateChoices,
    RunModeChoices,
    RunStatusChoices,
    SyncStatusChoices,
)
from .bindings import Binding
from .changes import SyncChange
from .guests import ProxmoxGuest
from .runs import SyncRun

__all__ = ('BLOCKED', 'WAITING', 'last_sync', 'plan_of', 'sync_status')

# What may be the case with the newest plan of an endpoint.
WAITING, BLOCKED, NO_PLAN = 'waiting', 'blocked', ''
# A plan that such a run applies cannot be applied a second time.
APPLYING = (RunStatusChoices.QUEUED, RunStatusChoices.RUNNING, *RunStatusChoices.DONE)
WRITING_MODES = (RunModeChoices.SYNC, RunModeChoices.APPLY)
# The statuses of a last run that require attention.
FAULTY = (RunStatusChoices.FAILED, RunStatusChoices.ERRORS, RunStatusChoices.REFUSED)


def runs_in_main() -> QuerySet[SyncRun]:
    """The runs of the endpoint of the outer query, the newest first. Runs in a branch do not count."""
    return SyncRun.objects.filter(endpoint=OuterRef('pk'), branch_id='').order_by('-created', '-pk')


def plans() -> QuerySet[Any]:
    """The runs of the endpoint of the outer query that have stored a plan, the newest first, each with its `state`."""
    stored = runs_in_main().filter(
        Q(mode__in=RunModeChoices.PLANNING, status=RunStatusChoices.COMPLETED)
        | (Q(mode__in=RunModeChoices.SYNCING, status=RunStatusChoices.REFUSED) & ~Q(refusal=''))
    )
    later = SyncRun.objects.filter(
        Q(applies__isnull=True) | ~Q(applies=OuterRef('pk')),
        endpoint=OuterRef('endpoint'),
        branch_id='',
        pk__gt=OuterRef('pk'),
        mode__in=(*RunModeChoices.SYNCING, RunModeChoices.APPLY),
        status__in=RunStatusChoices.DONE,
    ).exclude(mode=RunModeChoices.QUICK, counts={})
    whole = {'units__isnull': True, 'actions__isnull': True}
    applied = SyncRun.objects.filter(applies=OuterRef('pk'), status__in=APPLYING, **whole)
    state = Case(
        When(Exists(later) | Exists(applied) | ~Exists(open_changes()), then=Value(NO_PLAN)),
        When(~Q(refusal=''), then=Value(BLOCKED)),
        default=Value(WAITING),
        output_field=CharField(),
    )
    return stored.annotate(state=state)


def open_changes() -> QuerySet[SyncChange]:
    """The changes of the plan of the outer query that can be applied, and that no run for a part of it has taken."""
    unit = Func(OuterRef('unit'), function='to_jsonb', output_field=JSONField())
    taken = SyncRun.objects.filter(
        # The changes of the cluster itself are written with any part.
        Q(units__isnull=True) | Q(units__contains=unit) | Q(Exact(OuterRef('unit'), Value(''))),
        Q(actions__isnull=True) | Q(actions__contains=[OuterRef('action')]),
        applies=OuterRef('run'),
        status__in=APPLYING,
    )
    planned = SyncChange.objects.filter(run=OuterRef('pk'), outcome=ChangeOutcomeChoices.PLANNED).order_by()
    return planned.exclude(action__in=ChangeActionChoices.OPEN).exclude(Exists(taken))


def plan_of() -> Subquery:
    """The run (pk) whose plan waits to be applied or approved; None if nothing is left of the newest plan."""
    pk = Case(When(Exact(F('state'), Value(NO_PLAN)), then=None), default='pk')
    return Subquery(plans().values(plan=pk)[:1])


def last_sync() -> Subquery:
    """When NetBox was synced last, by a run for all guests."""
    syncs = (
        runs_in_main()
        .filter(
            mode__in=WRITING_MODES,
            status__in=RunStatusChoices.DONE,
            vmids__isnull=True,
            units__isnull=True,
            actions__isnull=True,
        )
        .exclude(applies__mode=RunModeChoices.REVERT)
    )
    return Subquery(syncs.values('completed')[:1])


def left_out(outcome: str) -> QuerySet[SyncChange]:
    """The changes that the last comparison has found and that are not planned: withheld or rejected ones."""
    compared = SyncRun.objects.filter(
        endpoint=OuterRef(OuterRef('pk')),
        branch_id='',
        mode__in=(RunModeChoices.PREVIEW, RunModeChoices.SYNC),
        status__in=(*RunStatusChoices.DONE, RunStatusChoices.REFUSED),
        vmids__isnull=True,
    ).order_by('-created', '-pk')
    return SyncChange.objects.filter(run=Subquery(compared.values('pk')[:1]), outcome=outcome).order_by()


def is_unreachable() -> Combinable:
    """Whether the last run that tried to read Proxmox VE could not."""
    tried = runs_in_main().filter(status__in=RunStatusChoices.FINISHED)
    tried = tried.filter(mode__in=RunModeChoices.READING).exclude(status=RunStatusChoices.CANCELED)
    failed = ExpressionWrapper(Q(status=RunStatusChoices.FAILED, guests__isnull=True), output_field=BooleanField())
    return Coalesce(Subquery(tried.values(failed=failed)[:1]), Value(value=False))


def sync_status() -> Case:
    """The sync status of an endpoint, as one of `SyncStatusChoices`."""
    guests = ProxmoxGuest.objects.filter(endpoint=OuterRef('pk')).order_by()
    written = runs_in_main().filter(mode__in=WRITING_MODES, status__in=RunStatusChoices.DONE).order_by()
    plan = Coalesce(Subquery(plans().values('state')[:1]), Value(NO_PLAN), output_field=CharField())
    return Case(
        When(Exact(is_unreachable(), Value(value=True)), then=Value(SyncStatusChoices.UNREACHABLE)),
        When(
            Q(last_run__status__in=FAULTY)
            | Exists(guests.filter(state__in=GuestStateChoices.NAMING_OTHERS))
            | Exact(plan, Value(BLOCKED))
            | Exists(left_out(ChangeOutcomeChoices.REJECTED)),
            then=Value(SyncStatusChoices.ATTENTION),
        ),
        When(
            ~Exists(Binding.objects.filter(endpoint=OuterRef('pk')).order_by()) & ~Exists(written),
            then=Value(SyncStatusChoices.NEVER),
        ),
        When(
            Exists(guests.filter(state__in=GuestStateChoices.PENDING))
            | Exact(plan, Value(WAITING))
            | Exists(left_out(ChangeOutcomeChoices.WITHHELD)),
            then=Value(SyncStatusChoices.PENDING),
        ),
        default=Value(SyncStatusChoices.IN_SYNC),
        output_field=CharField(),
    )
