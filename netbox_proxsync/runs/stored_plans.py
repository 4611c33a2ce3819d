"""The stored plan of an earlier run: whether it may be applied, whether it is current, and its changes."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, F, Q, QuerySet
from django.utils.translation import gettext as _

from .. import branching
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices, RunStatusChoices, WritePolicyChoices
from ..models import Binding, PlannedBinding, SyncChange, SyncRun
from ..models.users import AnyUser
from ..sync.changes import Change
from ..sync.serialization import change_from_json
from ..sync.values import Pointer, Shared, Value, decode, decode_all
from ..sync.write_policy import permitted_actions

__all__ = (
    'PlanNotApplicableError',
    'PlanPart',
    'StoredPlan',
    'check_appliable',
    'check_open',
    'check_visible',
    'has_plan',
    'may_apply',
    'open_parts',
    'why_reading_is_stale',
)

ROWS_AT_ONCE = 1000
# At most, in a message.
SHOWN_UNITS = 10
# The statuses of runs that have applied a plan or are about to.
REUSED_STATUSES = (RunStatusChoices.QUEUED, RunStatusChoices.RUNNING, *RunStatusChoices.DONE)
# The unit of the cluster, which all other objects need.
CLUSTER_UNIT = ''


class PlanNotApplicableError(Exception):
    """The plan of a run cannot be applied. The message is for users: the reason."""


def has_plan(run: SyncRun) -> bool:
    """Whether a run has stored a plan without applying it: a preview, or a run that was refused."""
    if run.mode == RunModeChoices.PREVIEW:
        return run.status == RunStatusChoices.COMPLETED
    return run.mode in RunModeChoices.SYNCING and run.status == RunStatusChoices.REFUSED and bool(run.refusal)


def check_appliable(run: SyncRun, units: list[str] | None = None, by: SyncRun | None = None) -> None:
    """
    Check that a plan may still be applied: once, and before another run changes NetBox.

    Args:
        run: The run that has made the plan.
        units: The part of it that is to be applied; None: all of it.
        by: The run that is about to apply it; None: there is none yet.

    Raises:
        PlanNotApplicableError: It may not.
    """
    if not has_plan(run):
        raise PlanNotApplicableError(_('This run has no plan that waits to be applied.'))
    check_branch(run, by.branch_id if by else branching.active().schema_id)
    later = SyncRun.objects.filter(
        endpoint=run.endpoint_id,
        branch_id=run.branch_id,
        pk__gt=run.pk,
        mode__in=(*RunModeChoices.SYNCING, RunModeChoices.APPLY),
        status__in=RunStatusChoices.DONE,
    ).exclude(applies=run)
    # Quick runs are frequent, and most of them have nothing to write.
    later = later.exclude(mode=RunModeChoices.QUICK, counts={})
    if newer := later.order_by('pk').first():
        raise PlanNotApplicableError(
            _('Run {newer} has changed NetBox since this plan was made. Make a new preview, and apply that.').format(
                newer=newer.pk
            )
        )
    applied = run.applied_by.filter(status__in=REUSED_STATUSES).exclude(pk=by and by.pk)
    for other in applied:
        if units is None or other.units is None or not set(units).isdisjoint(other.units):
            raise PlanNotApplicableError(_('This plan is applied already, by run {other}.').format(other=other.pk))
    if units is not None:
        known = set(run.changes.order_by().values_list('unit', flat=True).distinct())
        refuse_unknown([unit for unit in units if unit not in known])


def why_reading_is_stale(source: SyncRun, by: SyncRun, guests_read: datetime | None) -> str:
    """
    Why a stored plan does not show the current states of the guests; '' if it does.

    Args:
        source: The run that has made the plan.
        by: The run that applies it.
        guests_read: When the guests were last read, in main or in the branch in which the plan is applied.
    """
    assert source.started is not None, 'A run that has a plan was started.'
    of_others = Q()
    if source.vmids is None:
        is_newest = guests_read == source.started
    else:
        is_newest = guests_read is None or guests_read < source.started
        of_others = Q(vmids__overlap=source.vmids)
    # Runs for given guests do not change that time.
    later = SyncRun.objects.filter(
        of_others,
        endpoint=by.endpoint,
        branch_id=by.branch_id,
        vmids__isnull=False,
        started__gt=source.started,
    )
    if is_newest and not later.exclude(mode=RunModeChoices.APPLY).exists():
        return ''
    return _('A plan was applied that had been made before the guests were last read. The next run compares it.')


def check_visible(run: SyncRun, units: list[str], user: AnyUser) -> None:
    """
    Check that a user may view the guests and nodes that they have chosen; otherwise, it is as if the plan did not have
    them.

    Raises:
        PlanNotApplicableError: The user may not view one of them.
    """
    hidden = run.hidden_units(user, units)
    refuse_unknown([unit for unit in units if unit in hidden])


def refuse_unknown(units: list[str]) -> None:
    """
    Raises:
        PlanNotApplicableError: There are units that the plan does not have.
    """
    if units:
        shown = ', '.join([*units[:SHOWN_UNITS], *(['...'] if len(units) > SHOWN_UNITS else [])])
        raise PlanNotApplicableError(_('The plan has no changes of: {units}.').format(units=shown))


def check_branch(run: SyncRun, branch_id: str) -> None:
    """
    Check that a plan was made in the branch in which it is to be applied.

    Raises:
        PlanNotApplicableError: It was made in another branch, or in main.
    """
    if run.branch_id == branch_id:
        return
    if not run.branch_id:
        raise PlanNotApplicableError(_('This plan was made in main. Leave the branch to apply it.'))
    why = branching.why_unusable(run.branch_id) or _('Activate that branch to apply it.')
    raise PlanNotApplicableError(
        _('This plan was made in the branch "{branch}". {why}').format(branch=run.branch, why=why)
    )


@dataclass(frozen=True)
class PlanPart:
    """The part of a stored plan for one guest or node: its `unit`, and the number of changes by action."""

    unit: str
    actions: Mapping[str, int]

    @property
    def changes(self) -> int:
        """The number of changes that can be applied, without conflicts and candidates."""
        return sum(number for action, number in self.actions.items() if action not in ChangeActionChoices.OPEN)


def check_open(run: SyncRun) -> None:
    """
    Check that a part of a plan can still be applied.

    Raises:
        PlanNotApplicableError: No part of the plan can be applied any more.
    """
    taken = taken_units(run)
    if taken and not open_rows(run, taken).exclude(action__in=ChangeActionChoices.OPEN).exists():
        raise PlanNotApplicableError(_('All of this plan is applied already.'))


def taken_units(run: SyncRun) -> set[str]:
    """
    The units of a plan that other runs have applied or are about to.

    Raises:
        PlanNotApplicableError: All units are, or no part may be applied.
    """
    # Without units: only what prevents the application of any part.
    check_appliable(run, [])
    taken: set[str] = set()
    for other in run.applied_by.filter(status__in=REUSED_STATUSES):
        if other.units is None:
            raise PlanNotApplicableError(_('This plan is applied already, by run {other}.').format(other=other.pk))
        taken.update(other.units)
    return taken


def open_rows(run: SyncRun, taken: set[str]) -> QuerySet[SyncChange]:
    """The changes of guests and nodes that no other run has applied."""
    return StoredPlan(run).rows().exclude(unit__in=[CLUSTER_UNIT, *taken]).order_by()


def open_parts(run: SyncRun) -> list[PlanPart]:
    """
    The parts of a plan that can be applied by themselves, and that no other run has applied or is about to.

    Raises:
        PlanNotApplicableError: No part of the plan can be applied any more.
    """
    taken = taken_units(run)
    by_unit: dict[str, dict[str, int]] = {}
    rows = open_rows(run, taken)
    for unit, action, number in rows.values_list('unit', 'action').annotate(Count('pk')).order_by('unit', 'action'):
        by_unit.setdefault(unit, {})[action] = number
    parts = [part for unit, actions in by_unit.items() if (part := PlanPart(unit, actions)).changes]
    if taken and not parts:
        raise PlanNotApplicableError(_('All of this plan is applied already.'))
    return parts


class StoredPlan:
    """
    A stored plan, with the same attributes as `Plan`; its parts are loaded when they are needed.

    Args:
        run: The run that has made the plan.
        units: The part of the plan; None: all of it.
        policy: The write policy under which it is applied.
    """

    def __init__(
        self, run: SyncRun, units: list[str] | None = None, policy: str = WritePolicyChoices.EVERYTHING
    ) -> None:
        self.run = run
        self.policy = policy
        self.units = None if units is None else {CLUSTER_UNIT, *units}

    def rows(self) -> QuerySet[SyncChange]:
        """The planned changes that may be written, in their order."""
        return self.planned().exclude(self.withheld_by_policy())

    def planned(self) -> QuerySet[SyncChange]:
        """The planned changes in their order, also those that the policy withholds."""
        rows = self.run.changes.filter(outcome=ChangeOutcomeChoices.PLANNED).order_by('position')
        return rows if self.units is None else rows.filter(unit__in=self.units)

    def withheld(self) -> list[Change]:
        """The changes that the policy withholds."""
        return [change_of(row) for row in self.planned().filter(self.withheld_by_policy())]

    def withheld_by_policy(self) -> Q:
        """As `sync.write_policy.withholds`, for rows."""
        if self.policy == WritePolicyChoices.EVERYTHING:
            return Q(pk__in=())
        permitted = [str(action) for action in permitted_actions(self.policy)]
        condition = ~Q(action__in=permitted)
        if self.policy == WritePolicyChoices.CREATE_ONLY:
            adopted = self.planned().filter(action=ChangeActionChoices.ADOPT, key=F('unit')).order_by()
            units = list(adopted.values_list('unit', flat=True))
            condition |= Q(unit__in=units) & ~Q(action__in=ChangeActionChoices.OPEN)
        return condition

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """As `Plan.counts`."""
        counts: dict[str, dict[str, int]] = {}
        for kind, action, number in self.rows().order_by().values_list('kind', 'action').annotate(Count('pk')):
            counts.setdefault(kind, {})[action] = number
        return counts

    def sizes(self) -> dict[str, int]:
        """The number of changes of every unit."""
        return dict(self.rows().order_by().values_list('unit').annotate(Count('pk')))

    @property
    def changes(self) -> Iterator[Change]:
        """The changes, read in pages: a cursor would be closed by the first transaction that applies them."""
        position = -1
        while rows := list(self.rows().filter(position__gt=position)[:ROWS_AT_ONCE]):
            for row in rows:
                yield change_of(row)
            position = rows[-1].position

    def bindings(self) -> QuerySet[PlannedBinding]:
        """The bindings that the plan changes without a change of their objects."""
        rows = self.run.planned_bindings.all()
        if self.policy == WritePolicyChoices.REPORT_ONLY:
            return rows.none()
        if self.units is None:
            return rows
        # A query of its own, since bindings of a branch are on another connection than plans.
        bound = Binding.objects.filter(endpoint=self.run.endpoint_id, unit__in=self.units).order_by()
        return rows.filter(binding_id__in=list(bound.values_list('pk', flat=True)))

    @property
    def refreshed(self) -> Mapping[int, Mapping[str, Value]]:
        """As `Plan.refreshed`."""
        rows = self.bindings().filter(values__isnull=False)
        return {row.binding_id: decode_all(row.values or {}) for row in rows.iterator()}

    @property
    def forgotten(self) -> tuple[int, ...]:
        """As `Plan.forgotten`."""
        return tuple(self.bindings().filter(forget=True).values_list('binding_id', flat=True))

    @property
    def shared(self) -> Mapping[Shared, Pointer]:
        """As `Plan.shared`."""
        stored = [] if self.policy == WritePolicyChoices.REPORT_ONLY else self.run.shared_objects
        found = [(decode(value), pk) for value, pk in stored]
        return {value: Pointer(value.model, pk) for value, pk in found if isinstance(value, Shared)}

    @property
    def rekeyed(self) -> Mapping[int, tuple[str, str]]:
        """As `Plan.rekeyed`, for the chosen units and for all whose keys these need."""
        if self.policy == WritePolicyChoices.REPORT_ONLY:
            return {}
        rows = self.run.planned_bindings.exclude(key='')
        wanted = {row.binding_id: (row.key, row.unit) for row in rows.iterator()}
        if self.units is None or not wanted:
            return wanted
        # A query of its own, since bindings of a branch are on another connection than plans.
        found = Binding.objects.filter(pk__in=list(wanted)).order_by()
        now = dict(found.values_list('pk', 'unit'))
        moves = {pk: {now[pk], unit} for pk, (_key, unit) in wanted.items() if pk in now}
        meant, size = set(self.units), -1
        while len(meant) != size:
            size = len(meant)
            meant.update(*(units for units in moves.values() if not units.isdisjoint(meant)))
        return {pk: wanted[pk] for pk, units in moves.items() if not units.isdisjoint(meant)}


def change_of(row: SyncChange) -> Change:
    """A stored change."""
    pointer = None
    if row.object_type_id and row.object_id:
        object_type = ContentType.objects.get_for_id(row.object_type_id)
        pointer = Pointer(f'{object_type.app_label}.{object_type.model}', row.object_id, row.label)
    stored: dict[str, Any] = {name: getattr(row, name) for name in ('action', 'kind', 'key', 'unit', 'label')}
    return change_from_json(**stored, pointer=pointer, fields=row.fields, binding=row.binding, reason=row.reason)


def may_apply(user: AnyUser, run: SyncRun) -> bool:
    """
    Whether a user may apply the plan of a run: with the permission to sync the endpoint, or to approve refused runs if
    the plan was refused.
    """
    action = 'accept' if run.refusal else 'sync'
    return bool(user.has_perm(f'netbox_proxsync.{action}_proxmoxendpoint', run.endpoint))
