"""Where NetBox may do anything else than what the bulk path does, guests are created object by object."""

import pytest
from core.models import ObjectChange, ObjectType
from django.db import router
from django.db.models import UniqueConstraint
from django.db.models.signals import post_save
from extras.models import CustomField
from ipam.models import IPAddress
from netbox.signals import post_clean
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.ledger.bulk.assumptions import KNOWN, digest, replaced_functions, why_unusable

from .snapshots import counted

pytestmark = pytest.mark.django_db
INSERT_MACHINE = 'INSERT INTO "virtualization_virtualmachine"'


@pytest.fixture
def endpoint(standin, make_endpoint):
    return make_endpoint(standin(vms=3, containers=1, seed=3))


@pytest.fixture
def connected():
    """Connects receivers of signals for the time of a test."""
    receivers = []

    def connect(signal, receiver, sender):
        signal.connect(receiver, sender=sender)
        receivers.append((signal, receiver, sender))

    yield connect
    for signal, receiver, sender in receivers:
        signal.disconnect(receiver, sender=sender)


def inserts_of_machines(sync, endpoint) -> int:
    """The number of statements by which a sync creates its virtual machines."""
    with counted() as statements:
        assert sync(endpoint).status == 'completed'
    return statements[INSERT_MACHINE]


def test_this_version_of_netbox_is_known():
    functions = replaced_functions()
    # After an upgrade: compare what these functions do with what the bulk path does, then add their digests.
    assert {name: digest(function) for name, function in functions.items() if digest(function) not in KNOWN[name]} == {}
    assert {*KNOWN} == {*functions}
    assert why_unusable() == ''


def test_guests_are_created_together(sync, endpoint):
    assert inserts_of_machines(sync, endpoint) == 1
    assert VirtualMachine.objects.count() > 2


def test_a_receiver_of_another_plugin_is_called_for_each_object(sync, endpoint, connected):
    saved = []
    connected(post_save, lambda instance, **values: saved.append(instance.name), VMInterface)
    assert 'virtualization.vminterface' in why_unusable()
    number = inserts_of_machines(sync, endpoint)
    assert number == VirtualMachine.objects.count() > 2
    assert sorted({*saved}) == sorted({*VMInterface.objects.values_list('name', flat=True)})


def test_a_receiver_for_all_models_counts(connected):
    def receiver(**values): ...

    connected(post_save, receiver, None)
    assert 'receiver' in why_unusable()


def test_a_receiver_of_the_change_log_counts(connected):
    def receiver(**values): ...

    connected(post_save, receiver, ObjectChange)
    assert 'core.objectchange' in why_unusable()


def test_a_validator_of_another_plugin_counts(connected):
    def validate(**values): ...

    connected(post_clean, validate, IPAddress)
    assert 'ipam.ipaddress' in why_unusable()


def test_another_constraint_counts(monkeypatch):
    constraints = [*VMInterface._meta.constraints, UniqueConstraint(fields=('mtu',), name='one_mtu')]
    monkeypatch.setattr(VMInterface._meta, 'constraints', constraints)
    assert why_unusable() == 'virtualization.vminterface has other constraints than expected'


def test_another_database_counts(monkeypatch):
    class Router:
        def db_for_write(self, model, **hints):
            return 'other' if model is IPAddress else None

    monkeypatch.setattr(router, 'routers', [Router(), *router.routers])
    assert why_unusable() == 'ipam.ipaddress is written to another database'


def test_a_custom_validator_sees_each_object(sync, endpoint, settings):
    settings.CUSTOM_VALIDATORS = {'virtualization.virtualmachine': [{'memory': {'max': 1}}]}
    assert why_unusable() == 'virtualization.virtualmachine has custom validators'
    run = sync(endpoint)
    assert run.status in ('failed', 'completed_with_errors')
    assert not VirtualMachine.objects.exists()
    assert run.changes.filter(kind='vm', outcome='failed', message__contains='memory').count() > 2


def test_a_unique_custom_field_is_checked_for_each_object(sync, endpoint):
    field = CustomField.objects.create(name='asset', type='text', unique=True)
    field.object_types.set([ObjectType.objects.get_for_model(VMInterface)])
    assert why_unusable() == 'the custom field "asset" of virtualization.vminterface is unique'
    assert inserts_of_machines(sync, endpoint) == VirtualMachine.objects.count() > 2


def test_changed_code_of_netbox_is_noticed(sync, endpoint, monkeypatch):
    original = IPAddress.clean

    def clean(self):
        original(self)

    monkeypatch.setattr(IPAddress, 'clean', clean)
    assert 'clean of this version of NetBox is not known' in why_unusable()
    assert inserts_of_machines(sync, endpoint) == VirtualMachine.objects.count() > 2
