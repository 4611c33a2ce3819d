"""
After the plugin was removed as documented, NetBox works without it.

NetBox reads its list of plugins once for each process, so another process without the plugin requests the pages, with
the same database.

Tried: jobs (of runs, of the schedule, finished and waiting), journal entries (with tags), tags, bookmarks,
notifications, subscriptions, saved filters, table configurations, export templates, custom links, event rules (for the
plugin's objects, for others with its events, for both), permissions, custom fields on endpoints, the search index, the
change log, a dashboard with the widget; by the command and by the migration alone.
"""

import io
import json
import subprocess
import sys
from datetime import timedelta

import django_rq
import pytest
from core.models import Job, ObjectChange, ObjectType
from django.contrib.contenttypes.models import ContentType
from django.core.management import CommandError, call_command
from django.db import connection
from django.utils import timezone
from extras.dashboard.utils import get_default_dashboard
from extras.models import (
    Bookmark,
    CustomField,
    CustomLink,
    EventRule,
    ExportTemplate,
    JournalEntry,
    Notification,
    SavedFilter,
    Subscription,
    TableConfig,
    Tag,
    Webhook,
)
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import ScheduleJob, SyncJob
from netbox_proxsync.ledger.tracking import tracked_transaction
from netbox_proxsync.models import MappingRule, ProxmoxEndpoint, SyncRun
from tests.stack.paths import ROOT

from ..cases import make_endpoint
from ..scenarios.synced import pin, run_job

PAGES = (
    '/', '/core/jobs/', '/core/changelog/', '/core/background-queues/', '/core/background-queues/0/queued/',
    '/core/background-queues/0/scheduled/', '/core/system/', '/core/plugins/', '/core/data-sources/',
    '/extras/journal-entries/', '/extras/tags/', '/extras/saved-filters/',
    '/extras/table-configs/', '/extras/export-templates/', '/extras/custom-links/', '/extras/event-rules/',
    '/extras/webhooks/', '/extras/custom-fields/', '/extras/custom-fields/add/', '/extras/notification-groups/',
    '/extras/image-attachments/', '/extras/config-contexts/', '/user/bookmarks/', '/user/notifications/',
    '/user/subscriptions/', '/users/permissions/', '/users/permissions/add/', '/users/users/', '/search/?q=a',
    '/search/?q=Lab', '/virtualization/virtual-machines/', '/virtualization/clusters/', '/ipam/ip-addresses/',
    '/dcim/devices/', '/tenancy/tenants/', '/api/core/jobs/', '/api/core/object-types/', '/api/core/object-changes/',
    '/api/extras/journal-entries/', '/api/extras/tagged-objects/', '/api/extras/bookmarks/',
    '/api/extras/notifications/', '/api/extras/subscriptions/', '/api/extras/custom-fields/',
    '/api/extras/event-rules/', '/api/extras/saved-filters/', '/api/users/permissions/',
    '/api/virtualization/virtual-machines/',
)  # fmt: skip

# The system checks load all pages, and have no effect on what is removed.
FASTER = ('--skip-checks',)

# Requests pages as the first superuser, and prints the responses.
READER = """
import json, sys
import django
django.setup()
from django.test import Client
from users.models import User
client = Client(headers={'host': 'localhost'}, raise_request_exception=False)
client.force_login(User.objects.filter(is_superuser=True).first())
answers = {}
for page in json.loads(sys.argv[1]):
    response = client.get(page)
    answers[page] = response.status_code if response.status_code != 302 else response['location']
print('ANSWERS', json.dumps(answers))
"""


def netbox(arguments: list[str], environment: dict[str, str]) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, *arguments], cwd=ROOT, env=environment, check=False, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
    )  # fmt: skip


