"""Decisions about single fields that differ, on the page of the machine and of the change, and what syncs do then."""

import re
from html import unescape

import pytest
from core.models import ObjectChange, ObjectType
from dcim.models import Site
from django.test import Client
from django.urls import reverse
from extras.models import Tag
from rest_framework.test import APIClient
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.decisions import decide_field
from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import Binding, ProxmoxEndpoint, SyncChange
from netbox_proxsync.ui.bound_objects import binding_of, bound_objects
from tests.cases import allow
from tests.scenarios.synced import Stage, after_first_sync

pytestmark = [pytest.mark.django_db, after_first_sync]


@pytest.fixture(scope='module')
def stage() -> Stage:
    return Stage(
        {'nodes': 1, 'vms': 2, 'containers': 0, 'running': 1, 'agent': 1, 'seed': 3, 'templates': 0},
        lambda: {'site': Site.objects.create(name='Linz', slug='linz')},
    )


@pytest.fixture
def vmid(pve) -> int:
    return min(guest.vmid for guest in pve.cluster.guests.values())


@pytest.fixture
def machine(endpoint, vmid) -> VirtualMachine:
    return endpoint.bindings.get(kind='vm', key=f'qemu/{vmid}').object


def tab(machine, **query) -> str:
    return reverse('virtualization:virtualmachine_proxmox', args=[machine.pk], query=query)


def fields_of(machine, user) -> dict:
    machine = VirtualMachine.objects.get(pk=machine.pk)
    found = next(entry for entry in bound_objects(binding_of(machine), user) if entry.is_root)
    return {field.name: field for field in found.fields}


def choices(field) -> list[str]:
    return [choice for choice, _label, _hint in field.choices]


def decide(client, machine, name: str, choice: str):
    binding = Binding.objects.get(kind='vm', object_id=machine.pk)
    url = reverse('plugins:netbox_proxsync:binding_field', args=[binding.pk])
    response = client.post(url, {'field': name, 'choice': choice, 'return_url': tab(machine)}, follow=True)
    assert response.status_code == 200
    return unescape(response.content.decode())


def edit(machine, **values):
    machine.refresh_from_db()
    for name, value in values.items():
        setattr(machine, name, value)
    machine.save()


def value(machine, name: str):
    machine.refresh_from_db()
    return getattr(machine, name)


def test_an_edited_fact_is_kept_once(pve, endpoint, vmid, machine, sync, admin_client, admin_user):
    edit(machine, memory=1234)
    field = fields_of(machine, admin_user)['memory']
    assert (field.differs, field.next_sync, choices(field)) == (True, 'overwrite', ['keep', 'always'])
    page = decide(admin_client, machine, 'memory', 'keep')
    assert 'until the value in Proxmox VE changes' in page
    field = fields_of(machine, admin_user)['memory']
    assert (field.next_sync, choices(field)) == ('keep', ['proxmox', 'always'])
    assert not sync(endpoint).changes.filter(kind='vm').exclude(outcome='applied').exists()
    assert value(machine, 'memory') == 1234
    sync(endpoint)
    assert value(machine, 'memory') == 1234
    # Proxmox VE has another value.
    pve.set_config(vmid, memory=8192)
    sync(endpoint)
    assert value(machine, 'memory') == 8192
    # The decision does not come back with the earlier value.
    edit(machine, memory=1234)
    sync(endpoint)
    assert value(machine, 'memory') == 8192


def test_a_decision_about_one_field_does_not_undo_one_about_another(endpoint, machine, sync):
    """Two requests that have loaded the binding at the same time."""
    edit(machine, memory=1234, vcpus=7)
    first, second = (Binding.objects.get(kind='vm', object_id=machine.pk) for _ in range(2))
    decide_field(first, 'memory', 'keep')
    decide_field(second, 'vcpus', 'keep')
    sync(endpoint)
    assert (value(machine, 'memory'), value(machine, 'vcpus')) == (1234, 7)


def test_another_edit_ends_the_decision(endpoint, machine, sync, admin_client):
    before = value(machine, 'memory')
    edit(machine, memory=1234)
    decide(admin_client, machine, 'memory', 'keep')
    edit(machine, memory=1235)
    sync(endpoint)
    assert value(machine, 'memory') == before


def test_the_value_of_proxmox_is_used_for_a_kept_fact(endpoint, machine, sync, admin_client):
    before = value(machine, 'memory')
    edit(machine, memory=1234)
    decide(admin_client, machine, 'memory', 'keep')
    decide(admin_client, machine, 'memory', 'proxmox')
    assert value(machine, 'memory') == 1234
    sync(endpoint)
    assert value(machine, 'memory') == before


