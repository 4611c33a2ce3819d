"""
One run, from Proxmox to NetBox: collect, desire, load, compare, apply.

Data flows one way. This module only calls the parts in their order and keeps the run's record; it decides nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from functools import partial

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from .. import custom_fields
from ..branch_merges.decisions import take_decisions
from ..branch_merges.merging import place, place_again
from ..choices import ChangeOutcomeChoices, ObjectEventsChoices, RunModeChoices, RunStatusChoices
from ..endpoints.acknowledgments import drop_corrected
from ..endpoints.connection import connection_of, options_of, secrets_hidden
from ..ledger.clusters import remember_cluster, shared_cluster
from ..ledger.database import DatabaseBusy, retried
from ..ledger.existing import load
from ..ledger.former_endpoints import take_over
from ..ledger.guests import GuestRecorder
from ..ledger.objects import ObjectWriter
from ..ledger.proxmox_values import record_seen, settle_seen
from ..ledger.settings import load_settings
from ..ledger.writer import Result, Writer
from ..models import ProxmoxGuest, SyncRun
from ..models.branch_states import begin_writing, guests_read, known_identity
from ..models.users import service_user
from ..proxmox.http.client import ProxmoxClient
from ..proxmox.inventory import Inventory
from ..proxmox.readers.collector import collect
from ..sync.changes import Plan
from ..sync.cluster_identity import ClusterIdentity, another_cluster, identity_of_cluster
from ..sync.comparison import compare
from ..sync.desired import desire
from ..sync.guest_states import GuestStates, LaterGuestStates, Pending
from ..sync.kinds import KINDS
from ..sync.mapping.nodes import node_key, nodes_read
from ..sync.settings import Settings
from .cancellation import CancelWatch
from .recorder import RunRecorder
from .stored_plans import NotAppliable, StoredPlan, check_appliable

__all__ = ('execute',)

# core.ObjectChange.message
MESSAGE_LENGTH = 200
REFUSED_REMEDY = 'Look at the custom validators, the custom fields and the objects named; the next run tries it again.'


def execute(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> tuple[str, str]:
    """
    Carry out a run.

    Args:
        watch: Tells when somebody cancels it.

    Returns:
        Its status (completed, completed with errors, refused or failed), and why it is not simply completed.

    Raises:
        CancelledError: What was written until then is whole, and recorded.
        ProxmoxError: Proxmox could not be read; nothing was written.
    """
    retried(partial(take_decisions, run.endpoint), _('reading decisions'))
    if run.mode != RunModeChoices.PREVIEW:
        retried(partial(begin_writing, run.endpoint), _('reading the endpoint'))
    if run.applies:
        return apply_stored(run, recorder, watch)
    inventory = read(run, recorder, watch)
    if nobody := retried(partial(nobody_there, run, inventory), _('reading guests')):
        return RunStatusChoices.FAILED, nobody
    seen = identity_of_cluster(inventory)
    # A few machines prove nothing: they may have moved here.
    machines = inventory.guests if run.vmids is None else ()
    if shared := retried(partial(shared_cluster, run.endpoint, seen, machines), _('reading endpoints')):
        return RunStatusChoices.REFUSED, shared
    known = retried(partial(known_identity, run.endpoint), _('reading the endpoint'))
    refusal = another_cluster(ClusterIdentity.from_json(known), seen)
    recorder.save(cluster_identity=seen.as_json())
    if not refusal and retried(partial(take_over, run.endpoint, seen, machines), _('reading bindings')):
        place_cluster(run, recorder)
    settings = retried(partial(load_settings, run.endpoint), _('reading rules'))
    plan = decide(run, recorder, watch, inventory, settings)
    plan = replace(plan, refusal=refusal or plan.refusal)
    standings = GuestStates(inventory, settings, map(Pending, plan.changes), run.vmids)
    guests = GuestRecorder(run.endpoint, standings, run.vmids)
    if run.mode == RunModeChoices.SYNC and not plan.refusal:
        retried(partial(remember_cluster, run.endpoint, run.cluster_identity), _('updating the endpoint'))
        if plan.changes:
            record(run, recorder, guests)
        written = write(run, recorder, watch, plan, guests)
        record(run, recorder, guests, plan)
        attempt(recorder, partial(place_again, run), _('updating the endpoint'))
        if written.stopped:
            watch.check()
        return written.ending
    recorder.planned(plan)
    # Of another cluster than the endpoint led to, the guests are not those of its list.
    if not refusal:
        record(run, recorder, guests, plan)
    if run.mode == RunModeChoices.SYNC:
        return RunStatusChoices.REFUSED, plan.refusal
    if plan.refusal:
        recorder.warn('plan', plan.refusal)
    return RunStatusChoices.COMPLETED, ''


def place_cluster(run: SyncRun, recorder: RunRecorder) -> None:
    """Assign to an endpoint the cluster of the deleted endpoint whose bindings it has taken over."""
    runs = SyncRun.objects.filter(pk=run.pk)
    attempt(recorder, partial(place, run.endpoint, runs), _('updating the endpoint'))
    run.endpoint.refresh_from_db(fields=['cluster'])


def nobody_there(run: SyncRun, inventory: Inventory) -> str:
    """Why a run for given guests has nothing to do; '' if Proxmox or NetBox has one of them."""
    if run.vmids is None or any(guest.vmid in run.vmids for guest in inventory.guests):
        return ''
    if ProxmoxGuest.objects.filter(endpoint=run.endpoint, vmid__in=run.vmids).exists():
        return ''
    vmids = run.shown_vmids
    if inventory.guests_incomplete is not None:
        return _('Proxmox did not list any of these guests: {vmids}. {reason}').format(
            vmids=vmids, reason=inventory.guests_incomplete.reason
        )
    return _('Proxmox has none of these guests: {vmids}.').format(vmids=vmids)


def apply_stored(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> tuple[str, str]:
    """Carry out the plan of an earlier run, as it was seen."""
    try:
        retried(partial(check_appliable, run.applies, run.units, by=run), _('reading the plan'))
    except NotAppliable as error:
        return RunStatusChoices.FAILED, str(error)
    retried(partial(remember_cluster, run.endpoint, run.applies.cluster_identity), _('updating the endpoint'))
    plan = StoredPlan(run.applies, run.units)
    standings = retried(lambda: LaterGuestStates(plan.sizes(), outdated(run)), _('reading the plan'))
    written = write(run, recorder, watch, plan, GuestRecorder(run.endpoint, standings))
    attempt(recorder, partial(settle_seen, run.endpoint), _('updating bindings'))
    if written.stopped:
        watch.check()
    return written.ending


def outdated(run: SyncRun) -> str:
    """Why the plan that a run applies tells nothing of how NetBox stands to the guests; '' if it does."""
    source = run.applies
    read_at, of_others = guests_read(run.endpoint), Q()
    if source.vmids is None:
        is_newest = read_at == source.started
    else:
        is_newest = read_at is None or read_at < source.started
        of_others = Q(vmids__overlap=source.vmids)
    # Runs for given guests leave that moment alone.
    later = SyncRun.objects.filter(
        of_others,
        endpoint=run.endpoint,
        branch_id=run.branch_id,
        vmids__isnull=False,
        started__gt=source.started,
    )
    if is_newest and not later.exclude(mode=RunModeChoices.APPLY).exists():
        return ''
    return _('A plan was applied that had been made before the guests were last read. The next run compares it.')


def read(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> Inventory:
    endpoint = run.endpoint
    with (
        recorder.phase('collect'),
        secrets_hidden(endpoint),
        ProxmoxClient(connection_of(endpoint)) as client,
        watch.calling(client.cancel),
    ):
        try:
            inventory = collect(
                client, options_of(endpoint, run.vmids), recorder.progress, endpoint.valid_token_history
            )
        finally:
            recorder.called(client.calls)
    recorder.collected(inventory)
    return inventory


def decide(run: SyncRun, recorder: RunRecorder, watch: CancelWatch, inventory: Inventory, settings: Settings) -> Plan:
    with recorder.phase('plan'):
        desired = desire(inventory, settings, run.vmids)
        watch.check()
        existing = retried(partial(load, run.endpoint, desired, settings), _('reading the objects of NetBox'))
        watch.check()
        plan = compare(desired, existing, settings, timezone.now())
        watch.check()
    for problem in custom_fields.problems():
        # One that an administrator has removed stays removed.
        if not problem.is_missing:
            remedy = problem.remedy or 'Run "proxsync_check --repair".'
            recorder.warn(f'custom field "{problem.name}"', f'It {problem.message}{left_out_of(problem)}', remedy)
    if run.vmids is None:
        faults = {(notice.subject, notice.message) for notice in plan.notices if notice.is_fault}
        drop_corrected(run.endpoint, faults, {node_key(node.name) for node in nodes_read(inventory, settings)})
    for notice in plan.notices:
        recorder.warn(notice.subject, notice.message, notice.remedy, notice.is_fault)
    return plan


@dataclass
class Written:
    """
    What has become of a plan.

    Attributes:
        applied: The number of changes that were written, at least in part.
        failed: What NetBox has refused, by kind and message, with the number of changes.
        stopped: It was cancelled before its end.
    """

    applied: int = 0
    failed: Counter[tuple[str, str]] = field(default_factory=Counter)
    stopped: bool = False

    def add(self, results: Iterable[Result]) -> None:
        for result in results:
            is_failed = result.outcome == ChangeOutcomeChoices.FAILED
            if is_failed:
                self.failed[result.change.kind, result.message] += 1
            if result.outcome == ChangeOutcomeChoices.APPLIED or (is_failed and result.pointer):
                self.applied += 1

    @property
    def ending(self) -> tuple[str, str]:
        """The status of the run, and what to say about it."""
        if not self.failed:
            return RunStatusChoices.COMPLETED, ''
        # Without the reasons: they may name machines that not everybody may view.
        number = sum(self.failed.values())
        if self.applied:
            text = ngettext('{number} change could not be written.', '{number} changes could not be written.', number)
            return RunStatusChoices.ERRORS, text.format(number=number)
        text = ngettext(
            'Nothing was written: the only change failed.',
            'Nothing was written: all {number} changes failed.',
            number,
        )
        return RunStatusChoices.FAILED, text.format(number=number)

    def summary(self) -> Iterator[tuple[str, str]]:
        """What was refused more than once for the same reason: the kind of objects, and the reason."""
        for (kind, _message), number in self.failed.most_common():
            if number > 1:
                plural = KINDS[kind].plural if kind in KINDS else kind
                # Without the reason: it may name machines that not every reader of the run may view.
                yield plural, f'NetBox refused changes of {number} {plural} for the same reason. See these changes.'


def left_out_of(problem: custom_fields.FieldProblem) -> str:
    return ' Runs leave it out until then.' if problem.is_left_out else ''


def write(
    run: SyncRun, recorder: RunRecorder, watch: CancelWatch, plan: Plan | StoredPlan, guests: GuestRecorder
) -> Written:
    """Apply a plan."""
    written = Written()

    def applied(results: list[Result]) -> None:
        applied_apart(results)
        guests.record_units({result.change.unit for result in results})

    def applied_apart(results: list[Result]) -> None:
        recorder.applied(results)
        written.add(results)
        for result in results:
            guests.standings.set_outcome(result.change, pending_of(result))

    @contextmanager
    def reverting(units: list[str]) -> Iterator[None]:
        position, put_back = recorder.position, guests.standings.savepoint(units)
        applied_before, failed_before = written.applied, written.failed.copy()
        try:
            yield
        except BaseException:
            recorder.position = position
            put_back()
            written.applied, written.failed = applied_before, failed_before
            raise

    with recorder.phase('apply'):
        recorder.applying(plan)
        origin = f' (plan of run {run.applies_id})' if run.applies_id else ''
        message = f'Proxmox sync of {run.endpoint}, run {run.pk}{origin}'
        planned = (run.applies or run).started
        make = partial(ObjectWriter, run.endpoint, message[:MESSAGE_LENGTH], timezone.now(), planned)
        objects = retried(make, _('reading bindings'))
        writer = Writer(
            objects,
            run.user or retried(service_user, _('reading users')),
            run.request_id,
            applied,
            watch.cancelled,
            quiet=retried(partial(is_quiet, run), _('reading runs')),
            reverting=reverting,
            record_failed=applied_apart,
            warn=recorder.warn,
        )
        writer.apply(plan)
    for plural, text in written.summary():
        recorder.warn(plural, text, REFUSED_REMEDY)
    written.stopped = watch.cancelled()
    return written


def is_quiet(run: SyncRun) -> bool:
    """Whether the endpoint's setting keeps event rules from hearing of the objects that this run writes."""
    match run.endpoint.object_events:
        case ObjectEventsChoices.NEVER:
            return True
        case ObjectEventsChoices.LATER:
            # Of all guests: some of them, tried out before, are not the first sync of the cluster.
            whole = run.endpoint.runs.filter(vmids__isnull=True, units__isnull=True, branch_id__in=('', run.branch_id))
            synced = whole.exclude(mode=RunModeChoices.PREVIEW).filter(status__in=RunStatusChoices.DONE)
            return not synced.exists()
    return False


def pending_of(result: Result) -> Pending | None:
    match result.outcome:
        case ChangeOutcomeChoices.APPLIED:
            return None
        case ChangeOutcomeChoices.OUTDATED:
            return Pending(result.change, note=result.message)
        case ChangeOutcomeChoices.CANCELLED:
            return Pending(result.change, note=_('The run was cancelled before it came to this.'))
        case _:
            return Pending(result.change, failure=result.message)


def record(run: SyncRun, recorder: RunRecorder, guests: GuestRecorder, plan: Plan | None = None) -> None:
    """
    Take over what was read of the guests, and how NetBox stands to them now.

    Args:
        plan: When it is over with it: also what Proxmox says of what is bound.
    """
    with recorder.phase('record'):
        attempt(recorder, partial(guests.record_all, run.started), _('updating the list of guests'))
        if plan:
            seen = partial(record_seen, run.endpoint, plan.proxmox_values, guests.standings.open)
            attempt(recorder, seen, _('updating bindings'))


def attempt(recorder: RunRecorder, work: Callable[[], None], doing: str) -> None:
    """Do what the next run does as well, should the database not allow it now."""
    try:
        retried(work, doing)
    except DatabaseBusy as error:
        recorder.warn('database', str(error))
