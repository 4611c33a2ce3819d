"""Mapping rules: valid input, and their effect in the real job."""

import pytest
from core.models import ObjectChange
from dcim.models import DeviceRole, Platform
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.db import connection
from django.db.models import ProtectedError
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from extras.models import Tag
from ipam.models import VLAN, VRF, IPAddress, VLANGroup
from tenancy.models import Tenant
from virtualization.models import VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.ledger.settings import load_settings
from netbox_proxsync.models import MappingRule

from ..cases import make_endpoint as plain_endpoint
from ..cases import make_rule

pytestmark = pytest.mark.django_db

SMALL = {'nodes': 2, 'vms': 4, 'containers': 2, 'running': 1, 'agent': 1, 'seed': 3}


@pytest.fixture
def role():
    return DeviceRole.objects.create(name='Web', slug='web')


@pytest.fixture
def pve(standin):
    return standin(**SMALL)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


def errors_of(**values: object) -> dict[str, list[str]]:
    with pytest.raises(ValidationError) as caught:
        make_rule(**values)
    return caught.value.message_dict


@pytest.mark.parametrize(
    ('name', 'value', 'reported'),
    [
        ('name_pattern', '[a', 'not closed'),
        ('guest_tags', ['web prod'], 'not a valid Proxmox VE tag'),
        ('guest_tags', ['-web'], 'not a valid Proxmox VE tag'),
        ('pools', ['a//b'], 'not a valid pool name'),
        ('nodes', ['pve1.example.com'], 'without a domain'),
        ('vmid_min', 99, '100'),
        ('vmid_max', 1_000_000_000, '999999999'),
        ('guest_type', 'vm', 'not a valid choice'),
    ],
)
def test_conditions_that_mean_nothing(role, name, value, reported):
    errors = errors_of(role=role, **{name: value})
    assert list(errors) == [name]
    assert reported in errors[name][0]


def test_a_reversed_range_and_a_range_of_one(role):
    assert 'reversed' in errors_of(role=role, vmid_min=101, vmid_max=100)['vmid_max'][0]
    assert make_rule(role=role, vmid_min=100, vmid_max=100).vmid_range == '100 to 100'


def test_lists_are_stored_in_one_form(role):
    rule = make_rule(role=role, guest_tags=[' web', 'web'], pools=['/web/prod/'], nodes=['pve1 '])
    assert (rule.guest_tags, rule.pools, rule.nodes) == (['web'], ['web/prod'], ['pve1'])


def test_outcomes_that_contradict_each_other(role):
    tag = Tag.objects.create(name='Prod', slug='prod')
    assert (
        'cannot set role, extra tags' in errors_of(name_pattern='a', skip=True, role=role, extra_tags=[tag])['skip'][0]
    )
    assert 'every guest' in errors_of(skip=True, name_pattern='')['skip'][0]
    assert 'must either skip guests or set' in errors_of(skip=False)[NON_FIELD_ERRORS][0]


def test_roles_and_tags_that_virtual_machines_cannot_have(role):
    role.vm_role = False
    role.save()
    assert 'not for virtual machines' in errors_of(role=role)['role'][0]
    from core.models import ObjectType
    from dcim.models import Site

    tag = Tag.objects.create(name='Sites only', slug='sites-only')
    tag.object_types.add(ObjectType.objects.get_for_model(Site))
    assert 'Sites only' in errors_of(extra_tags=[tag])['extra_tags'][0]


def test_a_rule_goes_with_its_endpoint_and_never_becomes_one_for_all(role):
    lab = plain_endpoint()
    make_rule('Lab only', role=role, endpoint=lab)
    make_rule('Everywhere', role=role)
    lab.delete()
    assert [rule.name for rule in MappingRule.objects.all()] == ['Everywhere']


def test_objects_that_a_rule_sets_cannot_be_deleted(role):
    make_rule(role=role)
    with pytest.raises(ProtectedError):
        role.delete()


def test_the_vlan_group_of_a_rule_cannot_be_deleted():
    group = VLANGroup.objects.create(name='Fabric', slug='fabric')
    make_rule(vlan_group=group)
    with pytest.raises(ProtectedError):
        group.delete()


def test_rules_have_a_change_log(admin_client, role):
    form = {'name': 'New', 'weight': 1, 'pattern_type': 'glob', 'tag_match': 'any', 'role': role.pk}
    assert admin_client.post(reverse('plugins:netbox_proxsync:mappingrule_add'), form).status_code == 302
    logged = ObjectChange.objects.get(changed_object_type__model='mappingrule')
    assert (logged.action, logged.postchange_data['role']) == ('create', role.pk)


