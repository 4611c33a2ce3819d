"""Plans that are stored and applied later: refused ones that a user lets through, and previews."""

import json
import re
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

from ..cases import make_binding, make_decision

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
    def start(source, units=None, **part):
        return SyncJob.enqueue_plan(source, None, units, immediate=True, **part)

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


def test_a_refused_run_can_be_approved_once(refused, endpoint, sync, apply):
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


def test_objects_that_changed_in_netbox_after_the_plan_are_outdated(refused, apply):
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


def test_decisions_after_the_preview_take_precedence(standin, make_endpoint, sync, apply):
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


def test_a_machine_that_was_linked_to_another_guest_since_the_preview_is_not_adopted(
    standin, make_endpoint, sync, apply
):
    pve = standin(nodes=1, vms=4, containers=0, templates=0, seed=3)
    endpoint = make_endpoint(pve)
    first, second, third, synced = sorted(guest.vmid for guest in pve.cluster.guests.values())
    sync(endpoint, vmids=[synced])
    machine = VirtualMachine.objects.create(
        name='Mine', cluster=ProxmoxEndpoint.objects.get().cluster, custom_field_data={'vmid': first}
    )
    bound = VirtualMachine.objects.create(name='Bound', cluster=machine.cluster)
    preview = sync(endpoint, mode='preview')
    assert preview.changes.filter(action='adopt', key=f'qemu/{first}', kind='vm').exists()
    make_decision(endpoint, second, machine)
    # As a run of another process would have bound it.
    make_binding(endpoint, bound, third)
    run = apply(preview)
    left = dict(run.changes.filter(kind='vm').exclude(outcome='applied').values_list('key', 'message'))
    assert left == {
        f'qemu/{first}': 'A user has linked the object to another guest or node.',
        f'qemu/{second}': 'A user has decided about this object since the plan was created.',
        f'qemu/{third}': 'Another object is already bound.',
    }
    machine.refresh_from_db()
    assert machine.name == 'Mine'


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


def test_a_stored_plan_contains_the_shared_objects_it_found(pve, endpoint, sync, apply):
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


def test_approving_a_refused_run_requires_the_permission_accept(refused):
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
    html = client.get(page).content.decode()
    assert f'<a href="{url}" class="btn btn-warning">' in html
    assert 'requires the permission' not in html
    # The removals are listed, and have to be confirmed.
    unconfirmed = client.post(url, {'part': 'all'}).content.decode()
    assert not SyncRun.objects.filter(applies=refused).exists()
    assert '6 objects are removed' in unconfirmed
    for change in refused.changes.filter(action='retire'):
        # This user may not view the machines.
        assert change.label not in unconfirmed
    assert '6 more objects are not listed' in unconfirmed
    digest = re.search(r'name="confirm" value="(\w+)"', unconfirmed)[1]
    answer = client.post(url, {'part': 'all', 'confirm': digest})
    run = SyncRun.objects.get(applies=refused)
    assert (answer.status_code, answer.url, run.user) == (302, run.get_absolute_url(), accepter)
    SyncRun.objects.filter(pk=run.pk).update(status='completed')
    assert 'applied already' in client.get(page).content.decode()


def test_a_refused_run_is_approved_in_part_and_then_the_rest(refused, apply, admin_client):
    """The objects that the part removes are listed by name, and what was listed has to be confirmed."""
    url = reverse('plugins:netbox_proxsync:syncrun_accept', args=[refused.pk])
    removed = list(refused.changes.filter(action='retire').order_by('position'))
    spared, units = removed[0], [change.unit for change in removed]
    chosen = {'part': 'unselected', 'pk': [spared.unit], 'actions_shown': '1', 'actions': ['retire', 'update']}
    page = admin_client.post(url, chosen).content.decode()
    assert [change.label in page for change in removed] == [False, *[True] * 5]
    digest = re.search(r'name="confirm" value="(\w+)"', page)[1]
    # Confirmed was another selection.
    page = admin_client.post(url, {**chosen, 'pk': units[:2], 'confirm': digest}).content.decode()
    assert not SyncRun.objects.filter(applies=refused).exists()
    admin_client.post(url, {**chosen, 'confirm': digest})
    run = SyncRun.objects.get(applies=refused)
    assert set(run.units) & set(units) == set(units[1:])
    run.delete()
    actions = {change.action for change in refused.changes.all()}
    part = apply(refused, except_units=[spared.unit])
    assert (part.status, retired().count()) == ('completed', 5)
    page = admin_client.get(refused.get_absolute_url()).content.decode()
    assert 'Apply the Rest' in page
    assert f'href="{part.get_absolute_url()}"' in page
    rest = apply(refused)
    assert set(rest.changes.values_list('unit', flat=True)) == {spared.unit}
    assert retired().count() == 6
    assert 'retire' in actions
    with pytest.raises(PlanNotApplicableError, match='applied already'):
        apply(refused)


