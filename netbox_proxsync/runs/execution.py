"""
One run, from Proxmox VE to NetBox: collect, map, load, compare, check, apply (or validate and store), record.

Data flows in one direction. This module calls the steps in their order and decides nothing by itself; where a run
writes (main or a branch) is the business of `Destination`.
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import Any, cast

from django.db.models import ForeignKey
from django.utils import timezone
from extras.models import CustomField

from .. import custom_fields
from ..choices import RunModeChoices, RunStatusChoices
from ..endpoints.acknowledgments import drop_corrected
from ..endpoints.connection import connection_of, options_of, secrets_hidden
from ..ledger import existing
from ..ledger.clusters import SharedClusterError
from ..ledger.database import retried
from ..ledger.guests import GuestRecorder, GuestStateRecorder, load_rows
from ..ledger.proxmox_values import clear_written_values, store_proxmox_values
from ..ledger.settings import load_settings
from ..models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from ..models.runs import SHOWN_VMIDS
from ..proxmox.http.client import ProxmoxClient
from ..proxmox.inventory import Guest, Inventory
from ..proxmox.messages import EMPTY, Message, as_is, joined
from ..proxmox.readers.collector import collect
from ..sync.changes import Plan
from ..sync.cluster_identity import another_cluster, identity_of_cluster
from ..sync.comparison import compare
from ..sync.desired import desire
from ..sync.guest_states import GuestStates, LaterGuestStates, Pending, RevertedGuestStates
from ..sync.kind_names import GUEST
from ..sync.mapping.nodes import node_key, nodes_read
from ..sync.settings import Settings
from ..sync.state import Desired, Existing
from . import garbage
from .application import Application
from .cancellation import CancelWatch
from .destination import Destination
from .endings import Ending
from .plan_selection import Selection
from .recorder import WITHHELD, RunRecorder
from .reverting import plan_revert
from .stored_plans import PlanNotApplicableError, StoredPlan, check_appliable, why_reading_is_stale
from .validation import Rejection, Validation

__all__ = ('PLACEMENT', 'Execution', 'execute')

# The objects of NetBox to which most endpoints refer.
PLACEMENT = ('cluster', 'site', 'vrf')


def execute(run: SyncRun, recorder: RunRecorder, watch: CancelWatch, steps: 'type[Execution] | None' = None) -> Ending:
    """
    Carry out a run.

    Args:
        watch: Watches whether a user cancels it.
        steps: The steps of the run, if they differ from those of `Execution`.

    Raises:
        CanceledError: What was written until then is complete, and recorded.
        ProxmoxError: Proxmox VE could not be read; nothing was written.
        DatabaseBusyError: The database did not allow a step, however often it was tried.
    """
    execution = (steps or Execution)(run, recorder, watch)
    execution.destination.prepare(writes=run.mode not in RunModeChoices.PLANNING)
    if run.mode == RunModeChoices.REVERT:
        return plan_revert(run, recorder, watch)
    return execution.apply_stored_plan(run.applies) if run.applies else execution.compare_and_apply()


class Execution:
    """The steps of one run, and the two ways through them: a plan is made from a reading, or was stored earlier."""

    def __init__(self, run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> None:
        self.run = run
        self.endpoint = run.endpoint
        self.recorder = recorder
        self.watch = watch
        self.destination = Destination(run, recorder)
        if run.branch_id:
            # A branch may have others, or none.
            for name in PLACEMENT:
                forget_related(self.endpoint, name)

    def compare_and_apply(self) -> Ending:
        """Read Proxmox VE, make a plan, and apply it, or store it if the run is a preview or the plan is refused."""
        inventory = self.collect()
        if reason := retried(partial(why_no_guest_listed, self.run, inventory), Message('reading guests')):
            return Ending(RunStatusChoices.FAILED, reason)
        try:
            other_cluster = self.check_cluster(inventory)
        except SharedClusterError as error:
            return Ending(RunStatusChoices.REFUSED, as_is(str(error)))
        with self.recorder.phase('plan') as counts, garbage.paused():
            rows = retried(partial(load_rows, self.endpoint), Message('reading guests'))
            settings = retried(partial(load_settings, self.endpoint, rows), Message('reading rules'))
            fields = retried(custom_fields.stored_fields, Message('reading custom fields'))
            plan, held = self.make_plan(inventory, settings, fields)
            counts['changes'] = len(plan.changes)
            # The inventory and the plan live as long as the run.
            garbage.leave_out_older_objects()
        self.recorder.log.open_changes(plan.counts)
        self.report_notices(plan, inventory, settings, fields)
        plan = replace(plan, refusal=other_cluster or plan.refusal)
        pending = [*map(Pending, plan.changes), *(Pending(change, note=WITHHELD) for change in plan.withheld)]
        standings = GuestStates(inventory, settings, pending, self.run.vmids)
        is_quick = self.run.mode == RunModeChoices.QUICK
        guests = GuestRecorder(self.endpoint, standings, self.run.vmids, is_quick, rows, held.machines)
        if self.run.mode in RunModeChoices.SYNCING and not plan.refusal:
            return self.apply(plan, guests, held)
        validation = Validation(self.run, self.recorder, self.watch)
        plan = validation.validated(plan)
        for each in validation.rejections:
            standings.set_outcome(each.change, Pending(each.change, failure=each.message))
        # If the endpoint now leads to another cluster, its guests do not belong in this list.
        return self.store(plan, None if other_cluster else guests, held, validation.rejections)

    def apply_stored_plan(self, source: SyncRun) -> Ending:
        """
        Apply the plan of an earlier run as it was stored.

        Args:
            source: The run that has made the plan.
        """
        selection = Selection.of(self.run.units, self.run.actions)
        try:
            retried(partial(check_appliable, source, selection, by=self.run), Message('reading the plan'))
        except PlanNotApplicableError as error:
            return Ending(RunStatusChoices.FAILED, as_is(str(error)))
        self.destination.remember_cluster(source)
        # The policy may be stricter now than when the plan was made.
        make = partial(StoredPlan, source, selection, self.run, self.endpoint.write_policy)
        plan = retried(make, Message('reading the plan'))
        kind = RevertedGuestStates if source.mode == RunModeChoices.REVERT else LaterGuestStates
        states = partial(kind, rejected=retried(plan.rejected, Message('reading the plan')))
        standings = retried(lambda: states(plan.sizes(), self.why_stale(source)), Message('reading the plan'))
        application = Application(self.run, self.recorder, self.watch, GuestStateRecorder(self.endpoint, standings))
        ending = application.apply(plan)
        withheld = retried(plan.withheld, Message('reading the plan'))
        self.recorder.withheld(len(withheld), self.endpoint)
        self.recorder.store_withheld(withheld)
        self.recorder.attempt(partial(clear_written_values, self.endpoint), Message('updating bindings'))
        if application.stopped:
            self.watch.check()
        return ending

    # The steps

    def collect(self) -> Inventory:
        """Read Proxmox VE."""
        with (
            self.recorder.phase('collect') as counts,
            secrets_hidden(self.endpoint),
            ProxmoxClient(connection_of(self.endpoint)) as client,
            self.watch.calling(client.cancel),
        ):
            options = options_of(self.endpoint, self.run.vmids)
            try:
                inventory = collect(client, options, self.recorder.progress, self.endpoint.known_token_history)
            finally:
                self.recorder.called(client.calls)
            counts.update(guests=len(inventory.guests), calls=client.calls, warnings=len(inventory.warnings))
        self.recorder.collected(inventory)
        return inventory

    def check_cluster(self, inventory: Inventory) -> Message:
        """
        Check that this is the Proxmox VE cluster that the endpoint has led to until now.

        Returns:
            Why the plan must not be applied without approval, because it is another cluster; '' if it is the same.

        Raises:
            SharedClusterError: Another endpoint leads to the same cluster.
        """
        identity = identity_of_cluster(inventory)
        # A few guests prove nothing: they may have been moved here.
        guests: Collection[Guest] = inventory.guests if self.run.vmids is None else ()
        self.destination.check_not_shared(identity, guests)
        other_cluster = another_cluster(self.destination.known_cluster(), identity)
        self.recorder.save(cluster_identity=identity.as_json())
        if not other_cluster:
            self.destination.take_over_former_endpoints(identity, guests)
        return other_cluster

    def make_plan(self, inventory: Inventory, settings: Settings, fields: Iterable[CustomField]) -> 'tuple[Plan, Held]':
        """The plan, and what is needed of what NetBox contains later. All else is released here."""
        desired = self.map(inventory, settings)
        loaded = self.load(desired, settings, fields)
        plan = self.compare(desired, loaded, settings)
        return plan, Held.of(loaded, plan)

    def map(self, inventory: Inventory, settings: Settings) -> Desired:
        """What NetBox should contain."""
        desired = desire(inventory, settings, self.run.vmids)
        self.watch.check()
        return desired

    def load(self, desired: Desired, settings: Settings, fields: Iterable[CustomField] | None = None) -> Existing:
        """What NetBox contains."""
        load = partial(existing.load, self.endpoint, desired, settings, fields)
        loaded = retried(load, Message('reading the objects of NetBox'))
        self.watch.check()
        return loaded

    def compare(self, desired: Desired, loaded: Existing, settings: Settings) -> Plan:
        """What has to change, and whether the change limit allows it."""
        plan = compare(desired, loaded, settings, timezone.now())
        self.watch.check()
        return plan

    def report_notices(
        self, plan: Plan, inventory: Inventory, settings: Settings, fields: Iterable[CustomField]
    ) -> None:
        """Record what this plan leaves out, and why."""
        for problem in custom_fields.problems(fields):
            # A field that an administrator has removed stays removed.
            if not problem.is_missing:
                remedy = problem.remedy or Message('Run "proxsync_check --repair".')
                message = problem.message
                if problem.is_left_out:
                    message = joined((message, Message('Runs do not write this custom field.')))
                self.recorder.warn(f'custom field "{problem.name}"', message, remedy)
        if self.run.vmids is None:
            faults = {(notice.subject, notice.message) for notice in plan.notices if notice.is_fault}
            drop_corrected(self.endpoint, faults, {node_key(node.name) for node in nodes_read(inventory, settings)})
        self.recorder.withheld(len(plan.withheld), self.endpoint)
        for notice in plan.notices:
            self.recorder.warn(notice.subject, notice.message, notice.remedy, notice.is_fault)

    def apply(self, plan: Plan, guests: GuestRecorder, held: 'Held') -> Ending:
        """Write a plan to NetBox and record the guests."""
        self.destination.remember_cluster(self.run)
        if plan.changes:
            self.record(guests)
        application = Application(self.run, self.recorder, self.watch, guests)
        ending = application.apply(plan)
        if plan.rekeyed or plan.forgotten:
            # Other guests may have these bindings now.
            guests.forget_loaded()
        self.recorder.store_withheld(plan.withheld)
        guests.fingerprints.are_synchronized = not (application.stopped or plan.withheld)
        self.record(guests, plan, held)
        self.destination.restore_endpoint_cluster()
        # A run that was canceled when all was written is complete.
        if application.stopped:
            self.watch.check()
        return ending

    def store(self, plan: Plan, guests: GuestRecorder | None, held: 'Held', rejections: Iterable[Rejection]) -> Ending:
        """
        Store a plan that is not applied.

        Args:
            guests: None: the guests that were read are not recorded.
            rejections: What NetBox rejects; no part of the plan.
        """
        self.recorder.planned(plan)
        self.recorder.store_withheld(plan.withheld)
        self.recorder.store_rejected((each.change, each.message) for each in rejections)
        if guests is not None:
            self.record(guests, plan, held)
        if self.run.mode in RunModeChoices.SYNCING:
            return Ending(RunStatusChoices.REFUSED, plan.refusal)
        if plan.refusal:
            self.recorder.warn('plan', plan.refusal)
        return Ending(RunStatusChoices.COMPLETED)

    def record(self, guests: GuestRecorder, plan: Plan | None = None, held: 'Held | None' = None) -> None:
        """
        Record what was read of the guests, and their states.

        Args:
            plan: If the run is through with it: Proxmox VE's values of bound objects are stored as well.
            held: What NetBox contained when the plan was made, with `plan`.
        """
        assert self.run.started is not None, 'The run has been started.'
        with self.recorder.phase('record') as counts, garbage.paused():
            counts['guests'] = len(guests.standings.guests)
            self.recorder.attempt(
                partial(self.record_guests, guests, self.run.started, plan is not None),
                Message('updating the list of guests'),
            )
            if plan:
                stored, pending = held.values if held else None, guests.standings.open
                store = partial(store_proxmox_values, self.endpoint, plan.proxmox_values, pending, stored)
                self.recorder.attempt(store, Message('updating bindings'))

    def record_guests(self, guests: GuestRecorder, read_at: datetime, is_last: bool) -> None:
        """
        Record what was read of the guests.

        Args:
            is_last: The run writes nothing after this, so its end can record the time if nothing differs.
        """
        if not guests.record_all(read_at):
            return
        if self.run.branch_id or self.run.vmids is not None or not is_last:
            guests.set_read(read_at)
        else:
            self.endpoint.guests_read = read_at
            self.recorder.saved_of_endpoint['guests_read'] = read_at

    def why_stale(self, source: SyncRun) -> Message:
        """Why the guests cannot be judged by the reading of an earlier run; '' if it is the current one."""
        return why_reading_is_stale(source, self.run, self.destination.guests_read())


@dataclass(frozen=True, slots=True)
class Held:
    """
    What NetBox contained when a plan was made, as far as the run needs it later.

    Attributes:
        machines: The virtual machine (pk) of every bound guest, by key; None if a user has deleted it.
        values: The stored values of Proxmox VE of bound objects, by (kind, key), if there are any; None: the plan
            changes bindings.
    """

    machines: Mapping[str, int | None]
    values: Mapping[tuple[str, str], Mapping[str, Any]] | None

    @classmethod
    def of(cls, loaded: Existing, plan: Plan) -> 'Held':
        """From all that was loaded."""
        there = {record.pointer.pk for record in loaded.records[GUEST]}
        bound = [each for each in loaded.bindings.values() if each.kind == GUEST and '#' not in each.key]
        seen = {identity: each.proxmox_values for identity, each in loaded.bindings.items() if each.proxmox_values}
        return cls(
            machines={each.key: each.pointer.pk if each.pointer.pk in there else None for each in bound},
            values=seen if plan.is_empty else None,
        )


def forget_related(endpoint: ProxmoxEndpoint, name: str) -> None:
    """Forget the loaded object of a foreign key, so that it is loaded again from the active branch."""
    field = cast('ForeignKey[Any, Any]', ProxmoxEndpoint._meta.get_field(name))
    if field.is_cached(endpoint):
        field.delete_cached_value(endpoint)


def why_no_guest_listed(run: SyncRun, inventory: Inventory) -> Message:
    """Why a run for given guests has nothing to do; '' if Proxmox VE or NetBox has one of them."""
    if run.vmids is None or any(guest.vmid in run.vmids for guest in inventory.guests):
        return EMPTY
    if ProxmoxGuest.objects.filter(endpoint=run.endpoint, vmid__in=run.vmids).exists():
        return EMPTY
    vmids = joined(run.vmids[:SHOWN_VMIDS], ', ')
    if len(run.vmids) > SHOWN_VMIDS:
        vmids = Message('{shown} and {left} more', shown=vmids, left=len(run.vmids) - SHOWN_VMIDS)
    if inventory.guests_incomplete is not None:
        message = Message('Proxmox VE did not list any of these guests: {vmids}.', vmids=vmids)
        return joined((message, inventory.guests_incomplete.reason))
    return Message('Proxmox VE has none of these guests: {vmids}.', vmids=vmids)
