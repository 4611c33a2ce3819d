"""Objects that are proved to be unchanged are not compared field by field, which makes no difference to any plan."""

from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import AddressOrigin
from netbox_proxsync.sync import comparison
from netbox_proxsync.sync.field_policy import choices_for, configurable
from netbox_proxsync.sync.unchanged import is_unchanged
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, NetBox, addresses, config, guest, inventory, nic, plan
from tests.sync.strategies import blinded, clusters, faults, seen

FIELDS = configurable()
policies = st.dictionaries(st.sampled_from(sorted(FIELDS)), st.none(), max_size=4).flatmap(
    lambda names: st.fixed_dictionaries({name: st.sampled_from(choices_for(FIELDS[name])) for name in sorted(names)})
)


@pytest.fixture(scope='module')
def proved():
    """What was asked about, as (kind, key), and whether it was proved to be unchanged."""
    return {}


@pytest.fixture(scope='module', autouse=True)
def observed(proved):
    """Record which objects are proved unchanged while plans are computed."""

    def observe(entry, *arguments):
        found = is_unchanged(entry, *arguments)
        proved[entry.item.kind, entry.item.key] = found
        return found

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, 'is_unchanged', observe)
        yield


def compared_in_full(*arguments):
    """The plan of a comparison of all fields of all objects."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(comparison, 'is_unchanged', lambda *arguments: False)
        return plan(*arguments)


def synced():
    """A guest, and NetBox after its first sync. Every text has a value: NetBox in memory has None for an empty one."""
    netbox, nics = NetBox(), (nic(mac='BC:24:11:00:00:64'),)
    inv = inventory(guest(config=config(description='notes', nics=nics, uuid='1b4e28ba'), tags=('web',)))
    netbox.sync(inv)
    return netbox, inv


def test_everything_is_proved_after_a_sync(proved):
    netbox, inv = synced()
    proved.clear()
    assert plan(inv, netbox.existing).is_empty
    assert {kind for kind, _key in proved} == {'cluster', 'vm', 'interface', 'mac', 'ip', 'disk'}
    assert all(proved.values())


@pytest.mark.parametrize(
    ('edit', 'field_policy'),
    [
        ({'memory': 1}, {}),
        # A kept edit: Proxmox VE has another value, which is displayed.
        ({'comments': 'by hand'}, {}),
        ({'tags': frozenset()}, {}),
        # It is not stored what Proxmox VE has now.
        ({}, {'vm.memory': 'ignored'}),
    ],
)
def test_nothing_is_proved_of_an_object_that_differs(proved, edit, field_policy):
    netbox, inv = synced()
    netbox.edit('vm', netbox.bindings['vm', 'qemu/100'].pointer, **edit)
    if field_policy:
        inv = inventory(replace(inv.guests[0], config=replace(inv.guests[0].config, memory=2**30)))
    proved.clear()
    plan(inv, netbox.existing, replace(SETTINGS, field_policy=field_policy))
    assert [kind for (kind, _key), found in proved.items() if not found] == ['vm']


def test_nothing_is_proved_of_a_retired_object(proved):
    netbox, inv = synced()
    bound = netbox.bindings['vm', 'qemu/100']
    netbox.bindings['vm', 'qemu/100'] = replace(bound, missing_since=NOW)
    proved.clear()
    assert plan(inv, netbox.existing).counts == {'vm': {'revive': 1}}
    assert not proved['vm', 'qemu/100']


def test_an_address_whose_sources_changed_is_not_proved(proved):
    netbox, inv = synced()
    proved.clear()
    static = addresses('10.0.0.5/24', origin=AddressOrigin.STATIC)
    made = plan(inventory(replace(inv.guests[0], addresses={'net0': static})), netbox.existing)
    assert not proved['ip', 'qemu/100/10.0.0.5']
    assert list(made.refreshed) == [netbox.bindings['ip', 'qemu/100/10.0.0.5'].pk]


def edited(value):
    """Another value of the same field."""
    match value:
        case bool():
            return not value
        case int() | float():
            return value + 1
        case str():
            return 'by hand'
        case frozenset():
            return frozenset({Pointer('extras.tag', 1000)})
    return None


@settings(max_examples=100, deadline=None)
@given(rounds=st.lists(clusters(), min_size=1, max_size=2), broken=faults(), field_policy=policies, data=st.data())
def test_the_plan_is_that_of_a_comparison_in_full(rounds, broken, field_policy, data):
    netbox, limits = NetBox(), replace(SETTINGS, change_limit=100)
    for number, found in enumerate(rounds):
        netbox.sync(seen(found), limits, NOW + timedelta(days=number))
    records = [(kind, pointer) for kind, rows in netbox.records.items() for pointer in rows]
    for kind, pointer in data.draw(st.lists(st.sampled_from(records), max_size=3)):
        values = netbox.records[kind][pointer].values
        if names := sorted(name for name in values if f'{kind}.{name}' in FIELDS and values[name] is not None):
            name = data.draw(st.sampled_from(names))
            netbox.edit(kind, pointer, **{name: edited(values[name])})
    changed = replace(limits, field_policy=field_policy)
    last = blinded(seen(data.draw(st.sampled_from([*rounds, data.draw(clusters())]))), broken)
    arguments = (last, netbox.existing, changed, NOW + timedelta(days=9))
    assert plan(*arguments) == compared_in_full(*arguments)
