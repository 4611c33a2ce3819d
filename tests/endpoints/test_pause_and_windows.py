"""Automatic syncs start only in the sync windows of an endpoint, and not while it is paused."""

import re
from datetime import datetime, timedelta

import pytest
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from users.models import User

from netbox_proxsync.endpoints.schedule import next_slot, start_due
from netbox_proxsync.models import ProxmoxEndpoint

from ..cases import allow, make_endpoint

pytestmark = pytest.mark.django_db


def at(text: str) -> datetime:
    """In NetBox's time zone; 2026-11-23 is a Monday."""
    return timezone.make_aware(datetime.fromisoformat(text))


def scheduled(now: str, **values) -> ProxmoxEndpoint:
    """An endpoint after the schedule has set its next sync."""
    endpoint = make_endpoint(**{'sync_interval': 60, **values})
    assert turn(now) == ([], [])
    endpoint.refresh_from_db()
    return endpoint


def turn(now: str) -> tuple[list[str], list[str]]:
    """The endpoints that are started, and those that missed their turn."""
    started, missed = [], []
    start_due(at(now), lambda one: started.append(one.name), lambda one: missed.append(one.name))
    return started, missed


def test_syncs_start_in_the_windows_only():
    windows = ['Mon-Fri 22:00-06:00']
    endpoint = scheduled('2026-11-23 12:00', sync_windows=windows)
    # Not at the next slot, which is outside, but soon after the window opens.
    assert at('2026-11-23 22:00') <= endpoint.next_sync < at('2026-11-23 22:10')
    assert turn('2026-11-23 21:59') == ([], [])
    assert turn('2026-11-23 22:15') == (['Lab'], [])
    endpoint.refresh_from_db()
    # Within the window, the slots of the interval count.
    assert endpoint.next_sync == next_slot(endpoint.pk, 60, at('2026-11-23 22:15'))
    # No worker was there until the window had closed.
    ProxmoxEndpoint.objects.update(next_sync=at('2026-11-24 05:58'))
    assert turn('2026-11-24 06:01') == ([], ['Lab'])
    endpoint.refresh_from_db()
    assert at('2026-11-24 22:00') <= endpoint.next_sync < at('2026-11-24 22:10')


def test_a_daily_sync_whose_slot_is_outside_runs_in_every_window():
    endpoint = scheduled('2026-11-23 00:00', sync_interval=1440, sync_windows=['02:00-02:20'])
    for day in ('23', '24', '25'):
        assert at(f'2026-11-{day} 02:00') <= endpoint.next_sync < at(f'2026-11-{day} 02:10')
        assert turn(f'2026-11-{day} 02:15') == (['Lab'], [])
        endpoint.refresh_from_db()


def test_a_pause_is_set_and_ended_on_the_page_and_by_rest():
    endpoint = scheduled('2026-11-23 12:00')
    client = Client()
    client.force_login(User.objects.create_superuser('admin'))
    pause = reverse('plugins:netbox_proxsync:proxmoxendpoint_pause', args=[endpoint.pk])
    resume = reverse('plugins:netbox_proxsync:proxmoxendpoint_resume', args=[endpoint.pk])
    assert f'href="{pause}"' in client.get(endpoint.get_absolute_url()).content.decode()
    assert 'Enter a time in the future.' in client.post(pause, {'paused_until': '2020-01-01 00:00'}).content.decode()
    until = (timezone.localtime() + timedelta(days=3)).replace(second=0, microsecond=0)
    client.post(pause, {'paused_until': f'{until:%Y-%m-%d %H:%M}'})
    endpoint.refresh_from_db()
    assert endpoint.paused_until == until
    # The schedule computes the time again, and it is in the page and in the list.
    now = f'{timezone.localtime():%Y-%m-%d %H:%M}'
    assert turn(now) == ([], [])
    endpoint.refresh_from_db()
    assert until < endpoint.next_sync <= until + timedelta(hours=1)
    page = client.get(endpoint.get_absolute_url()).content.decode()
    assert f'Paused until {until:%Y-%m-%d %H:%M}' in ' '.join(re.sub('<[^>]+>', '', page).split())
    assert f'action="{resume}"' in page
    assert (
        'aria-label="Paused until '
        in client.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list')).content.decode()
    )
    changes = client.get(f'{endpoint.get_absolute_url()}changelog/').content.decode()
    assert 'Updated' in changes
    client.post(resume)
    endpoint.refresh_from_db()
    assert (endpoint.paused_until, endpoint.next_sync) == (None, None)
    api = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    patch = {'paused_until': until.isoformat(), 'sync_windows': ['mon-fri 1:00-2:00']}
    answer = client.patch(api, patch, content_type='application/json')
    assert answer.status_code == 200, answer.content
    assert answer.json()['sync_windows'] == ['Mon-Fri 01:00-02:00']
    assert 'Monday, Tuesday, Wednesday, Thursday, Friday: 01:00 to 02:00' in (
        client.get(endpoint.get_absolute_url()).content.decode()
    )
    answer = client.patch(api, {'sync_windows': ['0 2 * * *']}, content_type='application/json')
    assert answer.status_code == 400
    assert 'is not a sync window' in answer.content.decode()


def test_a_pause_takes_the_permission_to_change():
    endpoint = make_endpoint(sync_interval=60)
    reader = User.objects.create_user('reader')
    allow(reader, ProxmoxEndpoint, 'view')
    allow(reader, ProxmoxEndpoint, 'sync')
    client = Client()
    client.force_login(reader)
    for name in ('pause', 'resume'):
        url = reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{name}', args=[endpoint.pk])
        assert client.post(url, {'paused_until': '2040-01-01 00:00'}).status_code == 403
        assert url not in client.get(endpoint.get_absolute_url()).content.decode()


def test_windows_take_the_permission_to_sync_as_the_interval_does():
    endpoint = make_endpoint(sync_interval=60)
    editor = User.objects.create_user('editor')
    allow(editor, ProxmoxEndpoint, 'view')
    allow(editor, ProxmoxEndpoint, 'change')
    client = Client()
    client.force_login(editor)
    api = reverse('plugins-api:netbox_proxsync-api:proxmoxendpoint-detail', args=[endpoint.pk])
    answer = client.patch(api, {'sync_windows': ['22:00-23:00']}, content_type='application/json')
    assert answer.status_code == 400
    assert 'sync_interval' in answer.json()
    allow(editor, ProxmoxEndpoint, 'sync')
    assert client.patch(api, {'sync_windows': ['22:00-23:00']}, content_type='application/json').status_code == 200
