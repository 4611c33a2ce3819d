"""
Quick runs: which guests they read, what they leave to full runs, and what they cost; through the real job against a
stand-in Proxmox VE.
"""

import io
import json
from datetime import timedelta

import django_rq
import pytest
from core.models import Job, ObjectChange
from django.core.management import CommandError, call_command
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone
from extras.models import Notification, Subscription
from ipam.models import IPAddress
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.decisions import ignore
from netbox_proxsync.jobs import QuickJob, ScheduleJob, SyncJob, quick_run
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from tests.scenarios.rounds import content

from ..cases import make_run
from ..ledger.test_guests import guest_of
from ..scenarios.test_sync import SMALL, back, running_vm, vm_of, vmids, written
from ..scenarios.test_sync import delete_guest as take_away

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(**SMALL)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve, change_limit=100)


def quick(endpoint) -> SyncRun | None:
    """A quick run in this process; None: nothing has changed."""
    endpoint.refresh_from_db()
    found, run = quick_run(endpoint, immediate=True)
    assert found.reason == ''
    if run:
        assert run.status == 'completed', run.error
    return run


def why_not(endpoint) -> str:
    """Why the list was not compared."""
    endpoint.refresh_from_db()
    found, run = quick_run(endpoint, immediate=True)
    assert run is None
    return found.reason


def read(pve) -> set[int]:
    """The guests whose configuration was read since the log was cleared."""
    return {int(call.path.split('/')[4]) for call in pve.log if call.path.endswith('/config')}


def test_the_numbers_of_calls_and_statements_do_not_depend_on_the_number_of_guests(standin, make_endpoint, sync):
    numbers = []
    for vms in (20, 100):
        pve = standin(nodes=1, vms=vms, containers=0, templates=0, running=0, seed=1)
        endpoint = make_endpoint(pve, name=f'With {vms}')
        assert sync(endpoint).status == 'completed'
        endpoint.refresh_from_db()
        before = ProxmoxEndpoint.objects.values().get(pk=endpoint.pk), list(endpoint.guests.order_by('pk').values())
        pve.clear_log()
        with CaptureQueriesContext(connection) as queries:
            job = QuickJob.enqueue(instance=endpoint, immediate=True)
        assert job.status == 'completed'
        assert [entry['message'] for entry in job.log_entries] == [f'Changed guests: 0 of {vms}']
        assert [call.path for call in pve.log] == ['/version', '/cluster/status', '/cluster/resources']
        wrote = {
            sql.split('"')[1] for query in queries if not (sql := query['sql']).startswith(('SELECT', 'SAVE', 'REL'))
        }
        assert wrote == {'core_job'}
        assert before == (
            ProxmoxEndpoint.objects.values().get(pk=endpoint.pk), list(endpoint.guests.order_by('pk').values())
        )  # fmt: skip
        assert endpoint.runs.count() == 1
        numbers.append(len(queries))
        endpoint.enabled = False
        endpoint.save()
    assert numbers[0] == numbers[1] < 25


def test_a_full_run_without_changes_writes_no_fingerprints(endpoint, sync):
    sync(endpoint)
    with CaptureQueriesContext(connection) as queries:
        assert written(sync(endpoint)) == []
    assert not [
        query for query in queries if 'proxmoxguest' in query['sql'] and query['sql'][:6] in ('INSERT', 'UPDATE')
    ]


def test_only_guests_whose_row_has_changed_are_read_and_nothing_is_missing(pve, endpoint, sync):
    sync(endpoint)
    renamed, tagged, moved, gone = vmids(pve, 'qemu')
    stopped, untouched = vmids(pve, 'lxc')
    pve.rename(renamed, 'renamed')
    pve.set_tags(tagged, 'new-tag')
    pve.migrate(moved, next(node for node in pve.cluster.nodes if node != pve.cluster.guest(moved).node))
    pve.stop(stopped)
    deleted = take_away(pve, gone)
    # Not in the list, so they are left to the next full run.
    pve.set_config(untouched, description='Edited')
    new = pve.create(vmid=990, name='new', node='pve1')
    gone_vm = VirtualMachine.objects.filter(pk=vm_of(endpoint, gone).pk).values().get()
    gone_row = ProxmoxGuest.objects.filter(vmid=gone).values().get()
    pve.clear_log()
    run = quick(endpoint)
    assert (run.mode, run.vmids) == ('quick', sorted([renamed, tagged, moved, stopped, new]))
    assert read(pve) == set(run.vmids)
    assert vm_of(endpoint, renamed).name == 'renamed'
    assert 'new-tag' in {tag.name for tag in vm_of(endpoint, tagged).tags.all()}
    assert guest_of(endpoint, moved).node == pve.cluster.guest(moved).node
    assert vm_of(endpoint, stopped).status == 'offline'
    assert vm_of(endpoint, new).name == 'new'
    assert VirtualMachine.objects.filter(pk=gone_vm['id']).values().get() == gone_vm
    assert ProxmoxGuest.objects.filter(vmid=gone).values().get() == gone_row
    # Once they are synchronized, they are not read again, and the full run does the rest.
    assert quick(endpoint) is None
    assert sorted(set(written(sync(endpoint)))) == [('vm', 'retire'), ('vm', 'update')]
    assert vm_of(endpoint, gone).status == 'decommissioning'
    assert quick(endpoint) is None
    # A guest that returns, a lock, and another size.
    back(pve, deleted)
    pve.set_lock(renamed, 'backup')
    pve.set_config(tagged, memory=4096)
    run = quick(endpoint)
    assert set(run.vmids) == {gone, renamed, tagged}
    assert guest_of(endpoint, renamed).lock == 'backup'
    assert vm_of(endpoint, gone).status != 'decommissioning'