def ask(environment: dict[str, str], pages: list[str]) -> dict[str, object]:
    """The responses of a NetBox without the plugin."""
    without = {**environment, 'PROXSYNC_STACK_PLUGINS': ''}
    done = netbox(['-c', READER, json.dumps(pages)], without)
    lines = [line for line in done.stdout.splitlines() if line.startswith('ANSWERS ')]
    assert lines, done.stdout
    return json.loads(lines[0].removeprefix('ANSWERS '))


class Used:
    """A NetBox in which the plugin's objects were used with all features of NetBox."""

    def __init__(self, pve):
        self.user = User.objects.create_superuser('admin')
        self.endpoint = pin(pve)
        self.run = run_job(self.endpoint, user=self.user)
        assert self.run.status == 'completed'
        types = {model: ObjectType.objects.get_for_model(model) for model in (ProxmoxEndpoint, SyncRun, VirtualMachine)}
        ours, other = types[ProxmoxEndpoint], types[VirtualMachine]
        self.machine = VirtualMachine.objects.first()
        self.tag, self.limited = Tag.objects.create(name='Mine', slug='mine'), Tag.objects.create(name='Ours', slug='o')
        self.limited.object_types.add(ours)
        with tracked_transaction(self.user, self.run.request_id):
            self.endpoint.snapshot()
            self.endpoint.description = 'changed'
            self.endpoint.save()
            self.endpoint.tags.add(self.tag)
            rule = MappingRule.objects.create(name='Web', skip=True, guest_type='qemu', endpoint=self.endpoint)
            rule.tags.add(self.tag)
        self.machine.tags.add(self.tag)
        for thing in (self.endpoint, self.machine):
            entry = JournalEntry.objects.create(assigned_object=thing, comments='Seen', created_by=self.user)
            entry.tags.add(self.tag)
            Bookmark.objects.create(object=thing, user=self.user)
            Subscription.objects.create(object=thing, user=self.user)
        Notification.objects.get_or_create(
            object_type=ours, object_id=self.endpoint.pk, user=self.user, defaults={'event_type': 'proxsync_failed'}
        )
        SyncJob.enqueue(instance=self.endpoint, run_id=0)
        ScheduleJob.enqueue(interval=1, schedule_at=timezone.now() + timedelta(days=1))
        hook = Webhook.objects.create(name='Chat', payload_url='http://127.0.0.1:9/')
        for name, assigned, events in (
            ('only', (ours,), ['proxsync_failed']),
            ('both', (ours, other), ['object_updated', 'proxsync_failed']),
            ('foreign', (other,), ['object_updated', 'proxsync_failed']),
        ):
            rule = EventRule.objects.create(name=name, event_types=events, action_object=hook)
            rule.object_types.set(assigned)
            link = CustomLink.objects.create(name=name, link_text='{{ object }}', link_url='http://127.0.0.1/')
            link.object_types.set(assigned)
            template = ExportTemplate.objects.create(name=name, template_code='x')
            template.object_types.set(assigned)
            saved = SavedFilter.objects.create(name=name, slug=name, parameters={'q': ['x']})
            saved.object_types.set(assigned)
            permission = ObjectPermission.objects.create(name=name, actions=['view', 'sync'])
            permission.object_types.set(assigned)
        TableConfig.objects.create(
            name='Mine', object_type=ours, table='ProxmoxEndpointTable', columns=['name'], user=self.user
        )
        field = CustomField.objects.create(name='contact', type='text')
        field.object_types.set([ours, other])
        dashboard = get_default_dashboard()
        dashboard.user = self.user
        widget = {'class': 'netbox_proxsync.EndpointsWidget', 'title': 'x', 'color': None, 'config': {}}
        dashboard.config['ours'] = widget
        dashboard.layout.append({'id': 'ours', 'w': 4, 'h': 3, 'x': 0, 'y': 0})
        dashboard.save()


