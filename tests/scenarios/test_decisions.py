"""
What a run asks is answered on the page that asks, and later runs honor it: through real pages and real jobs.
"""

import pytest
from core.models import ObjectType
from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Site
from django.test import Client
from django.urls import reverse
from extras.models import CustomField
from ipam.models import VRF, IPAddress
from rest_framework.test import APIClient
from users.models import ObjectPermission, User
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.decisions import DecisionError, decide, revoke
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Decision

pytestmark = pytest.mark.django_db


@pytest.fixture
def cluster(db) -> Cluster:
    cluster_type = ClusterType.objects.create(name='Proxmox VE', slug='proxmox-ve')
    return Cluster.objects.create(name='lab', type=cluster_type)


@pytest.fixture
def pve(standin):
    """A cluster with one guest, "web"."""
    pve = standin(nodes=1, vms=0, containers=0, templates=0, seed=3, name='lab')
    pve.create(vmid=300, name='web', config={})
    return pve


@pytest.fixture
def endpoint(pve, make_endpoint, cluster):
    return make_endpoint(pve, cluster=cluster)


@pytest.fixture
def admin():
    return User.objects.create_superuser('admin')


@pytest.fixture
def browser(admin):
    client = Client()
    client.force_login(admin)
    return client


def holder_of(address: str, machine: VirtualMachine) -> IPAddress:
    """An address that a user has assigned to a machine which Proxmox VE does not know."""
    nic = VMInterface.objects.create(virtual_machine=machine, name='eth0')
    return IPAddress.objects.create(address=address, assigned_object=nic)


def make_container(pve, vmid: int, address: str) -> None:
    net0 = f'name=eth0,bridge=vmbr0,hwaddr=02:00:00:00:00:{vmid % 256:02X},ip={address},type=veth'
    pve.create(vmid, type='lxc', name=f'ct{vmid}', config={'net0': net0})


def allow(user: User, *names: str) -> None:
    for name in names:
        app, _dot, rest = name.partition('.')
        action, _underscore, model = rest.partition('_')
        permission = ObjectPermission.objects.create(name=name, actions=[action])
        permission.object_types.add(ObjectType.objects.get(app_label=app, model=model))
        permission.users.add(user)


def resolve(browser, change, choice, **values):
    """As the button on the row of a change."""
    url = reverse('plugins:netbox_proxsync:syncchange_resolve', args=[change.pk])
    return browser.post(url, {'choice': choice, 'return_url': change.run.get_absolute_url(), **values}, follow=True)


def page(browser, instance) -> str:
    return browser.get(instance.get_absolute_url()).content.decode()


def offers(text: str, choice: str) -> bool:
    """Whether a page has the button of a decision. Reasons name it as well."""
    return f'name="choice" value="{choice}"' in text or f'?choice={choice}&amp;' in text


def machine(endpoint, vmid=300):
    row = endpoint.bindings.filter(kind='vm', key__endswith=f'/{vmid}').first()
    return row and row.object


def test_a_machine_created_manually_is_linked_from_the_preview_and_keeps_its_edits(endpoint, cluster, sync, browser):
    vm = VirtualMachine.objects.create(name='web', cluster=cluster, status='active', description='Mine')
    preview = sync(endpoint, 'preview')
    change = preview.changes.get(action='candidate')
    text = page(browser, preview)
    for label in ('Link to This VM', 'Create Separately', 'Ignore This Guest'):
        assert label in text
    assert (offers(text, 'link'), offers(text, 'separate')) == (True, True)
    assert offers(page(browser, endpoint.guests.get()), 'link')
    answer = resolve(browser, change, 'link', instance=vm.pk)
    assert 'Revoke Decision' in answer.content.decode()
    assert not offers(answer.content.decode(), 'link')
    guest = endpoint.guests.get()
    assert (guest.state, guest.virtual_machine, guest.candidate_ids) == ('new', vm, [])
    run = sync(endpoint)
    assert (run.status, run.candidates, run.conflicts) == ('completed', 0, 0)
    vm.refresh_from_db()
    assert (machine(endpoint), vm.description, vm.cf['vmid']) == (vm, 'Mine', 300)
    binding = endpoint.bindings.get(kind='vm')
    assert not binding.created_by_sync
    assert VirtualMachine.objects.count() == 1
    assert not sync(endpoint).changes.exists()


