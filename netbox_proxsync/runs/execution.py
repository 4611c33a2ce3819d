"""
One run, from Proxmox VE to NetBox: collect, map, load, compare, check, apply, record.

Data flows in one direction. This module calls the steps in their order and decides nothing by itself; where a run
writes (main or a branch) is the business of `Destination`.
"""

from collections.abc import Collection
from dataclasses import replace
from functools import partial

from django.utils import timezone
from django.utils.translation import gettext as _

from .. import custom_fields
from ..choices import RunModeChoices, RunStatusChoices
from ..endpoints.acknowledgments import drop_corrected
from ..endpoints.connection import connection_of, options_of, secrets_hidden
from ..ledger import existing
from ..ledger.clusters import SharedClusterError
from ..ledger.database import retried
from ..ledger.guests import GuestRecorder, GuestStateRecorder
from ..ledger.proxmox_values import clear_written_values, store_proxmox_values
from ..ledger.settings import load_settings
from ..models import ProxmoxGuest, SyncRun
from ..proxmox.http.client import ProxmoxClient
from ..proxmox.inventory import Guest, Inventory
from ..proxmox.readers.collector import collect
from ..sync.changes import Plan
from ..sync.cluster_identity import another_cluster, identity_of_cluster
from ..sync.comparison import compare
from ..sync.desired import desire
from ..sync.guest_states import GuestStates, LaterGuestStates, Pending
from ..sync.mapping.nodes import node_key, nodes_read
from ..sync.settings import Settings
from ..sync.state import Desired, Existing
from .application import Application
from .cancellation import CancelWatch
from .destination import Destination
from .endings import Ending
from .plan_selection import Selection
from .recorder import RunRecorder
from .stored_plans import PlanNotApplicableError, StoredPlan, check_appliable, why_reading_is_stale

__all__ = ('Execution', 'execute')


