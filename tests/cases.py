"""What the tests of NetBox's own classes share: where things are, and some rows to work on."""

import io
from datetime import datetime, timedelta
from pathlib import Path

from core.models import ObjectType
from django.core.management import call_command
from django.utils import timezone
from extras.models import Tag
from users.models import ObjectPermission, User
from utilities.testing import query_counts
from virtualization.models import Cluster, ClusterType, VirtualMachine

from netbox_proxsync.choices import (
    ChangeActionChoices,
    ChangeOutcomeChoices,
    RunModeChoices,
    RunStatusChoices,
)
from netbox_proxsync.models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

# NetBox looks for the numbers of queries inside the package of the model, where tests do not belong here.
# UPDATE_QUERY_COUNTS=1 records them again.
query_counts._baseline_path = lambda app_label: Path(__file__).parent / query_counts.BASELINE_FILENAME

# Occurs nowhere but in what is tested: no page, answer or row may contain it.
MARKER = 'b6f1d3c2-marker-4f7e-secret-9a0d8e7c6b5a'

# As a run reports it.
FAULT = {'level': 'warning', 'subject': 'node/pve1', 'message': 'The bridge is wrong.', 'remedy': '', 'fault': True}

LONG_AGO = datetime(2020, 1, 1, tzinfo=timezone.get_default_timezone())


def allow(user: User, model: type, action: str, constraints: dict | None = None):
    """Give a user a permission, for some objects only."""
    permission = ObjectPermission.objects.create(name=f'{action} {model}', actions=[action], constraints=constraints)
    permission.object_types.add(ObjectType.objects.get_for_model(model))
    permission.users.add(user)


def run_command(name: str, *arguments: str) -> tuple[int, str]:
    """Run a management command; its exit status and what it prints."""
    out = io.StringIO()
    try:
        call_command(name, *arguments, stdout=out, stderr=out)
    except SystemExit as stop:
        return stop.code, out.getvalue()
    return 0, out.getvalue()


class PluginViews:
    """For view tests: the URLs of a plugin's views."""

    def _get_base_url(self) -> str:
        return f'plugins:{self.model._meta.app_label}:{self.model._meta.model_name}_{{}}'


class PluginAPI:
    """For API tests: the URLs of a plugin's API."""

    view_namespace = 'plugins-api:netbox_proxsync'


def make_endpoint(name: str = 'Lab', **values: object) -> ProxmoxEndpoint:
    defaults = {
        'hosts': [f'{name.lower().replace(" ", "-")}.example.com:8006'],
        'token_id': 'netbox@pve!proxsync',
        'token_secret': 'c0ffee00-0000-4000-8000-000000000000',
    }
    return ProxmoxEndpoint.objects.create(name=name, **{**defaults, **values})


def make_clusters(*names: str) -> list[Cluster]:
    cluster_type = ClusterType.objects.get_or_create(name='Proxmox VE', slug='proxmox-ve')[0]
    return [Cluster.objects.create(name=name, type=cluster_type) for name in names]


def make_run(endpoint: ProxmoxEndpoint, **values: object) -> SyncRun:
    started = timezone.now() - timedelta(seconds=12)
    defaults = {
        'mode': RunModeChoices.SYNC,
        'status': RunStatusChoices.COMPLETED,
        'started': started,
        'completed': started + timedelta(seconds=7),
        'timings': {'collect': 4.5, 'plan': 0.5, 'apply': 2.0},
        'counts': {'vm': {'create': 2, 'conflict': 1}, 'interface': {'create': 3}},
        'calls': 17,
        'guests': 3,
    }
    return SyncRun.objects.create(endpoint=endpoint, **{**defaults, **values})


def make_change(run: SyncRun, position: int, **values: object) -> SyncChange:
    defaults = {
        'unit': f'qemu/{100 + position}',
        'kind': 'vm',
        'key': f'qemu/{100 + position}',
        'action': ChangeActionChoices.CREATE,
        'outcome': ChangeOutcomeChoices.APPLIED,
        'label': f'vm{position}',
        'fields': [
            {'name': 'vcpus', 'owner': 'fact', 'last': None, 'now': None, 'want': '2', 'kept': False, 'drift': False}
        ],
    }
    return SyncChange.objects.create(run=run, position=position, **{**defaults, **values})


def make_last_run(endpoint: ProxmoxEndpoint, **values: object) -> SyncRun:
    run = make_run(endpoint, **values)
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=run)
    return run


def make_run_with_fault(endpoint: ProxmoxEndpoint, **values: object) -> SyncRun:
    """The last run of an endpoint, which reports a fault in the configuration of Proxmox VE."""
    return make_last_run(endpoint, messages=[FAULT], **values)


def make_candidate(endpoint: ProxmoxEndpoint, run: SyncRun, vmid: int, vm: VirtualMachine) -> SyncChange:
    """A guest that may be a virtual machine."""
    make_guest(endpoint, vmid, state='candidate', candidate_ids=[vm.pk], name=vm.name)
    unit, reason = f'qemu/{vmid}', f'"{vm.name}" may be this guest.'
    row = {'unit': unit, 'key': unit, 'label': vm.name, 'object': vm, 'reason': reason}
    return make_change(run, vmid, action='candidate', outcome='planned', **row)


def make_address_conflict(run: SyncRun, vmid: int, address: str, **values: object) -> SyncChange:
    """An address of a guest that another interface has."""
    row = {'unit': f'qemu/{vmid}', 'kind': 'ip', 'key': f'qemu/{vmid}/{address}', 'label': address, 'reason': 'Taken.'}
    return make_change(run, 1000 + vmid, action='conflict', outcome='planned', **{**row, **values})


def make_binding(endpoint: ProxmoxEndpoint, vm: VirtualMachine, vmid: int, **values: object) -> Binding:
    defaults = {
        'kind': 'vm',
        'key': f'qemu/{vmid}',
        'unit': f'qemu/{vmid}',
        'values': {'name': vm.name, 'memory': 2048},
    }
    return Binding.objects.create(endpoint=endpoint, object=vm, **{**defaults, **values})


def make_decision(endpoint: ProxmoxEndpoint, vmid: int, vm: VirtualMachine, **values: object) -> Decision:
    """A guest that is linked to a virtual machine."""
    key = f'qemu/{vmid}'
    defaults = {'kind': 'vm', 'key': key, 'unit': key, 'choice': 'link', 'object': vm}
    return Decision.objects.create(endpoint=endpoint, **{**defaults, **values})


def make_rule(name: str = 'Web servers', extra_tags: list[Tag] | tuple = (), **values: object) -> MappingRule:
    """A rule that skips guests by their name, unless it is given something else to do."""
    outcomes = (*MappingRule.OBJECT_OUTCOMES, 'skip')
    if not extra_tags and not any(outcome in values for outcome in outcomes):
        values = {'name_pattern': 'web-*', 'skip': True, **values}
    rule = MappingRule(name=name, **values)
    rule._m2m_values = {'extra_tags': list(extra_tags)}
    rule.full_clean()
    rule.save()
    rule.extra_tags.set(extra_tags)
    return rule


def make_guest(endpoint: ProxmoxEndpoint, vmid: int, **values: object) -> ProxmoxGuest:
    defaults = {
        'type': 'qemu',
        'name': f'guest-{vmid}',
        'node': 'pve1',
        'status': 'running',
        'tags': ['web'],
        'state': 'in-sync',
        'details': {'nics': [], 'disks': [], 'unread': [], 'unknown_keys': []},
    }
    return ProxmoxGuest.objects.create(endpoint=endpoint, vmid=vmid, **{**defaults, **values})
