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
from netbox_proxsync.sync.kinds import KINDS, Field, Owner

pytestmark = pytest.mark.django_db


@pytest.fixture(autouse=True)
def synced(lab9, solo, made):
    """All of them."""


def unreported_fields() -> set[tuple[str, str]]:
    """By kind and name, the fields that are empty, or the same, in all objects that the runs have made."""
    values = defaultdict(set)
    for binding in Binding.objects.filter(kind__in=KINDS).prefetch_related('object'):
        for field in KINDS[binding.kind].fields:
            values[binding.kind, field.name].add(read(binding.object, field.name))
    places = {(kind.name, field.name) for kind in KINDS.values() for field in kind.fields}
    return {place for place in places if len(values[place]) < 2 or not any(values[place])}


def unwritten_custom_fields() -> set[tuple[str, str]]:
    """By model and name, the plugin's custom fields that no object has."""
    names = ManagedCustomField.objects.values_list('name', flat=True)
    places = {
        (f'{kind.app_label}.{kind.model}', field.name)
        for field in CustomField.objects.filter(name__in=list(names))
        for kind in field.object_types.all()
    }
    return {(model, name) for model, name in places if not has_one(model, name)}


def has_one(model: str, name: str) -> bool:
    rows = apps.get_model(model).objects.values_list(f'custom_field_data__{name}', flat=True)
    return any(value not in (None, '') for value in rows)


def test_every_field_of_every_kind_takes_different_values():
    assert unreported_fields() == set()


def test_every_custom_field_is_written():
    assert unwritten_custom_fields() == set()


def test_a_new_field_without_a_value_in_the_fleet_is_noticed(monkeypatch):
    kind = KINDS['disk']
    monkeypatch.setattr(type(kind), 'fields', (*kind.fields, Field('cf_proxmox_new', Owner.FACT)))
    assert unreported_fields() == {('disk', 'cf_proxmox_new')}


def test_a_new_custom_field_without_a_value_in_the_fleet_is_noticed():
    field = CustomField.objects.create(name='proxmox_new', type='text')
    field.object_types.set(CustomField.objects.get(name='bridge').object_types.all())
    flags = {'created': True, 'object_type_added': True, 'choice_set_created': False}
    ManagedCustomField.objects.create(name='proxmox_new', **flags)
    assert unwritten_custom_fields() == {('virtualization.vminterface', 'proxmox_new')}
