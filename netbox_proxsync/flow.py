"""
One run, from Proxmox to NetBox: collect, desire, load, compare, apply.

Data flows one way. This module only calls the parts in their order and keeps the run's record; it decides nothing.
"""

from dataclasses import replace

from django.db.models import Q
from django.utils import timezone
from django.utils.translation import gettext as _

from .branching.carrying import place, place_again
from .branching.deciding import take_decisions
from .branching.states import begin_writing, guests_read, known_identity
from .cancelling import CancelWatch
from .choices import ChangeOutcomeChoices, ObjectEventsChoices, RunModeChoices, RunStatusChoices
from .connection import connection_of, options_of
from .ledger.clusters import remember_cluster, shared_cluster
from .ledger.existing import load
from .ledger.guests import GuestRecorder
from .ledger.kept import take_over
from .ledger.objects import ObjectWriter
from .ledger.seen import record_seen, settle_seen
from .ledger.settings import load_settings
from .ledger.tracking import service_user
from .ledger.writer import Result, Writer
from .models import ProxmoxGuest, SyncRun
from .proxmox.client import ProxmoxClient
from .proxmox.collector import collect
from .proxmox.inventory import Inventory
from .runs import RunRecorder
from .stored_plans import NotAppliable, StoredPlan, check_appliable
from .sync.changes import Plan
from .sync.desired import desire
from .sync.guests import LaterStandings, Pending, Standings
from .sync.identity import ClusterIdentity, another_cluster, identity_of
from .sync.plan import compare
from .sync.settings import Settings

__all__ = ('execute',)

# core.ObjectChange.message
MESSAGE_LENGTH = 200


def execute(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> tuple[str, str]:
    """
    Carry out a run.

    Args:
        watch: Tells when somebody cancels it.

    Returns:
        Its status (completed or refused), and why it was refused.

    Raises:
        Cancelled: What was written until then is whole, and recorded.
        ProxmoxError: Proxmox could not be read; nothing was written.
    """
    take_decisions(run.endpoint)
    if run.mode != RunModeChoices.PREVIEW:
        begin_writing(run.endpoint)
    if run.applies:
        return apply_stored(run, recorder, watch)
    inventory = read(run, recorder, watch)
    if nobody := nobody_there(run, inventory):
        return RunStatusChoices.FAILED, nobody
    seen = identity_of(inventory)
    # A few machines prove nothing: they may have moved here.
    machines = inventory.guests if run.vmids is None else ()
    if shared := shared_cluster(run.endpoint, seen, machines):
        return RunStatusChoices.REFUSED, shared
    refusal = another_cluster(ClusterIdentity.from_json(known_identity(run.endpoint)), seen)
    recorder.save(cluster_identity=seen.as_json())
    has_taken_over = not refusal and take_over(run.endpoint, seen, machines)
    settings = load_settings(run.endpoint)
    plan = decide(run, recorder, watch, inventory, settings)
    plan = replace(plan, refusal=refusal or plan.refusal)
    standings = Standings(inventory, settings, map(Pending, plan.changes), run.vmids)
    guests = GuestRecorder(run.endpoint, standings, run.vmids)
    if run.mode == RunModeChoices.SYNC and not plan.refusal:
        remember_cluster(run.endpoint, run.cluster_identity)
        if plan.changes:
            record(run, recorder, guests)
        stopped = write(run, recorder, watch, plan, guests)
        record(run, recorder, guests, plan)
        place_again(run)
        if has_taken_over:
            place(run.endpoint, SyncRun.objects.filter(pk=run.pk))
        if stopped:
            watch.check()
        return RunStatusChoices.COMPLETED, ''
    recorder.planned(plan)
    # Of another cluster than the endpoint led to, the guests are not those of its list.
    if not refusal:
        record(run, recorder, guests, plan)
    if run.mode == RunModeChoices.SYNC:
        return RunStatusChoices.REFUSED, plan.refusal
    if plan.refusal:
        recorder.warn('plan', plan.refusal)
    return RunStatusChoices.COMPLETED, ''


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
        check_appliable(run.applies, run.units, by=run)
    except NotAppliable as error:
        return RunStatusChoices.FAILED, str(error)
    remember_cluster(run.endpoint, run.applies.cluster_identity)
    plan = StoredPlan(run.applies, run.units)
    guests = GuestRecorder(run.endpoint, LaterStandings(plan.sizes(), outdated(run)))
    stopped = write(run, recorder, watch, plan, guests)
    settle_seen(run.endpoint)
    if stopped:
        watch.check()
    return RunStatusChoices.COMPLETED, ''


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
    return _(
        'A plan was applied that had been made before the guests were last read. The next run compares it.'
    )


def read(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> Inventory:
    endpoint = run.endpoint
    with (
        recorder.phase('collect'),
        ProxmoxClient(connection_of(endpoint)) as client,
        watch.calling(client.cancel),
    ):
        try:
            inventory = collect(client, options_of(endpoint, run.vmids), recorder.progress, endpoint.memory)
        finally:
            recorder.called(client.calls)
    recorder.collected(inventory)
    return inventory


def decide(
    run: SyncRun, recorder: RunRecorder, watch: CancelWatch, inventory: Inventory, settings: Settings
) -> Plan:
    with recorder.phase('plan'):
        desired = desire(inventory, settings, run.vmids)
        watch.check()
        existing = load(run.endpoint, desired, settings)
        watch.check()
        plan = compare(desired, existing, settings, timezone.now())
        watch.check()
    for notice in plan.notices:
        recorder.warn(notice.subject, notice.message, notice.remedy)
    return plan


def write(
    run: SyncRun, recorder: RunRecorder, watch: CancelWatch, plan: Plan | StoredPlan, guests: GuestRecorder
) -> bool:
    """Apply a plan; whether it was stopped before its end."""

    def applied(results: list[Result]):
        recorder.applied(results)
        for result in results:
            guests.standings.settle(result.change, pending_of(result))
        guests.record_units({result.change.unit for result in results})

    with recorder.phase('apply'):
        recorder.applying(plan)
        origin = f' (plan of run {run.applies_id})' if run.applies_id else ''
        message = f'Proxmox sync of {run.endpoint}, run {run.pk}{origin}'
        planned = (run.applies or run).started
        objects = ObjectWriter(run.endpoint, message[:MESSAGE_LENGTH], timezone.now(), planned)
        user = run.user or service_user()
        writer = Writer(objects, user, run.request_id, applied, watch.cancelled, quiet=is_quiet(run))
        writer.apply(plan)
        return watch.cancelled()


def is_quiet(run: SyncRun) -> bool:
    """Whether the endpoint's setting keeps event rules from hearing of the objects that this run writes."""
    match run.endpoint.object_events:
        case ObjectEventsChoices.NEVER:
            return True
        case ObjectEventsChoices.LATER:
            # Of all guests: some of them, tried out before, are not the first sync of the cluster.
            whole = run.endpoint.runs.filter(
                vmids__isnull=True, units__isnull=True, branch_id__in=('', run.branch_id)
            )
            synced = whole.exclude(mode=RunModeChoices.PREVIEW).filter(status=RunStatusChoices.COMPLETED)
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


def record(run: SyncRun, recorder: RunRecorder, guests: GuestRecorder, plan: Plan | None = None):
    """
    Take over what was read of the guests, and how NetBox stands to them now.

    Args:
        plan: When it is over with it: also what Proxmox says of what is bound.
    """
    with recorder.phase('record'):
        guests.record_all(run.started)
        if plan:
            record_seen(run.endpoint, plan.seen, guests.standings.open)
