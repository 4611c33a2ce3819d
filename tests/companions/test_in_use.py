"""Branches as users use them: pages, REST, GraphQL, command; and what goes wrong on the way."""

import json
from importlib import import_module

import pytest
from dcim.models import DeviceRole
from django.core.management import CommandError, call_command
from django.db import connections
from django.db.migrations import CreateModel, RunPython, RunSQL
from django.db.migrations.loader import MigrationLoader
from django.test import Client
from django.urls import reverse
from netbox_branching.models import Branch
from users.models import Token
from utilities.exceptions import AbortRequest
from virtualization.models import VirtualMachine

from netbox_proxsync import branching
from netbox_proxsync.choices import RunModeChoices
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SharedObject, SyncRun
from tests.cases import make_rule

from .lab import Lab, edit, rows

VIEW = 'plugins:netbox_proxsync:'
API = 'plugins-api:netbox_proxsync-api:'
HOST_KEY = 'pve1 ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8Uh3z0xIkZgJd2nB8OXcYk0Qm0wGqM6Jm0wV0X0b0x'


def carry_out(run: SyncRun) -> SyncRun:
    """As a worker does."""
    SyncJob.handle(run.job, run_id=run.pk)
    run.refresh_from_db()
    return run


class Person:
    """A user with a browser, and with a token."""

    def __init__(self, lab: Lab):
        self.client = Client()
        self.client.force_login(lab.admin)
        token = Token(user=lab.admin, version=1)
        token.save()
        self.headers = {'authorization': f'Token {token.token}'}

    def get(self, url: str, **query: str) -> str:
        response = self.client.get(url, query)
        assert response.status_code == 200, (url, response.status_code)
        return response.content.decode()

    def post(self, view: str, pk: int, **data: object) -> str:
        """What the page says that comes then."""
        response = self.client.post(reverse(f'{VIEW}{view}', args=[pk]), data, follow=True)
        return response.content.decode()

    def activate(self, branch: Branch | None):
        self.get(reverse(f'{VIEW}proxmoxendpoint_list'), _branch=branch.schema_id if branch else '')

    def api(self, method: str, url: str, branch: Branch | str | None = None, **data: object):
        """(status, answer)"""
        headers = dict(self.headers)
        if branch is not None:
            headers['X-NetBox-Branch'] = getattr(branch, 'schema_id', branch)
        response = getattr(self.client, method)(url, data, content_type='application/json', headers=headers)
        text = response.content.decode()
        return response.status_code, json.loads(text) if text.startswith(('{', '[')) else text


@pytest.fixture
def person(synced: Lab) -> Person:
    Token.objects.all().delete()
    return Person(synced)


