"""
What bindings tell of the shared objects that they refer to, for the table that remembers them from now on.

Frozen: a migration depends on it.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator
from typing import Any

__all__ = ('remember_bound',)

# Where the name is, by model. VLANs are found by their VLAN ID.
NAMES = {
    'dcim.devicerole': 'name',
    'dcim.devicetype': 'model',
    'dcim.platform': 'name',
    'extras.tag': 'name',
    'virtualization.clustertype': 'name',
    'virtualization.virtualmachinetype': 'name',
}

type Value = tuple[int, str, str]


def remember_bound(apps: Any, using: str):
    """
    Remember each object by the name that it had when it was written to a bound object: it may have been renamed since.
    """
    named: dict[Value, Counter[int]] = defaultdict(Counter)
    bindings = apps.get_model('netbox_proxsync', 'Binding').objects.using(using).order_by('pk')
    for endpoint_id, values in bindings.values_list('endpoint_id', 'values').iterator():
        for model, pk, label in pointers_in(values):
            named[endpoint_id, model, label][pk] += 1
    shared_object = apps.get_model('netbox_proxsync', 'SharedObject')
    rows = []
    for model, field in NAMES.items():
        manufacturer = ('manufacturer__name',) if model == 'dcim.devicetype' else ()
        there = apps.get_model(model).objects.using(using).order_by()
        objects = {pk: (name, *within) for pk, name, *within in there.values_list('pk', field, *manufacturer)}
        for (endpoint_id, of_model, name), found in named.items():
            pks = [pk for pk, _number in found.most_common() if pk in objects] if of_model == model else []
            if pks:
                # One that still has the name is meant; then the one that most objects have.
                pk = next((pk for pk in pks if objects[pk][0] == name), pks[0])
                within = objects[pk][1] if manufacturer else ''
                value = {'endpoint_id': endpoint_id, 'model': model, 'within': within, 'name': name}
                rows.append(shared_object(**value, object_id=pk))
    shared_object.objects.using(using).bulk_create(rows, batch_size=1000, ignore_conflicts=True)


def pointers_in(values: dict[str, Any]) -> Iterator[tuple[str, int, str]]:
    for value in values.values():
        for element in value if isinstance(value, list) else [value]:
            if isinstance(element, dict) and element.get('model') in NAMES and element.get('label'):
                yield element['model'], element['pk'], element['label'][:200]
