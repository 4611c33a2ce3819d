"""What users do with the plugin, from an empty NetBox on, in a real browser with a real worker."""

import re
from collections.abc import Iterable
from html import escape
from uuid import uuid4

import django_rq
from core.models import ObjectType
from dcim.models import Site
from extras.models import Dashboard
from ipam.models import VRF, IPAddress
from playwright.sync_api import expect
from tenancy.models import Tenant
from users.models import ObjectPermission, User
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.models import ProxmoxEndpoint, SyncRun
from tests.scenarios.synced import pin, run_job

from .conftest import PASSWORD
from .user import PHONE

ENDPOINTS = '/plugins/proxsync/endpoints/'
HIDDEN = 'not-for-everybody'
SCRIPT = '<script>alert("from a guest")</script>'


def preview(endpoint: ProxmoxEndpoint) -> SyncRun:
    return begin(endpoint, 'preview')


def begin(endpoint: ProxmoxEndpoint, mode: str = 'sync') -> SyncRun:
    """A run as it was before a user came to look."""
    run = run_job(endpoint, mode)
    # NetBox's jobs for its search index, behind which the user's run would wait.
    django_rq.get_queue('default').empty()
    return run


def allow(name: str, actions: list[str], types: Iterable[ObjectType], **constraints):
    permission = ObjectPermission.objects.create(name=name, actions=actions, constraints=constraints or None)
    permission.object_types.set(types)
    permission.users.add(User.objects.get(username=name))


def put_on_dashboard(name: str, widget: str):
    place = {'id': str(uuid4()), 'x': 0, 'y': 0, 'w': 8, 'h': 4}
    config = {place['id']: {'class': widget, 'title': None, 'color': None, 'config': {}}}
    Dashboard.objects.create(user=User.objects.get(username=name), layout=[place], config=config)


def names_of(pve) -> dict[int, str]:
    return {guest.vmid: guest.name for guest in pve.cluster.guests.values()}


def test_from_an_empty_netbox_to_a_synced_cluster(site, person, cluster):
    pve = cluster('berlin', nodes=2, vms=4, containers=2, running=1, agent=1, templates=0)
    vmid = next(iter(names_of(pve)))
    # Notes are Markdown and may hold HTML: as text, this is what the tags look like.
    pve.set_config(vmid, description=escape(SCRIPT))
    anna = person('anna', logged_in=False)
    anna.open('/login/')
    anna.page.fill('#id_username', 'anna')
    anna.page.fill('#id_password', PASSWORD)
    anna.press('Sign In')
    anna.open(ENDPOINTS)
    anna.follow('Add')
    anna.page.fill('#id_hosts', f'{pve.host}:{pve.port}')
    anna.page.fill('#id_token_id', pve.token_id)
    anna.page.fill('#id_token_secret', pve.token_secret)
    # The certificate of a fresh Proxmox VE is known to nobody: its fingerprint is fetched, compared, and taken over.
    anna.press('Fetch Fingerprints')
    anna.sees(pve.fingerprint)
    anna.picture('endpoint-add')
    anna.press('Use These Fingerprints')
    expect(anna.page.locator('#id_fingerprint')).to_have_value(pve.fingerprint)
    expect(anna.page.locator('#id_tls_mode')).to_have_value('fingerprint')
    anna.press('Test Connection')
    anna.sees('Connected to')
    assert pve.token_secret not in anna.page.locator('#connection-report').inner_html()
    anna.picture('connection-test')
    # What was typed is still there.
    assert anna.page.input_value('#id_token_secret') == pve.token_secret
    anna.page.fill('#id_name', 'Berlin')
    anna.press('Create', exact=True)
    anna.sees('Never read yet')
    anna.press('Preview')
    anna.sees('Apply Preview', 60)
    assert not VirtualMachine.objects.exists()
    for name in names_of(pve).values():
        assert name in anna.text
    anna.picture('preview')
    # From the run to its endpoint.
    anna.page.locator('.attr-table').get_by_role('link', name='Berlin', exact=True).click()
    anna.press('Sync', exact=True)
    anna.sees_the_end()
    anna.picture('run')
    assert VirtualMachine.objects.count() == 6
    anna.page.locator('.attr-table').get_by_role('link', name='Berlin', exact=True).click()
    anna.sees('6 in Proxmox VE, 6 in NetBox')
    anna.sees('2 of 2 nodes online')
    anna.page.get_by_role('link', name=re.compile('^Guests')).first.click()
    anna.page.get_by_role('link', name=names_of(pve)[vmid]).first.click()
    anna.picture('guest')
    machine = VirtualMachine.objects.get(name=names_of(pve)[vmid]).get_absolute_url()
    anna.open(machine)
    anna.sees('from a guest')
    anna.open(f'{machine}proxmox/')
    anna.page.get_by_role('link', name='Show All Fields').click()
    anna.sees('from a guest')
    anna.picture('virtual-machine')
    anna.open('/virtualization/virtual-machines/')
    anna.picture('virtual-machines')