def test_a_run_works_in_the_active_branch_and_reports_this(synced: Lab, person: Person):
    lab, pve = synced, synced.pve
    endpoint = lab.endpoint
    branch = lab.branch('Page')
    pve.create(name='only-there')
    assert 'into branch' not in person.get(endpoint.get_absolute_url())
    person.activate(branch)
    page = person.get(endpoint.get_absolute_url())
    assert 'Sync into branch Page' in page
    assert 'Preview into branch Page' in page
    told = person.post('proxmoxendpoint_sync', endpoint.pk, place=branch.schema_id)
    assert 'Sync of Lab into branch Page is queued.' in told
    run = carry_out(endpoint.runs.first())
    assert (run.status, run.branch, run.branch_id) == ('completed', 'Page', branch.schema_id)
    assert not VirtualMachine.objects.filter(name='only-there').exists()

    # Seen from main, with the way into the branch.
    with lab.active(branch):
        machine = VirtualMachine.objects.get(name='only-there')
    shown = person.get(run.get_absolute_url(), _branch='')
    assert 'Page' in shown
    assert f'href="{machine.get_absolute_url()}?_branch={branch.schema_id}"' in shown
    assert person.get(machine.get_absolute_url(), _branch=branch.schema_id)
    # And in the branch, directly.
    assert f'href="{machine.get_absolute_url()}"' in person.get(run.get_absolute_url())
    main_run = endpoint.runs.filter(branch_id='', mode='sync').first()
    assert '?_branch="' in person.get(main_run.get_absolute_url())
    person.activate(None)
    assert 'Page' in person.get(reverse(f'{VIEW}syncrun_list'), branch='Page')
    assert f'>{run.endpoint}<' in person.get(reverse(f'{VIEW}syncrun_list'), in_branch='true')
    assert person.get(reverse(f'{VIEW}syncchange_list'), run_id=str(run.pk))

    # The state of the endpoint tells of main.
    endpoint.refresh_from_db()
    assert endpoint.last_run == main_run
    assert endpoint.status == main_run.status

    status, answer = person.api('get', reverse(f'{API}syncrun-detail', args=[run.pk]))
    assert (status, answer['branch'], answer['branch_id']) == (200, 'Page', branch.schema_id)
    status, answer = person.api('get', reverse(f'{API}syncrun-list') + '?in_branch=true&branch=Page')
    assert [row['id'] for row in answer['results']] == [run.pk]
    query = '{ proxsync_run_list(filters: {branch: {exact: "Page"}}) { id branch } }'
    status, answer = person.api('post', reverse('graphql'), query=query)
    assert answer['data']['proxsync_run_list'] == [{'id': str(run.pk), 'branch': 'Page'}]

    branch.archive(lab.admin)
    shown = person.get(run.get_absolute_url())
    assert machine.get_absolute_url() not in shown
    assert 'only-there' in shown
    lab.sync()


def test_a_run_by_rest_goes_into_the_branch_of_the_header(synced: Lab, person: Person):
    lab = synced
    branch = lab.branch('REST')
    url = reverse(f'{API}proxmoxendpoint-preview', args=[lab.endpoint.pk])
    status, answer = person.api('post', url, branch)
    assert (status, answer['branch']) == (202, 'REST')
    assert carry_out(SyncRun.objects.get(pk=answer['id'])).status == 'completed'

    runs = SyncRun.objects.count()
    status, answer = person.api('post', url, 'nonesuch')
    assert (status, answer) == (400, 'Invalid branch identifier')
    Branch.objects.filter(pk=branch.pk).update(status='syncing')
    status, answer = person.api('post', url, branch)
    assert (status, answer) == (400, 'Selected branch is not ready.')
    Branch.objects.filter(pk=branch.pk).update(status='ready')
    assert SyncRun.objects.count() == runs


def test_a_plan_is_applied_in_the_branch_in_which_it_was_created(synced: Lab, person: Person):
    lab = synced
    branch = lab.branch('Plan')
    lab.pve.rename(max(guest.vmid for guest in lab.pve.cluster.guests.values()), 'planned')
    here, there = lab.preview(), lab.preview(branch)
    assert here.counts == there.counts == {'vm': {'update': 1}}
    url = reverse(f'{API}syncrun-apply', args=[there.pk])
    status, answer = person.api('post', url)
    assert (status, answer['detail']) == (
        409, 'This plan was created in the branch "Plan". Activate that branch to apply it.'
    )  # fmt: skip
    assert 'was created in the branch &quot;Plan&quot;' in person.post('syncrun_apply', there.pk, part='all')
    person.activate(branch)
    assert 'Leave the branch to apply it.' in person.post('syncrun_apply', here.pk, part='all')
    assert 'into branch Plan' in person.get(reverse(f'{VIEW}syncrun_apply', args=[there.pk]))
    person.post('syncrun_apply', there.pk, part='all')
    run = carry_out(SyncRun.objects.get(applies=there))
    assert (run.status, run.branch) == ('completed', 'Plan')
    assert not VirtualMachine.objects.filter(name='planned').exists()
    with lab.active(branch):
        assert VirtualMachine.objects.filter(name='planned').exists()
    lab.assert_nothing_left(branch)

    # Its branch is merged before the other half of the thought: there is nothing to apply it to.
    late = lab.preview(branch)
    branch.merge(lab.admin)
    status, answer = person.api('post', reverse(f'{API}syncrun-apply', args=[late.pk]))
    assert status == 409
    assert 'is not ready (Merged)' in answer['detail']