def test_the_value_of_proxmox_is_used_for_an_edited_name(endpoint, machine, sync, admin_client, admin_user):
    before = machine.name
    edit(machine, name='mine')
    sync(endpoint)
    field = fields_of(machine, admin_user)['name']
    assert (field.next_sync, choices(field), field.reported) == ('keep', ['proxmox'], before)
    decide(admin_client, machine, 'name', 'proxmox')
    field = fields_of(machine, admin_user)['name']
    assert (field.next_sync, field.now, field.reported) == ('overwrite', 'mine', before)
    sync(endpoint)
    assert value(machine, 'name') == before
    assert not fields_of(machine, admin_user)['name'].differs


def test_a_name_that_was_not_edited_is_kept_although_proxmox_has_another_one(
    pve, endpoint, vmid, machine, sync, admin_client, admin_user
):
    before = machine.name
    pve.rename(vmid, 'renamed')
    preview = sync(endpoint, 'preview')
    field = fields_of(machine, admin_user)['name']
    assert (field.reported, field.next_sync, choices(field)) == ('renamed', 'overwrite', ['keep'])
    decide(admin_client, machine, 'name', 'keep')
    # The plan that was made before does not overwrite it.
    assert preview.changes.get(kind='vm').outcome == 'outdated'
    sync(endpoint)
    assert value(machine, 'name') == before
    pve.rename(vmid, 'renamed-again')
    sync(endpoint)
    assert value(machine, 'name') == 'renamed-again'


def test_a_fact_is_always_kept_by_the_field_policy(pve, endpoint, vmid, machine, sync, admin_client, admin_user):
    edit(machine, memory=1234)
    binding = Binding.objects.get(kind='vm', object_id=machine.pk)
    url = reverse('plugins:netbox_proxsync:binding_field', args=[binding.pk])
    page = admin_client.get(url, {'field': 'memory', 'return_url': tab(machine)}).content.decode()
    assert 'vm.memory = editorial' in page
    assert ProxmoxEndpoint.objects.get().field_policy == {}
    decide(admin_client, machine, 'memory', 'always')
    assert ProxmoxEndpoint.objects.get().field_policy == {'vm.memory': 'editorial'}
    changes = ObjectChange.objects.filter(changed_object_type__model='proxmoxendpoint', action='update')
    assert changes.latest('pk').postchange_data['field_policy'] == {'vm.memory': 'editorial'}
    for memory in (4096, 8192):
        pve.set_config(vmid, memory=memory)
        sync(endpoint)
        assert value(machine, 'memory') == 1234
    field = fields_of(machine, admin_user)['memory']
    assert (field.owner, field.next_sync, choices(field)) == ('editorial', 'keep', ['proxmox'])


def test_a_fact_that_was_not_edited_is_always_kept(pve, endpoint, vmid, machine, sync, admin_client):
    before = value(machine, 'memory')
    pve.set_config(vmid, memory=before + 1024)
    sync(endpoint, 'preview')
    decide(admin_client, machine, 'memory', 'always')
    sync(endpoint)
    assert value(machine, 'memory') == before


def test_a_removed_tag_is_added_again_or_left_out(pve, endpoint, vmid, machine, sync, admin_client, admin_user):
    pve.set_tags(vmid, 'web')
    sync(endpoint)
    tag = Tag.objects.get(name='web')
    machine.tags.remove(tag)
    field = fields_of(machine, admin_user)['tags']
    assert (field.next_sync, choices(field)) == ('keep', ['proxmox'])
    decide(admin_client, machine, 'tags', 'proxmox')
    field = fields_of(machine, admin_user)['tags']
    assert (field.next_sync, choices(field)) == ('overwrite', ['keep', 'always'])
    decide(admin_client, machine, 'tags', 'keep')
    sync(endpoint)
    assert tag not in machine.tags.all()
    decide(admin_client, machine, 'tags', 'proxmox')
    sync(endpoint)
    assert tag in machine.tags.all()


def test_only_differences_are_shown_unless_all_are_wanted(machine, admin_client):
    edit(machine, memory=1234)
    page = admin_client.get(tab(machine)).content.decode()
    assert 'Overwrite' in page
    assert re.search(r'<th scope="row" class="fw-normal">\s*Memory', page)
    assert not re.search(r'<th scope="row" class="fw-normal">\s*Name', page)
    everything = admin_client.get(tab(machine, fields='all')).content.decode()
    assert re.search(r'<th scope="row" class="fw-normal">\s*Name', everything)