def test_a_guest_that_replaces_another_one_is_left_to_the_full_run(pve, endpoint, sync):
    sync(endpoint)
    vmid, other = vmids(pve, 'qemu')[:2]
    old = vm_of(endpoint, vmid)
    pve.reuse(vmid, name='another')
    pve.rename(other, 'renamed')
    run = quick(endpoint)
    assert run.vmids == [other]
    assert set(run.changes.values_list('unit', flat=True)) == {f'qemu/{other}'}
    assert VirtualMachine.objects.get(pk=old.pk).name == old.name
    # It is not read again and again.
    assert quick(endpoint) is None
    assert ('vm', 'retire') in written(sync(endpoint))
    assert vm_of(endpoint, vmid).name == 'another'


def test_an_entry_without_data_changes_nothing(pve, endpoint, sync):
    sync(endpoint)
    before = content(endpoint), list(endpoint.guests.order_by('pk').values())
    away = next(node for node in pve.cluster.nodes if node != pve.cluster.local)
    on_it = [guest.vmid for guest in pve.cluster.guests.values() if guest.node == away]
    assert on_it
    # A token that sees fewer guests, a node that is offline in both phases, and a status that is not reported.
    pve.revoke('VM.Audit', f'/vms/{on_it[0]}')
    assert quick(endpoint) is None
    pve.grant('VM.Audit', f'/vms/{on_it[0]}')
    for phase in ('stale', 'unknown'):
        pve.node_offline(away, phase)
        assert quick(endpoint) is None
    pve.node_online(away)
    vmid = running_vm(pve)
    pve.set_status(vmid, 'unknown')
    assert quick(endpoint) is None
    pve.set_status(vmid, 'running')
    assert quick(endpoint) is None
    assert (content(endpoint), list(endpoint.guests.order_by('pk').values())) == before
    pve.quorum(False)
    pve.rename(vmid, 'renamed')
    assert 'quorate' in why_not(endpoint)


def test_ignored_guests_and_those_of_types_that_are_not_synced_are_not_read(pve, endpoint, sync):
    sync(endpoint)
    chosen, other = vmids(pve, 'qemu')[:2]
    ignore([guest_of(endpoint, chosen)])
    ProxmoxEndpoint.objects.update(sync_containers=False, exclude_guests=['excluded'])
    for vmid in (chosen, vmids(pve, 'lxc')[0]):
        pve.rename(vmid, 'renamed')
    assert quick(endpoint) is None
    # Whether a filter excludes a guest is decided when it was read.
    pve.rename(other, 'excluded')
    run = quick(endpoint)
    assert (run.vmids, written(run), run.messages) == ([other], [], [])
    assert guest_of(endpoint, other).state == 'skipped'
    assert quick(endpoint) is None


def test_a_guest_that_could_not_be_read_is_read_again_once(pve, endpoint, sync):
    vmid = running_vm(pve)
    path = f'/nodes/{pve.cluster.guest(vmid).node}/qemu/{vmid}/config'
    sync(endpoint)
    pve.fail(path, status=500)
    sync(endpoint)
    assert guest_of(endpoint, vmid).state == 'unknown'
    assert quick(endpoint).vmids == [vmid]
    assert quick(endpoint) is None
    rows = list(endpoint.guests.order_by('pk').values())
    sync(endpoint)
    assert list(endpoint.guests.order_by('pk').values()) == rows
    assert quick(endpoint) is None
    pve.rename(vmid, 'renamed')
    assert quick(endpoint).vmids == [vmid]
    # It failed again, so it is tried once more, successfully.
    pve.heal(path)
    pve.set_tags(vmid, 'x')
    quick(endpoint)
    assert (guest_of(endpoint, vmid).state, vm_of(endpoint, vmid).name) == ('in-sync', 'renamed')