def test_nothing_starts_when_another_branch_is_active_than_the_page_said(synced: Lab, person: Person):
    branch, runs = synced.branch('Gone'), SyncRun.objects.count()
    # Netbox-branching falls back to main when a branch that a user has chosen is not ready.
    person.activate(branch)
    Branch.objects.filter(pk=branch.pk).update(status='syncing')
    told = person.post('proxmoxendpoint_sync', synced.endpoint.pk, place=branch.schema_id)
    assert 'has changed since this page was shown: main is active now' in told
    guest = synced.endpoint.guests.first()
    told = person.post('proxmoxguest_sync', guest.pk, place=branch.schema_id)
    assert 'has changed since this page was shown: main is active now' in told
    Branch.objects.filter(pk=branch.pk).update(status='ready')
    url = reverse(f'{VIEW}proxmoxguest_bulk_sync')
    person.activate(branch)
    response = person.client.post(url, {'pk': [guest.pk], '_bulk_sync': 'main'}, follow=True)
    assert 'has changed since this page was shown: &quot;Gone&quot; is active now' in response.content.decode()
    assert SyncRun.objects.count() == runs


def test_objects_shared_by_all_branches_are_changed_in_main(synced: Lab, person: Person):
    lab = synced
    branch = lab.branch('Edits')
    with lab.active(branch):
        binding, guest = Binding.objects.filter(kind='vm').first(), ProxmoxGuest.objects.first()
    why = 'the branch "Edits" is active. Switch to main and change it there.'
    for name, pk in (
        ('proxmoxguest-ignore', guest.pk),
        ('proxmoxguest-stop-managing', guest.pk),
        ('binding-stop-managing', binding.pk),
        ('binding-manage-again', binding.pk),
    ):
        status, answer = person.api('post', reverse(f'{API}{name}', args=[pk]), branch)
        assert (status, why in answer['detail']) == (409, True), name
    pinned = reverse(f'{API}proxmoxendpoint-confirm-ssh-host-keys', args=[lab.endpoint.pk])
    status, answer = person.api('post', pinned, branch, keys=[HOST_KEY])
    assert (status, why in answer['detail']) == (409, True)
    person.activate(branch)
    assert 'Switch to main' in person.post('proxmoxendpoint_ssh_host_keys', lab.endpoint.pk, key=HOST_KEY, _confirm='')
    assert 'Switch to main' in person.post('proxmoxguest_ignore', guest.pk)
    assert 'Switch to main' in person.post('binding_stop_managing', binding.pk, _confirm='1')

    endpoint = reverse(f'{API}proxmoxendpoint-detail', args=[lab.endpoint.pk])
    status, answer = person.api('patch', endpoint, branch, description='edited')
    assert (status, why in str(answer)) == (400, True)
    status, answer = person.api('post', reverse(f'{API}mappingrule-list'), branch, name='No', skip=True)
    assert (status, why in str(answer)) == (400, True)
    status, answer = person.api('delete', endpoint, branch)
    assert (status, why in str(answer)) == (400, True)
    assert 'Switch to main' in person.post('proxmoxendpoint_delete', lab.endpoint.pk, confirm='true')
    assert not MappingRule.objects.exists()
    unchanged = ProxmoxEndpoint.objects.get()
    assert (unchanged.description, unchanged.ssh_host_keys) == ('', '')
    assert not ProxmoxGuest.objects.filter(ignored=True).exists()
    # In main all of it goes on, and counts in the branch as soon as that is synced.
    person.activate(None)
    status, answer = person.api('post', reverse(f'{API}proxmoxguest-ignore', args=[guest.pk]))
    assert status == 200
    edit(lab.admin, VirtualMachine.objects.first(), description='so that there is something to sync')
    branch.sync(lab.admin)
    with lab.active(branch):
        assert ProxmoxGuest.objects.get(pk=guest.pk).ignored
    person.api('post', reverse(f'{API}proxmoxguest-stop-ignoring', args=[guest.pk]))


