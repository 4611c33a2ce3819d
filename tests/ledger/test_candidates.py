"""
Virtual machines that may be a guest, without proof: never a second record of the same machine.

The class is "an existing record is taken for another machine". Other inputs that were tried: names that differ in case,
names with the VM ID, other tenants, containers, two guests for one record, two records for one guest, a record of
another guest, a record with other MAC addresses, a record with another VM ID (of a guest that is there, and of none), a
record with another SMBIOS UUID, a record with another name and the guest's MAC address, ignored guests, guests that a
filter leaves out, limited runs, stored plans (the record made, renamed, or given a VM ID, serial number or MAC address
since), records with proof for another guest, and users who may not view the record.
"""

import json

import pytest
from core.models import ObjectChange, ObjectType
from dcim.models import MACAddress
from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from tenancy.models import Tenant
from users.models import ObjectPermission, Token, User
from virtualization.models import Cluster, ClusterType, VirtualMachine, VMInterface

from netbox_proxsync.decisions import ignore
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from tests.pve.interfaces import mac_of

from .test_guests import guest_of, writes

pytestmark = pytest.mark.django_db

UUID = '6a0f3c1e-0000-4000-8000-0000000003e8'


@pytest.fixture
def pve(standin):
    """A cluster with one guest, which NetBox does not know: virtual machine 300, "web"."""
    pve = standin(nodes=1, vms=1, containers=0, templates=0, seed=3, name='lab')
    pve.rename(100, 'other')
    pve.create(vmid=300, name='web', config={'smbios1': f'uuid={UUID}'})
    return pve


@pytest.fixture
def cluster(db) -> Cluster:
    cluster_type = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    return Cluster.objects.create(name='lab', type=cluster_type)


@pytest.fixture
def endpoint(pve, make_endpoint, cluster):
    return make_endpoint(pve, cluster=cluster)


def by_hand(cluster, name='web', macs=(), vmid=None, **values) -> VirtualMachine:
    """As a user makes it, who enters a name and a status; and what more is given."""
    vm = VirtualMachine(name=name, status='active', cluster=cluster, **values)
    if vmid:
        vm.custom_field_data['vmid'] = vmid
    vm.full_clean()
    vm.save()
    give_mac(vm, *macs)
    return vm


def give_mac(vm: VirtualMachine, *macs: str):
    for number, mac in enumerate(macs):
        interface, _made = VMInterface.objects.get_or_create(virtual_machine=vm, name=f'nic{number}')
        interface.primary_mac_address = MACAddress.objects.create(mac_address=mac, assigned_object=interface)
        interface.save()


def mac(pve, vmid=300) -> str:
    return mac_of(pve.cluster.guest(vmid).config['net0'])


def reported(run, vmid=300) -> list[tuple]:
    rows = run.changes.filter(kind='vm', key__endswith=f'/{vmid}').order_by('position')
    return [(row.action, row.outcome, row.object) for row in rows]


def machine_of(endpoint, vmid=300) -> VirtualMachine | None:
    row = endpoint.bindings.filter(kind='vm', key__endswith=f'/{vmid}').first()
    return row and row.object


def apply(run, units=None) -> SyncRun:
    return SyncJob.enqueue_plan(run, None, units, immediate=True)


def test_a_machine_of_the_same_name_is_not_created_twice(pve, endpoint, cluster, sync):
    vm = by_hand(cluster)
    before = VirtualMachine.objects.filter(pk=vm.pk).values().get()
    preview = sync(endpoint, mode='preview')
    assert reported(preview) == [('candidate', 'planned', vm)]
    run = sync(endpoint)
    assert (run.status, reported(run), run.candidates, run.conflicts) == (
        'completed', [('candidate', 'skipped', vm)], 1, 0,
    )  # fmt: skip
    assert sorted(VirtualMachine.objects.values_list('name', flat=True)) == ['other', 'web']
    assert VirtualMachine.objects.filter(pk=vm.pk).values().get() == before
    guest = guest_of(endpoint, 300)
    assert (guest.state, guest.virtual_machine, guest.candidate_ids) == ('candidate', None, [vm.pk])
    # Each way out that it names is tried below.
    for text in ('"web"', 'adopt by name', 'Link to This VM', 'Create Separately', 'Ignore This Guest'):
        assert text in guest.reason, text
    # The other guest of the cluster is not held up.
    assert guest_of(endpoint, 100).state == 'in-sync'