def test_two_guests_of_a_preview_are_applied_and_the_others_are_not(site, person, cluster):
    pve = cluster('munich', nodes=1, vms=5, containers=0, templates=0)
    pve.rename(next(iter(names_of(pve))), SCRIPT)
    endpoint = pin(pve, name='Munich')
    bert = person('bert')
    run = preview(endpoint)
    bert.open(run.get_absolute_url())
    assert SCRIPT in bert.text
    bert.follow('Apply Preview')
    assert SCRIPT in bert.text
    boxes = bert.page.locator('input[name=pk]')
    chosen = [boxes.nth(number).get_attribute('value') for number in (1, 3)]
    # NetBox's box for all; then all except the chosen ones are selected.
    bert.page.check('input.toggle')
    for unit in chosen:
        bert.page.uncheck(f'input[value="{unit}"]')
    machines = bert.page.locator('#plan-totals tr', has_text='Virtual machine')
    expect(machines.locator('td')).to_have_text(['5', '3', '2'])
    bert.page.locator('tr', has=bert.page.locator(f'input[value="{chosen[0]}"]')).locator('summary').click()
    # The changes unfold, and the fields of each.
    bert.page.locator('.unit-changes summary').first.click()
    bert.sees('Source of truth')
    bert.picture('plan-apply')
    bert.press('Apply Unselected')
    bert.sees_the_end()
    wanted = {names_of(pve)[int(unit.partition('/')[2])] for unit in chosen}
    assert set(VirtualMachine.objects.filter(cluster__name='munich').values_list('name', flat=True)) == wanted
    # The rest can still be applied.
    bert.open(run.get_absolute_url())
    bert.follow('Apply the Rest')
    bert.sees('Parts of this plan were applied by')
    assert boxes.count() == 3