def test_the_command_syncs_into_a_branch(synced: Lab, capsys):
    lab = synced
    branch, guest = lab.branch('Command'), max(lab.pve.cluster.guests.values(), key=lambda guest: guest.vmid)
    lab.pve.rename(guest.vmid, 'by-command')
    call_command('proxsync_sync', 'Lab', branch='Command')
    assert 'Lab: Sync completed (branch Command)' in capsys.readouterr().out
    assert lab.machine(guest.vmid).name != 'by-command'
    call_command('proxsync_sync', 'Lab', branch=branch.schema_id, json=True)
    assert '"branch": "Command"' in capsys.readouterr().out
    with pytest.raises(CommandError, match=r'"other" does not exist. These branches are ready: .*"Command" \(\w{8}\)'):
        call_command('proxsync_sync', 'Lab', branch='other')
    namesake = Branch(name=branch.schema_id)
    namesake.save(provision=False)
    with pytest.raises(CommandError, match='is the name of one branch and the schema ID of another'):
        call_command('proxsync_sync', 'Lab', branch=branch.schema_id)
    with pytest.raises(CommandError, match=r'not ready \(New\)'):
        call_command('proxsync_sync', 'Lab', branch=namesake.schema_id)
    namesake.delete()


def test_a_run_whose_branch_is_gone_when_it_starts_writes_nothing(synced: Lab):
    lab = synced

    def queued(branch: Branch) -> SyncRun:
        with lab.active(branch):
            run = SyncJob.enqueue_run(lab.endpoint, lab.admin, mode=RunModeChoices.SYNC)
        return run

    def failed(run: SyncRun) -> str:
        carry_out(run)
        assert (run.status, run.calls) == ('failed', 0)
        lab.endpoint.refresh_from_db()
        assert lab.endpoint.status == 'completed'
        return run.error

    branch = lab.branch('Early')
    run = queued(branch)
    # What a run writes meanwhile would be neither in the branch nor in main.
    for action in ('merge', 'sync', 'archive'):
        told = getattr(Branch.objects.get(pk=branch.pk), f'can_{action}')
        assert not told
        assert f'Run {run.pk} of the Proxmox VE plugin works in this branch' in told.message
    Branch.objects.filter(pk=branch.pk).update(status='merging')
    assert 'not ready (Merging)' in failed(run)
    Branch.objects.filter(pk=branch.pk).update(status='ready')
    assert Branch.objects.get(pk=branch.pk).can_merge

    with connections['default'].cursor() as cursor:
        cursor.execute(f'DROP TABLE {branch.schema_name}.netbox_proxsync_binding')
    assert 'was created before the Proxmox VE plugin supported' in failed(queued(branch))
    run = queued(branch)
    SyncRun.objects.filter(pk=run.pk).update(status='running')
    with pytest.raises(AbortRequest, match=f'Run {run.pk} of the Proxmox VE plugin works in this branch'):
        branch.delete()
    SyncRun.objects.filter(pk=run.pk).update(status='queued')
    branch.delete()
    assert failed(run) == 'The branch of this run was deleted.'
    assert not branching.why_unusable('')


def test_needs_attention_offers_no_decisions_in_a_branch(synced: Lab, person: Person):
    branch = synced.branch('Quiet')
    url, button = reverse(f'{VIEW}attention'), 'name="choice" value="link"'
    vmid = synced.pve.create(name='twin')
    with synced.tried():
        synced.endpoint.refresh_from_db()
        VirtualMachine.objects.create(name='twin', cluster=synced.endpoint.cluster)
        question = synced.preview().changes.get(action='candidate')
        assert button in person.get(url)
        person.activate(branch)
        page = person.get(url)
        assert 'twin' in page
        assert 'Decisions belong to main' in page
        assert button not in page
        resolve = reverse(f'{VIEW}attention_resolve', args=['link'])
        data = {'pk': f'change-{question.pk}', '_confirm': '1', 'return_url': url}
        assert 'belong to main' in person.client.post(resolve, data, follow=True).content.decode()
        assert not Decision.objects.exists()
        person.activate(None)
        assert button in person.get(url)
    synced.pve.delete(vmid)


