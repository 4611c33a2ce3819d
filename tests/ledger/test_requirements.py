"""
A NetBox with its own rules is synchronized like a new one, through the real job against a stand-in Proxmox VE.

Custom fields of users: with and without a default, required, unique, with a default that is not valid any more, on
every kind of object that a sync makes and on every kind of shared object; required after objects were made; values that
do not match any more. Tags: limited before and after machines have them, by Proxmox VE and by a rule, between a preview
and its application. The plugin's own custom fields: unique, renamed and removed choices, unassigned, of another type,
limited by minimum, maximum and expression, required. Custom validators: for one guest, for all, for a shared object.
"""

import io

import pytest
from core.models import ObjectType
from dcim.models import Device, DeviceRole, Interface, MACAddress, Platform, Site
from django.core.management import call_command
from django.urls import reverse
from extras.models import CustomField, CustomFieldChoiceSet, Tag
from ipam.models import VLAN, IPAddress
from virtualization.models import Cluster, ClusterType, VirtualDisk, VirtualMachine, VirtualMachineType, VMInterface

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import MappingRule

pytestmark = pytest.mark.django_db

KINDS = (Cluster, Device, Interface, VirtualMachine, VMInterface, MACAddress, IPAddress, VirtualDisk)
SHARED = (DeviceRole, Platform, VLAN, VirtualMachineType, ClusterType)


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=3, containers=1, running=1, agent=1, vlan=1, seed=3, templates=0)


@pytest.fixture
def endpoint(pve, make_endpoint):
    site = Site.objects.create(name='Linz', slug='linz')
    return make_endpoint(pve, site=site, sync_nodes=True, create_vlans=True)


def custom_field(name: str, *models, type: str = 'text', **values) -> CustomField:
    field = CustomField.objects.create(name=name, type=type, **values)
    field.object_types.set([ObjectType.objects.get_for_model(model) for model in models])
    return field


def limit(tag: Tag, *models):
    tag.object_types.set([ObjectType.objects.get_for_model(model) for model in models])


def guests(pve, guest_type: str = 'qemu') -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return next(row.object for row in endpoint.bindings.filter(kind='vm') if row.key.endswith(f'/{vmid}'))


def outcomes(run) -> set[tuple[str, str]]:
    return set(run.changes.values_list('action', 'outcome'))


def reported(run, *words: str) -> list[str]:
    texts = [f'{each["subject"]}: {each["message"]} {each["remedy"]}' for each in run.messages]
    return [text for text in texts if all(word in text for word in words)]


def failures(run) -> list:
    return list(run.changes.filter(outcome='failed').values_list('kind', 'key', 'message'))


# Custom fields of users


def test_a_required_custom_field_with_a_default_keeps_no_object_out(endpoint, sync):
    custom_field('owner_team', *KINDS, *SHARED, required=True, default='IT')
    run = sync(endpoint)
    assert (run.status, failures(run), reported(run, 'owner_team')) == ('completed', [], [])
    for model in (*KINDS, *SHARED):
        assert {each.custom_field_data['owner_team'] for each in model.objects.all()} == {'IT'}, model
    assert not sync(endpoint).changes.exists()


def test_a_required_custom_field_that_is_being_deleted_keeps_no_object_out(endpoint, sync):
    custom_field('owner_team', *KINDS, required=True)
    CustomField.objects.filter(name='owner_team').update(status='deleting')
    run = sync(endpoint)
    assert (run.status, failures(run), reported(run, 'owner_team')) == ('completed', [], [])


@pytest.mark.parametrize('model', KINDS)
def test_a_required_custom_field_without_a_default_is_reported_once(pve, endpoint, sync, model):
    custom_field('owner_team', model, required=True)
    run = sync(endpoint)
    assert failures(run) == []
    assert len(reported(run, '"owner_team"', 'is required and has no default')) == 1
    assert outcomes(run) <= {('create', 'applied'), ('conflict', 'skipped')}
    assert not model.objects.exists()
    reasons = set(run.changes.filter(action='conflict').values_list('reason', flat=True))
    assert all('custom field "owner_team"' in reason for reason in reasons), reasons
    CustomField.objects.update(required=False)
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    assert model.objects.exists()


@pytest.mark.parametrize('model', SHARED)
def test_a_required_custom_field_of_a_shared_object_is_reported_once(pve, endpoint, sync, model):
    custom_field('owner_team', model, required=True)
    run = sync(endpoint)
    assert failures(run) == []
    assert len(reported(run, '"owner_team"', 'is required and has no default')) == 1
    assert not model.objects.exists()
    # Without its type, NetBox takes no cluster; without its role, no device. All else is there.
    assert VirtualMachine.objects.exists() == (model is not ClusterType)
    assert Device.objects.exists() == (model not in (ClusterType, DeviceRole))