def assert_removed(used: Used, environment: dict[str, str]):
    connection.close()
    with connection.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM pg_tables WHERE tablename LIKE 'netbox_proxsync%'")
        assert cursor.fetchone() == (0,)
    details = [
        used.machine.get_absolute_url(), f'{used.machine.get_absolute_url()}changelog/',
        f'{used.machine.get_absolute_url()}journal/', used.tag.get_absolute_url(), used.limited.get_absolute_url(),
        used.user.get_absolute_url(), f'/extras/custom-fields/{CustomField.objects.get(name="contact").pk}/',
        *(rule.get_absolute_url() for rule in EventRule.objects.all()),
        *(permission.get_absolute_url() for permission in ObjectPermission.objects.all()),
    ]  # fmt: skip
    answers = ask(environment, [*PAGES, *details])
    assert {page: answer for page, answer in answers.items() if answer != 200} == {}
    assert set(EventRule.objects.values_list('name', flat=True)) == {'both', 'foreign'}
    assert {tuple(rule.event_types) for rule in EventRule.objects.all()} == {('object_updated',)}
    for model in (CustomLink, ExportTemplate, SavedFilter):
        assert set(model.objects.values_list('name', flat=True)) == {'both', 'foreign'}
    # References to other objects remain.
    assert VirtualMachine.objects.count() == 2
    assert ObjectChange.objects.filter(changed_object_type__model='virtualmachine').exists()
    assert JournalEntry.objects.get().assigned_object == used.machine
    assert JournalEntry.objects.get().tags.get() == used.tag
    assert Bookmark.objects.get().object == used.machine
    assert Subscription.objects.get().object == used.machine
    assert used.machine.tags.get(name='Mine')
    assert not Job.objects.filter(name__startswith='Proxmox VE').exists()
    queue = django_rq.get_queue('default')
    ours = [*queue.job_ids, *queue.scheduled_job_registry.get_job_ids()]
    assert [task for task in ours if 'proxsync' in (queue.fetch_job(task).func_name or '')] == []


@pytest.fixture
def used(committed, standin):
    connection.ensure_connection()
    return Used(standin(nodes=1, vms=2, containers=0, templates=0, running=0))


class TestRemoval:
    def test_the_command_asks_and_lists_the_removed_data_and_then_netbox_works_without_the_plugin(
        self, used, committed, monkeypatch
    ):
        out = io.StringIO()
        call_command('proxsync_uninstall', '--dry-run', stdout=out)
        for line in ('1 endpoints', '1 runs', '1 journal entries', '1 dashboard widgets', 'Nothing was removed.'):
            assert line in out.getvalue()
        monkeypatch.setattr('builtins.input', lambda prompt: 'no')
        with pytest.raises(CommandError, match='Nothing was removed'):
            call_command('proxsync_uninstall', stdout=out)
        assert ProxmoxEndpoint.objects.count() == SyncRun.objects.count() == 1
        assert JournalEntry.objects.count() == 2
        # In a process with the plugin, as an administrator runs it.
        done = netbox(['-m', 'netbox', 'proxsync_uninstall', '--no-input', '--keep-custom-fields', *FASTER], committed)
        assert done.returncode == 0, done.stdout
        assert not ContentType.objects.filter(app_label='netbox_proxsync').exists()
        assert CustomField.objects.filter(name='vmid').exists()
        used.machine.refresh_from_db()
        assert used.machine.custom_field_data['vmid']
        assert_removed(used, committed)

    def test_the_migration_alone_leaves_nothing_that_breaks_pages(self, used, committed):
        done = netbox(['-m', 'netbox', 'migrate', 'netbox_proxsync', 'zero', '--no-input', *FASTER], committed)
        assert done.returncode == 0, done.stdout
        assert not CustomField.objects.filter(name='vmid').exists()
        assert_removed(used, committed)

    def test_it_waits_for_a_run_that_is_not_finished(self, committed):
        endpoint = make_endpoint()
        SyncRun.objects.create(endpoint=endpoint, mode='sync', status='queued')
        with pytest.raises(CommandError, match='is not finished: cancel it'):
            call_command('proxsync_uninstall', '--no-input')
        assert ProxmoxEndpoint.objects.exists()
