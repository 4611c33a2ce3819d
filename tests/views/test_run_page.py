"""The page of a run: what requires attention, and the changes by guest, with filters, pagination and export."""

import csv
import json
from html import unescape

import pytest
from core.models import ObjectType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import SyncChange, SyncRun
from netbox_proxsync.ui.run_changes import ChangePage, changes_of

from ..cases import make_change, make_endpoint, make_guest, make_run

pytestmark = pytest.mark.django_db

SCRIPT = '<script>alert(1)</script>'
MANY = 70_000


@pytest.fixture
def admin():
    return User.objects.create_superuser('admin')


@pytest.fixture
def browser(admin):
    client = Client()
    client.force_login(admin)
    return client


def text_of(browser: Client, run: SyncRun, **query: object) -> str:
    """The approximate text of a page, without markup and line breaks."""
    return ' '.join(unescape(browser.get(run.get_absolute_url(), query).content.decode()).split())


def many_changes(run: SyncRun, number: int):
    """Create changes with one statement: seven for each guest, one in a hundred a conflict."""
    with connection.cursor() as cursor:
        cursor.execute(
            """
            INSERT INTO netbox_proxsync_syncchange
                (run_id, position, unit, kind, key, action, outcome, label, fields, reason, message)
            SELECT %s, n, 'qemu/' || (100 + n / 7), CASE n %% 7 WHEN 0 THEN 'vm' ELSE 'interface' END,
                   'qemu/' || (100 + n / 7) || '/net' || n %% 7,
                   CASE n %% 100 WHEN 99 THEN 'conflict' ELSE 'update' END, 'applied', 'machine-' || n / 7,
                   '[{"name": "memory", "owner": "fact", "last": 1024, "now": 1024, "want": 2048, "kept": false,
                      "drift": false}]', '', ''
            FROM generate_series(0, %s - 1) AS n
            """,
            [run.pk, number],
        )
        cursor.execute('ANALYZE netbox_proxsync_syncchange')


def positions(page: ChangePage) -> list[int]:
    return [change.position for group in page.groups for change in group.changes]


def test_a_changed_guest_is_shown_with_both_values_side_by_side(standin, make_endpoint, sync, browser):
    pve = standin(nodes=1, vms=2, containers=0, running=1, agent=1, seed=4)
    endpoint = make_endpoint(pve)
    sync(endpoint)
    machine = VirtualMachine.objects.order_by('name').first()
    was = machine.name
    VirtualMachine.objects.filter(pk=machine.pk).update(memory=1, description='Mine')
    run = sync(endpoint, 'preview')
    machine.refresh_from_db()
    page = browser.get(run.get_absolute_url()).content.decode()
    # The name of the guest links to its page, and the change to its machine.
    change = run.changes.get(kind='vm')
    assert f'href="/plugins/proxsync/guests/{endpoint.guests.get(name=was).pk}/">{was}</a>' in page
    assert f'<a href="{machine.get_absolute_url()}">{was}</a>' in page
    memory = next(field for field in change.display_fields if field['name'] == 'memory')
    row = page[page.index('>memory</th>') :]
    row = row[: row.index('</tr>')]
    assert memory['now'] == '1'
    assert row.index('>1<') < row.index(f'>{memory["want"]}<')
    assert 'Drift' in row
    assert 'Proxmox' in row


def test_what_needs_a_user_comes_before_all_numbers(browser):
    offline = {'level': 'warning', 'subject': 'pve2', 'message': 'offline', 'remedy': ''}
    run = make_run(make_endpoint(), messages=[offline])
    conflict = make_change(run, 0, action='conflict', outcome='skipped', reason='Two machines have this name.')
    make_change(run, 1, outcome='failed', message='NetBox says no.')
    page = text_of(browser, run)
    first = page.index('Changes by kind')
    for word in ('1 conflict requires', 'Two machines have this name.', '1 change was refused by NetBox', 'offline'):
        assert page.index(word) < first
    assert f'href="{conflict.get_absolute_url()}"' in page
    # Its position among the changes follows.
    assert 'NetBox says no.' in page[first:]


