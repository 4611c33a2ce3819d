"""Plans that are stored and applied later: refused ones that a user lets through, and previews."""

from datetime import timedelta
from html import unescape

import pytest
from core.models import ObjectChange, ObjectType
from django.core.management import CommandError, call_command
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils import timezone
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.decisions import ignore, stop_managing_object
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import PlannedBinding, ProxmoxEndpoint, ProxmoxGuest, SyncRun
from netbox_proxsync.runs.stored_plans import PlanNotApplicableError, StoredPlan, check_appliable

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=2, vms=10, containers=2, running=1, agent=1, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture
def refused(pve, endpoint, sync):
    """A run that would retire six of twelve guests."""
    sync(endpoint)
    for vmid in sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')[:6]:
        pve.delete(vmid)
    run = sync(endpoint)
    assert (run.status, run.refusal) == ('refused', run.error)
    return run


@pytest.fixture
def apply():
    def start(source, units=None):
        return SyncJob.enqueue_plan(source, None, units, immediate=True)

    return start


def retired():
    return VirtualMachine.objects.filter(status='decommissioning')


def api_client(user) -> tuple[Client, dict]:
    from users.models import Token

    token = Token.objects.create(user=user)
    return Client(), {'HTTP_AUTHORIZATION': f'Bearer nbt_{token.key}.{token.token}'}


def user_with(*actions: str, name: str = 'operator') -> User:
    user = User.objects.create_user(username=name)
    for model, names in ((ProxmoxEndpoint, ['view', *actions]), (SyncRun, ['view'])):
        permission = ObjectPermission.objects.create(name=f'{name} {model.__name__}', actions=names)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(user)
    return user


def test_half_the_guests_missing_is_let_through_once(refused, endpoint, sync, apply):
    assert not retired().exists()
    run = apply(refused)
    assert (run.mode, run.status, run.applies) == ('apply', 'completed', refused)
    assert retired().count() == 6
    assert run.changes.filter(action='retire', outcome='applied').count() == 6
    assert f'(plan of run {refused.pk})' in ObjectChange.objects.filter(request_id=run.request_id).first().message
    with pytest.raises(PlanNotApplicableError, match='applied already'):
        apply(refused)
    assert not sync(endpoint).changes.exists()


def test_the_schedule_lets_nothing_through(refused, endpoint, sync):
    for _attempt in range(3):
        assert sync(endpoint).status == 'refused'
    assert not retired().exists()


def test_what_changed_in_netbox_since_is_left(refused, apply):
    changes = refused.changes.filter(action='retire').order_by('position')
    edited, deleted, released = (change.object for change in changes[:3])
    VirtualMachine.objects.filter(pk=edited.pk).update(status='failed')
    VirtualMachine.objects.get(pk=deleted.pk).delete()
    refused.endpoint.bindings.filter(object_id=released.pk, kind='vm').delete()
    run = apply(refused)
    outcomes = dict(run.changes.filter(action='retire').values_list('unit', 'outcome'))
    assert [outcomes.pop(change.unit) for change in changes[:3]] == ['outdated'] * 3
    assert set(outcomes.values()) == {'applied'}
    edited.refresh_from_db()
    released.refresh_from_db()
    assert edited.status == 'failed'
    assert released.status != 'decommissioning'
    # What this endpoint no longer manages, it does not manage again.
    assert not refused.endpoint.bindings.filter(object_id=released.pk, kind='vm').exists()


def test_a_plan_that_is_older_than_another_sync_is_not_applied(refused, endpoint, sync, apply):
    endpoint.change_limit = 100
    endpoint.save()
    newer = sync(endpoint)
    with pytest.raises(PlanNotApplicableError, match=f'Run {newer.pk} has changed NetBox'):
        apply(refused)


def test_a_run_without_a_waiting_plan_has_nothing_to_apply(endpoint, sync):
    with pytest.raises(PlanNotApplicableError, match='no plan'):
        check_appliable(sync(endpoint))


def test_a_preview_is_applied_as_it_was_seen(pve, endpoint, sync, apply):
    preview = sync(endpoint, mode='preview')
    pve.create(name='later')
    run = apply(preview)
    assert run.status == 'completed'
    assert not run.changes.exclude(outcome='applied').exists(), list(run.changes.values('key', 'message'))
    assert VirtualMachine.objects.count() == 12
    left = sync(endpoint)
    assert {change.unit for change in left.changes.all()} == {left.changes.get(kind='vm').unit}


def test_a_preview_applied_is_the_same_as_a_sync(pve, endpoint, make_endpoint, sync, apply):
    apply(sync(endpoint, mode='preview'))
    assert not sync(endpoint).changes.exists()