def test_it_does_not_count_as_a_read_that_has_not_found_an_address(pve, endpoint, sync):
    ProxmoxEndpoint.objects.update(missing_address_reads=1)
    sync(endpoint)
    vmid = running_vm(pve)
    before = set(IPAddress.objects.values_list('address', flat=True))
    pve.set_addresses(vmid, 'net0', '192.0.2.77/24')
    pve.set_tags(vmid, 'x')
    quick(endpoint)
    after = set(IPAddress.objects.values_list('address', flat=True))
    assert {str(address) for address in after - before} == {'192.0.2.77/24'}
    assert before <= after
    sync(endpoint)
    assert not before <= set(IPAddress.objects.values_list('address', flat=True))


def test_a_preview_does_not_count_as_synchronized_for_quick_runs(pve, endpoint, sync):
    assert 'A full sync must complete first' in why_not(endpoint)
    sync(endpoint, mode='preview')
    assert 'A full sync must complete first' in why_not(endpoint)
    assert not VirtualMachine.objects.exists()
    sync(endpoint)
    vmid = running_vm(pve)
    pve.rename(vmid, 'renamed')
    preview = sync(endpoint, mode='preview')
    # The preview has seen the row, and the change is still open.
    assert quick(endpoint).vmids == [vmid]
    assert vm_of(endpoint, vmid).name == 'renamed'
    with pytest.raises(Exception, match='has changed NetBox since this plan was created'):
        SyncJob.enqueue_plan(preview, None)


def test_another_cluster_and_a_plan_that_waits_for_approval_stop_it(standin, endpoint, sync):
    sync(endpoint)
    other = standin('pve-8.4.21-solo')
    endpoint.refresh_from_db()
    endpoint.hosts, endpoint.fingerprint = [f'{other.host}:{other.port}'], other.fingerprint
    endpoint.token_id, endpoint.token_secret = other.token_id, other.token_secret
    endpoint.save()
    assert 'leads to another Proxmox VE cluster' in why_not(endpoint)
    assert endpoint.runs.count() == 1
    assert sync(endpoint).status == 'refused'
    other.clear_log()
    assert why_not(endpoint) == 'The last run requires approval.'
    assert not other.log


def test_the_status_of_the_last_full_run_is_retained_and_few_quick_runs_are_kept(pve, endpoint, sync, settings):
    full = sync(endpoint)
    vmid = running_vm(pve)
    for number in range(3):
        pve.set_lock(vmid, f'lock{number}')
        assert written(quick(endpoint)) == []
    endpoint.refresh_from_db()
    assert (endpoint.status, endpoint.last_run) == ('completed', full)
    # Of those without changes, the last one.
    assert endpoint.runs.filter(mode='quick').count() == 1
    for _number in range(25):
        make_run(endpoint, mode='quick', status='completed', counts={'vm': {'update': 1}})
    pve.rename(vmid, 'renamed')
    assert quick(endpoint).counts == {'vm': {'update': 1}}
    assert endpoint.runs.filter(mode='quick').exclude(counts={}).count() == 20
    assert endpoint.runs.filter(pk=full.pk).exists()


def test_a_list_that_cannot_be_read_is_logged_and_of_runs_that_fail_alike_the_first_is_reported(pve, endpoint, sync):
    sync(endpoint)
    user = User.objects.create_superuser('admin')
    Subscription.objects.create(user=user, object=endpoint)
    logged = ObjectChange.objects.count()
    pve.fail('/cluster/resources', status=500)
    job = QuickJob.enqueue(instance=endpoint, immediate=True)
    assert (job.status, job.log_entries[-1]['level']) == ('completed', 'warning')
    assert endpoint.runs.count() == 1
    assert not Notification.objects.exists()
    assert ObjectChange.objects.count() == logged
    pve.heal()
    vmid = running_vm(pve)
    pve.rename(vmid, 'renamed')
    for _time in range(2):
        pve.before('/cluster/resources', lambda: pve.fail('/version', status=500))
        endpoint.refresh_from_db()
        assert quick_run(endpoint, immediate=True)[1].status == 'failed'
        pve.heal()
    assert Notification.objects.count() == 1
    endpoint.refresh_from_db()
    assert endpoint.status == 'failed'
    # It has synchronized nothing, so the next one reads the guest again.
    assert quick(endpoint).vmids == [vmid]
    endpoint.refresh_from_db()
    assert endpoint.status == 'completed'