def test_a_plan_that_waits_reports_no_failures(browser):
    run = make_run(make_endpoint(), mode='preview', counts={'vm': {'create': 1}}, messages=[])
    make_change(run, 0, outcome='planned')
    page = text_of(browser, run)
    assert 'refused by NetBox' not in page
    assert 'name="outcome"' not in page


def test_times_are_reported_phase_by_phase(browser):
    page = text_of(browser, make_run(make_endpoint(), timings={'collect': 4.5, 'plan': 0.5, 'apply': 2.04}))
    for words in ('Reading Proxmox', '4.5 s', 'Comparing with NetBox', '0.5 s', 'Writing to NetBox', '2.0 s'):
        assert words in page
    assert page.index('Reading Proxmox') < page.index('Comparing') < page.index('Writing to NetBox')


def test_a_run_that_wrote_leads_to_its_part_of_the_change_log(standin, make_endpoint, sync, browser):
    run = sync(make_endpoint(standin(nodes=1, vms=1, containers=0, seed=4)))
    link = f'{reverse("core:objectchange_list")}?request_id={run.request_id}'
    assert f'<a href="{link}"' in browser.get(run.get_absolute_url()).content.decode()
    log = browser.get(link).content.decode()
    assert VirtualMachine.objects.get().name in log
    for wrote_nothing in ({'mode': 'preview'}, {'status': 'refused'}):
        assert 'Everything that it wrote' not in text_of(browser, make_run(run.endpoint, **wrote_nothing))


def test_changes_are_found_by_kind_action_outcome_guest_and_text(admin):
    endpoint = make_endpoint()
    run = make_run(endpoint)
    make_guest(endpoint, 100, name='web-1')
    other = make_endpoint('Other')
    make_guest(other, 101, name='web-of-another-cluster')
    make_change(run, 0, unit='qemu/100', kind='interface', key='qemu/100/net0', label='net0')
    make_change(run, 1, unit='qemu/101', kind='vm', label='db-1', action='conflict', reason='Too many cooks')
    make_change(run, 2, unit='node/pve1', kind='device', label='pve1', outcome='failed', message='Refused')
    make_change(run, 3, unit='qemu/1000', kind='ip', label='10.0.0.1/24')
    make_change(make_run(endpoint), 0, unit='qemu/100')

    def found(**query: str) -> list[int]:
        return [change.position for change in changes_of(run, admin, query)]

    assert found() == [2, 0, 1, 3]
    assert found(kind='vm') == [1]
    assert found(action='conflict') == [1]
    assert found(outcome='failed') == [2]
    assert found(guest='WEB') == [0]
    assert found(guest='db') == [1]
    assert found(guest='pve1') == [2]
    assert found(guest='qemu/100') == [0, 3]
    assert found(q='cooks') == [1]
    assert found(q='refused') == [2]
    assert found(kind='ip', guest='db') == []
    # Invalid filters are ignored.
    assert found(action='nonsense') == [2, 0, 1, 3]
    assert found(kind='nonsense') == []


@pytest.mark.parametrize('query', [{}, {'kind': 'interface'}, {'q': 'machine-1'}])
def test_paging_forth_and_back_shows_every_change_once_and_guests_in_their_order(admin, query):
    run = make_run(make_endpoint())
    many_changes(run, 100)
    make_change(run, 100, unit='', kind='cluster', key='cluster')
    make_change(run, 101, unit='qemu/99')
    expected = [change.position for change in changes_of(run, admin, query)]
    if not query:
        assert expected == [100, 101, *range(100)]
    forth, page = [], ChangePage.of(run, admin, query, 9)
    assert page.before is None
    while True:
        forth.append(positions(page))
        if page.after is None:
            break
        page = ChangePage.of(run, admin, {**query, 'after': str(page.after)}, 9)
    assert [position for rows in forth for position in rows] == expected
    assert {len(rows) for rows in forth[:-1]} <= {9}
    back = [forth[-1]]
    while page.before is not None:
        page = ChangePage.of(run, admin, {**query, 'before': str(page.before)}, 9)
        back.append(positions(page))
    assert back[::-1] == forth