def test_only_some_actions_are_applied_and_later_the_others(pve, endpoint, sync, apply):
    sync(endpoint)
    vmids = sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu')
    pve.delete(vmids[0])
    pve.rename(vmids[1], 'renamed')
    pve.create(name='created')
    preview = sync(endpoint, mode='preview')
    run = apply(preview, actions=['update'])
    assert (run.status, run.actions, run.units) == ('completed', ['update'], None)
    assert set(run.changes.values_list('action', flat=True)) == {'update'}
    assert set(VirtualMachine.objects.filter(name__in=['renamed', 'created']).values_list('name', flat=True)) == {
        'renamed'
    }
    assert endpoint.guests.get(vmid=vmids[1]).state == 'in-sync'
    with pytest.raises(PlanNotApplicableError, match='applied already'):
        apply(preview, actions=['update'])
    # Without the removals.
    apply(preview, actions=('create', 'adopt', 'revive', 'update'))
    assert (VirtualMachine.objects.filter(name='created').count(), retired().count()) == (1, 0)
    apply(preview)
    assert retired().count() == 1
    assert not sync(endpoint).changes.exists()


def test_the_rest_of_a_canceled_application_is_applied(endpoint, sync, apply, admin_client):
    preview = sync(endpoint, mode='preview')
    units = sorted(set(preview.changes.filter(kind='vm').values_list('unit', flat=True)))
    run = apply(preview, units[:3])
    # As if a user had canceled it after the first guest.
    SyncRun.objects.filter(pk=run.pk).update(status='canceled', units=None)
    run.changes.filter(unit__in=units[1:3]).update(outcome='canceled')
    url = reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])
    page = admin_client.get(url).content.decode()
    assert f'value="{units[0]}"' not in page
    assert f'value="{units[1]}"' in page
    assert 'Apply the Rest' in page
    assert f'href="{run.get_absolute_url()}"' in page
    # Both runs say what remains.
    remaining = preview.changes.exclude(unit__in=['', units[0]]).count()
    for each in (run, preview):
        page = admin_client.get(each.get_absolute_url()).content.decode()
        assert f'{remaining} changes of the plan of' in page
        assert f'<a href="{url}" class="btn btn-primary">' in page
    admin_client.post(url, {'part': 'all'})
    assert SyncRun.objects.filter(applies=preview, status='queued').exists()


