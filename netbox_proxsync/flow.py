"""
One run, from Proxmox to NetBox: collect, desire, load, compare, apply.

Data flows one way. This module only calls the parts in their order and keeps the run's record; it decides nothing.
"""

from dataclasses import replace

from django.utils import timezone

from .choices import RunModeChoices, RunStatusChoices
from .connection import connection_of
from .ledger.clusters import remember_cluster, shared_cluster
from .ledger.existing import load
from .ledger.objects import ObjectWriter
from .ledger.settings import load_settings
from .ledger.tracking import service_user
from .ledger.writer import Writer
from .models import SyncRun
from .proxmox.client import ProxmoxClient
from .proxmox.collector import CollectOptions, collect
from .proxmox.inventory import Inventory
from .runs import RunRecorder
from .stored_plans import NotAppliable, StoredPlan, check_appliable
from .sync.changes import Plan
from .sync.desired import desire
from .sync.identity import ClusterIdentity, another_cluster, identity_of
from .sync.plan import compare

__all__ = ('execute',)

# core.ObjectChange.message
MESSAGE_LENGTH = 200


def execute(run: SyncRun, recorder: RunRecorder) -> tuple[str, str]:
    """
    Carry out a run.

    Returns:
        Its status (completed or refused), and why it was refused.

    Raises:
        ProxmoxError: Proxmox could not be read; nothing was written.
    """
    if run.applies:
        return apply_stored(run, recorder)
    inventory = read(run, recorder)
    seen = identity_of(inventory)
    if shared := shared_cluster(run.endpoint, seen, inventory.guests):
        return RunStatusChoices.REFUSED, shared
    refusal = another_cluster(ClusterIdentity.from_json(run.endpoint.cluster_identity), seen)
    recorder.save(cluster_identity=seen.as_json())
    plan = decide(run, recorder, inventory)
    plan = replace(plan, refusal=refusal or plan.refusal)
    if run.mode == RunModeChoices.SYNC and not plan.refusal:
        remember_cluster(run.endpoint, run.cluster_identity)
        write(run, recorder, plan)
        return RunStatusChoices.COMPLETED, ''
    recorder.planned(plan)
    if run.mode == RunModeChoices.SYNC:
        return RunStatusChoices.REFUSED, plan.refusal
    if plan.refusal:
        recorder.warn('plan', plan.refusal)
    return RunStatusChoices.COMPLETED, ''


def apply_stored(run: SyncRun, recorder: RunRecorder) -> tuple[str, str]:
    """Carry out the plan of an earlier run, as it was seen."""
    try:
        check_appliable(run.applies, run.units, by=run)
    except NotAppliable as error:
        return RunStatusChoices.FAILED, str(error)
    remember_cluster(run.endpoint, run.applies.cluster_identity)
    write(run, recorder, StoredPlan(run.applies, run.units))
    return RunStatusChoices.COMPLETED, ''


def read(run: SyncRun, recorder: RunRecorder) -> Inventory:
    endpoint = run.endpoint
    options = CollectOptions(vms=endpoint.sync_vms, containers=endpoint.sync_containers)
    with recorder.phase('collect'), ProxmoxClient(connection_of(endpoint)) as client:
        try:
            inventory = collect(client, options, progress=recorder.progress)
        finally:
            recorder.called(client.calls)
    recorder.collected(inventory)
    return inventory


def decide(run: SyncRun, recorder: RunRecorder, inventory: Inventory) -> Plan:
    with recorder.phase('plan'):
        settings = load_settings(run.endpoint)
        desired = desire(inventory, settings)
        existing = load(run.endpoint, desired, settings)
        return compare(desired, existing, settings, timezone.now())


def write(run: SyncRun, recorder: RunRecorder, plan: Plan | StoredPlan):
    with recorder.phase('apply'):
        recorder.applying(plan)
        origin = f' (plan of run {run.applies_id})' if run.applies_id else ''
        message = f'Proxmox sync of {run.endpoint}, run {run.pk}{origin}'
        objects = ObjectWriter(run.endpoint, message[:MESSAGE_LENGTH], timezone.now())
        Writer(objects, run.user or service_user(), run.request_id, recorder.applied).apply(plan)