def test_a_candidate_that_is_another_machine_is_left_alone(endpoint, cluster, sync, browser):
    vm = VirtualMachine.objects.create(name='web', cluster=cluster, status='active')
    change = sync(endpoint, 'preview').changes.get(action='candidate')
    resolve(browser, change, 'separate')
    assert sync(endpoint).status == 'completed'
    made = machine(endpoint)
    assert (made.name, made.pk == vm.pk) == ('web (300)', False)
    assert not sync(endpoint).changes.exists()


def test_an_address_of_another_machine_is_moved_or_ignored(pve, endpoint, sync, browser):
    for vmid in (301, 302):
        make_container(pve, vmid, f'10.9.0.{vmid - 300}/24')
    switch = VirtualMachine.objects.create(name='switch', status='active', cluster=Cluster.objects.get())
    moved = holder_of('10.9.0.1/24', switch)
    ignored = IPAddress.objects.create(address='10.9.0.2/24', assigned_object=moved.assigned_object)
    preview = sync(endpoint, 'preview')
    first, second = preview.changes.filter(action='conflict').order_by('key')
    assert (first.key, second.key) == ('lxc/301/10.9.0.1', 'lxc/302/10.9.0.2')
    text = page(browser, first)
    for label in ('Move Address Here', 'Ignore This Address', switch.get_absolute_url()):
        assert label in text
    assert offers(page(browser, endpoint.guests.get(vmid=301)), 'move')
    resolve(browser, first, 'move', instance=moved.pk)
    resolve(browser, second, 'ignore')
    run = sync(endpoint)
    assert (run.status, run.conflicts) == ('completed', 0)
    moved.refresh_from_db()
    assert moved.assigned_object.virtual_machine == machine(endpoint, 301)
    ignored.refresh_from_db()
    assert ignored.assigned_object.virtual_machine == switch
    assert not endpoint.bindings.filter(key=second.key).exists()
    assert not sync(endpoint).changes.exists()
    # The decision is revoked: the question returns, and nothing is moved back.
    decision = Decision.objects.get(choice='ignore')
    answer = browser.post(reverse('plugins:netbox_proxsync:decision_revoke', args=[decision.pk]), follow=True)
    assert '1 decision was revoked' in answer.content.decode()
    assert [change.key for change in sync(endpoint, 'preview').changes.all()] == [second.key]


def test_a_stored_plan_honors_later_decisions(pve, endpoint, cluster, sync, browser):
    pve.create(vmid=301, name='db', config={})
    preview = sync(endpoint, 'preview')
    assert set(preview.changes.filter(kind='vm').values_list('key', 'action')) == {
        ('qemu/300', 'create'),
        ('qemu/301', 'create'),
    }
    vm = VirtualMachine.objects.create(name='by hand', cluster=cluster, status='active')
    guest = endpoint.guests.get(vmid=300)
    link = reverse('plugins:netbox_proxsync:proxmoxguest_link', args=[guest.pk])
    assert 'by hand' not in browser.get(link).content.decode()
    assert 'The next run applies it' in browser.post(link, {'instance': vm.pk}, follow=True).content.decode()
    # The machine is taken.
    other = reverse('plugins:netbox_proxsync:proxmoxguest_link', args=[endpoint.guests.get(vmid=301).pk])
    assert 'is linked to qemu/300 already' in browser.post(other, {'instance': vm.pk}).content.decode()
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert machine(endpoint) is None
    assert machine(endpoint, 301).name == 'db'
    assert sync(endpoint).status == 'completed'
    assert machine(endpoint) == vm
    vm.refresh_from_db()
    assert vm.name == 'by hand'
    # It never deletes what it has not created.
    pve.delete(300)
    sync(endpoint)
    assert VirtualMachine.objects.filter(pk=vm.pk).exists()


def prepare_for_decisions(pve, cluster) -> tuple[VirtualMachine, IPAddress]:
    """
    Guests about which users decide: "web", and two containers with an address each.

    Returns:
        The virtual machine that has the VM ID of "web", and the unassigned record of the second address.
    """
    for vmid in (301, 302):
        make_container(pve, vmid, f'10.9.0.{vmid - 300}/24')
    vm = VirtualMachine.objects.create(name='by hand', cluster=cluster, custom_field_data={'vmid': 300})
    return vm, IPAddress.objects.create(address='10.9.0.2/24')


