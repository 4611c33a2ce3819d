"""What is read is given; planning, applying and NetBox are real."""

from collections.abc import Callable

import pytest
from dcim.models import Site
from django.apps import apps

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun
from netbox_proxsync.proxmox.inventory import Inventory
from tests.cases import make_endpoint

CHECKED = (
    'dcim.device', 'dcim.devicerole', 'dcim.devicetype', 'dcim.interface', 'dcim.macaddress', 'dcim.manufacturer',
    'dcim.platform', 'extras.tag', 'ipam.ipaddress', 'ipam.vlan', 'virtualization.cluster',
    'virtualization.virtualmachine', 'virtualization.vminterface',
)  # fmt: skip


@pytest.fixture
def site(db) -> Site:
    return Site.objects.create(name='Berlin', slug='berlin')


@pytest.fixture
def endpoint(site) -> ProxmoxEndpoint:
    # The limit has tests of its own; one interface of a few is a large share.
    return make_endpoint(site=site, change_limit=100)


@pytest.fixture
def take(endpoint) -> Callable[[Inventory], SyncRun]:
    """Plans and applies an inventory as a run does, and holds everything in NetBox to NetBox's own validation."""

    def run(inventory: Inventory) -> SyncRun:
        endpoint.refresh_from_db()
        made = carry_out(endpoint, inventory)
        for model in CHECKED:
            for instance in apps.get_model(model).objects.all():
                instance.full_clean()
        again = carry_out(endpoint, inventory)
        if not made.changes.filter(outcome='failed').exists():
            left = again.changes.exclude(action__in=('conflict', 'candidate'))
            assert list(left.values('kind', 'key', 'action', 'fields')) == []
        return made

    return run


def carry_out(endpoint: ProxmoxEndpoint, inventory: Inventory) -> SyncRun:
    """A run by the real flow, of which only the reading is given."""
    from netbox_proxsync.custom_fields import stored_fields
    from netbox_proxsync.ledger.guests import GuestRecorder
    from netbox_proxsync.ledger.settings import load_settings
    from netbox_proxsync.runs.application import Application
    from netbox_proxsync.runs.cancellation import CancelWatch
    from netbox_proxsync.runs.execution import Execution
    from netbox_proxsync.runs.lifecycle import close
    from netbox_proxsync.runs.recorder import RunRecorder
    from netbox_proxsync.sync.guest_states import GuestStates, Pending

    made = SyncRun.objects.create(endpoint=ProxmoxEndpoint.objects.get(pk=endpoint.pk), mode='sync')
    recorder = RunRecorder(made)
    recorder.start()
    recorder.collected(inventory)
    watch = CancelWatch(made)
    settings = load_settings(made.endpoint)
    execution = Execution(made, recorder, watch)
    desired = execution.map(inventory, settings)
    plan = execution.compare(desired, execution.load(desired, settings), settings)
    execution.report_notices(plan, inventory, settings, stored_fields())
    assert not plan.refusal, plan.refusal
    standings = GuestStates(inventory, settings, map(Pending, plan.changes))
    Application(made, recorder, watch, GuestRecorder(made.endpoint, standings)).apply(plan)
    close(made, 'completed', '', recorder.saved)
    return made
