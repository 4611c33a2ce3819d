"""What nobody can find: every list answers, as a page and through REST."""

import pytest
from django.test import Client
from django.urls import reverse
from users.models import User
from utilities.testing import create_test_virtualmachine

from .cases import make_binding, make_change, make_endpoint, make_guest, make_rule, make_run

pytestmark = pytest.mark.django_db

# A field of each list that holds text, one that holds a number, and one that holds a moment.
LISTS = {
    'proxmoxendpoint': ('name', 'timeout', 'guests_read'),
    'proxmoxguest': ('name', 'vmid', 'seen_until'),
    'mappingrule': ('name', 'weight', 'created'),
    'syncrun': ('error', 'calls', 'created'),
    'syncchange': ('label', 'object_id', None),
    'binding': ('key', 'object_id', 'first_seen'),
}
REGULAR = ('(', '[', '\\', '*', 'a{9,1}')
TEXTS = ('\0', 'a\0b', '\\', '%', "'", 'x' * 3000, '٣', '²')
NUMBERS = ('99999999999', '-99999999999', '9' * 40, '1e400', 'NaN', '\0', '٣', '²')
MOMENTS = ('2024-13-45', '0000-00-00', '9999999-01-01', '0001-01-01T00:00:00+14:00', '9999-12-31T23:59:59-14:00', '\0')
PAGING = {
    'page': ('0', '-1', '9' * 30, 'x', '\0'),
    'per_page': ('0', '-1', '9' * 30, 'x', '\0'),
    'limit': ('-1', '9' * 30, 'x'),
    'offset': ('-1', '9' * 30, 'x'),
    'sort': ('nothing', '-', '\0'),
    'ordering': ('nothing', '-', '\0'),
}


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


def searches(name: str) -> list[dict[str, str]]:
    text, number, moment = LISTS[name]
    found = [{field: value} for field in (text, 'q') for value in TEXTS]
    found += [{field: value} for field in (number, f'{number}__gt', 'id') for value in NUMBERS]
    found += [{field: value} for field in (moment, f'{moment}__lt') for value in MOMENTS if moment]
    return found + [{field: value} for field, values in PAGING.items() for value in values]


@pytest.mark.parametrize('name', LISTS)
def test_no_search_breaks_a_list(browser, name):
    broken = [
        (url, search)
        for url in urls(name)
        for search in searches(name)
        if browser.get(url, search).status_code >= 500
    ]
    assert broken == []


@pytest.mark.parametrize('name', LISTS)
def test_a_regular_expression_that_is_none_is_told(browser, name):
    page, rest = urls(name)
    for lookup in ('regex', 'iregex'):
        field = f'{LISTS[name][0]}__{lookup}'
        for expression in REGULAR:
            shown = browser.get(page, {field: expression})
            assert shown.status_code == 200
            assert 'does not understand this regular expression' in shown.content.decode()
            assert not shown.context['table'].rows
            answer = browser.get(rest, {field: expression})
            assert answer.status_code == 400
            assert field in answer.json()
        assert browser.get(rest, {field: '^.*$'}).json()['count'] == 1


def test_what_is_told_is_text(browser):
    script = '(<script>alert(1)</script>'
    page = browser.get(urls('proxmoxguest')[0], {'name__regex': script}).content.decode()
    assert script not in page
    assert '&lt;script&gt;' in page