def test_a_conflict_has_a_reason_and_a_link_to_the_object_that_causes_it(site, person, cluster):
    pve = cluster('cologne', nodes=2, vms=2, containers=1, running=1, agent=1, ipv6=0, templates=0)
    vmid, name = next(iter(names_of(pve).items()))
    pve.set_addresses(vmid, 'net0', '10.99.0.5/24')
    # A user has given the address to a machine of their own.
    own = Cluster.objects.create(name='By hand', type=ClusterType.objects.create(name='By hand', slug='by-hand'))
    machine = VirtualMachine.objects.create(name='printer', cluster=own)
    interface = VMInterface.objects.create(virtual_machine=machine, name='eth0')
    IPAddress.objects.create(address='10.99.0.5/24', assigned_object=interface)
    endpoint = pin(pve, name='Cologne', site=Site.objects.create(name='Cologne', slug='cologne'))
    run = begin(endpoint)
    carla = person('carla')
    put_on_dashboard('carla', 'netbox_proxsync.EndpointsWidget')
    carla.open(f'{endpoint.get_absolute_url()}nodes/')
    carla.sees('Online')
    carla.picture('nodes')
    carla.open(endpoint.get_absolute_url())
    carla.sees('2 of 2 nodes online')
    carla.picture('endpoint')
    # The clusters of other tests have addresses in common with this one.
    carla.page.get_by_role('link', name=re.compile(r'^\d+ conflicts?$')).first.click()
    carla.sees('requires a decision')
    reason = run.changes.get(action='conflict', key__contains='10.99.0.5').reason
    assert reason
    assert carla.text.count(reason) == 2  # among what needs a user, and at its guest
    carla.picture('conflict')
    carla.open('/plugins/proxsync/guests/')
    carla.picture('guests')
    carla.open('/')
    # As an administrator has put it there.
    carla.sees('Cologne')
    carla.picture('dashboard')
    carla.open(f'{ENDPOINTS}{endpoint.pk}/guests/?state=conflict')
    assert name in carla.text
    assert IPAddress.objects.get(address='10.99.0.5/24').assigned_object == interface


def test_items_of_needs_attention_are_decided_on_one_page(site, person, cluster):
    pve = cluster('trier', nodes=1, vms=0, containers=0, templates=0)
    names = [f'made-{number:03}' for number in range(200)]
    for number, name in enumerate(names):
        pve.create(vmid=5000 + number, name=name, config={})
    cluster_type = ClusterType.objects.get_or_create(slug='proxmox-ve', defaults={'name': 'Proxmox VE'})[0]
    place = Cluster.objects.create(name='trier', type=cluster_type)
    endpoint = pin(pve, name='Trier', cluster=place)
    machines = {name: VirtualMachine.objects.create(name=name, cluster=place) for name in names}
    assert preview(endpoint).candidates == 200
    nina = person('nina')
    nina.open(f'/plugins/proxsync/attention/?endpoint_id={endpoint.pk}&question=candidate&per_page=25')
    row = nina.page.locator('tbody tr', has=nina.page.get_by_role('link', name=names[0], exact=True))
    nina.picture('attention')
    # One by the button of its row.
    row.get_by_role('button', name='Link to This VM').click()
    nina.sees('The decision was stored')
    # All others, also those of the next page.
    nina.page.locator('input.toggle').check()
    nina.page.locator('#select-all').check()
    nina.page.locator('#select-all-box').get_by_role('button', name='Link Candidates').click()
    for name in (names[1], names[199]):
        nina.sees(name)
    nina.picture('attention-confirm')
    nina.press('Link', exact=True)
    nina.sees('199 decisions were stored')
    nina.sees('Nothing needs attention')
    begin(endpoint)
    bound = endpoint.bindings.filter(kind='vm').values_list('object_id', flat=True)
    assert set(bound) == {machine.pk for machine in machines.values()}
    nina.open(machines[names[5]].get_absolute_url())
    nina.sees('In sync')


