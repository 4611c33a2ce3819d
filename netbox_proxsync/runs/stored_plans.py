"""The stored plan of an earlier run: whether it may be applied, whether it is current, and its changes."""

from collections.abc import Collection, Iterator, Mapping
from datetime import datetime
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Count, F, Q, QuerySet

from .. import branching
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, RunModeChoices, RunStatusChoices, WritePolicyChoices
from ..models import Binding, PlannedBinding, SyncChange, SyncRun
from ..models.users import AnyUser
from ..proxmox.messages import EMPTY, Message, joined
from ..sync.changes import Change
from ..sync.serialization import change_from_json
from ..sync.values import Pointer, Shared, Value, decode, decode_all
from ..sync.write_policy import permitted_actions
from .plan_selection import CLUSTER_UNIT, Selection, covered, runs_applying

__all__ = (
    'WHOLE',
    'PlanNotApplicableError',
    'StoredPlan',
    'check_appliable',
    'has_plan',
    'may_apply',
    'open_rows',
    'planned_rows',
    'select',
    'why_reading_is_stale',
)

ROWS_AT_ONCE = 1000
# At most, in a message.
SHOWN_UNITS = 10
WHOLE = Selection()


class PlanNotApplicableError(Exception):
    """The plan of a run cannot be applied. The message is for users: the reason."""


def has_plan(run: SyncRun) -> bool:
    """Whether a run has stored a plan without applying it: a preview, a revert, or a run that was refused."""
    if run.mode in RunModeChoices.PLANNING:
        return run.status == RunStatusChoices.COMPLETED
    return run.mode in RunModeChoices.SYNCING and run.status == RunStatusChoices.REFUSED and bool(run.refusal)


def check_appliable(run: SyncRun, selection: Selection = WHOLE, by: SyncRun | None = None) -> None:
    """
    Check that a part of a plan may still be applied: each change once, and before another run changes NetBox.

    Args:
        run: The run that has made the plan.
        by: The run that is about to apply it; None: there is none yet.

    Raises:
        PlanNotApplicableError: It may not.
    """
    if not has_plan(run):
        raise PlanNotApplicableError(Message('This run has no plan that waits to be applied.'))
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
            Message(
                'Run {newer} has changed NetBox since this plan was created. Create a new preview, and apply that.',
                newer=newer.pk,
            )
        )
    others = list(runs_applying(run, by))
    if active := next((other for other in others if not other.finished), None):
        raise PlanNotApplicableError(Message('Run {other} is applying this plan.', other=active.pk))
    check_open(run, selection, others, by)


def check_open(run: SyncRun, selection: Selection, others: list[SyncRun], by: SyncRun | None) -> None:
    """
    Check that changes of the selection, and of each of its units, were not applied yet.

    Args:
        others: The runs that have applied parts of the plan.

    Raises:
        PlanNotApplicableError: Nothing remains.
    """
    if not others and selection.actions is None:
        return
    remaining = open_rows(run, by).filter(selection.condition)
    if others and selection.units is not None:
        units = set(remaining.values_list('unit', flat=True))
        possible = planned_rows(run).exclude(action__in=ChangeActionChoices.OPEN).filter(selection.condition)
        is_open = units.issuperset(selection.units.intersection(possible.values_list('unit', flat=True)))
    else:
        is_open = remaining.exists()
    if is_open:
        return
    if others:
        raise PlanNotApplicableError(Message('This plan is applied already, by run {other}.', other=others[0].pk))
    raise PlanNotApplicableError(Message('The plan has no changes with these actions.'))


def select(
    run: SyncRun,
    user: AnyUser | None,
    units: Collection[str] | None = None,
    except_units: Collection[str] | None = None,
    actions: Collection[str] | None = None,
) -> Selection:
    """
    The part of a plan that a user has chosen.

    Args:
        user: None: a command chooses it.
        units: These guests and nodes.
        except_units: All guests and nodes except these, also those that the user may not view.
        actions: Only changes with these actions.

    Raises:
        PlanNotApplicableError: The plan has no such part, or the user may not view a guest or node that they name; then
            it is as if the plan did not have it.
    """
    if units is not None and except_units is not None:
        raise PlanNotApplicableError(Message('Select either guests and nodes, or exceptions.'))
    named = [*dict.fromkeys(units if units is not None else except_units or ())]
    hidden = run.hidden_units(user, named) if user else set()
    known = set(planned_rows(run).values_list('unit', flat=True).distinct())
    refuse_unknown([unit for unit in named if unit in hidden or unit not in known])
    if except_units is not None:
        units = set(open_rows(run).values_list('unit', flat=True).distinct()).difference(except_units, [CLUSTER_UNIT])
    if (units is not None and not units) or (actions is not None and not actions):
        raise PlanNotApplicableError(Message('Nothing was selected, so nothing was applied.'))
    return Selection.of(units, actions)