class TestCommand:
    def run(self, *arguments: str) -> str:
        out = io.StringIO()
        call_command('proxsync_sync', *arguments, stdout=out, stderr=out)
        return out.getvalue()

    def test_it_prints_what_it_found(self, pve, endpoint, sync):
        sync(endpoint)
        assert 'Lab: no quick run, 3 API requests: none of 6 guests has changed' in self.run('--all', '--quick')
        answer = json.loads(self.run('Lab', '--quick', '--json'))
        assert (answer['run'], answer['result']['calls']) == (None, 3)
        pve.rename(running_vm(pve), 'renamed')
        printed = self.run('Lab', '--quick')
        assert "'renamed'" in printed
        assert 'Lab: Quick run completed, 6 guests, 1 change' in printed

    def test_it_is_for_main_and_finds_the_guests_itself(self, endpoint):
        for more in (['--vmid', '100'], ['--branch', 'x']):
            with pytest.raises(CommandError, match='--quick finds the guests itself'):
                self.run('Lab', '--quick', *more)


class TestSchedule:
    @pytest.fixture(autouse=True)
    def queue(self):
        queue = django_rq.get_queue('default')
        queue.empty()
        yield queue
        queue.empty()

    @pytest.fixture
    def endpoint(self, pve, make_endpoint, sync):
        endpoint = make_endpoint(pve, sync_interval=60, quick_interval=5)
        assert sync(endpoint).status == 'completed'
        return endpoint

    @pytest.fixture
    def tick(self, django_capture_on_commit_callbacks):
        """Runs the system job, and returns what it has logged."""

        def run() -> list[str]:
            with django_capture_on_commit_callbacks(execute=True):
                return [entry['message'] for entry in ScheduleJob.enqueue(immediate=True).log_entries]

        return run

    def due(self, tick, **slots):
        tick()
        ProxmoxEndpoint.objects.update(**{name: timezone.now() - timedelta(seconds=ago) for name, ago in slots.items()})

    def jobs(self) -> int:
        return QuickJob.get_jobs().exclude(status='completed').count()

    def test_it_starts_alone_if_no_sync_is_due(self, pve, endpoint, tick):
        self.due(tick, next_quick=1)
        assert tick() == []
        endpoint.refresh_from_db()
        assert timezone.now() < endpoint.next_quick <= timezone.now() + timedelta(minutes=5)
        job = QuickJob.get_jobs().get()
        # One at a time, even if the workers are busy.
        ProxmoxEndpoint.objects.update(next_quick=timezone.now())
        tick()
        assert QuickJob.get_jobs().get() == job
        pve.rename(running_vm(pve), 'renamed')
        QuickJob.handle(job)
        run = endpoint.runs.get(status='queued')
        assert (run.mode, run.user) == ('quick', None)
        # A sync waits for it, instead of losing its slot.
        self.due(tick, next_sync=1)
        slot = ProxmoxEndpoint.objects.get().next_sync
        tick()
        assert ProxmoxEndpoint.objects.get().next_sync == slot
        SyncJob.handle(run.job, run_id=run.pk)
        tick()
        assert endpoint.runs.get(status='queued').mode == 'sync'

    def test_a_sync_that_is_due_wins(self, endpoint, tick):
        self.due(tick, next_quick=1, next_sync=1)
        tick()
        assert endpoint.runs.get(status='queued').mode == 'sync'
        assert self.jobs() == 0
        endpoint.refresh_from_db()
        assert endpoint.next_quick > timezone.now()

    def test_a_missed_slot_is_not_reported(self, endpoint, tick):
        self.due(tick, next_quick=3600)
        assert tick() == []
        assert self.jobs() == 0

    def test_a_disabled_endpoint_has_none_and_another_interval_begins_with_its_next_slot(self, endpoint, tick):
        self.due(tick, next_quick=1)
        endpoint.refresh_from_db()
        endpoint.quick_interval = 10
        endpoint.save()
        assert ProxmoxEndpoint.objects.get().next_quick is None
        endpoint.enabled = False
        endpoint.save()
        self.due(tick, next_quick=1)
        assert tick() == []
        assert self.jobs() == 0
        job = QuickJob.enqueue(instance=endpoint, immediate=True)
        assert job.log_entries[0]['message'] == 'The endpoint is disabled.'

    def test_finished_jobs_are_deleted(self, endpoint, tick):
        for _number in range(65):
            Job.objects.create(
                name=QuickJob.name, status='completed', job_id=f'0d0e1a5c-53c5-4a55-a1a6-{_number:012}',
                object=endpoint, queue_name='default',
            )  # fmt: skip
        tick()
        assert QuickJob.get_jobs().count() == 60