def test_what_users_have_decided_since_the_preview_is_heeded(standin, make_endpoint, sync, apply):
    pve = standin(nodes=1, vms=4, containers=0, templates=0, seed=3)
    endpoint = make_endpoint(pve)
    unmade, ignored, own, other = sorted(guest.vmid for guest in pve.cluster.guests.values())
    sync(endpoint, vmids=[ignored, own, other])
    for vmid in (ignored, own, other):
        pve.rename(vmid, f'renamed-{vmid}')
    preview = sync(endpoint, mode='preview')
    ignore(endpoint.guests.filter(vmid__in=[unmade, ignored]))
    stop_managing_object(endpoint.bindings.get(kind='vm', key=f'qemu/{own}'))
    run = apply(preview)
    names = set(VirtualMachine.objects.values_list('name', flat=True))
    assert {name for name in names if name.startswith('renamed')} == {f'renamed-{other}'}
    assert len(names) == 3
    left = dict(run.changes.filter(kind='vm').exclude(outcome='applied').values_list('unit', 'message'))
    assert left == {
        f'qemu/{unmade}': 'A user has set this guest to be ignored.',
        f'qemu/{ignored}': 'A user has set this guest to be ignored.',
        f'qemu/{own}': 'The object was set to unmanaged by a user.',
    }
    assert set(endpoint.guests.filter(ignored=True).values_list('state', flat=True)) == {'ignored'}


def test_parts_of_a_preview_are_applied_one_after_the_other(endpoint, sync, apply):
    preview = sync(endpoint, mode='preview')
    units = sorted(set(preview.changes.exclude(unit='').values_list('unit', flat=True)))
    run = apply(preview, units[:2])
    assert run.status == 'completed'
    assert VirtualMachine.objects.count() == 2
    assert set(run.changes.values_list('unit', flat=True)) == {'', *units[:2]}
    assert sum(run.counts['vm'].values()) == 2
    with pytest.raises(PlanNotApplicableError, match='applied already'):
        apply(preview, units[1:3])
    apply(preview, units[2:])
    assert VirtualMachine.objects.count() == 12
    assert not sync(endpoint).changes.exists()


def test_a_part_that_is_not_in_the_plan_is_reported(endpoint, sync, apply):
    with pytest.raises(PlanNotApplicableError, match='no changes of: qemu/9999'):
        apply(sync(endpoint, mode='preview'), ['qemu/9999'])


def test_what_a_plan_remembers_of_unchanged_objects_is_stored_too(pve, endpoint, sync, apply):
    sync(endpoint)
    missing = endpoint.bindings.filter(kind='disk').first()
    binding = endpoint.bindings.filter(kind='vm').exclude(unit=missing.unit).first()
    before = binding.values
    type(binding).objects.filter(pk=binding.pk).update(values={**before, 'memory': 1})
    pve.remove_disk(int(missing.unit.partition('/')[2]), missing.key.rpartition('/')[2])
    missing.object.delete()
    preview = sync(endpoint, mode='preview')
    assert PlannedBinding.objects.filter(run=preview).count() == 2
    apply(preview)
    binding.refresh_from_db()
    assert binding.values == before
    assert not endpoint.bindings.filter(pk=missing.pk).exists()
    assert not sync(endpoint).changes.exists()
    preview.delete()
    assert not PlannedBinding.objects.exists()


def test_a_stored_plan_is_read_by_pages(endpoint, sync, monkeypatch):
    monkeypatch.setattr('netbox_proxsync.runs.stored_plans.ROWS_AT_ONCE', 10)
    preview = sync(endpoint, mode='preview')
    with CaptureQueriesContext(connection) as queries:
        found = list(StoredPlan(preview).changes)
    assert [change.key for change in found] == list(preview.changes.order_by('position').values_list('key', flat=True))
    assert len(queries) >= len(found) // 10


def test_it_takes_the_permission_to_let_a_refused_run_through(refused):
    url = reverse('plugins:netbox_proxsync:syncrun_accept', args=[refused.pk])
    page = refused.get_absolute_url()
    syncer, accepter = user_with('sync', name='syncer'), user_with('accept', name='accepter')
    client = Client()
    client.force_login(syncer)
    assert client.post(url).status_code == 403
    assert 'requires the permission' in client.get(page).content.decode()
    assert client.get(url).status_code == 403
    client.force_login(accepter)
    confirmation = client.get(url).content.decode()
    assert refused.refusal.splitlines()[0] in unescape(confirmation)
    assert f'Make all {refused.total_changes - refused.conflicts} changes' in confirmation
    html = client.get(page).content.decode()
    assert 'Approve this run' in html
    assert 'requires the permission' not in html
    answer = client.post(url)
    run = SyncRun.objects.get(applies=refused)
    assert (answer.status_code, answer.url, run.user) == (302, run.get_absolute_url(), accepter)
    SyncRun.objects.filter(pk=run.pk).update(status='completed')
    assert 'applied already' in client.get(page).content.decode()


