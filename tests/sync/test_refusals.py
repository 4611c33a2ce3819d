"""Values that this NetBox refuses: left out of the plan and reported once."""

from dataclasses import replace

import pytest

from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.custom_field_rules import Demand, ValueLimits
from netbox_proxsync.sync.values import Shared
from tests.sync.builders import NetBox, guest, inventory, plan

VM = 'virtualization.virtualmachine'
TAGGED = guest(100, tags=('web', 'prod'))


@pytest.mark.parametrize(
    ('limits', 'value', 'refusal'),
    [
        ({}, 'x', ''),
        ({}, None, ''),
        ({'required': True}, None, 'A value is required'),
        ({'required': True}, '', 'A value is required'),
        ({'required': True}, 0, ''),
        ({'minimum': 2}, 1, 'The value must be at least 2'),
        ({'minimum': 2}, 2, ''),
        ({'maximum': 2.5}, 3, 'The value must be at most 2.5'),
        ({'maximum': 2.5}, 2.5, ''),
        ({'minimum': 2}, True, ''),
        ({'pattern': '^[a-z]+$'}, 'X', 'The value must match "^[a-z]+$"'),
        ({'pattern': '^[a-z]+$'}, 'x', ''),
        ({'pattern': '^[a-z]+$'}, 1, ''),
        ({'choices': frozenset({'a'})}, 'b', '"b" is not one of the choices'),
        ({'choices': frozenset({'a'})}, 'a', ''),
    ],
)
def test_a_value_that_breaks_a_limit_of_the_custom_field_is_rejected(limits, value, refusal):
    assert ValueLimits(**limits).refusal(value) == refusal


def vm_change(made, key='qemu/100'):
    return next((change for change in made.changes if (change.kind, change.key) == ('vm', key)), None)


def test_a_refused_value_is_left_out_and_reported_once_for_all_guests():
    limits = {(VM, 'vm_status'): ValueLimits(choices=frozenset({'On'}))}
    made = plan(inventory(guest(100), guest(101, 'db', ())), replace(NetBox().existing, limits=limits))
    assert 'cf_vm_status' not in {field.name for field in vm_change(made).writes}
    (notice,) = made.notices
    assert notice.message == (
        'The custom field "vm_status" does not accept values from Proxmox VE ("Deployed" is not one of the choices). '
        'Objects that are written without this value: virtual machines (2).'
    )


def test_a_refused_empty_value_is_not_reported():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, pool='web')))
    limits = {(VM, 'proxmox_pool'): ValueLimits(required=True)}
    made = plan(inventory(guest(100, pool=None)), replace(netbox.existing, limits=limits))
    assert (made.changes, made.notices) == ((), ())


def test_a_value_that_netbox_has_already_is_not_checked():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    limits = {(VM, 'vm_status'): ValueLimits(choices=frozenset({'On'}))}
    assert plan(inventory(guest(100)), replace(netbox.existing, limits=limits)).notices == ()


def test_a_tag_that_is_limited_to_other_models_is_left_out():
    netbox = NetBox()
    tags = {name: netbox.resolve(Shared('extras.tag', name)) for name in ('web', 'prod')}
    limited = replace(
        netbox.existing, tag_limits={tags['web']: frozenset({'dcim.device'}), tags['prod']: frozenset({VM})}
    )
    made = plan(inventory(TAGGED), limited)
    want = next(field.want for field in vm_change(made).writes if field.name == 'tags')
    assert want == {tags['prod']}
    assert made.notices[0].message == (
        'The tag "web" is limited to other object types. Objects that are written without this tag: virtual machines '
        '(1).'
    )
    # An object that has the tag already keeps it.
    netbox.sync(inventory(TAGGED))
    limited = replace(netbox.existing, tag_limits={tags['web']: frozenset({'dcim.device'})})
    again = plan(inventory(TAGGED), limited)
    assert (again.changes, again.notices) == ((), ())


def test_a_tag_that_cannot_be_created_is_left_out():
    demand = Demand(model='extras.tag', plural='tags', field='owner', reason='It is required.')
    made = plan(inventory(TAGGED), replace(NetBox().existing, demands={'extras.tag': (demand,)}))
    assert 'tags' not in {field.name for field in vm_change(made).writes}
    assert made.notices[0].message.endswith('Objects that are not created: prod, web.')