def test_a_candidate_is_reported_at_every_run_and_written_once(pve, endpoint, cluster, sync):
    by_hand(cluster)
    sync(endpoint)
    logged = ObjectChange.objects.count()
    with CaptureQueriesContext(connection) as queries:
        again = sync(endpoint)
    assert [row.action for row in again.changes.all()] == ['candidate']
    assert (ObjectChange.objects.count(), writes(queries)) == (logged, [])


def test_with_adopt_by_name_it_is_adopted_with_all_that_the_user_entered(pve, endpoint, cluster, sync):
    vm = by_hand(cluster, name='WEB', description='By hand')
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    run = sync(endpoint)
    assert reported(run) == [('adopt', 'applied', vm)]
    vm.refresh_from_db()
    assert (vm.name, vm.description, vm.cf['vmid']) == ('WEB', 'By hand', 300)
    assert guest_of(endpoint, 300).state == 'in-sync'
    assert not sync(endpoint).changes.exists()


def resolve_by_mac(pve, endpoint, vm):
    give_mac(vm, mac(pve))


def resolve_by_serial(pve, endpoint, vm):
    VirtualMachine.objects.filter(pk=vm.pk).update(serial=UUID.upper())


def resolve_by_vmid(pve, endpoint, vm):
    """The custom field is not in NetBox's forms; the REST API takes it."""
    user = User.objects.create_superuser('api')
    token = Token.objects.create(user=user)
    answer = Client().patch(
        f'/api/virtualization/virtual-machines/{vm.pk}/',
        json.dumps({'custom_fields': {'vmid': 300}}),
        content_type='application/json',
        HTTP_AUTHORIZATION=f'Bearer nbt_{token.key}.{token.token}',
    )
    assert answer.status_code == 200, answer.json()


@pytest.mark.parametrize('resolve', [resolve_by_mac, resolve_by_serial, resolve_by_vmid])
def test_a_mac_address_serial_number_or_vm_id_links_a_candidate(pve, endpoint, cluster, sync, resolve):
    vm = by_hand(cluster)
    sync(endpoint)
    resolve(pve, endpoint, vm)
    assert reported(sync(endpoint)) == [('adopt', 'applied', vm)]
    guest = guest_of(endpoint, 300)
    assert (guest.state, guest.virtual_machine, guest.candidate_ids) == ('in-sync', vm, [])


def test_a_renamed_machine_is_no_candidate_any_more(pve, endpoint, cluster, sync):
    vm = by_hand(cluster)
    sync(endpoint)
    VirtualMachine.objects.filter(pk=vm.pk).update(name='web-old')
    sync(endpoint)
    assert machine_of(endpoint).name == 'web'
    assert guest_of(endpoint, 300).state == 'in-sync'


def test_an_ignored_guest_has_no_candidates(pve, endpoint, cluster, sync):
    by_hand(cluster)
    sync(endpoint)
    ignore([guest_of(endpoint, 300)])
    assert not sync(endpoint).changes.exists()
    guest = guest_of(endpoint, 300)
    assert (guest.state, guest.candidate_ids) == ('ignored', [])


@pytest.mark.parametrize('name', ['WEB', 'web (300)', 'Web (300)'])
def test_a_name_in_other_case_or_with_the_vm_id_is_the_same_name(pve, endpoint, cluster, sync, name):
    vm = by_hand(cluster, name=name)
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert reported(sync(endpoint)) == [('adopt', 'applied', vm)]


def test_a_machine_of_another_tenant_is_a_candidate_and_keeps_its_tenant(pve, endpoint, cluster, sync):
    tenants = [Tenant.objects.create(name=name, slug=name) for name in ('mine', 'theirs')]
    ProxmoxEndpoint.objects.update(tenant=tenants[0])
    vm = by_hand(cluster, tenant=tenants[1])
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    sync(endpoint)
    vm.refresh_from_db()
    assert (machine_of(endpoint), vm.tenant) == (vm, tenants[1])