def test_the_rules_in_force_are_loaded_with_as_many_queries_whatever_their_number(role):
    endpoint, other = plain_endpoint('Lab'), plain_endpoint('Other')
    tags = [Tag.objects.create(name=name, slug=name) for name in ('a', 'b')]

    def queries() -> int:
        with CaptureQueriesContext(connection) as captured:
            load_settings(endpoint)
        return len(captured)

    make_rule('First', tags, role=role)
    few = queries()
    for number in range(8):
        tenant = Tenant.objects.create(name=f'T{number}', slug=f't{number}')
        make_rule(f'Rule {number}', tags, endpoint=endpoint, tenant=tenant)
    assert queries() == few
    make_rule('Disabled', role=role, enabled=False)
    make_rule('Elsewhere', endpoint=other, vrf=VRF.objects.create(name='Elsewhere'))
    settings = load_settings(endpoint)
    assert {rule.name for rule in settings.rules} == {'First', *(f'Rule {number}' for number in range(8))}
    # Those that are not in force still tell what may be taken back.
    assert [pointer.label for pointer in settings.ruled['vrf']] == ['Elsewhere']


def vm_of(endpoint, vmid: int) -> VirtualMachine:
    return endpoint.bindings.get(kind='vm', key__endswith=f'/{vmid}').object


def vmids(pve, guest_type: str) -> list[int]:
    return sorted(guest.vmid for guest in pve.cluster.guests.values() if guest.type == guest_type)


def test_a_rule_sets_everything_that_it_names(pve, endpoint, sync, role):
    tag = Tag.objects.create(name='Backed up', slug='backed-up')
    values = {
        'role': role,
        'tenant': Tenant.objects.create(name='Tenant', slug='tenant'),
        'platform': Platform.objects.create(name='Appliance', slug='appliance'),
    }
    vrf = VRF.objects.create(name='Red')
    group = VLANGroup.objects.create(name='Group', slug='group')
    chosen, other = vmids(pve, 'qemu')[:2]
    make_rule('The one', [tag], vmid_min=chosen, vmid_max=chosen, vrf=vrf, vlan_group=group, **values)
    run = sync(endpoint)
    assert run.status == 'completed', run.error
    vm = vm_of(endpoint, chosen)
    assert {name: getattr(vm, name) for name in values} == values
    assert tag in vm.tags.all()
    vm.full_clean()
    addresses = IPAddress.objects.filter(vminterface__virtual_machine=vm)
    assert {address.vrf for address in addresses} <= {vrf}
    reason = run.changes.get(kind='vm', key=f'qemu/{chosen}').reason
    for part in ('role: rule "The one"', 'tenant: rule', 'platform: rule', '"Backed up" by rule "The one"'):
        assert part in reason
    untouched = vm_of(endpoint, other)
    assert (untouched.role, untouched.tenant) == (None, None)
    assert not run.changes.get(kind='vm', key=f'qemu/{other}').reason
    assert not sync(endpoint).changes.exists()


def tag_of(endpoint, vmid: int) -> VLAN | None:
    return endpoint.bindings.get(kind='interface', key=f'qemu/{vmid}/net0').object.untagged_vlan


def test_vlans_are_created_in_the_group_of_the_rule_and_a_preview_states_the_reason(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, create_vlans=True)
    chosen, other = vmids(pve, 'qemu')[:2]
    for number, vmid in enumerate((chosen, other)):
        pve.set_config(vmid, net0=f'virtio=BC:24:11:00:AA:0{number},bridge=vmbr0,tag=77')
    fabric = VLANGroup.objects.create(name='Fabric', slug='fabric')
    make_rule('Fabric guests', vmid_min=chosen, vmid_max=chosen, vlan_group=fabric)
    by = 'untagged_vlan: VLAN group "Fabric" by rule "Fabric guests"'
    preview = sync(endpoint, mode='preview')
    assert preview.changes.get(kind='interface', key=f'qemu/{chosen}/net0').reason == by
    assert not VLAN.objects.exists()
    run = sync(endpoint)
    assert run.changes.get(kind='interface', key=f'qemu/{chosen}/net0').reason == by
    made, global_one = tag_of(endpoint, chosen), tag_of(endpoint, other)
    assert (made.vid, made.group, global_one.vid, global_one.group) == (77, fabric, 77, None)
    assert not sync(endpoint).changes.exclude(action='conflict').exists()


