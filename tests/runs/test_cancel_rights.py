"""
Whoever may neither view a run nor sync its endpoint must not learn by the address of its button whether there is such a
run.

Tried: GET and POST of the page, POST of the REST API; nobody logged in, no permissions at all, permissions for another
endpoint only, the permission to view, the permission to sync.
"""

import pytest
from django.test import Client
from django.urls import reverse
from users.models import User

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun

from ..cases import allow, make_endpoint, make_run

pytestmark = pytest.mark.django_db

NOBODY = 999_999


@pytest.fixture
def run():
    return make_run(make_endpoint(), status='queued', completed=None)


@pytest.fixture
def user():
    return User.objects.create_user('eve')


def answers(user: User | None, pk: int) -> list[tuple[int, str]]:
    """Of the page (GET, POST) and of the API: the status, and where it leads, without the number that was asked for."""
    client = Client()
    if user:
        client.force_login(user)
    page = reverse('plugins:netbox_proxsync:syncrun_cancel', args=[pk])
    api = reverse('plugins-api:netbox_proxsync-api:syncrun-cancel', args=[pk])
    got = [client.get(page), client.post(page), client.post(api)]
    return [(answer.status_code, answer.get('location', '').replace(str(pk), 'PK')) for answer in got]


def test_a_visitor_without_login_sees_no_difference(run):
    assert answers(None, run.pk) == answers(None, NOBODY)


def test_a_user_without_permissions_sees_no_difference(run, user):
    assert answers(user, run.pk) == answers(user, NOBODY)
    assert answers(user, run.pk)[0] == (404, '')


def test_a_user_with_permissions_for_another_endpoint_sees_no_difference(run, user):
    other = make_endpoint('Other')
    allow(user, ProxmoxEndpoint, 'sync', {'pk': other.pk})
    allow(user, SyncRun, 'view', {'endpoint': other.pk})
    assert answers(user, run.pk) == answers(user, NOBODY)
    assert [status for status, _location in answers(user, run.pk)] == [404, 404, 404]


def test_permission_to_view_is_not_enough(run, user):
    allow(user, SyncRun, 'view')
    assert [status for status, _location in answers(user, run.pk)] == [403, 403, 403]


def test_a_user_who_may_sync_the_endpoint_cancels_it(run, user):
    allow(user, ProxmoxEndpoint, 'sync')
    assert [status for status, _location in answers(user, run.pk)] == [302, 302, 200]
    run.refresh_from_db()
    assert run.status == 'canceled'
