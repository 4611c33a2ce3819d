"""The page of a run: what requires attention, and the changes by guest, with filters, pagination and export."""

import csv
import json
import re
from html import unescape

import pytest
from core.models import ObjectType
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from users.models import ObjectPermission, User
from utilities.templatetags.helpers import humanize_ram_capacity
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


def units(page: ChangePage) -> list[str]:
    return [row.unit for row in page.page.object_list]


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
    # The row of the guest has a link to its page, and the change to its machine.
    change = run.changes.get(kind='vm')
    assert f'href="/plugins/proxsync/guests/{endpoint.guests.get(name=was).pk}/" title="Show {was}"' in page
    assert f'<a href="{machine.get_absolute_url()}">{was}</a>' in page
    memory = next(field for field in change.display_fields if field['name'] == 'memory')
    row = page[page.index('>Memory</th>') :]
    row = row[: row.index('</tr>')]
    unit = humanize_ram_capacity(1).split()[1]
    assert memory['now'] == '1'
    assert row.index(f'>1 {unit}<') < row.index(f'{memory["want"]} {unit}')
    # Without a mouse, the text states what happens.
    assert 'Drift' in row
    assert 'Edited in NetBox and reset' in row
    assert 'Proxmox VE' in row
    for column in ('Current', 'New', 'Last synchronized', 'Source of truth'):
        assert f'>{column}</th>' in page


def test_items_that_require_attention_come_before_all_numbers(browser):
    offline = {'level': 'warning', 'subject': 'pve2', 'message': 'offline', 'remedy': ''}
    run = make_run(make_endpoint(), messages=[offline])
    conflict = make_change(run, 0, action='conflict', outcome='skipped', reason='Two machines have this name.')
    make_change(run, 1, outcome='failed', message='NetBox says no.')
    page = text_of(browser, run)
    first = page.index('Changes by Object Type')
    for word in ('1 conflict requires', 'Two machines have this name.', '1 change was rejected by NetBox', 'offline'):
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
    page = text_of(browser, make_run(make_endpoint(), timings={'collect': 270, 'plan': 0.53, 'apply': 2.04}))
    for words in ('Reading Proxmox VE', '4m 30s', 'Comparing with NetBox', '0.5s', 'Writing to NetBox', '2s'):
        assert words in page
    assert page.index('Reading Proxmox VE') < page.index('Comparing') < page.index('Writing to NetBox')


def test_a_run_that_wrote_leads_to_its_part_of_the_change_log(standin, make_endpoint, sync, browser):
    run = sync(make_endpoint(standin(nodes=1, vms=1, containers=0, seed=4)))
    link = f'{reverse("core:objectchange_list")}?request_id={run.request_id}'
    assert f'<a href="{link}"' in browser.get(run.get_absolute_url()).content.decode()
    log = browser.get(link).content.decode()
    assert VirtualMachine.objects.get().name in log
    for wrote_nothing in ({'mode': 'preview'}, {'status': 'refused'}):
        assert 'View Change Log Entries' not in text_of(browser, make_run(run.endpoint, **wrote_nothing))


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
    # Invalid filters find nothing.
    assert found(action='nonsense') == []
    assert found(kind='nonsense') == []


@pytest.mark.parametrize('query', [{}, {'kind': 'interface'}, {'q': 'machine-1'}, {'hide': 'update'}])
def test_pages_show_every_guest_once_the_most_severe_action_first(admin, query):
    run = make_run(make_endpoint())
    many_changes(run, 200)
    make_change(run, 200, unit='', kind='cluster', key='cluster')
    make_change(run, 201, unit='qemu/99', action='delete')
    make_change(run, 202, unit='qemu/98', action='update')
    expected = {change.unit for change in changes_of(run, admin, query)}
    first = ChangePage.of(run, admin, query, 9)
    pages = [
        ChangePage.of(run, admin, {**query, 'page': str(number)}, 9)
        for number in range(1, first.page.paginator.num_pages + 1)
    ]
    found = [unit for page in pages for unit in units(page)]
    assert sorted(found) == sorted(expected)
    assert sum(row.number for page in pages for row in page.page.object_list) == first.number
    assert {page.number for page in pages} == {changes_of(run, admin, query).count()}
    if not query:
        # Two conflicts, a deletion, the updates as in Proxmox VE, and what is only created.
        assert found[:5] == ['qemu/114', 'qemu/128', 'qemu/99', 'qemu/98', 'qemu/100']
        assert found[-1] == ''
        assert [(action, number) for action, _label, _color, number in first.totals] == [
            ('conflict', 2), ('delete', 1), ('update', 199), ('create', 1),
        ]  # fmt: skip


@pytest.mark.parametrize('number', ['', 'x', '-1', '99999999999999999999', '12345', '٣'])
def test_a_page_that_does_not_exist_is_another_one(admin, number):
    run = make_run(make_endpoint())
    make_change(run, 0)
    assert units(ChangePage.of(run, admin, {'page': number}, 5)) == ['qemu/100']


