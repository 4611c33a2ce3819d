"""A change is divided into what NetBox accepts and what it rejects, so that the rest can be applied."""

from dataclasses import replace

from netbox_proxsync.sync.changes import Action, Change, FieldChange
from netbox_proxsync.sync.owners import Owner
from netbox_proxsync.sync.rejected import divided
from netbox_proxsync.sync.values import Pointer, Shared

WEB, DB = Shared('extras.tag', 'web'), Shared('extras.tag', 'db')
ROLE = Shared('dcim.devicerole', 'Server')


def field(name: str, want, now=None, last=None, has_last: bool = False, **values) -> FieldChange:
    owner = Owner.SET if isinstance(want, frozenset) else Owner.FACT
    return FieldChange(name=name, owner=owner, last=last, now=now, want=want, has_last=has_last, **values)


def change(*fields: FieldChange, action: Action = Action.UPDATE) -> Change:
    return Change(
        action=action,
        kind='vm',
        key='qemu/100',
        unit='qemu/100',
        label='web-1',
        pointer=Pointer('virtualization.virtualmachine', 1),
        fields=fields,
        binding={each.name: each.want for each in fields},
    )


def test_a_rejected_field_keeps_the_value_that_was_written_last():
    accepted, rejected = divided(
        change(field('memory', 2048), field('primary_ip4', 7, now=5, last=5, has_last=True)), {'primary_ip4'}, ()
    )
    assert [each.name for each in accepted.fields] == ['memory']
    assert accepted.binding == {'memory': 2048, 'primary_ip4': 5}
    assert [each.name for each in rejected.fields] == ['primary_ip4']
    assert rejected.binding is None


def test_a_field_that_was_never_written_is_not_remembered():
    accepted, rejected = divided(change(field('memory', 2048), field('role', ROLE)), (), {ROLE})
    assert accepted.binding == {'memory': 2048}
    assert [each.name for each in rejected.fields] == ['role']


def test_only_the_rejected_element_of_a_set_is_left_out():
    accepted, rejected = divided(change(field('tags', frozenset({WEB, DB}))), (), {DB})
    assert [each.want for each in accepted.fields] == [frozenset({WEB})]
    assert accepted.binding == {'tags': frozenset({WEB})}
    assert [each.want for each in rejected.fields] == [frozenset({WEB, DB})]


def test_a_set_of_which_nothing_is_left_is_not_written():
    present = frozenset({Pointer('extras.tag', 3)})
    accepted, _rejected = divided(change(field('memory', 1), field('tags', present | {DB}, now=present)), (), {DB})
    assert [each.name for each in accepted.fields] == ['memory']
    accepted, _rejected = divided(change(field('tags', frozenset({DB}))), (), {DB})
    assert accepted is None


def test_an_update_of_which_nothing_is_left_is_rejected_as_a_whole():
    kept = field('name', 'a', now='b', kept=True)
    accepted, rejected = divided(change(field('role', ROLE), kept), (), {ROLE})
    assert accepted is None
    assert [each.name for each in rejected.fields] == ['role']


def test_an_object_is_adopted_without_the_rejected_fields():
    accepted, _rejected = divided(change(field('role', ROLE), action=Action.ADOPT), (), {ROLE})
    assert (accepted.action, accepted.fields, accepted.binding) == (Action.ADOPT, (), {})


def test_a_change_without_a_binding_has_none_afterwards():
    whole = replace(change(field('memory', 2048), field('name', 'x' * 99)), binding=None)
    accepted, rejected = divided(whole, {'name'}, ())
    assert [each.name for each in accepted.fields] == ['memory']
    assert accepted.binding is None
    assert [each.name for each in rejected.fields] == ['name']