def test_containers_have_candidates_too(pve, endpoint, cluster, sync):
    pve.create(vmid=301, type='lxc', name='dns')
    vm = by_hand(cluster, name='DNS')
    run = sync(endpoint)
    assert reported(run, 301) == [('candidate', 'skipped', vm)]
    assert 'UUID' not in guest_of(endpoint, 301).reason
    give_mac(vm, mac_of(pve.cluster.guest(301).config['net0']))
    assert reported(sync(endpoint), 301) == [('adopt', 'applied', vm)]


def test_a_machine_with_other_mac_addresses_is_another_machine(pve, endpoint, cluster, sync):
    by_hand(cluster, macs=['02:00:00:00:00:99'])
    sync(endpoint)
    assert machine_of(endpoint).name == 'web (300)'


def test_a_machine_with_another_vm_id_and_the_mac_address_of_the_guest_is_a_candidate(pve, endpoint, cluster, sync):
    """Case 37: NetBox contains neither the machine nor its MAC address twice."""
    vm = by_hand(cluster, macs=[mac(pve)], vmid=999)
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    reason = guest_of(endpoint, 300).reason
    assert f'same name, MAC address {mac(pve)}' in reason
    assert 'However, its VM ID is 999.' in reason
    assert 'adopt by name' not in reason
    assert MACAddress.objects.filter(mac_address=mac(pve)).count() == 1
    resolve_by_vmid(pve, endpoint, vm)
    assert reported(sync(endpoint)) == [('adopt', 'applied', vm)]
    assert MACAddress.objects.filter(mac_address=mac(pve)).count() == 1


def test_a_machine_of_another_name_with_the_mac_address_of_the_guest_is_a_candidate(pve, endpoint, cluster, sync):
    vm = by_hand(cluster, name='webserver', macs=[mac(pve)])
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    assert 'However, the names differ.' in guest_of(endpoint, 300).reason
    assert MACAddress.objects.filter(mac_address=mac(pve)).count() == 1
    MACAddress.objects.all().delete()
    sync(endpoint)
    assert machine_of(endpoint).name == 'web'


def test_a_machine_with_another_vm_id_and_no_mac_address_is_another_machine(pve, endpoint, cluster, sync):
    by_hand(cluster, vmid=999)
    sync(endpoint)
    assert machine_of(endpoint).name == 'web (300)'


def test_the_record_of_a_guest_that_is_left_out_is_not_offered_to_its_copy(pve, endpoint, cluster, sync):
    """A copy with the same name and MAC address; the record has the VM ID of the original."""
    pve.create(vmid=302, name='web', config={'net0': f'virtio={mac(pve)},bridge=vmbr0', 'tags': 'secret'})
    by_hand(cluster, macs=[mac(pve)], vmid=302)
    ProxmoxEndpoint.objects.update(exclude_guests=['tag:secret'])
    sync(endpoint)
    assert machine_of(endpoint).name == 'web (300)'


def test_another_smbios_uuid_is_shown_and_not_adopted_by_name(pve, endpoint, cluster, sync):
    other = UUID.replace('0000', '1111', 1)
    vm = by_hand(cluster, serial=other)
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]
    assert f'another SMBIOS UUID ({other})' in guest_of(endpoint, 300).reason
    # A serial number that is no UUID (an asset tag) says nothing.
    VirtualMachine.objects.filter(pk=vm.pk).update(serial='A-1')
    assert reported(sync(endpoint)) == [('adopt', 'applied', vm)]


@pytest.mark.parametrize('by_name', [False, True])
@pytest.mark.parametrize('names', [('web', 'web'), ('web', 'Web')])
def test_two_guests_of_one_name_are_both_candidates_of_one_machine(pve, endpoint, cluster, sync, names, by_name):
    for vmid, name in zip((300, 302), names, strict=True):
        if vmid == 302:
            pve.create(vmid=302, name=name)
    vm = by_hand(cluster)
    ProxmoxEndpoint.objects.update(adopt_by_name=by_name)
    run = sync(endpoint)
    assert reported(run, 300) == reported(run, 302) == [('candidate', 'skipped', vm)]
    assert 'The virtual machine may also be qemu/302' in guest_of(endpoint, 300).reason
    resolve_by_vmid(pve, endpoint, vm)
    run = sync(endpoint)
    assert reported(run, 300) == [('adopt', 'applied', vm)]
    # The only candidate has turned out to be the other guest.
    assert machine_of(endpoint, 302).name == f'{names[1]} (302)'