def test_each_kind_of_question_is_answered_where_it_is_shown(site, person, cluster):
    # The nodes of other tests have the addresses that would be generated.
    pve = cluster('kiel', nodes=1, addresses=('10.98.200.1',), vms=0, containers=0, templates=0)
    names = ('made-1', 'made-2', 'made-3', 'made-4')
    for number, name in enumerate(names):
        pve.create(vmid=600 + number, name=name, config={})
    for number in (1, 2, 3):
        mac = f'02:00:00:00:98:0{number}'
        net0 = f'name=eth0,bridge=vmbr0,hwaddr={mac},ip=10.98.0.{number}/24,type=veth'
        pve.create(vmid=610 + number, type='lxc', name=f'ct{number}', config={'net0': net0})
    pve.set_interface(next(iter(pve.cluster.nodes)), 'vmbr0.40', **{'type': 'vlan', 'vlan-raw-device': 'bond9'})
    cluster_type = ClusterType.objects.get_or_create(slug='proxmox-ve', defaults={'name': 'Proxmox VE'})[0]
    place = Cluster.objects.create(name='kiel', type=cluster_type)
    machines = {name: VirtualMachine.objects.create(name=name, cluster=place) for name in names}
    switch = VMInterface.objects.create(
        virtual_machine=VirtualMachine.objects.create(name='switch', cluster=place), name='eth0'
    )
    held = [IPAddress.objects.create(address=f'10.98.0.{number}/24', assigned_object=switch) for number in (1, 2, 3)]
    vrf = VRF.objects.create(name='Kiel')
    endpoint = pin(pve, name='Kiel', cluster=place, site=Site.objects.create(name='Kiel', slug='kiel'))
    olga = person('olga')
    olga.open(preview(endpoint).get_absolute_url())
    olga.sees('Apply Preview')
    olga.picture('step-1-preview')
    olga.open(f'/plugins/proxsync/attention/?endpoint_id={endpoint.pk}')
    olga.picture('step-2-resolve')

    def choose(text: str, button: str):
        olga.page.locator('tbody tr', has_text=text).get_by_role('button', name=button, exact=True).click()

    def follow(text: str, link: str):
        olga.page.locator('tbody tr', has_text=text).get_by_role('link', name=link, exact=True).click()

    choose('made-1', 'Link to This VM')
    olga.sees('The decision was stored')
    choose('made-2', 'Create Separately')
    olga.sees('The decision was stored')
    follow('made-3', 'Create Under Another Name')
    olga.page.fill('#id_name', 'intranet')
    olga.picture('decision-rename')
    olga.page.locator('form .card-footer button[type=submit]').click()
    olga.sees('The decision was stored')
    choose('made-4', 'Ignore This Guest')
    olga.page.wait_for_load_state()
    choose('10.98.0.1', 'Move Address Here')
    olga.sees('The decision was stored')
    follow('10.98.0.2', 'Use Another VRF')
    olga.page.locator('#id_instance-ts-control').fill('Kiel')
    olga.page.locator('.ts-dropdown .option', has_text='Kiel').click()
    olga.page.locator('form .card-footer button[type=submit]').click()
    olga.sees('The decision was stored')
    choose('10.98.0.3', 'Ignore This Address')
    olga.sees('The decision was stored')
    choose('bond9', 'Acknowledge')
    olga.sees('1 fault was acknowledged')

    planned = preview(endpoint)
    assert (planned.conflicts, planned.candidates) == (0, 0)
    olga.open(f'{planned.get_absolute_url()}apply/')
    olga.picture('step-3-apply')
    olga.press('Apply All')
    olga.sees_the_end()
    run = SyncRun.objects.get(applies=planned)
    assert (run.status, run.conflicts, run.candidates) == ('completed', 0, 0)
    bound = {row.key: row.object for row in endpoint.bindings.filter(kind='vm')}
    assert bound['qemu/600'] == machines['made-1']
    # NetBox accepts no second virtual machine of that name in the cluster.
    assert (bound['qemu/601'].name, bound['qemu/601'] == machines['made-2']) == ('made-2 (601)', False)
    assert bound['qemu/602'].name == 'intranet'
    assert 'qemu/603' not in bound
    for address in held:
        address.refresh_from_db()
    assert held[0].assigned_object.virtual_machine == bound['lxc/611']
    assert [address.assigned_object for address in held[1:]] == [switch, switch]
    assert IPAddress.objects.get(vrf=vrf).assigned_object.virtual_machine == bound['lxc/612']
    olga.open(f'/plugins/proxsync/attention/?endpoint_id={endpoint.pk}')
    olga.sees('Nothing needs attention')