def test_some_guests_of_a_preview_are_chosen_by_hand(endpoint, sync):
    preview = sync(endpoint, mode='preview')
    units = sorted(set(preview.changes.filter(kind='vm').values_list('unit', flat=True)))
    url = reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])
    client = Client()
    client.force_login(user_with('sync'))
    page = client.get(url).content.decode()
    assert all(f'name="units" value="{unit}"' in page for unit in units)
    found = client.get(url, {'q': units[0]}).content.decode()
    assert (found.count('name="units"'), units[0] in found) == (1, True)
    client.post(url, {'part': 'selected', 'units': units[:2]})
    run = SyncRun.objects.get(applies=preview)
    assert run.units == units[:2]
    SyncRun.objects.filter(pk=run.pk).update(status='completed')
    rest = client.get(url).content.decode()
    assert f'value="{units[0]}"' not in rest
    assert f'value="{units[2]}"' in rest
    assert 'value="all"' not in rest
    assert 'Apply this preview' in client.get(preview.get_absolute_url()).content.decode()
    client.post(url, {'part': 'selected', 'units': units[2:]})
    SyncRun.objects.filter(applies=preview).update(status='completed')
    assert client.get(url).status_code == 302


def test_to_select_nothing_applies_nothing(endpoint, sync):
    preview = sync(endpoint, mode='preview')
    client = Client()
    client.force_login(user_with('sync'))
    client.post(reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk]), {'part': 'selected'})
    assert not SyncRun.objects.filter(applies=preview).exists()


def test_the_name_of_a_guest_that_may_not_be_seen_is_not_reported_and_a_script_in_it_is_text(endpoint, sync):
    preview = sync(endpoint, mode='preview')
    endpoint.guests.update(name='<script>alert(1)</script>')
    url = reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])
    client = Client()
    user = user_with('sync')
    client.force_login(user)
    assert 'alert(1)' not in client.get(url).content.decode()
    permission = ObjectPermission.objects.create(name='guests', actions=['view'])
    permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxGuest))
    permission.users.add(user)
    page = client.get(url).content.decode()
    assert '&lt;script&gt;alert(1)' in page
    assert '<script>alert(1)' not in page


def test_the_api_accepts_a_refused_run(refused):
    url = f'/api/plugins/proxsync/runs/{refused.pk}/accept/'
    client, syncer = api_client(user_with('sync', name='syncer'))
    assert client.post(url, **syncer).status_code == 403
    client, headers = api_client(user_with('accept'))
    answer = client.post(url, **headers)
    assert answer.status_code == 202, answer.content
    assert answer.json()['applies']['id'] == refused.pk
    assert client.post(url, **headers).status_code == 409
    SyncRun.objects.filter(applies=refused).update(status='completed')
    assert 'applied already' in client.post(url, **headers).json()['detail']


def test_the_api_applies_parts_of_a_preview(endpoint, sync):
    preview = sync(endpoint, mode='preview')
    unit = preview.changes.exclude(unit='').first().unit
    url = f'/api/plugins/proxsync/runs/{preview.pk}/'
    client, headers = api_client(user_with('sync'))
    assert client.post(f'{url}accept/', **headers).status_code == 409
    bad = client.post(f'{url}apply/', {'units': []}, content_type='application/json', **headers)
    assert bad.status_code == 400
    answer = client.post(f'{url}apply/', {'units': [unit]}, content_type='application/json', **headers)
    assert (answer.status_code, answer.json()['units']) == (202, [unit])


def test_the_command_lets_a_refused_run_through(refused, capsys):
    with pytest.raises(CommandError, match=f'The last one is {refused.pk}'):
        call_command('proxsync_sync', 'Lab', '--accept', '0')
    call_command('proxsync_sync', 'Lab', '--accept', str(refused.pk))
    assert retired().count() == 6
    with pytest.raises(SystemExit):
        call_command('proxsync_sync', 'Lab', '--accept', str(refused.pk))
    assert 'applied already' in capsys.readouterr().err


def test_another_cluster_behind_the_same_endpoint_stops_before_anything_else(standin, pve, endpoint, sync, apply):
    sync(endpoint)
    elsewhere = standin('pve-8.4.21-solo')
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(
        hosts=[f'{elsewhere.host}:{elsewhere.port}'],
        fingerprint=elsewhere.fingerprint,
        token_id=elsewhere.token_id,
        change_limit=100,
    )
    endpoint.refresh_from_db()
    endpoint.token_secret = elsewhere.token_secret
    endpoint.save()
    logged = ObjectChange.objects.count()
    run = sync(endpoint)
    assert run.status == 'refused'
    assert 'another Proxmox VE than before' in run.error
    assert ObjectChange.objects.count() == logged
    assert apply(run).status == 'completed'
    again = sync(endpoint)
    assert again.status == 'completed', again.error


def test_old_plans_go_with_their_runs(refused):
    SyncRun.objects.filter(pk=refused.pk).update(created=timezone.now() - timedelta(days=999))
    SyncRun.objects.filter(pk=refused.pk).delete()
    assert not SyncRun.objects.filter(pk=refused.pk).exists()