def test_a_group_that_is_deleted_before_a_preview_is_applied_fails_its_interface_only(pve, make_endpoint, sync):
    endpoint = make_endpoint(pve, create_vlans=True)
    vmid = vmids(pve, 'qemu')[0]
    pve.set_config(vmid, net0='virtio=BC:24:11:00:AA:01,bridge=vmbr0,tag=77')
    fabric = VLANGroup.objects.create(name='Fabric', slug='fabric')
    rule = make_rule('Fabric guests', vmid_min=vmid, vmid_max=vmid, vlan_group=fabric)
    preview = sync(endpoint, mode='preview')
    rule.delete()
    fabric.delete()
    run = SyncJob.enqueue_plan(preview, None, None, immediate=True)
    assert run.status == 'completed_with_errors', run.error
    failed = run.changes.get(outcome='failed')
    assert (failed.kind, failed.key) == ('interface', f'qemu/{vmid}/net0')
    assert 'group' in failed.message
    assert tag_of(endpoint, vmid) is None
    sync(endpoint)
    assert (tag_of(endpoint, vmid).vid, tag_of(endpoint, vmid).group) == (77, None)


def test_addresses_go_into_the_vrf_and_back(pve, endpoint, sync):
    vrf = VRF.objects.create(name='Red')
    rule = make_rule(guest_type='qemu', vrf=vrf)
    sync(endpoint)
    of_vms = IPAddress.objects.filter(vminterface__virtual_machine__in=[vm_of(endpoint, v) for v in vmids(pve, 'qemu')])
    assert of_vms.exists()
    assert set(of_vms.values_list('vrf__name', flat=True)) == {'Red'}
    MappingRule.objects.filter(pk=rule.pk).update(enabled=False)
    run = sync(endpoint)
    assert run.status == 'completed'
    assert set(of_vms.values_list('vrf__name', flat=True)) == {None}
    assert not run.changes.filter(outcome='failed').exists()


def test_a_rule_that_stops_matching_gives_way(pve, endpoint, sync, role):
    other = DeviceRole.objects.create(name='Other', slug='other')
    vmid = vmids(pve, 'qemu')[0]
    pve.rename(vmid, 'web-01')
    make_rule('Web', name_pattern='web-*', role=role, weight=1)
    make_rule('Rest', name_pattern='^[^-]+$', pattern_type='regex', role=other, weight=2)
    sync(endpoint)
    assert vm_of(endpoint, vmid).role == role
    pve.rename(vmid, 'db')
    run = sync(endpoint)
    assert vm_of(endpoint, vmid).role == other
    assert run.changes.get().reason == 'role: rule "Rest"'
    pve.rename(vmid, 'my-db')
    sync(endpoint)
    assert vm_of(endpoint, vmid).role is None
    pve.rename(vmid, 'web-01')
    VirtualMachine.objects.filter(pk=vm_of(endpoint, vmid).pk).update(role=other)
    sync(endpoint)
    assert vm_of(endpoint, vmid).role == other


def test_a_skipped_guest_is_left_as_it_is(pve, endpoint, sync):
    sync(endpoint)
    vmid = vmids(pve, 'lxc')[0]
    before = vm_of(endpoint, vmid)
    make_rule('No containers', guest_type='lxc', skip=True)
    pve.rename(vmid, 'renamed')
    run = sync(endpoint)
    assert not run.changes.exists()
    after = vm_of(endpoint, vmid)
    assert (after.name, after.status, after.last_updated) == (before.name, before.status, before.last_updated)


def test_a_skipped_guest_is_never_created(pve, endpoint, sync):
    make_rule('No containers', guest_type='lxc', skip=True)
    sync(endpoint)
    assert VirtualMachine.objects.count() == len(vmids(pve, 'qemu'))


def test_a_rule_for_another_endpoint_does_nothing_here(pve, endpoint, sync, role):
    make_rule(endpoint=plain_endpoint('Other'), role=role)
    sync(endpoint)
    assert not VirtualMachine.objects.filter(role=role).exists()


def test_a_guest_whose_pool_may_not_be_seen_keeps_what_it_has(pve, endpoint, sync, role):
    inside, outside = vmids(pve, 'qemu')[:2]
    pve.add_pool('web')
    pve.set_pool(inside, 'web')
    make_rule('By pool', pools=['web'], role=role)
    sync(endpoint)
    assert (vm_of(endpoint, inside).role, vm_of(endpoint, outside).role) == (role, None)
    pve.revoke('Pool.Audit')
    run = sync(endpoint)
    assert run.status == 'completed'
    assert not run.changes.exists()
    assert vm_of(endpoint, inside).role == role


def test_a_pattern_from_elsewhere_that_is_not_valid_ends_no_run(pve, endpoint, sync, role):
    rule = make_rule(role=role, name_pattern='a')
    MappingRule.objects.filter(pk=rule.pk).update(name_pattern='(', pattern_type='regex')
    run = sync(endpoint)
    assert run.status == 'completed'
    assert VirtualMachine.objects.count() == len(pve.cluster.guests)
    assert not VirtualMachine.objects.exclude(role=None).exists()
