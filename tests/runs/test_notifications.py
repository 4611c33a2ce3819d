"""Who is notified of the end of a run, through the real job."""

import pytest
from core.models import ObjectType
from dcim.models import Device
from django.test import Client
from django.urls import reverse
from extras.models import Notification, Subscription
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, SyncChange, SyncRun
from netbox_proxsync.runs.cancellation import cancel
from netbox_proxsync.runs.notifications import notify

from ..cases import make_address_conflict, make_change, make_clusters, make_run
from ..scenarios.test_sync import SMALL

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(**SMALL)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


def user_with(name: str, *models: type) -> User:
    user = User.objects.create_user(username=name)
    permission = ObjectPermission.objects.create(name=name, actions=['view'])
    permission.users.add(user)
    permission.object_types.set(ObjectType.objects.get_for_model(model) for model in models)
    return user


def reported(user) -> list[tuple]:
    return [(entry.object, entry.event_type) for entry in Notification.objects.filter(user=user)]


@pytest.mark.parametrize('mode', ['preview', 'sync'])
def test_the_user_who_started_a_run_is_notified_once_of_its_end(endpoint, sync, mode):
    user = user_with('starter', SyncRun)
    run = sync(endpoint, mode=mode, user=user)
    assert reported(user) == [(run, 'job_completed')]
    assert Notification.objects.get().object_repr == str(run)
    client = Client()
    client.force_login(user)
    answer = client.get(reverse('extras:notification_read', args=[Notification.objects.get().pk]))
    assert answer.url == run.get_absolute_url()


def test_of_a_failure_as_well(pve, endpoint, sync):
    user = user_with('starter', SyncRun)
    pve.fail('/cluster/resources', 500)
    run = sync(endpoint, user=user)
    assert (run.status, reported(user)) == ('failed', [(run, 'job_errored')])


def test_it_says_why_in_the_language_of_the_user(pve, endpoint, sync):
    cluster = endpoint.cluster = make_clusters('lab')[0]
    endpoint.save()
    vmid = next(iter(pve.cluster.guests.values())).vmid
    # Two records claim one VM ID.
    for name in ('one', 'two'):
        VirtualMachine.objects.create(name=name, cluster=cluster, custom_field_data={'vmid': vmid})
    user = user_with('starter', SyncRun, SyncChange, VirtualMachine)
    run = sync(endpoint, user=user)
    assert (run.status, run.conflicts, run.candidates) == ('completed', 0, 2)
    text = Notification.objects.get(user=user).object_repr
    assert text == 'Lab: 2 candidates: Virtual machine 2.'
    user.config.set('locale.language', 'de', commit=True)
    pve.fail('/cluster/resources', 500)
    run = sync(endpoint, user=User.objects.get(pk=user.pk))
    text = Notification.objects.get(user=user, object_id=run.pk).object_repr
    assert text.startswith('Lab: ')
    assert '500' in text
    assert text != f'Lab: {run.error}'


def test_the_first_refusal_or_conflict_is_named_to_those_who_may_view_it(endpoint):
    run = make_run(endpoint, counts={'ip': {'conflict': 1}, 'vm': {'update': 1}})
    make_address_conflict(run, 150, '10.0.0.1')
    seeing = user_with('seeing', SyncRun, SyncChange, VirtualMachine, Device)
    other = user_with('other', SyncRun)

    def told(user: User) -> str:
        notify(SyncRun.objects.get(pk=run.pk))
        return Notification.objects.get(user=user).object_repr

    texts = []
    for user in (seeing, other):
        SyncRun.objects.update(user=user)
        texts.append(told(user))
    assert texts == ['Lab: 1 conflict: IP address 1. 10.0.0.1: Taken.', 'Lab: 1 conflict: IP address 1.']
    make_change(run, 5, action='update', outcome='failed', label='web', message='The name is taken. ' * 20)
    SyncRun.objects.update(user=seeing)
    assert told(seeing).startswith('Lab: 1 conflict: IP address 1. web: The name is taken.')
    assert len(told(seeing)) == 200


def test_without_permission_to_view_runs_the_notification_links_to_the_endpoint(endpoint, sync):
    user = user_with('starter', ProxmoxEndpoint)
    sync(endpoint, user=user)
    Notification.objects.update(read='2026-01-01T00:00:00Z')
    run = sync(endpoint, user=user)
    (entry,) = Notification.objects.filter(user=user)
    assert (entry.object, entry.read, entry.created > run.created) == (endpoint, None, True)
    stranger = User.objects.create_user(username='stranger')
    sync(endpoint, user=stranger)
    assert reported(stranger) == []


def test_subscribers_are_notified_of_failures_of_scheduled_runs(pve, endpoint, sync):
    subscriber, outsider = user_with('subscriber', SyncRun, ProxmoxEndpoint), User.objects.create_user(username='out')
    for user in (subscriber, outsider):
        Subscription.objects.create(user=user, object=endpoint)
    sync(endpoint)
    # NetBox's own, of the first sync, which gave the endpoint its cluster.
    assert reported(subscriber) == [(endpoint, 'object_updated')]
    Notification.objects.all().delete()
    for vmid in [guest.vmid for guest in pve.cluster.guests.values()]:
        pve.delete(vmid)
    refused = sync(endpoint)
    pve.fail('/cluster/resources', 500)
    failed = sync(endpoint)
    assert (refused.status, failed.status) == ('refused', 'failed')
    assert set(reported(subscriber)) == {(refused, 'job_failed'), (failed, 'job_errored')}
    assert reported(outsider) == []
    starter = user_with('starter', SyncRun)
    other = sync(endpoint, user=starter)
    assert reported(starter) == [(other, 'job_errored')]
    assert len(reported(subscriber)) == 2


def test_a_run_that_was_canceled_in_the_queue(endpoint):
    user = user_with('starter', SyncRun)
    run = SyncJob.enqueue_run(endpoint, user)
    cancel(run, user)
    assert reported(user) == [(run, 'job_failed')]
