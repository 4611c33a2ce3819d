"""Guests and nodes that are created together leave exactly what NetBox's own code leaves for each object."""

from collections import Counter

import pytest
from core.models import ObjectType
from dcim.models import Site
from extras.models import EventRule, NotificationGroup

from netbox_proxsync.ledger.bulk import writer as bulk_writer
from netbox_proxsync.ledger.bulk.assumptions import CREATED_TOGETHER
from netbox_proxsync.models.users import service_user

from .snapshots import counted, differences, performed, tables, undone

pytestmark = pytest.mark.django_db

INSERT_MACHINE = 'INSERT INTO "virtualization_virtualmachine"'
INSERT_INTERFACE = 'INSERT INTO "dcim_interface"'


def synced(sync, endpoint) -> tuple[dict[str, Counter[str]], Counter[str]]:
    """What a sync leaves, and its statements; all of it is undone."""
    with undone():
        with counted() as statements, performed():
            run = sync(endpoint)
        assert run.status in ('completed', 'completed_with_errors'), run.error
        return tables(), statements


def notify(user) -> None:
    """An event rule that leaves a notification for each object that a sync writes."""
    group = NotificationGroup.objects.create(name='Operators')
    group.users.add(user)
    rule = EventRule.objects.create(
        name='Objects',
        event_types=['object_created', 'object_updated', 'object_deleted'],
        action_type='notification',
        action_object_type=ObjectType.objects.get_for_model(NotificationGroup),
        action_object_id=group.pk,
    )
    rule.object_types.set([ObjectType.objects.get_for_model(model) for model in CREATED_TOGETHER])


@pytest.fixture(autouse=True)
def prepared(admin_user):
    notify(admin_user)
    # Its unusable password is random.
    service_user()


def assert_same(sync, endpoint, monkeypatch) -> tuple[Counter[str], Counter[str]]:
    """Both ways of writing leave the same; the statements of both."""
    together, few = synced(sync, endpoint)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, 'why_unusable', lambda models: 'to compare')
        one_by_one, many = synced(sync, endpoint)
    assert differences(together, one_by_one) == ''
    assert together['extras_notification']
    return few, many


@pytest.mark.parametrize(
    ('cluster', 'has_site'),
    [
        ({'vms': 14, 'containers': 6, 'multi_nic': 0.6, 'templates': 0.5}, True),
        ('pve-9.2.11-cluster', True),
        ('pve-8.4.21-solo', False),
    ],
    ids=['generated', '9.2.11', '8.4.21'],
)
def test_a_first_sync(standin, make_endpoint, sync, monkeypatch, cluster, has_site):
    pve = standin(cluster) if isinstance(cluster, str) else standin(**cluster)
    site = Site.objects.create(name='Site', slug='site') if has_site else None
    endpoint = make_endpoint(pve, site=site, create_vlans=has_site, object_events='always')
    few, many = assert_same(sync, endpoint, monkeypatch)
    assert few[INSERT_MACHINE] < many[INSERT_MACHINE] / 2
    assert not has_site or few[INSERT_INTERFACE] < many[INSERT_INTERFACE] / 2
    assert few.total() < many.total()