def test_a_stored_plan_is_not_applied_where_later_decisions_contradict_it(pve, endpoint, cluster, sync, admin):
    vm, loose = prepare_for_decisions(pve, cluster)
    preview = sync(endpoint, 'preview')
    planned = {(change.kind, change.key): change.action for change in preview.changes.filter(kind__in=('vm', 'ip'))}
    ignored, moved = ('ip', 'lxc/301/10.9.0.1'), ('ip', 'lxc/302/10.9.0.2')
    assert (planned['vm', 'qemu/300'], planned[ignored], planned[moved]) == ('adopt', 'create', 'adopt')
    decide(endpoint, 'vm', 'qemu/300', 'separate', admin)
    decide(endpoint, *ignored, 'ignore', admin)
    decide(endpoint, *moved, 'move', admin)
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    outdated = run.changes.filter(outcome='outdated', kind__in=('vm', 'ip'))
    assert set(outdated.values_list('kind', 'key')) == {('vm', 'qemu/300'), ignored, moved}
    vm.refresh_from_db()
    loose.refresh_from_db()
    assert (machine(endpoint), vm.cf.get('vmid'), loose.assigned_object) == (None, 300, None)
    assert not IPAddress.objects.exclude(pk=loose.pk).exists()
    assert machine(endpoint, 301).name == 'ct301'


def test_a_stored_plan_is_not_applied_where_it_relies_on_a_revoked_decision(pve, endpoint, cluster, sync, admin):
    other, _loose = prepare_for_decisions(pve, cluster)
    linked = VirtualMachine.objects.create(name='linked', cluster=cluster)
    held = holder_of('10.9.0.1/24', VirtualMachine.objects.create(name='switch', cluster=cluster))
    held.refresh_from_db()
    sync(endpoint, 'preview')
    made = [
        decide(endpoint, 'vm', 'qemu/300', 'separate', admin),
        decide(endpoint, 'vm', 'lxc/302', 'link', admin, linked),
        decide(endpoint, 'ip', 'lxc/301/10.9.0.1', 'move', admin, held),
    ]
    preview = sync(endpoint, 'preview')
    keys = {'qemu/300', 'lxc/302', 'lxc/301/10.9.0.1'}
    relying = preview.changes.filter(kind__in=('vm', 'ip'), key__in=keys)
    assert dict(relying.values_list('key', 'action')) == {
        'qemu/300': 'create', 'lxc/302': 'adopt', 'lxc/301/10.9.0.1': 'adopt',
    }  # fmt: skip
    revoke(made)
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert set(relying.values_list('outcome', flat=True)) == {'outdated'}
    assert (machine(endpoint), machine(endpoint, 302)) == (None, None)
    holder = held.assigned_object
    held.refresh_from_db()
    assert held.assigned_object == holder
    assert not endpoint.bindings.filter(key__in=keys).exists()
    # The others are applied.
    assert machine(endpoint, 301).name == 'ct301'
    assert sync(endpoint).status == 'completed'
    assert machine(endpoint) == other


def test_candidates_are_linked_in_bulk_after_a_confirmation(pve, endpoint, cluster, sync, browser):
    pve.create(vmid=301, name='db', config={})
    pve.create(vmid=302, name='new', config={})
    made = {name: VirtualMachine.objects.create(name=name, cluster=cluster) for name in ('web', 'db')}
    sync(endpoint, 'preview')
    url = reverse('plugins:netbox_proxsync:proxmoxguest_bulk_link')
    pks = list(endpoint.guests.values_list('pk', flat=True))
    text = browser.post(url, {'pk': pks}).content.decode()
    assert all(vm.get_absolute_url() in text for vm in made.values())
    assert '1 guest without exactly one candidate is left out' in text
    assert not Decision.objects.exists()
    answer = browser.post(url, {'pk': pks, '_confirm': '1'}, follow=True)
    assert '2 guests were linked' in answer.content.decode()
    assert sync(endpoint).candidates == 0
    assert (machine(endpoint), machine(endpoint, 301)) == (made['web'], made['db'])
    assert VirtualMachine.objects.count() == 3


def test_a_node_is_linked_to_a_device_with_another_name(pve, make_endpoint, cluster, sync, admin):
    site = Site.objects.create(name='Site', slug='site')
    endpoint = make_endpoint(pve, cluster=cluster, site=site)
    sync(endpoint, 'preview')
    node = endpoint.runs.get().changes.get(kind='device')
    role = DeviceRole.objects.create(name='Role', slug='role')
    maker = Manufacturer.objects.create(name='Maker', slug='maker')
    model = DeviceType.objects.create(manufacturer=maker, model='Model', slug='model')
    device = Device.objects.create(name='rack 1', site=site, role=role, device_type=model)
    decide(endpoint, 'device', node.key, 'link', admin, device)
    sync(endpoint)
    assert endpoint.bindings.get(kind='device').object == device
    assert Device.objects.count() == 1