def test_a_refused_plan_is_understood_and_let_through(site, person, cluster):
    pve = cluster('dresden', nodes=1, vms=10, containers=0, templates=0)
    endpoint = pin(pve, name='Dresden')
    begin(endpoint)
    for vmid in list(names_of(pve))[:6]:
        pve.delete(vmid)
    dora = person('dora')
    dora.open(endpoint.get_absolute_url())
    dora.press('Sync', exact=True)
    dora.sees('Review and Approve', 60)
    assert 'This plan exceeds the change limit' in dora.text
    dora.picture('refused')
    dora.follow('Review and Approve')
    dora.sees('Actions to apply')
    boxes = dora.page.locator('input[name=pk]')
    spared = boxes.first.get_attribute('value')
    boxes.first.check()
    dora.press('Approve Unselected')
    # What is removed is listed by name, and has to be confirmed.
    dora.sees('5 objects are removed')
    names = set(VirtualMachine.objects.filter(cluster__name='dresden').values_list('name', flat=True))
    assert sum(f'{name}\n' in dora.text or f'{name}\t' in dora.text for name in names) == 5
    dora.picture('plan-confirm')
    dora.page.check('input[name=confirm]')
    dora.press('Approve Changes')
    dora.sees_the_end()
    retired = VirtualMachine.objects.filter(cluster__name='dresden', status='decommissioning')
    assert retired.count() == 5
    assert f'qemu/{retired.first().custom_field_data["vmid"]}' != spared


def test_a_run_is_reverted_and_the_schedule_is_paused(site, person, cluster):
    pve = cluster('ulm', nodes=1, vms=3, containers=0, templates=0)
    endpoint = pin(pve, name='Ulm', sync_interval=60)
    begin(endpoint)
    vmid, name = next(iter(names_of(pve).items()))
    pve.rename(vmid, 'renamed-by-mistake')
    run = begin(endpoint)
    machine = VirtualMachine.objects.get(name='renamed-by-mistake')
    gerda = person('gerda')
    gerda.open(run.get_absolute_url())
    gerda.follow('Revert Run')
    gerda.sees('The next sync writes the same values again')
    expect(gerda.page.get_by_label('Pause automatic syncs')).to_be_checked()
    gerda.picture('run-revert')
    gerda.press('Preview Revert')
    gerda.sees('Apply Revert', 60)
    # Nothing was written yet.
    machine.refresh_from_db()
    assert machine.name == 'renamed-by-mistake'
    assert name in gerda.text
    gerda.follow('Apply Revert')
    gerda.sees('Automatic syncs are paused until')
    gerda.press('Apply All')
    gerda.sees_the_end()
    machine.refresh_from_db()
    assert machine.name == name
    gerda.open(run.get_absolute_url())
    assert gerda.page.get_by_role('link', name='Revert Run').count() == 0
    gerda.open(endpoint.get_absolute_url())
    gerda.sees('Paused until')


def test_progress_is_seen_moving_and_a_run_is_canceled(site, person, cluster):
    pve = cluster('essen', nodes=1, vms=40, containers=0, templates=0)
    endpoint = pin(pve, name='Essen', concurrency=1)
    pve.slow('/nodes/*/config', 0.25)
    emil = person('emil')
    emil.open(endpoint.get_absolute_url())
    emil.press('Preview')
    bar = emil.page.locator('[role=progressbar][aria-valuenow]').first
    bar.wait_for(timeout=60_000)
    begun = int(bar.get_attribute('aria-valuenow'))
    emil.page.wait_for_function(
        'begun => Number(document.querySelector("[role=progressbar]")?.ariaValueNow) > begun', arg=begun, timeout=30_000
    )
    emil.picture('progress')
    # It is still followed after the page is loaded again.
    emil.page.reload()
    emil.sees('Reading Proxmox VE')
    emil.press('Cancel Run')
    emil.page.get_by_text('Canceled', exact=True).first.wait_for()
    run = SyncRun.objects.filter(endpoint=endpoint).first()
    assert run.status == 'canceled'