@pytest.mark.parametrize('how', ['ignored', 'filtered'])
def test_a_machine_that_may_be_a_guest_that_is_left_unchanged_is_not_adopted_by_name(pve, endpoint, cluster, sync, how):
    ProxmoxEndpoint.objects.update(exclude_guests=['tag:secret'] if how == 'filtered' else [])
    pve.create(vmid=299, name='web', config={'tags': 'secret'})
    vm = by_hand(cluster)
    sync(endpoint)
    if how == 'ignored':
        ignore([guest_of(endpoint, 299)])
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert reported(sync(endpoint)) == [('candidate', 'skipped', vm)]


def test_two_machines_for_one_guest_are_two_candidates(pve, endpoint, cluster, sync):
    tenant = Tenant.objects.create(name='T', slug='t')
    one, two = by_hand(cluster), by_hand(cluster, tenant=tenant)
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    run = sync(endpoint)
    assert reported(run) == [('candidate', 'skipped', one), ('candidate', 'skipped', two)]
    guest = guest_of(endpoint, 300)
    assert (guest.state, guest.candidate_ids) == ('candidate', sorted([one.pk, two.pk]))


def test_the_machine_of_another_guest_is_no_candidate(pve, endpoint, cluster, sync):
    sync(endpoint)
    remaining = machine_of(endpoint)
    pve.create(vmid=302, name='web')
    sync(endpoint)
    assert (machine_of(endpoint), machine_of(endpoint, 302).name) == (remaining, 'web (302)')


@pytest.mark.parametrize('vmid', [299, 302])
def test_proof_for_another_guest_takes_precedence_in_any_order(pve, endpoint, cluster, sync, vmid):
    pve.create(vmid=vmid, name='web')
    vm = by_hand(cluster, macs=[mac(pve, vmid)])
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    sync(endpoint)
    assert machine_of(endpoint, vmid) == vm
    assert machine_of(endpoint, 300).name == 'web (300)'


@pytest.mark.parametrize('by_name', [False, True])
def test_two_guests_with_the_same_proof_share_no_machine(pve, endpoint, cluster, sync, by_name):
    """A copy that was restored with its name and SMBIOS UUID."""
    pve.create(vmid=302, name='web', config={'smbios1': f'uuid={UUID}'})
    vm = by_hand(cluster, serial=UUID)
    ProxmoxEndpoint.objects.update(adopt_by_name=by_name)
    run = sync(endpoint)
    assert reported(run, 300) == reported(run, 302) == [('candidate', 'skipped', vm)]
    resolve_by_vmid(pve, endpoint, vm)
    sync(endpoint)
    assert (machine_of(endpoint, 300), VirtualMachine.objects.count()) == (vm, 3)


def test_a_limited_run_makes_no_second_machine_either(pve, endpoint, cluster, sync):
    pve.create(vmid=302, name='web')
    vm = by_hand(cluster)
    run = sync(endpoint, vmids=[300])
    assert reported(run) == [('candidate', 'skipped', vm)]
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    # The guest 302 was not read, and is of the same name.
    assert reported(sync(endpoint, vmids=[300])) == [('candidate', 'skipped', vm)]
    pve.rename(302, 'another')
    assert reported(sync(endpoint, vmids=[300])) == [('adopt', 'applied', vm)]


def test_a_stored_preview_shows_the_candidate_and_applies_the_rest(pve, endpoint, cluster, sync):
    vm = by_hand(cluster)
    preview = sync(endpoint, mode='preview')
    run = apply(preview)
    assert reported(run) == [('candidate', 'skipped', vm)]
    assert machine_of(endpoint, 100)
    assert guest_of(endpoint, 300).state == 'candidate'
    assert VirtualMachine.objects.count() == 2


def made_by_name(pve, cluster):
    by_hand(cluster, name='Web')


def made_in_another_tenant(pve, cluster):
    by_hand(cluster, tenant=Tenant.objects.create(name='T', slug='t'))


def made_with_the_vm_id(pve, cluster):
    by_hand(cluster, name='web (300)')