def test_guests_are_selected_on_several_pages_and_all_others_are_applied(endpoint, sync, admin_client):
    preview = sync(endpoint, mode='preview')
    units = list(preview.changes.filter(kind='vm').order_by('unit').values_list('unit', flat=True))
    url = reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])
    page = admin_client.get(f'{url}?per_page=5').content.decode()
    shown = re.findall(r'name="pk" value="([^"]+)"', page)
    assert len(shown) == 5
    # Names are links, and the changes of a guest unfold.
    guest = endpoint.guests.get(vmid=shown[0].partition('/')[2])
    assert f'href="{guest.get_absolute_url()}"' in page
    assert f'/runs/{preview.pk}/unit/?unit={shown[0].replace("/", "%2F")}' in page
    # What is ticked on the first page is retained on the second.
    page = admin_client.post(f'{url}?per_page=5', {'pk': shown[:2], 'selection': '[]', 'page': '2'}).content.decode()
    carried = unescape(re.search(r'name="selection" value="([^"]*)"', page)[1])
    assert json.loads(carried) == sorted(shown[:2])
    assert not set(re.findall(r'name="pk" value="([^"]+)"', page)) & set(shown)
    # All that match a filter, on all pages.
    found = admin_client.post(url, {'selection': carried, '_all': 'on', 'q': units[5]}).content.decode()
    carried = json.loads(unescape(re.search(r'name="selection" value="([^"]*)"', found)[1]))
    ticked = re.findall(r'value="([^"]+)"[^>]* checked>', found)
    assert {*carried, *ticked} >= {*shown[:2], units[5]}
    totals = admin_client.post(url, {'selection': json.dumps(units), 'totals': '1'}).content.decode()
    assert '<html' not in totals
    machines = totals[totals.index('>virtual machine<' if '>virtual machine<' in totals else 'Virtual machine') :]
    assert re.findall(r'>([0-9]+)<', machines)[:3] == ['12', '12', '0']
    admin_client.post(url, {'part': 'unselected', 'pk': shown[:2], 'selection': json.dumps([units[5]])})
    run = SyncRun.objects.get(applies=preview)
    left_out = {*shown[:2], units[5]}
    assert set(units) - set(run.units) == left_out


def test_a_selection_that_no_page_sends_is_ignored(endpoint, sync, admin_client):
    preview = sync(endpoint, mode='preview')
    url = reverse('plugins:netbox_proxsync:syncrun_apply', args=[preview.pk])
    for nonsense in ('{', '{"a": 1}', '[1]', '["qemu/4711"]'):
        response = admin_client.post(url, {'part': 'selected', 'selection': nonsense})
        assert response.status_code == 302
    admin_client.post(url, {'part': 'all', 'actions_shown': '1'})
    assert not SyncRun.objects.filter(applies=preview).exists()


def test_an_empty_selection_applies_nothing(endpoint, sync):
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
    SyncRun.objects.filter(applies=preview).delete()
    for bad in ({'units': [unit], 'except_units': [unit]}, {'actions': ['conflict']}, {'actions': []}, {'action': []}):
        answer = client.post(f'{url}apply/', bad, content_type='application/json', **headers)
        assert answer.status_code == 400, bad
    part = {'except_units': [unit], 'actions': ['create']}
    answer = client.post(f'{url}apply/', part, content_type='application/json', **headers)
    assert (answer.status_code, answer.json()['actions']) == (202, ['create'])
    others = set(preview.changes.exclude(unit__in=['', unit]).values_list('unit', flat=True))
    assert set(SyncRun.objects.get(applies=preview).units) == others


def test_the_command_lets_a_refused_run_through(refused, capsys):
    with pytest.raises(CommandError, match=f'The last one is {refused.pk}'):
        call_command('proxsync_sync', 'Lab', '--accept', '0')
    call_command('proxsync_sync', 'Lab', '--accept', str(refused.pk))
    assert retired().count() == 6
    with pytest.raises(SystemExit):
        call_command('proxsync_sync', 'Lab', '--accept', str(refused.pk))
    assert 'applied already' in capsys.readouterr().err


def test_the_command_applies_a_part_of_a_preview(endpoint, sync):
    preview = sync(endpoint, mode='preview')
    units = sorted(set(preview.changes.filter(kind='vm').values_list('unit', flat=True)))
    with pytest.raises(CommandError, match=f'The last one is {preview.pk}'):
        call_command('proxsync_sync', 'Lab', '--apply', '0')
    with pytest.raises(CommandError, match='Add --apply or --accept'):
        call_command('proxsync_sync', 'Lab', '--unit', units[0])
    with pytest.raises(CommandError, match='are for one endpoint'):
        call_command('proxsync_sync', '--all', '--apply', str(preview.pk))
    call_command('proxsync_sync', 'Lab', '--apply', str(preview.pk), '--unit', units[0], '--action', 'create')
    assert VirtualMachine.objects.count() == 1
    call_command('proxsync_sync', 'Lab', '--apply', str(preview.pk), '--except-unit', units[1])
    assert VirtualMachine.objects.count() == len(units) - 1
    assert not endpoint.bindings.filter(unit=units[1]).exists()


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