def why_reading_is_stale(source: SyncRun, by: SyncRun, guests_read: datetime | None) -> Message:
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
    if is_newest and not later.filter(mode__in=RunModeChoices.READING).exists():
        return EMPTY
    return Message(
        'A plan was applied that was created before the guests were last read. The next run compares the guest.'
    )


def refuse_unknown(units: list[str]) -> None:
    """
    Raises:
        PlanNotApplicableError: There are units that the plan does not have.
    """
    if units:
        shown = joined([*units[:SHOWN_UNITS], *(['...'] if len(units) > SHOWN_UNITS else [])], ', ')
        raise PlanNotApplicableError(Message('The plan has no changes of: {units}.', units=shown))


def check_branch(run: SyncRun, branch_id: str) -> None:
    """
    Check that a plan was made in the branch in which it is to be applied.

    Raises:
        PlanNotApplicableError: It was made in another branch, or in main.
    """
    if run.branch_id == branch_id:
        return
    if not run.branch_id:
        raise PlanNotApplicableError(Message('This plan was created in main. Leave the branch to apply it.'))
    why = branching.why_unusable(run.branch_id) or Message('Activate that branch to apply it.')
    raise PlanNotApplicableError(
        joined((Message('This plan was created in the branch "{branch}".', branch=run.branch), why))
    )


def planned_rows(run: SyncRun) -> QuerySet[SyncChange]:
    """The changes of a plan, in no order."""
    return run.changes.filter(outcome=ChangeOutcomeChoices.PLANNED).order_by()


def open_rows(run: SyncRun, by: SyncRun | None = None) -> QuerySet[SyncChange]:
    """The changes of a plan that no other run than `by` has applied or is about to, without those to be decided."""
    rows = planned_rows(run).exclude(action__in=ChangeActionChoices.OPEN)
    done = covered(run, by)
    return rows if done is None else rows.exclude(done)


class StoredPlan:
    """
    A stored plan, with the same attributes as `Plan`; its parts are loaded when they are needed. It has no changes that
    other runs have applied.

    Args:
        run: The run that has made the plan.
        selection: The part of the plan.
        by: The run that applies it.
        policy: The write policy under which it is applied.
    """

    def __init__(
        self,
        run: SyncRun,
        selection: Selection = WHOLE,
        by: SyncRun | None = None,
        policy: str = WritePolicyChoices.EVERYTHING,
    ) -> None:
        self.run = run
        self.selection = selection
        self.policy = policy
        self.units = None if selection.units is None else {CLUSTER_UNIT, *selection.units}
        self.covered = covered(run, by)

    def remaining(self) -> QuerySet[SyncChange]:
        """The changes of the units, also with other actions, that no other run has applied."""
        rows = planned_rows(self.run).filter(self.selection.in_units)
        # What requires a decision is recorded by each run, because the states of guests depend on it.
        return rows if self.covered is None else rows.filter(Q(action__in=ChangeActionChoices.OPEN) | ~self.covered)

    def rows(self) -> QuerySet[SyncChange]:
        """The planned changes that may be written, in their order."""
        return self.planned().exclude(self.withheld_by_policy())

    def planned(self) -> QuerySet[SyncChange]:
        """The planned changes in their order, also those that the policy withholds."""
        rows = self.remaining().order_by('position')
        if self.selection.actions is None:
            return rows
        return rows.filter(action__in=[*self.selection.actions, *ChangeActionChoices.OPEN])

    def withheld(self) -> list[Change]:
        """The changes that the policy withholds."""
        return [change_of(row) for row in self.planned().filter(self.withheld_by_policy())]

    def rejected(self) -> list[tuple[Change, Message]]:
        """The changes of the units that NetBox has rejected when the plan was made, with the reasons."""
        rows = self.run.changes.filter(self.selection.in_units, outcome=ChangeOutcomeChoices.REJECTED)
        return [
            (change_of(row), Message.restored(row.message, row.message_source)) for row in rows.order_by('position')
        ]

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
        """The number of remaining changes of every unit, also with other actions."""
        return dict(self.remaining().values_list('unit').annotate(Count('pk')))

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
    return change_from_json(
        **stored, pointer=pointer, fields=row.fields, binding=row.binding, reason=row.reason_message
    )


def may_apply(user: AnyUser, run: SyncRun) -> bool:
    """
    Whether a user may apply the plan of a run: with the permission to sync the endpoint, or to approve refused runs if
    the plan was refused.
    """
    action = 'accept' if run.refusal else 'sync'
    return bool(user.has_perm(f'netbox_proxsync.{action}_proxmoxendpoint', run.endpoint))