def renamed(pve, cluster):
    vm = VirtualMachine.objects.get(name='unrelated')
    vm.name = 'WEB'
    vm.save()


def given_the_vmid(pve, cluster):
    vm = VirtualMachine.objects.get(name='unrelated')
    vm.custom_field_data['vmid'] = 300
    vm.save()


def given_the_serial(pve, cluster):
    vm = VirtualMachine.objects.get(name='unrelated')
    vm.serial = UUID.upper()
    vm.save()


def given_the_mac(pve, cluster):
    give_mac(VirtualMachine.objects.get(name='unrelated'), mac(pve))


@pytest.mark.parametrize(
    'meanwhile',
    [made_by_name, made_in_another_tenant, made_with_the_vm_id, renamed, given_the_vmid, given_the_serial,
     given_the_mac],
)  # fmt: skip
def test_a_machine_created_by_a_user_since_the_preview_is_not_created_again(pve, endpoint, cluster, sync, meanwhile):
    by_hand(cluster, name='unrelated')
    preview = sync(endpoint, mode='preview')
    assert [row[0] for row in reported(preview)] == ['create']
    meanwhile(pve, cluster)
    run = apply(preview)
    row = run.changes.get(kind='vm', unit='qemu/300')
    assert (row.action, row.outcome, 'since the plan was created' in row.message) == ('create', 'outdated', True)
    assert machine_of(endpoint) is None
    assert not run.changes.filter(unit='qemu/300', outcome='applied').exists()
    assert MACAddress.objects.filter(mac_address=mac(pve)).count() <= 1
    # What is not in doubt is written.
    assert machine_of(endpoint, 100)


def test_an_unrelated_machine_created_since_the_preview_does_not_block_the_plan(pve, endpoint, cluster, sync):
    preview = sync(endpoint, mode='preview')
    by_hand(cluster, name='webserver', macs=['02:00:00:00:00:99'], vmid=17)
    elsewhere = Cluster.objects.create(name='elsewhere', type=cluster.type)
    by_hand(elsewhere, name='web')
    assert [row[:2] for row in reported(apply(preview))] == [('create', 'applied')]


def test_a_machine_that_got_another_vm_id_since_the_preview_is_not_adopted(pve, endpoint, cluster, sync):
    vm = by_hand(cluster)
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    preview = sync(endpoint, mode='preview')
    assert [row[0] for row in reported(preview)] == ['adopt']
    vm.custom_field_data['vmid'] = 999
    vm.save()
    run = apply(preview)
    assert [row[:2] for row in reported(run)] == [('adopt', 'outdated')]
    assert machine_of(endpoint) is None
    vm.refresh_from_db()
    assert vm.cf['vmid'] == 999


def test_60_machines_created_manually_are_60_candidates_and_no_duplicates(standin, make_endpoint, cluster, sync):
    # More than the 50 that share a transaction.
    pve = standin(nodes=1, vms=60, containers=0, templates=0, seed=3, name='lab')
    names = {}
    for guest in list(pve.cluster.guests.values()):
        names[guest.vmid] = f'vm{guest.vmid}'
        pve.rename(guest.vmid, names[guest.vmid])
    few = {vmid: names[vmid] for vmid in list(names)[:10]}
    endpoint = make_endpoint(pve, cluster=cluster)
    statements = []
    for group in (few, {vmid: name for vmid, name in names.items() if vmid not in few}):
        made = [VirtualMachine(name=name.upper(), cluster=cluster) for name in group.values()]
        VirtualMachine.objects.bulk_create(made)
        with CaptureQueriesContext(connection) as queries:
            preview = sync(endpoint, mode='preview')
        selects = [query for query in queries.captured_queries if query['sql'].startswith('SELECT')]
        statements.append(len(selects))
    assert preview.counts['vm'] == {'candidate': 60}
    assert statements[1] <= statements[0], statements
    run = sync(endpoint)
    assert (run.status, run.candidates, VirtualMachine.objects.count()) == ('completed', 60, 60)
    assert set(endpoint.guests.values_list('state', flat=True)) == {'candidate'}
    ProxmoxEndpoint.objects.update(adopt_by_name=True)
    assert sync(endpoint).counts['vm'] == {'adopt': 60}
    assert VirtualMachine.objects.count() == 60