def test_the_page_of_a_change_has_the_same_choices(pve, endpoint, vmid, machine, sync, admin_client):
    edit(machine, memory=1234)
    run = sync(endpoint, 'preview')
    change = run.changes.get(kind='vm')
    page = admin_client.get(change.get_absolute_url()).content.decode()
    assert 'Next sync' in page
    assert 'Keep Mine' in page
    url = reverse('plugins:netbox_proxsync:binding_field', args=[Binding.objects.get(kind='vm', key=change.key).pk])
    assert f'action="{url}"' in page
    # Nothing differs any more.
    SyncJob.enqueue_plan(run, None, immediate=True)
    assert 'Keep Mine' not in admin_client.get(change.get_absolute_url()).content.decode()


def user_with(**actions: list[str]) -> Client:
    user = User.objects.create_user(username='operator')
    for model in (VirtualMachine, Binding, SyncChange, ProxmoxEndpoint):
        names = ['view', *(actions['endpoint'] if model is ProxmoxEndpoint else ())]
        permission = ObjectPermission.objects.create(name=model.__name__, actions=names)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(user)
    client = Client()
    client.force_login(user)
    return client


@pytest.mark.parametrize(
    ('actions', 'offered', 'allowed'),
    [([], set(), set()), (['sync'], {'keep'}, {'keep', 'proxmox'}), (['change'], {'always'}, {'always'})],
)
def test_each_decision_requires_its_permission(machine, actions, offered, allowed):
    edit(machine, memory=1234)
    client = user_with(endpoint=actions)
    page = client.get(tab(machine)).content.decode()
    assert ('value="keep"' in page) == ('keep' in offered)
    assert ('Always Keep Mine' in page) == ('always' in offered)
    url = reverse(
        'plugins:netbox_proxsync:binding_field', args=[Binding.objects.get(kind='vm', object_id=machine.pk).pk]
    )
    for choice in ('keep', 'proxmox', 'always'):
        status = client.post(url, {'field': 'memory', 'choice': choice}).status_code
        assert status == (302 if choice in allowed else 403)


def test_an_impossible_decision_is_rejected(machine, admin_client):
    for name, choice in (('memory', 'keep'), ('nonsense', 'keep'), ('cluster', 'always'), ('memory', 'nonsense')):
        assert 'cannot be decided' in decide(admin_client, machine, name, choice)
    assert Binding.objects.get(kind='vm', object_id=machine.pk).kept_values == {}


def test_the_write_policy_is_named(endpoint, machine, admin_user):
    edit(machine, memory=1234)
    ProxmoxEndpoint.objects.update(write_policy='create-only')
    assert fields_of(machine, admin_user)['memory'].next_sync == 'withhold'


def decide_by_rest(user, binding, **data):
    client = APIClient()
    client.force_authenticate(user)
    return client.post(f'/api/plugins/proxsync/bindings/{binding.pk}/decide-field/', data, format='json')


def test_a_field_is_decided_by_rest(pve, endpoint, machine, sync, admin_user):
    edit(machine, memory=1234)
    binding = binding_of(machine)
    kept = decide_by_rest(admin_user, binding, field='memory', choice='keep')
    assert (kept.status_code, set(kept.data['kept_values'])) == (200, {'memory'})
    sync(endpoint)
    assert value(machine, 'memory') == 1234
    assert decide_by_rest(admin_user, binding, field='memory', choice='proxmox').data['kept_values'] == {}
    sync(endpoint)
    assert value(machine, 'memory') != 1234


def test_rest_refuses_what_cannot_be_decided(endpoint, machine, admin_user):
    binding = binding_of(machine)
    assert decide_by_rest(admin_user, binding, field='memory', choice='keep').status_code == 409
    for data, name in (
        ({'field': 'no_field', 'choice': 'keep'}, 'field'),
        ({'field': 'memory', 'choice': 'forever'}, 'choice'),
        ({'field': 'memory'}, 'choice'),
        ({'field': 'memory', 'choice': 'keep', 'value': 1}, 'value'),
    ):
        refused = decide_by_rest(admin_user, binding, **data)
        assert (refused.status_code, set(refused.data)) == (400, {name})
    assert Binding.objects.get(pk=binding.pk).kept_values == {}


def test_rest_requires_the_permissions_of_the_page(endpoint, machine):
    edit(machine, memory=1234)
    binding, user = binding_of(machine), User.objects.create_user('limited')

    def status(choice: str) -> int:
        # NetBox keeps the permissions of a user with the instance.
        return decide_by_rest(User.objects.get(pk=user.pk), binding, field='memory', choice=choice).status_code

    assert status('keep') == 403
    allow(user, Binding, 'view')
    # The virtual machine is hidden from the user.
    assert status('keep') == 404
    allow(user, VirtualMachine, 'view')
    assert status('keep') == 403
    allow(user, ProxmoxEndpoint, 'sync')
    assert status('always') == 403
    assert status('keep') == 200
    assert Binding.objects.get(pk=binding.pk).kept_values