def test_who_may_only_view_sees_everything_and_can_start_nothing(site, person, cluster):
    pve = cluster('fulda', nodes=1, vms=3, containers=0, templates=0)
    endpoint = pin(pve, name='Fulda')
    run = preview(endpoint)
    fred = person('fred', superuser=False)
    allow('fred', ['view'], ObjectType.objects.filter(app_label__in=['netbox_proxsync', 'virtualization']))
    fred.open(endpoint.get_absolute_url())
    fred.sees('3 in Proxmox VE')
    for name in ('Test Connection', 'Preview', 'Sync', 'Edit', 'Delete'):
        assert fred.page.get_by_role('button', name=name, exact=True).count() == 0
    fred.open(run.get_absolute_url())
    for name in names_of(pve).values():
        assert name in fred.text
    fred.sees('This requires the permission to sync the endpoint.')
    assert fred.page.get_by_role('link', name='Apply Preview').count() == 0
    assert ProxmoxEndpoint.objects.get(pk=endpoint.pk).runs.count() == 1


def test_who_may_view_one_tenant_s_machines_syncs_these_and_learns_nothing_of_the_others(site, person, cluster):
    pve = cluster('hamburg', nodes=1, vms=4, containers=0, templates=0)
    own, *others = names_of(pve)
    pve.rename(own, 'blue-web')
    for number, vmid in enumerate(others):
        pve.rename(vmid, f'{HIDDEN}-{number}')
        pve.set_config(vmid, description=f'Notes of {HIDDEN}')
    endpoint = pin(pve, name='Hamburg', change_limit=100)
    begin(endpoint)
    machines = VirtualMachine.objects.filter(cluster__name='hamburg')
    machines.filter(name='blue-web').update(tenant=Tenant.objects.create(name='Blue', slug='blue'))
    for vmid in names_of(pve):
        pve.set_config(vmid, sockets=1, cores=7)
    run = preview(endpoint)
    hans = person('hans', superuser=False)
    allow('hans', ['view', 'sync'], ObjectType.objects.filter(app_label='netbox_proxsync'))
    allow('hans', ['view'], ObjectType.objects.get_for_models(VirtualMachine).values(), tenant__name='Blue')
    machine = machines.get(name='blue-web').get_absolute_url()
    for path in (
        endpoint.get_absolute_url(), run.get_absolute_url(), f'{run.get_absolute_url()}apply/', f'{machine}proxmox/',
        '/plugins/proxsync/changes/', '/search/?q=hamburg', f'{ENDPOINTS}{endpoint.pk}/guests/',
    ):  # fmt: skip
        hans.open(path)
        assert HIDDEN not in hans.page.content(), path
    # The last of these: the one guest that he sees, he syncs.
    hans.sees('blue-web')
    boxes = hans.page.locator('td input[name=pk]')
    assert boxes.count() == 1
    boxes.check()
    hans.press('Sync Selected')
    hans.sees_the_end()
    assert 'blue-web' in hans.text
    assert HIDDEN not in hans.page.content()
    assert set(machines.exclude(tenant=None).values_list('vcpus', flat=True)) == {7}
    assert not machines.filter(tenant=None, vcpus=7).exists()


def test_pages_fit_a_phone(site, person, cluster):
    pve = cluster('gera', nodes=1, vms=3, containers=0, templates=0)
    pve.rename(next(iter(names_of(pve))), 'a-name-that-is-as-long-as-' + 'anybody-ever-made-one-' * 4)
    endpoint = pin(pve, name='Gera')
    run = begin(endpoint)
    gina = person('gina')
    gina.page.set_viewport_size(PHONE)
    tabs = [endpoint.get_absolute_url() + tab for tab in ('', 'nodes/')]
    for path in (*tabs, run.get_absolute_url(), f'{ENDPOINTS}add/'):
        gina.open(path)
        wide = gina.page.evaluate('document.documentElement.scrollWidth')
        assert wide <= PHONE['width'], path
