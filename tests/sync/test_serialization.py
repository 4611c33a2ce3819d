"""A stored plan is the plan."""

import json

from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.sync.changes import Action, Change, FieldChange
from netbox_proxsync.sync.owners import Owner
from netbox_proxsync.sync.serialization import binding_as_json, change_from_json, fields_as_json
from netbox_proxsync.sync.values import Pointer, Ref, Shared

words = st.text(max_size=8)
pointers = st.builds(Pointer, st.just('ipam.vrf'), st.integers(1), words)
refs = st.builds(Ref, st.sampled_from(['vm', 'mac']), words, words)
attributes = st.dictionaries(words, words, max_size=2).map(lambda found: tuple(sorted(found.items())))
shared = st.builds(Shared, st.just('extras.tag'), words, attributes)
named = pointers | refs | shared
scalars = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | words
values = scalars | named | st.frozensets(named | words, max_size=3)
fields = st.builds(
    FieldChange,
    name=words, owner=st.sampled_from(Owner), last=values, now=values, want=values, has_last=st.booleans(),
    kept=st.booleans(), deferred=st.booleans(),
)  # fmt: skip
changes = st.builds(
    Change,
    action=st.sampled_from(Action), kind=words, key=words, unit=words, label=words, pointer=st.none() | pointers,
    fields=st.lists(fields, max_size=3).map(tuple), binding=st.none() | st.dictionaries(words, values, max_size=3),
    reason=words,
)  # fmt: skip


def details(value):
    """What equality leaves out: the labels, and what a shared object is given when it is made."""
    match value:
        case frozenset():
            return frozenset(details(element) for element in value)
        case Pointer() | Ref():
            return value, value.label
        case Shared():
            return value, value.attributes
    return type(value), value


@given(changes)
def test_a_change_survives_being_stored(change):
    stored = json.loads(json.dumps({'fields': fields_as_json(change), 'binding': binding_as_json(change)}))
    plain = {name: getattr(change, name) for name in ('action', 'kind', 'key', 'unit', 'label', 'pointer', 'reason')}
    back = change_from_json(**(plain | {'action': str(change.action)}), **stored)
    assert back == change
    for one, other in zip(back.fields, change.fields, strict=True):
        assert [details(getattr(one, name)) for name in ('last', 'now', 'want')] == [
            details(getattr(other, name)) for name in ('last', 'now', 'want')
        ]
    if change.binding is not None:
        assert {name: details(value) for name, value in back.binding.items()} == {
            name: details(value) for name, value in change.binding.items()
        }
