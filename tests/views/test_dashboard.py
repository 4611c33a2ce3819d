"""The widget for NetBox's dashboard, the search, and the menu by permission."""

import re

import pytest
from core.models import ObjectType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from extras.models import Dashboard
from users.models import ObjectPermission, User

from netbox_proxsync import models
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun

from ..cases import make_endpoint, make_guest, make_run

pytestmark = pytest.mark.django_db

WIDGET = 'netbox_proxsync.EndpointsWidget'


def browser_of(user: User, widget: bool = True) -> Client:
    if widget:
        place = {'id': 'c3a9ac62-9b6b-4b6e-8d4f-57e4f5f0a0a0', 'x': 0, 'y': 0, 'w': 6, 'h': 3}
        config = {place['id']: {'class': WIDGET, 'title': None, 'color': None, 'config': {}}}
        Dashboard.objects.create(user=user, layout=[place], config=config)
    client = Client()
    client.force_login(user)
    return client


def permit(user: User, *granted: type):
    permission = ObjectPermission.objects.create(name='reader', actions=['view'])
    permission.object_types.set(ObjectType.objects.get_for_model(model) for model in granted)
    permission.users.add(user)


def test_it_can_be_added_to_a_dashboard():
    client = browser_of(User.objects.create_superuser('admin'), widget=False)
    # NetBox creates the dashboard when it is first viewed.
    client.get('/')
    form = client.get(reverse('extras:dashboardwidget_add'), headers={'HX-Request': 'true'})
    assert WIDGET in form.content.decode()
    data = {'widget_class': WIDGET, 'title': '', 'color': ''}
    client.post(reverse('extras:dashboardwidget_add'), data, headers={'HX-Request': 'true'})
    assert 'no Proxmox VE endpoint yet' in client.get('/').content.decode()


def test_the_widget_displays_the_sync_status_of_each_endpoint():
    endpoint = make_endpoint('Berlin', status='refused')
    run = make_run(endpoint)
    ProxmoxEndpoint.objects.update(last_run=run)
    make_endpoint('Vienna', enabled=False)
    for vmid in range(100, 105):
        make_guest(endpoint, vmid, state='conflict' if vmid < 102 else 'in-sync')
    page = browser_of(User.objects.create_superuser('admin')).get('/').content.decode()
    assert f'<a href="{endpoint.get_absolute_url()}">Berlin</a>' in page
    assert 'Refused' in page
    assert f'<a href="{run.get_absolute_url()}">' in page
    guests = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[endpoint.pk])
    assert f'<a href="{guests}">5</a>' in page
    assert f'href="{guests}?state=conflict"' in page
    assert 'disabled' in page
    assert page.index('Berlin') < page.index('Vienna')
    # The last runs as ticks, and the guests as a strip, with their texts.
    assert re.search(rf'<a href="{run.get_absolute_url()}" aria-label="Sync, [^"]+: Completed">', page)
    assert f'<a href="{guests}?state=in-sync" aria-label="3 In sync">' in page


def test_without_endpoints_it_leads_to_the_first():
    page = browser_of(User.objects.create_superuser('admin')).get('/').content.decode()
    assert 'no Proxmox VE endpoint yet' in page
    assert f'href="{reverse("plugins:netbox_proxsync:proxmoxendpoint_add")}">Add one' in page


def test_users_see_only_what_they_have_permission_to_view():
    endpoint = make_endpoint('Berlin')
    run = make_run(endpoint)
    ProxmoxEndpoint.objects.update(last_run=run)
    make_guest(endpoint, 100, state='conflict')
    user = User.objects.create_user('reader')
    client = browser_of(user)
    page = client.get('/').content.decode()
    assert 'No permission to view this content.' in page
    assert 'Berlin' not in page
    permit(user, ProxmoxEndpoint)
    page = client.get('/').content.decode()
    assert 'Berlin' in page
    assert run.get_absolute_url() not in page
    assert '?state=conflict' not in page
    permit(user, SyncRun, ProxmoxGuest)
    page = client.get('/').content.decode()
    assert run.get_absolute_url() in page
    assert '?state=conflict' in page


def test_the_number_of_queries_does_not_depend_on_the_number_of_endpoints():
    client = browser_of(User.objects.create_superuser('admin'))
    counted = []
    for number in (2, 20):
        for _index in range(number):
            endpoint = make_endpoint(f'Lab {ProxmoxEndpoint.objects.count()}')
            ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(last_run=make_run(endpoint))
            make_guest(endpoint, 100)
        client.get('/')
        with CaptureQueriesContext(connection) as queries:
            client.get('/')
        counted.append(len(queries))
    assert counted[0] == counted[1]


def test_names_are_escaped():
    make_endpoint('<script>alert(1)</script>', hosts=['pve1:8006'])
    page = browser_of(User.objects.create_superuser('admin')).get('/').content.decode()
    assert '<script>alert(1)</script>' not in page
    assert '&lt;script&gt;alert(1)' in page


@pytest.mark.parametrize(
    ('model', 'links'),
    [
        ('ProxmoxEndpoint', ['attention/', 'endpoints/']),
        ('ProxmoxGuest', ['guests/', 'reports/duplicates/', 'reports/without-agent/']),
        ('MappingRule', ['rules/']),
        ('Binding', ['bindings/']),
        ('SyncRun', ['runs/']),
        ('SyncChange', ['changes/']),
    ],
)
def test_the_menu_offers_what_a_user_may_view_and_nothing_else(model, links):
    user = User.objects.create_user('reader')
    client = browser_of(user, widget=False)
    assert 'href="/plugins/proxsync/' not in client.get('/user/profile/').content.decode()
    permit(user, getattr(models, model))
    page = client.get('/user/profile/').content.decode()
    assert re.findall('href="/plugins/proxsync/([^"]*)"', page) == links


def test_search_finds_endpoints_and_guests_for_those_who_may_view_them(django_capture_on_commit_callbacks):
    with django_capture_on_commit_callbacks(execute=True):
        endpoint = make_endpoint('Needle cluster')
    user = User.objects.create_user('reader')
    client = browser_of(user, widget=False)
    assert endpoint.get_absolute_url() not in client.get('/search/', {'q': 'needle'}).content.decode()
    permit(user, ProxmoxEndpoint)
    assert endpoint.get_absolute_url() in client.get('/search/', {'q': 'needle'}).content.decode()