@pytest.mark.parametrize('edge', ['', 'x', '-1', '99999999999999999999', '12345', '٣'])
def test_a_page_that_nobody_leads_to_is_the_first(admin, edge):
    run = make_run(make_endpoint())
    make_change(run, 0)
    assert positions(ChangePage.of(run, admin, {'after': edge}, 5)) == [0]


def test_the_number_of_queries_does_not_depend_on_the_number_of_changes(browser):
    endpoint = make_endpoint()
    counted = []
    for number in (7, 700):
        run = make_run(endpoint)
        many_changes(run, number)
        browser.get(run.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(run.get_absolute_url()).status_code == 200
        counted.append(len(queries))
    # Changes that fit on one page are not counted.
    assert counted[0] + 1 == counted[1]


def nodes_of(plan: dict) -> list[dict]:
    return [plan, *(node for child in plan.get('Plans', ()) for node in nodes_of(child))]


def plans_of(run: SyncRun, user: User, query: dict[str, str]) -> list[tuple[str, dict]]:
    """The execution plans of the queries for the changes of a page: each query with its steps."""
    with CaptureQueriesContext(connection) as queries:
        assert ChangePage.of(run, user, query, 50).groups
    selects = [query['sql'] for query in queries if SyncChange._meta.db_table in query['sql']]
    assert len(selects) >= 2
    steps = []
    with connection.cursor() as cursor:
        for sql in selects:
            cursor.execute(f'EXPLAIN (ANALYZE, FORMAT JSON) {sql}')
            steps += [(sql, node) for node in nodes_of(cursor.fetchone()[0][0]['Plan'])]
    return steps


def test_no_page_of_70000_changes_reads_or_sorts_them_all(admin):
    run = make_run(make_endpoint())
    many_changes(run, MANY)
    pages = [{}, {'after': '100'}, {'after': str(MANY - 30)}, {'before': str(MANY // 2)}, {'action': 'conflict'}]
    for query in pages:
        for sql, node in plans_of(run, admin, query):
            read = node['Actual Rows'] + node.get('Rows Removed by Filter', 0)
            # What is narrowed is found among the rest, in their order.
            assert read <= (1100 if 'action' not in query else MANY / 10), (query, sql, node)
            assert node['Node Type'] != 'Sort' or node['Actual Rows'] <= 700, (query, sql, node)
    assert {change.unit for change in changes_of(run, admin, {'guest': 'machine-9999'})} == {'qemu/10099'}


@pytest.mark.parametrize('view', ['', '_export'])
def test_a_search_for_what_no_name_can_hold_is_no_error(browser, view):
    run = make_run(make_endpoint())
    make_change(run, 0, unit='qemu/100')
    url = reverse(f'plugins:netbox_proxsync:syncrun{view}', args=[run.pk])
    response = browser.get(f'{url}?guest=qemu%00')
    assert (response.status_code, 'qemu/100' in response.getvalue().decode()) == (200, True)


def lines(response) -> str:
    assert response.streaming
    return b''.join(response.streaming_content).decode()


def test_the_export_has_every_change_that_the_page_shows_as_csv(browser):
    run = make_run(make_endpoint())
    many_changes(run, 3000)
    make_change(run, 3000, unit='qemu/1', label='a "quoted", name', reason='two\nlines', action='conflict', fields=[])
    url = reverse('plugins:netbox_proxsync:syncrun_export', args=[run.pk])
    response = browser.get(url, {'format': 'csv'})
    assert response.headers['Content-Type'].startswith('text/csv')
    assert f'run-{run.pk}.csv' in response.headers['Content-Disposition']
    rows = list(csv.DictReader(lines(response).splitlines(keepends=True)))
    assert len(rows) == 3001
    assert (rows[0]['label'], rows[0]['reason'], rows[0]['field']) == ('a "quoted", name', 'two\nlines', '')
    assert [rows[1][name] for name in ('unit', 'field', 'now', 'want')] == ['qemu/100', 'memory', '1024', '2048']
    narrowed = list(csv.DictReader(lines(browser.get(url, {'format': 'csv', 'guest': 'qemu/105'})).splitlines()))
    assert {row['unit'] for row in narrowed} == {'qemu/105'}


def test_the_export_of_a_real_run_is_json_without_any_secret(standin, make_endpoint, sync, browser):
    pve = standin(nodes=1, vms=2, containers=1, seed=4)
    run = sync(make_endpoint(pve))
    response = browser.get(reverse('plugins:netbox_proxsync:syncrun_export', args=[run.pk]), {'format': 'json'})
    text = lines(response)
    assert pve.token_secret not in text
    data = json.loads(text)
    assert (data['run']['id'], data['run']['status']) == (run.pk, 'completed')
    assert len(data['changes']) == run.total_changes == run.changes.count()
    machine = next(change for change in data['changes'] if change['kind'] == 'vm')
    assert {'name', 'memory'} <= {field['name'] for field in machine['fields']}


def test_an_export_of_an_empty_run_is_whole(browser):
    url = reverse('plugins:netbox_proxsync:syncrun_export', args=[make_run(make_endpoint()).pk])
    assert json.loads(lines(browser.get(url, {'format': 'json'})))['changes'] == []
    assert len(lines(browser.get(url)).splitlines()) == 1
    assert browser.get(url, {'format': 'xlsx'}).status_code == 404


def test_what_guests_say_is_shown_as_text(browser):
    endpoint = make_endpoint()
    run = make_run(endpoint, error=SCRIPT)
    make_guest(endpoint, 100, name=SCRIPT)
    field = {**dict.fromkeys(('name', 'owner', 'last', 'now', 'want'), SCRIPT), 'kept': True, 'drift': True}
    texts = {'label': SCRIPT, 'reason': SCRIPT, 'message': SCRIPT, 'key': SCRIPT, 'kind': SCRIPT[:30]}
    make_change(run, 0, unit='qemu/100', fields=[field], **texts)
    make_change(run, 1, unit=f'{SCRIPT}/{SCRIPT}', action='conflict', outcome='failed', **texts)
    for query in ({}, {'guest': SCRIPT, 'q': SCRIPT}):
        page = browser.get(run.get_absolute_url(), query).content.decode()
        assert SCRIPT not in page
        assert '&lt;script&gt;' in page


def permit(user: User, model: type, constraints: dict | None = None):
    permission = ObjectPermission.objects.create(name=model.__name__, actions=['view'], constraints=constraints)
    permission.object_types.add(ObjectType.objects.get_for_model(model))
    permission.users.add(user)


def test_who_may_see_some_changes_sees_no_others(admin):
    run = make_run(make_endpoint())
    make_change(run, 0, label='hidden-machine')
    make_change(run, 1, label='plain-machine')
    user = User.objects.create_user('reader')
    browser = Client()
    browser.force_login(user)
    export = reverse('plugins:netbox_proxsync:syncrun_export', args=[run.pk])
    assert browser.get(export).status_code == 403
    permit(user, SyncRun)
    page = text_of(browser, run)
    assert 'hidden-machine' not in page
    assert 'plain-machine' not in page
    assert browser.get(export).status_code == 403
    permit(user, SyncChange, {'label': 'plain-machine'})
    page = text_of(browser, run)
    assert 'plain-machine' in page
    assert 'hidden-machine' not in page
    assert 'hidden-machine' not in lines(browser.get(export))
