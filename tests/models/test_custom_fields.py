"""The migration installs the custom fields: adoption, refusal, removal, and a flush of the database."""

import pytest
from core.models import ObjectType
from django.apps import apps
from django.core.management import CommandError
from django.db import transaction
from extras.choices import CustomFieldTypeChoices
from extras.models import CustomField
from virtualization.models import Cluster, VirtualMachine, VMInterface

from netbox_proxsync.custom_fields import CUSTOM_FIELDS, ensure_custom_fields
from netbox_proxsync.custom_fields.installation import install, uninstall
from netbox_proxsync.models import ManagedCustomField

from ..cases import make_clusters

pytestmark = pytest.mark.django_db


@pytest.fixture
def without():
    """A NetBox without the custom fields, as before the migration."""
    uninstall(apps, 'default')
    ManagedCustomField.objects.all().delete()


def names(model) -> set[str]:
    return {field.name for field in CustomField.objects.get_for_model(model)}


def custom_field(name: str, type_: str, model=VirtualMachine, **values) -> CustomField:
    field = CustomField.objects.create(name=name, type=type_, **values)
    field.object_types.add(ObjectType.objects.get_for_model(model))
    return field


def test_they_are_there_with_their_types_and_read_only():
    fields = {field.name: field for field in CustomField.objects.all()}
    assert set(fields) == {name for _model, name, _type, _label in CUSTOM_FIELDS}
    assert all(fields[name].type == type_ for _model, name, type_, _label in CUSTOM_FIELDS)
    assert {field.ui_editable for field in fields.values()} == {'no'}
    assert {'vmid', 'vm_status', 'vm_last_sync', 'proxmox_pool'} <= names(VirtualMachine)
    assert {'bridge', 'interface_model', 'proxmox_firewall', 'proxmox_rate_limit'} == names(VMInterface)


def test_a_custom_field_of_the_same_type_is_adopted_and_retained_when_the_plugin_is_removed(without):
    field = custom_field('vmid', CustomFieldTypeChoices.TYPE_INTEGER, label='Id', ui_editable='yes')
    install(apps, 'default')
    field.refresh_from_db()
    assert (field.label, field.ui_editable) == ('Id', 'yes')
    assert CustomField.objects.filter(name='vmid').count() == 1
    uninstall(apps, 'default')
    assert list(CustomField.objects.values_list('name', flat=True)) == ['vmid']


def test_one_that_is_assigned_elsewhere_is_assigned_here_too_and_back(without):
    field = custom_field('bridge', CustomFieldTypeChoices.TYPE_TEXT, model=Cluster)
    install(apps, 'default')
    assert 'bridge' in names(VMInterface)
    uninstall(apps, 'default')
    field.refresh_from_db()
    assert [object_type.model for object_type in field.object_types.all()] == ['cluster']


def test_one_of_another_type_stops_the_migration_and_nothing_is_changed(without):
    custom_field('vmid', CustomFieldTypeChoices.TYPE_TEXT)
    told = '"vmid" exists with the type "text", and "integer" is needed'
    with pytest.raises(CommandError, match=told), transaction.atomic():
        install(apps, 'default')
    assert list(CustomField.objects.values_list('name', flat=True)) == ['vmid']


def test_their_data_goes_with_them():
    cluster = make_clusters('lab')[0]
    vm = VirtualMachine.objects.create(name='web', cluster=cluster, custom_field_data={'vmid': 100})
    uninstall(apps, 'default')
    vm.refresh_from_db()
    assert 'vmid' not in vm.custom_field_data


def test_one_that_an_administrator_removed_remains_removed():
    CustomField.objects.get(name='lxc_features').delete()
    ensure_custom_fields()
    assert not CustomField.objects.filter(name='lxc_features').exists()