def test_machines_that_have_the_required_value_are_updated_and_the_others_reported_once(pve, endpoint, sync):
    sync(endpoint)
    custom_field('owner_team', VirtualMachine, required=True)
    filled, empty = guests(pve)[:2]
    vm = vm_of(endpoint, filled)
    VirtualMachine.objects.filter(pk=vm.pk).update(custom_field_data={**vm.custom_field_data, 'owner_team': 'IT'})
    pve.rename(filled, 'renamed')
    pve.rename(empty, 'other')
    run = sync(endpoint)
    assert failures(run) == []
    assert vm_of(endpoint, filled).name == 'renamed'
    assert len(reported(run, 'rejects every change of some objects (virtual machines: 1)', 'owner_team')) == 1
    assert 'owner_team' in run.changes.get(action='conflict').reason


def test_a_machine_whose_value_matches_no_more_is_reported_once(pve, endpoint, sync):
    field = custom_field('asset', VirtualMachine, default='old')
    sync(endpoint)
    CustomField.objects.filter(pk=field.pk).update(validation_regex='^new')
    pve.rename(guests(pve)[0], 'renamed')
    pve.create(990)
    run = sync(endpoint)
    assert failures(run) == []
    assert len(reported(run, 'asset', 'rejects every change of')) == 1
    assert len(reported(run, 'asset', 'has an invalid default')) == 1


def test_a_unique_custom_field_with_a_default_is_reported_once(endpoint, sync):
    custom_field('asset', VirtualMachine, unique=True, default='x')
    run = sync(endpoint)
    assert failures(run) == []
    assert len(reported(run, 'asset', 'is unique and has a default')) == 1


# Tags


def test_a_tag_that_is_limited_to_devices_is_left_out_and_the_rest_written(pve, endpoint, sync):
    one, two = guests(pve)[:2]
    limit(Tag.objects.create(name='web', slug='web'), Device)
    pve.set_tags(one, 'web', 'prod')
    pve.set_tags(two, 'web')
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    assert [set(vm_of(endpoint, vmid).tags.values_list('name', flat=True)) for vmid in (one, two)] == [{'prod'}, set()]
    assert len(reported(run, 'The tag "web" is limited')) == 1
    assert not sync(endpoint).changes.exists()
    limit(Tag.objects.get(name='web'))
    sync(endpoint)
    assert set(vm_of(endpoint, one).tags.values_list('name', flat=True)) == {'prod', 'web'}


def test_an_extra_tag_of_a_rule_that_is_limited_is_left_out(pve, endpoint, sync):
    rule = MappingRule.objects.create(name='All', weight=10)
    tag = Tag.objects.create(name='synced', slug='synced')
    rule.extra_tags.add(tag)
    limit(tag, Device)
    run = sync(endpoint)
    assert (run.status, failures(run), len(reported(run, 'The tag "synced"'))) == ('completed', [], 1)
    assert VirtualMachine.objects.exists()
    assert not VirtualMachine.objects.filter(tags=tag).exists()


def test_a_tag_that_is_limited_later_is_retained_on_the_machine_that_has_it(pve, endpoint, sync):
    vmid = guests(pve)[0]
    pve.set_tags(vmid, 'web')
    sync(endpoint)
    limit(Tag.objects.get(name='web'), Device)
    assert not sync(endpoint).changes.exists()
    pve.set_tags(vmid, 'web', 'db')
    pve.rename(vmid, 'renamed')
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    assert set(vm_of(endpoint, vmid).tags.values_list('name', flat=True)) == {'web', 'db'}
    pve.set_tags(vmid, 'db')
    sync(endpoint)
    assert set(vm_of(endpoint, vmid).tags.values_list('name', flat=True)) == {'db'}


def test_a_limited_tag_that_a_user_took_away_is_not_given_back_when_the_limit_goes(pve, endpoint, sync):
    vmid = guests(pve)[0]
    pve.set_tags(vmid, 'web')
    sync(endpoint)
    tag = Tag.objects.get(name='web')
    vm_of(endpoint, vmid).tags.remove(tag)
    limit(tag, Device)
    sync(endpoint)
    limit(tag)
    assert not sync(endpoint).changes.exists()
    assert not vm_of(endpoint, vmid).tags.exists()


def test_a_tag_that_is_limited_between_a_preview_and_its_application(pve, endpoint, sync):
    vmid = guests(pve)[0]
    pve.set_tags(vmid, 'web', 'prod')
    tag = Tag.objects.create(name='web', slug='web')
    preview = sync(endpoint, 'preview')
    limit(tag, Device)
    run = SyncJob.enqueue_plan(preview, None, immediate=True)
    assert (run.status, failures(run)) == ('completed', [])
    assert run.changes.get(kind='vm', key=f'qemu/{vmid}').outcome == 'outdated'
    assert set(vm_of(endpoint, vmid).tags.values_list('name', flat=True)) == {'prod'}
    limit(tag)
    sync(endpoint)
    assert set(vm_of(endpoint, vmid).tags.values_list('name', flat=True)) == {'prod', 'web'}


# The plugin's own custom fields


def check(*arguments: str) -> str:
    out = io.StringIO()
    with pytest.raises(SystemExit):
        call_command('proxsync_check', *arguments, stdout=out, stderr=out)
    return out.getvalue()


def break_unique():
    CustomField.objects.filter(name='vmid').update(unique=True)
    return 'vmid', 'is unique'