def test_many_names_are_cut():
    demand = Demand(model='extras.tag', plural='tags', field='owner', reason='It is required.')
    tagged = guest(100, tags=tuple('abcdefg'))
    made = plan(inventory(tagged), replace(NetBox().existing, demands={'extras.tag': (demand,)}))
    assert made.notices[0].message.endswith('Objects that are not created: a, b, c, d, e and 2 more.')


def broken(netbox: NetBox, reason='The field "owner" is required.'):
    """What exists, with a virtual machine that NetBox refuses to change."""
    existing = netbox.existing
    rows = [replace(record, refused={'owner': reason}) for record in existing.records['vm']]
    return replace(existing, records={**existing.records, 'vm': rows})


def test_an_object_that_netbox_refuses_to_change_is_a_conflict():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    made = plan(inventory(guest(100, 'renamed')), broken(netbox))
    change = vm_change(made)
    assert (change.action, change.fields, change.binding) == (Action.CONFLICT, (), None)
    assert change.reason.startswith('NetBox rejects every change of this object. The field "owner" is required.')
    assert made.notices[0].message == (
        'NetBox rejects every change of some objects (virtual machines: 1). The field "owner" is required.'
    )
    assert ('vm', 'qemu/100') not in made.proxmox_values
    assert plan(inventory(guest(100)), broken(netbox)).changes == ()
    retired = vm_change(plan(inventory(), broken(netbox)))
    assert (retired.action, retired.fields) == (Action.CONFLICT, ())


def test_a_write_of_the_invalid_field_itself_is_no_conflict():
    netbox = NetBox()
    netbox.sync(inventory(guest(100, pool='web')))
    existing = netbox.existing
    rows = [replace(record, refused={'proxmox_pool': 'x'}) for record in existing.records['vm']]
    made = plan(inventory(guest(100, pool='db')), replace(existing, records={**existing.records, 'vm': rows}))
    assert vm_change(made).action is Action.UPDATE


def test_a_required_custom_field_is_filled_where_proxmox_has_a_valid_value():
    demand = Demand(model=VM, plural='virtual machines', field='vmid', reason='It is required.')
    netbox = NetBox()
    netbox.sync(inventory())
    demanding = replace(netbox.existing, demands={VM: (demand,)})
    assert vm_change(plan(inventory(guest(100)), demanding)).action is Action.CREATE
    refusing = replace(demanding, limits={(VM, 'vmid'): ValueLimits(minimum=200)})
    assert vm_change(plan(inventory(guest(100)), refusing)).action is Action.CONFLICT
    removed = replace(demanding, custom_fields={VM: frozenset()})
    assert vm_change(plan(inventory(guest(100)), removed)).action is Action.CONFLICT


def test_values_of_ignored_and_removed_fields_are_stored_as_those_of_proxmox():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    netbox.edit('vm', netbox.object('vm', 'qemu/100').pointer, name='by hand')
    made = plan(inventory(guest(100)), netbox.existing)
    assert made.proxmox_values['vm', 'qemu/100'] == {}
    made = plan(inventory(guest(100, 'renamed')), netbox.existing)
    assert made.proxmox_values['vm', 'qemu/100'] == {'name': 'renamed'}
    assert made.changes == ()


def test_a_pointer_to_a_deleted_address_is_forgotten_without_a_write():
    netbox = NetBox()
    netbox.sync(inventory(guest(100)))
    vm, address = netbox.object('vm', 'qemu/100'), netbox.object('ip', 'qemu/100/10.0.0.5')
    assert vm.values['primary_ip4'] == address.pointer
    del netbox.records['ip'][address.pointer]
    netbox.edit('vm', vm.pointer, primary_ip4=None)
    made = plan(inventory(guest(100)), netbox.existing)
    assert {change.kind: change.action for change in made.changes} == {'vm': Action.UPDATE, 'ip': Action.CREATE}
    assert vm_change(made).binding['primary_ip4'] != address.pointer