def test_a_guest_and_a_node_are_created_under_another_name(pve, make_endpoint, cluster, sync, browser):
    site = Site.objects.create(name='Site', slug='site')
    endpoint = make_endpoint(pve, cluster=cluster, site=site)
    taken = VirtualMachine.objects.create(name='web', cluster=cluster)
    kind = {
        'role': DeviceRole.objects.create(name='Role', slug='role'),
        'device_type': DeviceType.objects.create(
            manufacturer=Manufacturer.objects.create(name='Maker', slug='maker'), model='Model', slug='model'
        ),
    }
    name = next(iter(pve.cluster.nodes))
    other = Cluster.objects.create(name='other', type=cluster.type)
    rack = Device.objects.create(name=name, site=site, cluster=other, **kind)
    preview = sync(endpoint, 'preview')
    guest, node = (preview.changes.get(action='candidate', kind=kind) for kind in ('vm', 'device'))
    text = page(browser, node)
    # NetBox accepts no second device of that name at the site.
    assert (offers(text, 'rename'), offers(text, 'separate')) == (True, False)
    url = reverse('plugins:netbox_proxsync:syncchange_resolve', args=[guest.pk])
    assert 'value="web"' in browser.get(url, {'choice': 'rename'}).content.decode()
    for bad, reason in (('WEB', 'has another object with this name'), (' ', 'required'), ('x' * 65, 'at most 64')):
        assert reason in resolve(browser, guest, 'rename', name=bad).content.decode()
    assert not Decision.objects.exists()
    assert 'intranet' in resolve(browser, guest, 'rename', name='intranet').content.decode()
    resolve(browser, node, 'rename', name='lab-pve')
    assert endpoint.guests.get().state == 'new'
    # The plan of the preview names the parts of the machine otherwise.
    SyncJob.enqueue_plan(preview, None, immediate=True)
    assert not VirtualMachine.objects.exclude(pk=taken.pk).exists()
    run = sync(endpoint)
    assert (run.status, run.candidates, run.conflicts) == ('completed', 0, 0)
    device = endpoint.bindings.get(kind='device').object
    assert (machine(endpoint).name, device.name) == ('intranet', 'lab-pve')
    assert (device != rack, machine(endpoint) != taken) == (True, True)
    assert not sync(endpoint).changes.exists()
    # What exists keeps the name without the decision as well.
    for decision in Decision.objects.all():
        browser.post(reverse('plugins:netbox_proxsync:decision_revoke', args=[decision.pk]))
    assert not [change for change in sync(endpoint).changes.all() if change.fields]
    assert machine(endpoint).name == 'intranet'


def test_an_address_is_created_in_another_vrf(pve, endpoint, sync, browser):
    make_container(pve, 301, '10.9.0.1/24')
    switch = VirtualMachine.objects.create(name='switch', status='active', cluster=Cluster.objects.get())
    held = holder_of('10.9.0.1/24', switch)
    preview = sync(endpoint, 'preview')
    change = preview.changes.get(action='conflict')
    vrf = VRF.objects.create(name='Guests')
    assert offers(page(browser, change), 'vrf')
    url = reverse('plugins:netbox_proxsync:syncchange_resolve', args=[change.pk])
    assert 'VRF of 10.9.0.1' in browser.get(url, {'choice': 'vrf'}).content.decode()
    resolve(browser, change, 'vrf', instance=vrf.pk)
    run = sync(endpoint)
    assert (run.status, run.conflicts) == ('completed', 0)
    made = IPAddress.objects.exclude(pk=held.pk).get()
    assert (made.vrf, made.assigned_object.virtual_machine) == (vrf, machine(endpoint, 301))
    assert not sync(endpoint).changes.exists()
    browser.post(reverse('plugins:netbox_proxsync:decision_revoke', args=[Decision.objects.get().pk]))
    assert sync(endpoint).status == 'completed'
    made.refresh_from_db()
    assert made.vrf == vrf
    assert not sync(endpoint).changes.exists()


def test_any_object_in_conflict_is_ignored(pve, endpoint, sync, browser):
    pve.create(vmid=301, name='db', config={})
    field = CustomField.objects.create(name='bay', type='text', required=True)
    field.object_types.add(ObjectType.objects.get(app_label='virtualization', model='virtualdisk'))
    change, other = sync(endpoint, 'preview').changes.filter(action='conflict').order_by('key')
    assert (change.kind, change.key) == ('disk', 'qemu/300/scsi0')
    text = page(browser, change)
    assert 'Ignore This Object' in text
    assert 'Ignore This Guest' not in text
    for each in (change, other):
        resolve(browser, each, 'ignore')
    run = sync(endpoint)
    assert (run.status, run.conflicts) == ('completed', 0)
    assert not VirtualDisk.objects.exists()
    assert not sync(endpoint).changes.exists()