def execute(run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> Ending:
    """
    Carry out a run.

    Args:
        watch: Watches whether a user cancels it.

    Raises:
        CancelledError: What was written until then is complete, and recorded.
        ProxmoxError: Proxmox VE could not be read; nothing was written.
        DatabaseBusyError: The database did not allow a step, however often it was tried.
    """
    execution = Execution(run, recorder, watch)
    execution.destination.prepare(writes=run.mode != RunModeChoices.PREVIEW)
    return execution.apply_stored_plan(run.applies) if run.applies else execution.compare_and_apply()


class Execution:
    """The steps of one run, and the two ways through them: a plan is made from a reading, or was stored earlier."""

    def __init__(self, run: SyncRun, recorder: RunRecorder, watch: CancelWatch) -> None:
        self.run = run
        self.endpoint = run.endpoint
        self.recorder = recorder
        self.watch = watch
        self.destination = Destination(run, recorder)

    def compare_and_apply(self) -> Ending:
        """Read Proxmox VE, make a plan, and apply it, or store it if the run is a preview or the plan is refused."""
        inventory = self.collect()
        if reason := retried(partial(why_no_guest_listed, self.run, inventory), _('reading guests')):
            return Ending(RunStatusChoices.FAILED, reason)
        try:
            other_cluster = self.check_cluster(inventory)
        except SharedClusterError as error:
            return Ending(RunStatusChoices.REFUSED, str(error))
        settings = retried(partial(load_settings, self.endpoint), _('reading rules'))
        with self.recorder.phase('plan') as counts:
            desired = self.map(inventory, settings)
            loaded = self.load(desired, settings)
            plan = self.compare(desired, loaded, settings)
            counts['changes'] = len(plan.changes)
        self.recorder.log.open_changes(plan.counts)
        self.report_notices(plan, inventory, settings)
        plan = replace(plan, refusal=other_cluster or plan.refusal)
        standings = GuestStates(inventory, settings, map(Pending, plan.changes), self.run.vmids)
        guests = GuestRecorder(self.endpoint, standings, self.run.vmids)
        if self.run.mode == RunModeChoices.SYNC and not plan.refusal:
            return self.apply(plan, guests)
        # If the endpoint now leads to another cluster, its guests do not belong in this list.
        return self.store(plan, None if other_cluster else guests)

    def apply_stored_plan(self, source: SyncRun) -> Ending:
        """
        Apply the plan of an earlier run as it was stored.

        Args:
            source: The run that has made the plan.
        """
        selection = Selection.of(self.run.units, self.run.actions)
        try:
            retried(partial(check_appliable, source, selection, by=self.run), _('reading the plan'))
        except PlanNotApplicableError as error:
            return Ending(RunStatusChoices.FAILED, str(error))
        self.destination.remember_cluster(source)
        plan = retried(partial(StoredPlan, source, selection, by=self.run), _('reading the plan'))
        standings = retried(lambda: LaterGuestStates(plan.sizes(), self.why_stale(source)), _('reading the plan'))
        application = Application(self.run, self.recorder, self.watch, GuestStateRecorder(self.endpoint, standings))
        ending = application.apply(plan)
        self.recorder.attempt(partial(clear_written_values, self.endpoint), _('updating bindings'))
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
                inventory = collect(client, options, self.recorder.progress, self.endpoint.valid_token_history)
            finally:
                self.recorder.called(client.calls)
            counts.update(guests=len(inventory.guests), calls=client.calls, warnings=len(inventory.warnings))
        self.recorder.collected(inventory)
        return inventory

    def check_cluster(self, inventory: Inventory) -> str:
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

    def map(self, inventory: Inventory, settings: Settings) -> Desired:
        """What NetBox should contain."""
        desired = desire(inventory, settings, self.run.vmids)
        self.watch.check()
        return desired

    def load(self, desired: Desired, settings: Settings) -> Existing:
        """What NetBox contains."""
        loaded = retried(partial(existing.load, self.endpoint, desired, settings), _('reading the objects of NetBox'))
        self.watch.check()
        return loaded

    def compare(self, desired: Desired, loaded: Existing, settings: Settings) -> Plan:
        """What has to change, and whether the change limit allows it."""
        plan = compare(desired, loaded, settings, timezone.now())
        self.watch.check()
        return plan

    def report_notices(self, plan: Plan, inventory: Inventory, settings: Settings) -> None:
        """Record what this plan leaves out, and why."""
        for problem in custom_fields.problems():
            # A field that an administrator has removed stays removed.
            if not problem.is_missing:
                remedy = problem.remedy or 'Run "proxsync_check --repair".'
                left_out = ' Runs leave it out until then.' if problem.is_left_out else ''
                self.recorder.warn(f'custom field "{problem.name}"', f'It {problem.message}{left_out}', remedy)
        if self.run.vmids is None:
            faults = {(notice.subject, notice.message) for notice in plan.notices if notice.is_fault}
            drop_corrected(self.endpoint, faults, {node_key(node.name) for node in nodes_read(inventory, settings)})
        for notice in plan.notices:
            self.recorder.warn(notice.subject, notice.message, notice.remedy, notice.is_fault)

    def apply(self, plan: Plan, guests: GuestRecorder) -> Ending:
        """Write a plan to NetBox and record the guests."""
        self.destination.remember_cluster(self.run)
        if plan.changes:
            self.record(guests)
        application = Application(self.run, self.recorder, self.watch, guests)
        ending = application.apply(plan)
        self.record(guests, plan)
        self.destination.restore_endpoint_cluster()
        # A run that was cancelled when all was written is complete.
        if application.stopped:
            self.watch.check()
        return ending

    def store(self, plan: Plan, guests: GuestRecorder | None) -> Ending:
        """
        Store a plan that is not applied.

        Args:
            guests: None: the guests that were read are not recorded.
        """
        self.recorder.planned(plan)
        if guests is not None:
            self.record(guests, plan)
        if self.run.mode == RunModeChoices.SYNC:
            return Ending(RunStatusChoices.REFUSED, plan.refusal)
        if plan.refusal:
            self.recorder.warn('plan', plan.refusal)
        return Ending(RunStatusChoices.COMPLETED)

    def record(self, guests: GuestRecorder, plan: Plan | None = None) -> None:
        """
        Record what was read of the guests, and their states.

        Args:
            plan: If the run is through with it: Proxmox VE's values of bound objects are stored as well.
        """
        assert self.run.started is not None, 'The run has been started.'
        with self.recorder.phase('record') as counts:
            counts['guests'] = len(guests.standings.guests)
            self.recorder.attempt(partial(guests.record_all, self.run.started), _('updating the list of guests'))
            if plan:
                store = partial(store_proxmox_values, self.endpoint, plan.proxmox_values, guests.standings.open)
                self.recorder.attempt(store, _('updating bindings'))

    def why_stale(self, source: SyncRun) -> str:
        """Why the guests cannot be judged by the reading of an earlier run; '' if it is the current one."""
        return why_reading_is_stale(source, self.run, self.destination.guests_read())


def why_no_guest_listed(run: SyncRun, inventory: Inventory) -> str:
    """Why a run for given guests has nothing to do; '' if Proxmox VE or NetBox has one of them."""
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
