"""
That nothing is written of which no test here could tell: what the plugin defines takes values in these runs.

A new custom field or a new field of a kind needs a guest, a node or a NIC in the fleet that has it, and a test.
"""

from collections import defaultdict

import pytest
from django.apps import apps
from extras.models import CustomField

from netbox_proxsync.ledger.fields import read
from netbox_proxsync.models import Binding, ManagedCustomField
from netbox_proxsync.sync.kinds import KINDS

EMPTY = (None, '', frozenset(), False)


@pytest.fixture(scope='module')
def taken(lab9, solo, made) -> dict[tuple[str, str], set]:
    """By kind and field, all values of the objects that the runs have made."""
    values = defaultdict(set)
    for binding in Binding.objects.filter(kind__in=KINDS):
        for field in KINDS[binding.kind].fields:
            values[binding.kind, field.name].add(read(binding.object, field.name))
    return values


def test_every_field_of_every_kind_takes_different_values(taken):
    expected = {(kind.name, field.name) for kind in KINDS.values() for field in kind.fields}
    assert {place for place in expected if len(taken[place]) < 2} == set()
    assert {place for place in expected if not taken[place].difference(EMPTY)} - {
        # Whose values are yes and no.
        place for place in expected if True in taken[place]
    } == set()


def test_every_custom_field_is_written(lab9, solo, made):
    names = set(ManagedCustomField.objects.values_list('name', flat=True))
    assert len(names) >= 34
    unwritten = set()
    for field in CustomField.objects.filter(name__in=names):
        models = [apps.get_model(kind.app_label, kind.model) for kind in field.object_types.all()]
        written = [
            model
            for model in models
            if model.objects.exclude(**{f'custom_field_data__{field.name}': None})
            .filter(custom_field_data__has_key=field.name)
            .exists()
        ]
        if written != models:
            unwritten.add(field.name)
    assert unwritten == set()