def test_invalid_input_is_rejected(endpoint, cluster, sync, make_endpoint, standin):
    vm = VirtualMachine.objects.create(name='web', cluster=cluster, status='active')
    other_cluster = Cluster.objects.create(name='other', type=cluster.type)
    change = sync(endpoint, 'preview').changes.get(action='candidate')
    guest = endpoint.guests.get()
    user = User.objects.create_user('ada')
    client = Client()
    client.force_login(user)
    url = reverse('plugins:netbox_proxsync:syncchange_resolve', args=[change.pk])
    link = reverse('plugins:netbox_proxsync:proxmoxguest_link', args=[guest.pk])
    view = ('netbox_proxsync.view_syncchange', 'netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.view_decision')
    allow(user, *view, 'virtualization.view_virtualmachine')
    for address in (url, link):
        assert client.post(address, {'choice': 'separate', 'instance': vm.pk}).status_code == 403
    assert not offers(page(client, change), 'link')
    allow(user, 'netbox_proxsync.sync_proxmoxendpoint')
    # The machine may be viewed, not changed.
    answer = client.post(url, {'choice': 'link', 'instance': vm.pk, 'return_url': '/'}, follow=True)
    assert 'do not have permission to view and change' in answer.content.decode()
    admin = User.objects.create_superuser('admin')
    foreign = VirtualMachine.objects.create(name='foreign', cluster=other_cluster)
    make_endpoint(
        standin(nodes=1, vms=0, containers=0, templates=0, seed=4, name='far'), name='Far', cluster=other_cluster
    )
    for instance, reason in ((foreign, 'cluster of another endpoint'), (cluster, 'can only be linked')):
        with pytest.raises(DecisionError, match=reason):
            decide(endpoint, 'vm', guest.key, 'link', admin, instance)
    with pytest.raises(DecisionError, match='No run of'):
        decide(endpoint, 'vm', 'qemu/999', 'separate', admin)
    with pytest.raises(DecisionError, match='is not possible'):
        decide(endpoint, 'vm', guest.key, 'move', admin)
    decide(endpoint, 'vm', guest.key, 'link', admin, vm)
    sync(endpoint)
    with pytest.raises(DecisionError, match='is bound to a NetBox object already'):
        decide(endpoint, 'vm', guest.key, 'separate', admin)
    assert Decision.objects.count() == 1


def test_a_machine_that_the_user_may_not_view_is_not_named(endpoint, cluster, sync):
    secret = VirtualMachine.objects.create(name='top-secret', cluster=cluster)
    sync(endpoint, 'preview')
    guest = endpoint.guests.get()
    user = User.objects.create_user('ada')
    client = Client()
    client.force_login(user)
    allow(user, 'netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.sync_proxmoxendpoint')
    link = reverse('plugins:netbox_proxsync:proxmoxguest_link', args=[guest.pk])
    for answer in (client.get(link), client.post(link, {'instance': secret.pk})):
        assert answer.status_code == 200
        assert 'top-secret' not in answer.content.decode()
    assert not Decision.objects.exists()


def test_the_api(endpoint, cluster, sync, admin):
    vm = VirtualMachine.objects.create(name='web', cluster=cluster)
    change = sync(endpoint, 'preview').changes.get(action='candidate')
    client = APIClient()
    client.force_authenticate(admin)
    resolved = client.post(f'/api/plugins/proxsync/changes/{change.pk}/resolve/', {'choice': 'link'}, format='json')
    assert (resolved.status_code, resolved.data['choice']['value'], resolved.data['object']['id']) == (
        200,
        'link',
        vm.pk,
    )
    revoke = f'/api/plugins/proxsync/decisions/{resolved.data["id"]}/revoke/'
    assert client.post(revoke).status_code == 204
    assert endpoint.guests.get().virtual_machine is None
    link = f'/api/plugins/proxsync/guests/{endpoint.guests.get().pk}/link/'
    assert client.post(link, {'virtual_machine': 999999}, format='json').status_code == 409
    assert client.post(link, {'vm': 1}, format='json').status_code == 400
    linked = client.post(link, {'virtual_machine': vm.pk}, format='json')
    assert (linked.status_code, linked.data['virtual_machine']['id']) == (200, vm.pk)
    sync(endpoint)
    assert machine(endpoint) == vm
