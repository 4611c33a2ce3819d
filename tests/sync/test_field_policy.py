"""Who owns a field, where an endpoint says otherwise."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.field_policy import (
    InvalidPolicyError,
    choices_for,
    clean_policy,
    configurable,
    format_policy,
    parse_policy,
)
from netbox_proxsync.sync.kinds import KINDS
from tests.sync.builders import SETTINGS, NetBox, config, guest, inventory, plan

# Kinds without a field whose owner can be chosen are not offered.
KINDS_WITH_POLICY = ', '.join(kind.name for kind in KINDS.values() if not all(spec.fixed for spec in kind.fields))


def under(**policy):
    return replace(SETTINGS, field_policy={name.replace('__', '.'): choice for name, choice in policy.items()})


def fields(made):
    return {(change.kind, field.name, field.kept) for change in made.changes for field in change.fields}


def synced(settings, **values):
    netbox = NetBox()
    netbox.sync(inventory(guest(100, **values)), settings)
    return netbox, netbox.object('vm', 'qemu/100').pointer


def test_an_ignored_field_is_neither_written_nor_reported():
    netbox, vm = synced(under(vm__memory='ignored', vm__tags='ignored'), tags=('a',))
    assert netbox.records['vm'][vm].values['memory'] is None
    assert not netbox.records['vm'][vm].values['tags']
    netbox.edit('vm', vm, memory=7)
    changed = inventory(guest(100, tags=('b',), config=config(memory=2**33, nics=())))
    made = plan(changed, netbox.existing, under(vm__memory='ignored', vm__tags='ignored'))
    assert not {name for _kind, name, _kept in fields(made)} & {'memory', 'tags'}


def test_an_ignored_field_that_netbox_requires_is_written_at_creation():
    ignoring = under(vm__name='ignored')
    netbox, vm = synced(ignoring)
    assert netbox.records['vm'][vm].values['name'] == 'web'
    netbox.edit('vm', vm, name='mine')
    assert not plan(inventory(guest(100, 'renamed')), netbox.existing, ignoring).changes


def test_removing_an_exception_compares_with_the_last_written_value():
    netbox, vm = synced(SETTINGS, config=config(description='notes'))
    ignoring = under(vm__comments='ignored')
    other = inventory(guest(100, config=config(description='other')))
    netbox.sync(other, ignoring)
    assert netbox.records['vm'][vm].values['comments'] == 'notes'
    assert ('vm', 'comments', False) in fields(plan(other, netbox.existing))
    netbox.edit('vm', vm, comments='mine')
    renamed = inventory(guest(100, 'renamed', config=config(description='other')))
    assert ('vm', 'comments', True) in fields(plan(renamed, netbox.existing))


def test_an_editorial_field_can_be_made_a_fact_and_a_fact_editorial():
    settings = under(vm__comments='fact', vm__memory='editorial')
    netbox, vm = synced(settings, config=config(description='notes'))
    netbox.edit('vm', vm, comments='mine', memory=7)
    made = plan(inventory(guest(100, config=config(description='notes'))), netbox.existing, settings)
    assert fields(made) >= {('vm', 'comments', False), ('vm', 'memory', True)}
    drift = {field.name: field.is_drift for field in made.changes[0].fields}
    assert (drift['comments'], drift['memory']) == (True, False)


def test_names_as_facts_are_set_back_and_still_unique():
    settings = under(vm__name='fact')
    netbox = NetBox()
    both = inventory(guest(100), guest(101, 'web', ('10.0.0.6/24',)))
    netbox.sync(both, settings)
    netbox.edit('vm', netbox.object('vm', 'qemu/100').pointer, name='mine')
    netbox.sync(both, settings)
    assert netbox.object('vm', 'qemu/100').values['name'] == 'web'
    assert netbox.object('vm', 'qemu/101').values['name'] == 'web (101)'
    assert not plan(both, netbox.existing, settings).changes


def test_a_retirement_leaves_an_ignored_status():
    settings = under(vm__status='ignored')
    netbox, vm = synced(settings)
    netbox.edit('vm', vm, status='planned')
    netbox.sync(inventory(), settings)
    assert netbox.records['vm'][vm].values['status'] == 'planned'
    assert netbox.records['vm'][vm].values['cf_vm_status'] == 'Deleted'


@pytest.mark.parametrize(
    ('policy', 'says'),
    [
        ({'vm.nmae': 'ignored'}, 'vm.name'),
        ({'vms.name': 'ignored'}, 'vm.name'),
        ({'vm.zzz': 'ignored'}, 'Fields of vm: name'),
        ({'zzz': 'ignored'}, f'Types: {KINDS_WITH_POLICY}'),
        ({'vm.cluster': 'ignored'}, 'not a field whose source of truth can be chosen'),
        ({'vm.tags': 'fact'}, 'It can be: ignored'),
        ({'vm.name': 'never'}, 'fact, editorial, ignored'),
        ({'vm.name': ['fact']}, 'fact, editorial, ignored'),
        ([], 'type.field'),
        ('vm.name', 'type.field'),
    ],
)
def test_an_invalid_policy_is_reported_with_the_valid_choices(policy, says):
    with pytest.raises(InvalidPolicyError) as caught:
        clean_policy(policy)
    assert says in ' '.join(caught.value.args)


def test_every_mistake_is_reported():
    with pytest.raises(InvalidPolicyError) as caught:
        parse_policy('vm.name\n\n# remark\nvm.x = fact\nvm.x = fact')
    assert len(caught.value.args) == 2


policies = st.lists(st.sampled_from(list(configurable().items())), unique_by=lambda entry: entry[0]).flatmap(
    lambda entries: st.fixed_dictionaries({name: st.sampled_from(choices_for(spec)) for name, spec in entries})
)


@given(policies)
def test_a_policy_survives_its_text_form(policy):
    cleaned = clean_policy(policy)
    assert parse_policy(format_policy(cleaned)) == cleaned
    assert clean_policy(cleaned) == cleaned
