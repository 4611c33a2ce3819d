"""Event rules for how syncs end: webhooks over HTTP, notification groups, conditions; and events of single objects."""

import json
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import django_rq
import pytest
from core.models import ObjectChange, ObjectType
from extras.models import EventRule, Notification, NotificationGroup, Webhook
from rq import SimpleWorker
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun
from netbox_proxsync.runs.lifecycle import find_dead

from ..cases import make_clusters, make_run

pytestmark = pytest.mark.django_db

ALL = ['proxsync_completed', 'proxsync_conflicts', 'proxsync_failed', 'proxsync_refused']


@pytest.fixture
def receiver():
    """An HTTP server, and what was posted to it."""
    posted = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self):
            posted.append(json.loads(self.rfile.read(int(self.headers['Content-Length']))))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *args):
            pass

    server = HTTPServer(('127.0.0.1', 0), Handler)
    server.posted = posted
    thread = Thread(target=server.serve_forever)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def queue():
    queue = django_rq.get_queue('default')
    queue.empty()
    yield queue
    queue.empty()


@pytest.fixture
def deliver(queue, django_capture_on_commit_callbacks):
    """Call a function, run the jobs that it has added to the queue, and return its result."""

    def carry_out(work):
        with django_capture_on_commit_callbacks(execute=True):
            result = work()
        SimpleWorker([queue], connection=queue.connection).work(burst=True)
        return result

    return carry_out


def rule(action: object, event_types: list[str], model: type, **values: object) -> EventRule:
    rule = EventRule.objects.create(
        name=f'Rule {EventRule.objects.count()}', event_types=event_types, action_object=action, **values
    )
    rule.object_types.add(ObjectType.objects.get_for_model(model))
    return rule


@pytest.fixture
def webhook(receiver):
    return Webhook.objects.create(name='Chat', payload_url=f'http://127.0.0.1:{receiver.server_port}/')


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=12, containers=0, templates=0, seed=3)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


class TestRunEvents:
    def test_a_webhook_gets_what_the_run_has_done_and_no_secret(self, pve, endpoint, sync, webhook, receiver, deliver):
        rule(webhook, ALL, ProxmoxEndpoint)
        run = deliver(lambda: sync(endpoint))
        (posted,) = receiver.posted
        assert posted['event'] == 'proxsync_completed'
        data = posted['data']
        assert (data['id'], data['name'], data['cluster']) == (endpoint.pk, 'Lab', 'lab')
        assert (data['run']['id'], data['run']['status'], data['run']['user']) == (run.pk, 'completed', None)
        assert data['run']['counts']['vm'] == {'create': 12}
        assert data['run']['duration'] > 0
        assert pve.token_secret not in json.dumps(posted)
        assert 'token' not in json.dumps(posted)

    def test_each_end_has_its_own_type(self, pve, endpoint, sync, webhook, receiver, deliver):
        rule(webhook, ALL, ProxmoxEndpoint)
        endpoint.cluster = make_clusters('lab')[0]
        endpoint.save()
        vmid = next(iter(pve.cluster.guests.values())).vmid
        # Two records claim one VM ID.
        for name in ('one', 'two'):
            VirtualMachine.objects.create(name=name, cluster=endpoint.cluster, custom_field_data={'vmid': vmid})
        deliver(lambda: sync(endpoint))
        VirtualMachine.objects.get(name='two').delete()
        deliver(lambda: sync(endpoint))
        for guest in list(pve.cluster.guests.values())[:8]:
            pve.delete(guest.vmid)
        deliver(lambda: sync(endpoint))
        pve.fail('/cluster/resources', 401)
        deliver(lambda: sync(endpoint))
        assert [posted['event'] for posted in receiver.posted] == [
            'proxsync_conflicts',
            'proxsync_completed',
            'proxsync_refused',
            'proxsync_failed',
        ]
        assert receiver.posted[0]['data']['run']['candidates'] == 2
        runs = [posted['data']['run'] for posted in receiver.posted]
        assert runs[0]['reason'] == '2 candidates: Virtual machine 2.'
        assert runs[1]['reason'] == ''
        assert runs[2]['refusal']
        assert runs[2]['reason'].startswith(runs[2]['refusal'])
        assert runs[3]['error']
        assert runs[3]['reason'] == runs[3]['error']

    def test_a_preview_is_no_news(self, endpoint, sync, webhook, receiver, deliver):
        rule(webhook, ALL, ProxmoxEndpoint)
        deliver(lambda: sync(endpoint, mode='preview'))
        assert receiver.posted == []

    def test_a_run_whose_worker_has_died_has_failed(self, endpoint, webhook, receiver, deliver):
        rule(webhook, ['proxsync_failed'], ProxmoxEndpoint)
        make_run(endpoint, status='running', completed=None)
        deliver(lambda: find_dead(SyncRun.objects.active()))
        assert 'terminated unexpectedly' in receiver.posted[0]['data']['run']['error']

    def test_a_notification_group_is_reported_and_a_condition_asked(self, endpoint, sync, deliver):
        group = NotificationGroup.objects.create(name='Operators')
        user = User.objects.create_user('alice')
        group.users.add(user)
        rule(group, ['proxsync_completed'], ProxmoxEndpoint, action_type='notification')
        never = NotificationGroup.objects.create(name='Others')
        never.users.add(User.objects.create_user('bob'))
        condition = {'attr': 'run.conflicts', 'op': 'gt', 'value': 0}
        rule(never, ['proxsync_completed'], ProxmoxEndpoint, action_type='notification', conditions=condition)
        deliver(lambda: sync(endpoint))
        reported = Notification.objects.get()
        assert (reported.user, reported.object, str(reported.event)) == (user, endpoint, 'Proxmox VE sync completed')

    def test_event_rules_that_fail_change_nothing(self, endpoint, sync, webhook, deliver, monkeypatch):
        rule(webhook, ALL, ProxmoxEndpoint)

        def broken(*args, **kwargs):
            raise ConnectionError

        monkeypatch.setattr('netbox_proxsync.events.flush_events', broken)
        deliver(lambda: sync(endpoint))
        assert SyncRun.objects.get().status == 'completed'


class TestObjectEvents:
    @pytest.mark.parametrize(('setting', 'first', 'later'), [('always', 12, 1), ('later', 0, 1), ('never', 0, 0)])
    def test_a_first_sync_need_not_flood_webhooks(
        self, pve, make_endpoint, sync, webhook, receiver, deliver, setting, first, later
    ):
        endpoint = make_endpoint(pve, object_events=setting)
        rule(webhook, ['object_created', 'object_updated'], VirtualMachine)
        deliver(lambda: sync(endpoint))
        assert VirtualMachine.objects.count() == 12
        assert len(receiver.posted) == first
        assert ObjectChange.objects.filter(changed_object_type__model='virtualmachine').count() >= 12
        receiver.posted.clear()
        pve.rename(next(iter(pve.cluster.guests.values())).vmid, 'renamed')
        deliver(lambda: sync(endpoint))
        assert VirtualMachine.objects.filter(name='renamed').exists()
        assert len(receiver.posted) == later