def test_a_guest_unfolds_to_its_changes_in_parts(browser):
    run = make_run(make_endpoint())
    many_changes(run, 2100)
    # A guest with more changes than are loaded at once.
    SyncChange.objects.filter(run=run, position__lt=105).update(unit='qemu/500')
    page = browser.get(run.get_absolute_url()).content.decode()
    unit = f'{reverse("plugins:netbox_proxsync:syncrun_unit", args=[run.pk])}?unit=qemu%2F128'
    # Not the changes themselves: there are too many for one page.
    assert f'hx-get="{unit}"' in page
    assert '>Memory</th>' not in page
    fragment = browser.get(unit).content.decode()
    assert '<html' not in fragment
    assert fragment.count('>memory</th>') == 6
    assert fragment.index('>Conflict<') < fragment.index('>Update<')
    first = browser.get(unit.replace('128', '500')).content.decode()
    assert first.count('class="px-3 py-2 border-top"') == 101
    assert 'after=100' in first
    rest = browser.get(unit.replace('128', '500'), {'unit': 'qemu/500', 'after': '100'}).content.decode()
    assert (rest.lower().count('>memory</th>'), 'Show More' in rest) == (5, False)
    assert (
        browser.get(unit, {'unit': 'qemu/128', 'action': 'conflict'}).content.decode().lower().count('>memory</th>')
        == 1
    )
    few = text_of(browser, run, guest='qemu/120')
    assert 'Memory' in few


def test_a_run_reports_what_became_of_its_changes(browser):
    counts = {'vm': {'create': 10, 'conflict': 1}, 'interface': {'update': 2}}
    run = make_run(make_endpoint(), status='canceled', counts=counts)
    for position, outcome in enumerate(['applied'] * 4 + ['failed', 'outdated', 'canceled', 'canceled']):
        make_change(run, position, outcome=outcome)
    make_change(run, 8, action='conflict', outcome='skipped')
    make_change(run, 9, kind='interface', action='update')
    page = browser.get(run.get_absolute_url()).content.decode()
    table = page[page.index('>Written</th>') : page.index('</table>', page.index('>Written</th>'))]
    rows = [
        [unescape(cell).strip() for cell in re.findall(r'>\s*([0-9]+|&mdash;)\s*<', row)] for row in table.split('<tr>')
    ]
    # Planned, written, skipped, failed, not written; the last two creations were not even recorded.
    assert rows[1:] == [
        ['1', '—', '1', '—', '—'],
        ['10', '4', '1', '1', '4'],
        ['2', '1', '—', '—', '1'],
        ['13', '5', '2', '1', '5'],
    ]
    assert '?kind=vm&amp;action=create&amp;outcome=applied#changes' in table


def test_a_running_run_cannot_be_deleted_on_its_page(browser):
    run = make_run(make_endpoint(), status='running', completed=None)
    delete = f'"{reverse("plugins:netbox_proxsync:syncrun_delete", args=[run.pk])}'
    assert delete not in browser.get(run.get_absolute_url()).content.decode()
    SyncRun.objects.update(status='completed')
    assert delete in browser.get(run.get_absolute_url()).content.decode()


def test_the_number_of_queries_does_not_depend_on_the_number_of_changes(browser):
    endpoint = make_endpoint()
    counted = []
    for number in (70, 700):
        run = make_run(endpoint)
        many_changes(run, number)
        browser.get(run.get_absolute_url())
        with CaptureQueriesContext(connection) as queries:
            assert browser.get(run.get_absolute_url()).status_code == 200
        counted.append(len(queries))
    assert counted[0] == counted[1]


def nodes_of(plan: dict) -> list[dict]:
    return [plan, *(node for child in plan.get('Plans', ()) for node in nodes_of(child))]


def plans_of(run: SyncRun, user: User, query: dict[str, str]) -> list[tuple[str, dict]]:
    """The execution plans of the queries for the changes of a page: each query with its steps."""
    with CaptureQueriesContext(connection) as queries:
        assert units(ChangePage.of(run, user, query, 50))
    selects = [query['sql'] for query in queries if SyncChange._meta.db_table in query['sql']]
    assert selects
    steps = []
    with connection.cursor() as cursor:
        for sql in selects:
            cursor.execute(f'EXPLAIN (ANALYZE, FORMAT JSON) {sql}')
            steps += [(sql, node) for node in nodes_of(cursor.fetchone()[0][0]['Plan'])]
    return steps


def test_a_page_of_70000_changes_reads_them_once(admin):
    run = make_run(make_endpoint())
    many_changes(run, MANY)
    for query in ({}, {'page': '200'}, {'action': 'conflict'}):
        steps = plans_of(run, admin, query)
        scans = [node for _sql, node in steps if node.get('Relation Name') == SyncChange._meta.db_table]
        read = sum(node['Actual Rows'] * node['Actual Loops'] + node.get('Rows Removed by Filter', 0) for node in scans)
        assert read <= (MANY + 1000 if 'action' not in query else MANY / 10), (query, scans)
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


def test_text_from_guests_is_escaped(browser):
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
