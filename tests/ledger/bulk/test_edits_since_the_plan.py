"""What NetBox refuses only after edits since the plan was created, among guests that are created together."""

from collections import Counter

import pytest
from core.models import ObjectType
from dcim.models import Device, DeviceRole, MACAddress
from extras.models import CustomField, Tag
from ipam.models import VLAN, IPAddress
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.bulk import writer as bulk_writer
from netbox_proxsync.proxmox.inventory import GuestType
from netbox_proxsync.sync.changes import Plan
from tests.cases import make_rule
from tests.scenarios.rounds import Lab, content
from tests.sync.builders import config, guest, inventory, nic

from ..faults import FailingCalls
from .snapshots import counted, undone
from .test_same_result import INSERT_MACHINE

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab():
    return Lab()


def limit(tag: Tag, *models):
    tag.object_types.set([ObjectType.objects.get_for_model(model) for model in models])


def applied(lab, plan: Plan) -> tuple[dict, dict, Counter[str]]:
    """The results by (kind, key), what NetBox contains then, and the statements; all of it is undone."""
    with undone(), counted() as statements:
        done = lab.apply(plan)
        results = {(result.change.kind, result.change.key): (result.outcome, result.message) for result in done.results}
        return results, content(lab.endpoint), statements


def assert_same(lab, plan: Plan, monkeypatch) -> dict:
    """The results, which are the same if the guests are created one by one."""
    results, left, few = applied(lab, plan)
    with monkeypatch.context() as patch:
        patch.setattr(bulk_writer, 'why_unusable', lambda models: 'to compare')
        results_one_by_one, left_one_by_one, many = applied(lab, plan)
    assert results == results_one_by_one
    assert left == left_one_by_one
    assert few[INSERT_MACHINE] < many[INSERT_MACHINE]
    return results


def test_only_the_guests_that_netbox_may_refuse_are_created_one_by_one(lab, monkeypatch):
    web, extra = (Tag.objects.create(name=name, slug=name) for name in ('web', 'extra'))
    make_rule('Extra', name_pattern='extra', extra_tags=[extra])
    role = DeviceRole.objects.create(name='Web', slug='web')
    rule = make_rule('Role', name_pattern='role', role=role)
    nics = (nic('net0', 'BC:24:11:00:01:00', name='eth0'), nic('net1', 'BC:24:11:00:01:01', name='ETH0'))
    vlan = VLAN.objects.create(name='thirty', vid=30)
    plan = lab.plan(
        inventory(
            guest(100, 'one', ('10.0.0.10/24',)),
            *(guest(110 + number, f'ordinary{number}', ()) for number in range(8)),
            guest(102, 'network', ('10.0.0.0/24',)),
            guest(103, 'limited', (), tags=('web',)),
            guest(104, 'extra', ()),
            guest(105, 'role', ()),
            guest(106, 'vlan', (), config=config(nics=(nic(mac='BC:24:11:00:00:6A', vlan_tag=30),))),
            guest(200, 'ct', (), type=GuestType.LXC, config=config(nics=nics), addresses={}),
        )
    )
    limit(web, Device)
    extra.delete()
    rule.delete()
    role.delete()
    vlan.delete()
    results = assert_same(lab, plan, monkeypatch)
    assert results['ip', 'qemu/100/10.0.0.10'] == ('applied', '')
    assert results['ip', 'qemu/102/10.0.0.0'][0] == 'failed'
    outcome, message = results['vm', 'qemu/103']
    assert outcome == 'outdated'
    assert 'web' in message
    assert results['vm', 'qemu/104'] == ('applied', '')
    assert results['vm', 'qemu/105'][0] == 'failed'
    assert results['interface', 'qemu/106/net0'][0] == 'failed'
    assert results['interface', 'lxc/200/net1'] == ('applied', '')


def test_custom_fields_that_were_added_since_the_plan(lab, monkeypatch):
    guests = (guest(100 + number, f'guest{number}', ('10.0.0.10/24',) if not number else ()) for number in range(4))
    plan = lab.plan(inventory(*guests))
    for name, status, model in (('asset', 'active', IPAddress), ('later', 'provisioning', MACAddress)):
        field = CustomField.objects.create(name=name, type='text', required=True)
        field.object_types.set([ObjectType.objects.get_for_model(model)])
        CustomField.objects.filter(pk=field.pk).update(status=status)
    field = CustomField.objects.create(name='note', type='text')
    field.object_types.set([ObjectType.objects.get_for_model(model) for model in (IPAddress, MACAddress)])
    results = assert_same(lab, plan, monkeypatch)
    failed = {identity: message for identity, (outcome, message) in results.items() if outcome == 'failed'}
    assert [*failed] == [('ip', 'qemu/100/10.0.0.10')]
    assert 'asset' in failed['ip', 'qemu/100/10.0.0.10']


def test_guests_whose_machines_a_user_deleted_are_created_again(lab):
    guests = [guest(100 + number, f'guest{number}', ()) for number in range(3)]
    lab.sync(inventory(*guests))
    for machine in VirtualMachine.objects.exclude(name='guest0'):
        assert lab.delete(machine)
    lab.sync(inventory(*guests))
    assert set(VirtualMachine.objects.values_list('name', flat=True)) == {'guest0', 'guest1', 'guest2'}


def test_a_tag_that_was_limited_is_reported_also_if_the_transaction_is_repeated(lab):
    web = Tag.objects.create(name='web', slug='web')
    guests = [guest(100 + number, f'guest{number}', (), tags=('web', 'db')) for number in range(2)]
    inv = inventory(*guests, guest(102, 'guest2', ()), guest(103, 'guest3', ()))
    plan = lab.plan(inv)
    limit(web, Device)
    with counted() as statements:
        done = lab.apply(plan, before_commit=FailingCalls({1}))
    # The first attempt notices the limit when it creates all four together. Both create the other two together.
    assert statements[INSERT_MACHINE] == 1 + 2 * 3
    outcomes = {result.change.key: result.outcome for result in done.results if result.change.kind == 'vm'}
    assert outcomes == {
        'qemu/100': 'outdated', 'qemu/101': 'outdated', 'qemu/102': 'applied', 'qemu/103': 'applied',
    }  # fmt: skip
    tags = VirtualMachine.objects.filter(name__in=('guest0', 'guest1')).values_list('name', 'tags__name')
    assert set(tags) == {('guest0', 'db'), ('guest1', 'db')}
    limit(web)
    lab.run(inv)
    assert web.extras_taggeditem_items.count() == 2