# Pages and APIs


@pytest.fixture
def admin(db) -> Client:
    browser = Client()
    browser.force_login(User.objects.create_superuser('boss'))
    return browser


def viewer(constraints: dict) -> Client:
    """A user who may view everything of the plugin, and some virtual machines."""
    user = User.objects.create_user('viewer')
    for model, limits in (
        (ProxmoxEndpoint, None), (ProxmoxGuest, None), (SyncRun, None),
        (SyncRun.changes.rel.related_model, None), (VirtualMachine, constraints),
    ):  # fmt: skip
        permission = ObjectPermission.objects.create(name=model.__name__, actions=['view'], constraints=limits)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(user)
    browser = Client()
    browser.force_login(user)
    return browser


GUESTS = '{ proxsync_guest_list(filters: {state: {exact: STATE_CANDIDATE}}) { vmid state reason candidate_ids } }'


def graphql(browser: Client, query: str) -> list[dict]:
    answer = browser.post('/graphql/', json.dumps({'query': query}), content_type='application/json').json()
    assert 'errors' not in answer, answer
    (rows,) = answer['data'].values()
    return rows


def test_pages_show_the_candidate_with_its_link(pve, endpoint, cluster, sync, admin):
    vm = by_hand(cluster)
    preview = sync(endpoint, mode='preview')
    run = sync(endpoint)
    guest = guest_of(endpoint, 300)
    pages = {
        guest.get_absolute_url(): (f'href="{vm.get_absolute_url()}"', 'Candidate', 'may be this guest'),
        run.get_absolute_url(): ('1 object in NetBox may be a guest or node', f'{vm.get_absolute_url()}'),
        f'{run.get_absolute_url()}?action=candidate': (f'{vm.get_absolute_url()}',),
        endpoint.get_absolute_url(): ('1 candidate',),
        f'/plugins/proxsync/endpoints/{endpoint.pk}/guests/?state=candidate': ('web',),
        '/plugins/proxsync/guests/?state=candidate': ('web', 'Candidate'),
    }
    for url, texts in pages.items():
        answer = admin.get(url)
        assert answer.status_code == 200, url
        page = answer.content.decode()
        for text in texts:
            assert text in page, (url, text)
    assert preview.candidates == 1


def test_rest_and_graphql_tell_the_candidate(pve, endpoint, cluster, sync, admin):
    vm = by_hand(cluster)
    run = sync(endpoint)
    guests = admin.get('/api/plugins/proxsync/guests/', {'state': 'candidate'}).json()['results']
    assert [(guest['vmid'], guest['state']['value']) for guest in guests] == [(300, 'candidate')]
    assert [candidate['id'] for candidate in guests[0]['candidates']] == [vm.pk]
    assert guests[0]['virtual_machine'] is None
    changes = admin.get('/api/plugins/proxsync/changes/', {'run_id': run.pk, 'action': 'candidate'}).json()['results']
    assert [(change['key'], change['object']['id']) for change in changes] == [('qemu/300', vm.pk)]
    assert graphql(admin, GUESTS) == [
        {'vmid': 300, 'state': 'candidate', 'reason': guests[0]['reason'], 'candidate_ids': [vm.pk]}
    ]


def test_a_candidate_that_a_user_may_not_view_is_not_named(pve, endpoint, cluster, sync):
    vm = by_hand(cluster, comments='secret')
    sync(endpoint)
    browser = viewer({'name': 'other'})
    guest = browser.get('/api/plugins/proxsync/guests/', {'vmid': 300}).json()['results'][0]
    assert (guest['state']['value'], guest['candidates'], '"web"' in guest['reason']) == ('candidate', [], False)
    assert [row['candidate_ids'] for row in graphql(browser, GUESTS)] == [[]]
    assert browser.get('/api/plugins/proxsync/changes/', {'action': 'candidate'}).json()['count'] == 0
    assert browser.get('/api/plugins/proxsync/guests/', {'reason__ic': 'may be this guest'}).json()['count'] == 0
    page = browser.get(guest_of(endpoint, 300).get_absolute_url()).content.decode()
    assert vm.get_absolute_url() not in page
