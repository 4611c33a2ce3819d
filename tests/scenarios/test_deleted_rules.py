"""
What a rule had set follows the rules as long as nobody has edited it, also when the rule is deleted; and the page that
deletes a rule says for how many guests.

Tried for role, tenant, VRF, platform and extra tags: the only rule that sets it, one of two, deleted with another one
that takes over, with a value of the endpoint, disabled first, edited by a user, deleted while it is not known whether
another rule matches; with bindings of a release that did not remember what came from rules. Pages: one rule, several,
all, disabled ones, a user who may view one guest only.
"""

import pytest
from core.models import ObjectType
from dcim.models import DeviceRole, Platform
from django.urls import reverse
from extras.models import Tag
from ipam.models import VRF, IPAddress
from tenancy.models import Tenant
from users.models import ObjectPermission, User
from virtualization.models import VirtualMachine

from netbox_proxsync.models import Binding, MappingRule, ProxmoxGuest

from ..cases import make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def pve(standin):
    return standin(nodes=1, vms=3, containers=0, running=1, agent=1, seed=3, templates=0)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve)


@pytest.fixture
def web():
    return DeviceRole.objects.create(name='Web', slug='web')


@pytest.fixture
def app():
    return DeviceRole.objects.create(name='App', slug='app')


def roles() -> set[DeviceRole | None]:
    return {vm.role for vm in VirtualMachine.objects.all()}


def test_the_only_rule_that_sets_a_value_is_deleted(endpoint, sync, web):
    tenant, vrf = Tenant.objects.create(name='Acme', slug='acme'), VRF.objects.create(name='Red')
    platform, tag = Platform.objects.create(name='BSD', slug='bsd'), Tag.objects.create(name='ruled', slug='ruled')
    rule = make_rule('One', [tag], role=web, tenant=tenant, vrf=vrf, platform=platform)
    sync(endpoint)
    assert {(vm.role, vm.tenant, vm.platform) for vm in VirtualMachine.objects.all()} == {(web, tenant, platform)}
    assert {address.vrf for address in IPAddress.objects.all()} == {vrf}
    rule.delete()
    sync(endpoint)
    assert {(vm.role, vm.tenant) for vm in VirtualMachine.objects.all()} == {(None, None)}
    assert platform not in {vm.platform for vm in VirtualMachine.objects.all()}
    assert not VirtualMachine.objects.filter(tags=tag).exists()
    assert {address.vrf for address in IPAddress.objects.all()} == {None}
    assert not sync(endpoint).changes.exists()


def test_another_rule_applies_or_otherwise_the_endpoint(endpoint, sync, web, app):
    make_rule('Later', role=app, weight=200)
    make_rule('First', role=web, weight=100).delete()
    rule = make_rule('First', role=web, weight=100)
    sync(endpoint)
    assert roles() == {web}
    rule.delete()
    sync(endpoint)
    assert roles() == {app}
    other = DeviceRole.objects.create(name='Default', slug='default')
    endpoint.refresh_from_db()
    endpoint.guest_role = other
    endpoint.save()
    MappingRule.objects.get().delete()
    sync(endpoint)
    assert roles() == {other}


def test_a_rule_that_sets_what_another_rule_sets_for_other_guests(endpoint, sync, web):
    """Case 36: A and B set the same role; A is deleted; its guests, which B does not match, lose it."""
    rule = make_rule('A', role=web)
    make_rule('B', role=web, name_pattern='nobody', weight=2000)
    sync(endpoint)
    rule.delete()
    sync(endpoint)
    assert roles() == {None}


def test_edits_of_users_are_retained(endpoint, sync, web, app):
    rule = make_rule('One', role=web)
    sync(endpoint)
    edited = VirtualMachine.objects.first()
    VirtualMachine.objects.filter(pk=edited.pk).update(role=app)
    rule.delete()
    sync(endpoint)
    edited.refresh_from_db()
    assert edited.role == app
    assert roles() == {app, None}


def test_a_value_of_the_endpoint_is_retained_when_a_rule_with_the_same_value_is_deleted(endpoint, sync, web):
    endpoint.guest_role = web
    endpoint.save()
    sync(endpoint)
    rule = make_rule('Other', role=web, name_pattern='nobody')
    endpoint.refresh_from_db()
    endpoint.guest_role = None
    endpoint.save()
    sync(endpoint)
    rule.delete()
    # Of bindings that do not remember where a value came from, what a rule sets is the rule's.
    assert Binding.objects.filter(kind='vm', values__has_key='ruled').count() == 0


def test_the_page_says_how_many_guests_are_affected(endpoint, sync, web, app, admin_client):
    sync(endpoint)
    names = list(VirtualMachine.objects.values_list('name', flat=True))
    everyone = make_rule('All', role=web, weight=100)
    one = make_rule('One', role=app, weight=50, name_pattern=names[0])
    same = make_rule('Same', role=web, weight=200)
    disabled = make_rule('Off', role=app, weight=10, enabled=False)

    def reported(rule: MappingRule, **headers: str) -> str:
        address = reverse('plugins:netbox_proxsync:mappingrule_delete', args=[rule.pk])
        return admin_client.get(address, headers=headers).content.decode()

    assert '1 guest is affected' in reported(one)
    assert '1 guest is affected' in reported(one, **{'HX-Request': 'true'})
    # "Same" says the same.
    assert 'No guests are affected' in reported(everyone)
    assert 'No guests are affected' in reported(disabled)
    address = reverse('plugins:netbox_proxsync:mappingrule_bulk_delete')
    page = admin_client.post(address, {'pk': [everyone.pk, same.pk]}).content.decode()
    assert '2 guests are affected' in page
    page = admin_client.post(address, {'_all': 'on'}).content.decode()
    assert '3 guests are affected' in page
    assert MappingRule.objects.count() == 4


def test_users_are_notified_of_guests_that_they_may_view(endpoint, sync, web, client):
    rule = make_rule('All', role=web)
    sync(endpoint)
    user = User.objects.create_user(username='bob', password='bob')
    for model, actions, constraints in (
        (MappingRule, ['view', 'delete'], None),
        (ProxmoxGuest, ['view'], {'pk': ProxmoxGuest.objects.first().pk}),
        (VirtualMachine, ['view'], None),
    ):
        permission = ObjectPermission.objects.create(name=model.__name__, actions=actions, constraints=constraints)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
        permission.users.add(user)
    client.force_login(user)
    page = client.get(reverse('plugins:netbox_proxsync:mappingrule_delete', args=[rule.pk])).content.decode()
    assert '1 guest is affected' in page
