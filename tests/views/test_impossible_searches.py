"""Searches that cannot find anything: every list responds, as a page and through REST."""

import pytest
from django.db import transaction
from django.test import Client
from django.urls import reverse
from users.models import User
from utilities.testing import create_test_virtualmachine

from netbox_proxsync.models import ProxmoxGuest

from ..cases import make_binding, make_change, make_endpoint, make_guest, make_rule, make_run

pytestmark = pytest.mark.django_db

# A field of each list that holds text, one that holds a number, and one that holds a moment where there is one.
LISTS = {
    'proxmoxendpoint': ('name', 'timeout', 'guests_read'),
    'proxmoxguest': ('name', 'vmid', 'seen_until'),
    'mappingrule': ('name', 'weight', 'created'),
    'syncrun': ('error', 'calls', 'created'),
    'syncchange': ('label', 'object_id', 'position'),
    'binding': ('key', 'object_id', 'first_seen'),
}
REGULAR = {'regex': '(', 'iregex': 'a{9,1}'}
TEXTS = ('a\0b', '\\²')
NUMBERS = ('9' * 40, '-99999999999')
MOMENTS = ('2024-13-45', '0001-01-01T00:00:00+14:00')
PAGE = {'page': '-1', 'per_page': '9' * 30, 'sort': 'nothing'}, {'page': '9' * 30, 'per_page': '\0', 'sort': '-'}
REST = {'limit': '-1', 'offset': '9' * 30, 'ordering': '\0'}, {'limit': '9' * 30, 'offset': '-1', 'ordering': '-'}


@pytest.fixture
def browser() -> Client:
    endpoint = make_endpoint()
    make_guest(endpoint, 100)
    make_binding(endpoint, create_test_virtualmachine('web'), 100)
    make_rule()
    make_change(make_run(endpoint), 0)
    client = Client(raise_request_exception=False)
    client.force_login(User.objects.create_superuser('admin'))
    return client


def urls(name: str) -> tuple[str, str]:
    return (
        reverse(f'plugins:netbox_proxsync:{name}_list'),
        reverse(f'plugins-api:netbox_proxsync-api:{name}-list'),
    )


def searches(name: str, paging: tuple[dict[str, str], ...]) -> list[dict[str, str]]:
    text, number, moment = LISTS[name]
    rows = zip(TEXTS, NUMBERS, MOMENTS, paging, strict=True)
    found = [
        {text: word, 'q': word, number: figure, f'{number}__gt': figure, 'id': figure, moment: at, **places}
        for word, figure, at, places in rows
    ]
    return [*found, {f'{text}__ic': 'null'}]


@pytest.mark.parametrize('name', LISTS)
def test_no_search_breaks_a_list(browser, name):
    page, rest = urls(name)
    tried = [(page, search) for search in searches(name, PAGE)] + [(rest, search) for search in searches(name, REST)]
    assert [(url, search) for url, search in tried if not answers(browser, url, search)] == []


def answers(browser: Client, url: str, search: dict[str, str]) -> bool:
    # A database error must not affect the next search through the transaction.
    with transaction.atomic():
        answered = browser.get(url, search).status_code < 500
        if not answered:
            transaction.set_rollback(True)
    return answered


@pytest.mark.parametrize('name', LISTS)
def test_a_regular_expression_that_is_none_is_reported(browser, name):
    page, rest = urls(name)
    for lookup, expression in REGULAR.items():
        field = f'{LISTS[name][0]}__{lookup}'
        shown = browser.get(page, {field: expression})
        assert shown.status_code == 200
        assert 'does not understand this regular expression' in shown.content.decode()
        assert not shown.context['table'].rows
        answer = browser.get(rest, {field: expression})
        assert answer.status_code == 400
        assert field in answer.json()
    assert browser.get(rest, {field: '^.*$'}).json()['count'] == 1


def test_a_choice_that_is_none_is_reported_and_finds_nothing(browser):
    bogus = {'state': 'bogus'}
    shown = browser.get(urls('proxmoxguest')[0], bogus)
    assert 'bogus is not one of the available choices' in shown.content.decode()
    assert not shown.context['table'].rows
    assert browser.get(urls('proxmoxguest')[1], bogus).status_code == 400
    # An action on all guests that match affects none.
    browser.post(reverse('plugins:netbox_proxsync:proxmoxguest_bulk_ignore') + '?state=bogus', {'_all': 'on'})
    assert not ProxmoxGuest.objects.filter(ignored=True).exists()


def test_reported_values_are_escaped(browser):
    script = '(<script>alert(1)</script>'
    page = browser.get(urls('proxmoxguest')[0], {'name__regex': script}).content.decode()
    assert script not in page
    assert '&lt;script&gt;' in page


@pytest.mark.parametrize(
    ('name', 'fields'),
    [
        ('mappingrule', ('role', 'role_id', 'platform', 'platform_id', 'tenant', 'tenant_id')),
        ('proxmoxendpoint', ('guest_role', 'guest_role_id', 'node_role', 'node_role_id', 'site', 'site_id')),
    ],
)
def test_objects_without_a_value_are_found_by_null(browser, name, fields):
    page, rest = urls(name)
    for field in fields:
        assert browser.get(page, {field: 'null'}).status_code == 200, field
        answer = browser.get(rest, {field: 'null'})
        assert (answer.status_code, answer.json()['count']) == (200, 1), field