def test_a_run_in_a_branch_that_lacks_an_object_of_a_rule_says_what_to_do(synced: Lab):
    branch = synced.branch('Old')
    rule = make_rule('Web', role=DeviceRole.objects.create(name='Web', slug='web'), name_pattern='*')
    run = synced.sync(branch)
    assert (run.status, run.error) == (
        'failed',
        'The branch "Old" lacks an object that the endpoint or a mapping rule names. Sync the branch with main first.',
    )
    rule.delete()
    branch.delete()


def test_a_branch_that_is_taken_away_while_a_run_writes_ends_the_run(synced: Lab):
    branch = synced.branch('Midway')
    with branching.within(branch.schema_id):
        with branching.atomic():
            Binding.objects.update(unit='x')
        Branch.objects.filter(pk=branch.pk).update(status='merging')
        with pytest.raises(branching.BranchUnusableError, match='Merging'), branching.atomic():
            pass
    Branch.objects.filter(pk=branch.pk).update(status='ready')
    assert not Binding.objects.filter(unit='x').exists()


def test_data_of_a_deleted_endpoint_is_removed_from_branches(synced: Lab):
    ready, waiting = synced.branch('Orphans'), synced.branch('Waiting')
    forget_other_endpoint(synced, ready, waiting)


def forget_other_endpoint(lab: Lab, *branches: Branch):
    """Make one that has a guest in branches, of which the last has migrations to come; and delete it."""
    other = ProxmoxEndpoint.objects.create(name='Other', hosts=['pve.example.com'], token_id='a@pve!b', enabled=False)
    for branch in branches:
        with lab.active(branch):
            ProxmoxGuest.objects.create(endpoint=other, vmid=900, type='qemu', state='new')
    Branch.objects.filter(pk=branches[-1].pk).update(status='pending-migrations')
    other.delete()
    Branch.objects.filter(pk=branches[-1].pk).update(status='ready')
    for branch in branches:
        with lab.active(branch):
            assert not ProxmoxGuest.objects.filter(vmid=900).exists()


def test_an_upgrade_reaches_the_open_branches(synced: Lab):
    """Migrations that were installed after the branch was made run in it, and change nothing in it or in main."""
    branch = synced.branch('Open')
    with connections[branch.connection_name].cursor() as cursor:
        cursor.execute("DELETE FROM django_migrations WHERE app = 'netbox_proxsync' AND name >= '0002'")
        # In a branch that was open when this plugin was installed, migrations have made the tables.
        for model in (Binding, ProxmoxGuest):
            cursor.execute(
                f'ALTER TABLE {model._meta.db_table} ADD FOREIGN KEY (endpoint_id) '
                'REFERENCES netbox_proxsync_proxmoxendpoint DEFERRABLE INITIALLY DEFERRED'
            )
    before, branch = rows(), Branch.objects.get(pk=branch.pk)
    assert ('netbox_proxsync', '0002_custom_fields') in branch.pending_migrations
    branch.migrate(synced.admin)
    assert branch.ready
    assert rows() == before
    with synced.active(branch):
        assert SharedObject.objects.filter(model='virtualization.virtualmachinetype').exists()
    synced.pve.rename(max(guest.vmid for guest in synced.pve.cluster.guests.values()), 'after-the-upgrade')
    assert synced.sync(branch).counts == {'vm': {'update': 1}}
    forget_other_endpoint(synced, branch)


def test_migrations_declare_what_netbox_branching_cannot_detect(synced: Lab):
    """
    It looks at what is done to models that are there already, not at those that are made; and runs every RunPython.
    Left to itself it would break branches that were open when this plugin was installed.
    """
    loader = MigrationLoader(connections['default'])
    for (app, name), migration in loader.disk_migrations.items():
        if app != 'netbox_proxsync':
            continue
        said = getattr(import_module(f'{app}.migrations.{name}'), 'fake_on_branch', None)
        made = {each.name.lower() for each in migration.operations if isinstance(each, CreateModel)}
        if made & {*branching.BRANCHED}:
            assert said is False, name
        elif any(isinstance(each, RunPython | RunSQL) for each in migration.operations):
            assert said is True, name