def break_choices():
    CustomFieldChoiceSet.objects.update(extra_choices=[['on', 'On'], ['off', 'Off']])
    return 'vm_status', 'lacks the choices: Deployed, Deleted'


def break_assignment():
    CustomField.objects.get(name='bridge').object_types.clear()
    return 'bridge', 'is not assigned to virtualization.vminterface'


def break_type():
    CustomField.objects.get(name='vmid').delete()
    custom_field('vmid', VirtualMachine)
    return 'vmid', 'has the type "text"'


def break_stamp():
    CustomField.objects.get(name='vm_last_sync').delete()
    custom_field('vm_last_sync', VirtualMachine, type='integer')
    return 'vm_last_sync', 'has the type "integer"'


BROKEN = [break_unique, break_choices, break_assignment, break_type, break_stamp]


@pytest.mark.parametrize('break_it', BROKEN)
def test_a_changed_custom_field_of_the_plugin_is_named_once(pve, endpoint, sync, standin, make_endpoint, break_it):
    sync(endpoint)
    name, words = break_it()
    pve.rename(guests(pve)[0], 'renamed')
    pve.delete(guests(pve)[1])
    pve.create(990)
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    assert len(reported(run, f'custom field "{name}"', words)) == 1
    assert vm_of(endpoint, guests(pve)[0]).name == 'renamed'
    assert VirtualMachine.objects.filter(status='decommissioning').count() == 1
    # A second cluster whose guests have the same VM IDs.
    second = make_endpoint(standin(nodes=1, vms=3, containers=1, seed=4, templates=0, name='other'), name='Other')
    run = sync(second)
    assert (run.status, failures(run)) == ('completed', [])
    assert not sync(second).changes.exclude(action='conflict').exists()


@pytest.mark.parametrize('break_it', BROKEN)
def test_the_check_and_the_endpoints_page_name_a_custom_field_that_was_changed(endpoint, admin_client, break_it):
    name, words = break_it()
    lines = [line for line in check('Lab').splitlines() if name in line and words in line]
    assert len(lines) == 1, check('Lab')
    page = admin_client.get(endpoint.get_absolute_url()).content.decode()
    assert name in page
    assert words.split('"')[0].strip() in page
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_test', args=[endpoint.pk])
    assert name in admin_client.post(url).content.decode()


@pytest.mark.parametrize(
    ('values', 'name'),
    [
        ({'validation_minimum': 1000}, 'vmid'),
        ({'validation_maximum': 1}, 'vmid'),
        ({'validation_regex': '^nothing'}, 'qemu_bios_type'),
    ],
)
def test_a_limit_on_a_custom_field_of_the_plugin_only_leaves_out_its_value(pve, endpoint, sync, values, name):
    CustomField.objects.filter(name=name).update(**values)
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    assert len(reported(run, f'The custom field "{name}" does not accept values')) == 1
    assert VirtualMachine.objects.count() == 4
    assert not any(vm.custom_field_data.get(name) for vm in VirtualMachine.objects.all())
    CustomField.objects.filter(name=name).update(**{key: None if key != 'validation_regex' else '' for key in values})
    sync(endpoint)
    assert any(vm.custom_field_data.get(name) for vm in VirtualMachine.objects.all())


def test_a_later_limit_leaves_out_no_other_value(pve, endpoint, sync):
    sync(endpoint)
    CustomField.objects.filter(name='vmid').update(validation_minimum=1000)
    pve.rename(guests(pve)[0], 'renamed')
    run = sync(endpoint)
    assert (run.status, failures(run)) == ('completed', [])
    vm = vm_of(endpoint, guests(pve)[0])
    assert (vm.name, vm.custom_field_data['vmid']) == ('renamed', guests(pve)[0])


def test_guests_without_a_value_for_a_required_custom_field_are_not_created(pve, endpoint, sync):
    CustomField.objects.filter(name='lxc_architecture').update(required=True)
    run = sync(endpoint)
    assert failures(run) == []
    assert len(reported(run, 'lxc_architecture', 'is required and has no default')) == 1
    assert VirtualMachine.objects.count() == len(guests(pve, 'lxc'))


# Custom validators


def test_rejections_with_the_same_reason_are_reported_once(pve, endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'tenant': {'required': True}}]}
    run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    assert len(reported(run, 'NetBox rejected 4 changes for the same reason (virtual machines)')) == 1


def test_a_tag_that_a_validator_refuses_is_left_out_and_the_rest_written(pve, endpoint, sync, settings):
    settings.CUSTOM_VALIDATORS = {'extras.tag': [{'name': {'max_length': 3}}]}
    pve.set_tags(guests(pve)[0], 'web', 'production')
    run = sync(endpoint)
    assert run.status == 'completed_with_errors'
    assert set(vm_of(endpoint, guests(pve)[0]).tags.values_list('name', flat=True)) == {'web'}
    settings.CUSTOM_VALIDATORS = {}
    sync(endpoint)
    assert set(vm_of(endpoint, guests(pve)[0]).tags.values_list('name', flat=True)) == {'web', 'production'}
