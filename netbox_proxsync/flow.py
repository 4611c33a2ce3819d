"""
One run, from Proxmox to NetBox: collect, desire, load, compare, apply.

Data flows one way. This module only calls the parts in their order and keeps the run's record; it decides nothing.
"""


from django.utils import timezone

from .choices import RunModeChoices, RunStatusChoices
from .connection import connection_of, ssh_settings_of
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
from .sync.changes import Plan
from .sync.desired import desire
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
    inventory = read(run, recorder)
    plan = decide(run, recorder, inventory)
    if run.mode == RunModeChoices.SYNC and not plan.refusal:
        write(run, recorder, plan)
        return RunStatusChoices.COMPLETED, ''
    recorder.planned(plan)
    if run.mode == RunModeChoices.SYNC:
        return RunStatusChoices.REFUSED, plan.refusal
    if plan.refusal:
        recorder.warn('change limit', plan.refusal)
    return RunStatusChoices.COMPLETED, ''


def read(run: SyncRun, recorder: RunRecorder) -> Inventory:
    endpoint = run.endpoint
    options = CollectOptions(
        vms=endpoint.sync_vms, containers=endpoint.sync_containers, ssh=ssh_settings_of(endpoint)
    )
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


def write(run: SyncRun, recorder: RunRecorder, plan: Plan):
    with recorder.phase('apply'):
        recorder.applying(plan)
        message = f'Proxmox sync of {run.endpoint}, run {run.pk}'
        objects = ObjectWriter(run.endpoint, message[:MESSAGE_LENGTH], timezone.now())
        Writer(objects, run.user or service_user(), run.request_id, recorder.applied).apply(plan)
