"""The guests that a rule matches, and the rules that decide about a guest, on their pages."""

import re

import pytest
from core.models import ObjectType
from dcim.models import DeviceRole
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from extras.models import Tag
from users.models import ObjectPermission, User
from utilities.testing import create_test_virtualmachine
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.settings import load_settings
from netbox_proxsync.models import MappingRule, ProxmoxGuest
from netbox_proxsync.sync.rules import evaluate_rules
from netbox_proxsync.ui.rule_matches import decision_about, matching_guests

from ..cases import make_endpoint as plain_endpoint
from ..cases import make_guest, make_rule

pytestmark = pytest.mark.django_db


@pytest.fixture
def lab():
    return plain_endpoint('Lab')


@pytest.fixture
def role():
    return DeviceRole.objects.create(name='Web', slug='web')


def unread(*parts: str, **details: object) -> dict:
    return {'unread': [{'part': part, 'of': '', 'reason': f'No {part}.'} for part in parts], **details}


def matched(rule: MappingRule) -> tuple[list[int], list[int]]:
    """The VM IDs of the guests that match, and of those for which this is not known."""
    found = matching_guests(rule, ProxmoxGuest.objects.all())
    vmids = dict(ProxmoxGuest.objects.values_list('pk', 'vmid'))
    return sorted(vmids[pk] for pk in found.matched), sorted(vmids[pk] for pk in found.unknown)


def test_guests_that_a_rule_matches(lab, role):
    other = plain_endpoint('Other')
    make_guest(lab, 100, name='web-1', tags=['prod'], details=unread(pool='web/prod'))
    make_guest(lab, 101, name='db-1', type='lxc', tags=[], node='pve2')
    make_guest(other, 102, name='web-2', template=True)
    make_guest(lab, 103, name='web-3', state='missing')
    for number, (conditions, expected) in enumerate(
        (
            ({}, [100, 101, 102]),
            ({'endpoint': lab}, [100, 101]),
            ({'name_pattern': 'web-*'}, [100, 102]),
            ({'guest_type': 'lxc'}, [101]),
            ({'guest_tags': ['PROD']}, [100]),
            ({'pools': ['web']}, [100]),
            ({'nodes': ['pve2']}, [101]),
            ({'vmid_min': 101, 'vmid_max': 101}, [101]),
            ({'template': True}, [102]),
        )
    ):
        assert matched(make_rule(f'Rule {number}', role=role, **conditions)) == (expected, []), conditions


@pytest.mark.parametrize(
    ('values', 'conditions'),
    [
        ({'name': '', 'details': unread('name')}, {'name_pattern': 'a*'}),
        ({'details': unread('template')}, {'template': False}),
        ({'tags': [], 'details': unread('tags')}, {'guest_tags': ['a']}),
        ({'details': unread('pool')}, {'pools': ['a']}),
        # Unreadable for the same reason as the configuration, so it is not listed separately.
        ({'tags': [], 'details': unread('config')}, {'guest_tags': ['a']}),
        # The guest exists, but no run has read it.
        ({'name': '', 'details': {}}, {'name_pattern': 'a*'}),
    ],
)
def test_guests_with_unread_data_are_listed_separately(lab, role, values, conditions):
    make_guest(lab, 100, **values)
    assert matched(make_rule(role=role, **conditions)) == ([], [100])


def test_the_pages_say_what_a_run_decides(standin, make_endpoint, sync, role):
    """Rules decide the same for a stored guest as for the guest in the inventory."""
    pve = standin(nodes=2, vms=6, containers=3, running=1, agent=1, seed=5)
    endpoint = make_endpoint(pve)
    pve.add_pool('web')
    first = min(guest.vmid for guest in pve.cluster.guests.values())
    pve.set_pool(first, 'web')
    make_rule('Pool', pools=['web'], role=role)
    make_rule('Containers', guest_type='lxc', skip=True)
    make_rule('Names', [Tag.objects.create(name='x', slug='x')], name_pattern='[aeiou]', pattern_type='regex')
    sync(endpoint)
    inventory = read(pve, endpoint)
    rules = load_settings(endpoint).rules
    assert ProxmoxGuest.objects.count() == len(inventory.guests) == 9
    for guest in inventory.guests:
        row = ProxmoxGuest.objects.get(type=str(guest.type), vmid=guest.vmid)
        assert decision_about(row)[0] == evaluate_rules(guest, rules)
        if guest.type == 'lxc':
            assert (row.state, row.reason) == ('skipped', 'The rule "Containers" skips the guest.')
    assert matched(MappingRule.objects.get(name='Pool')) == ([first], [])
    pve.revoke('Pool.Audit')
    sync(endpoint)
    assert first not in matched(MappingRule.objects.get(name='Pool'))[0]
    assert first in matched(MappingRule.objects.get(name='Pool'))[1]


def read(pve, endpoint):
    from netbox_proxsync.endpoints.connection import connection_of
    from netbox_proxsync.proxmox.http.client import ProxmoxClient
    from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect

    with ProxmoxClient(connection_of(endpoint)) as client:
        return collect(client, CollectOptions(vms=True, containers=True))


def test_the_tab_lists_them(admin_client, lab, role):
    make_guest(lab, 100, name='web-<i>')
    make_guest(lab, 101, name='db-1')
    make_guest(lab, 102, name='', details=unread('name'))
    rule = make_rule(role=role, name_pattern='web-*', enabled=False)
    page = admin_client.get(reverse('plugins:netbox_proxsync:mappingrule_guests', args=[rule.pk])).content.decode()
    assert 'web-&lt;i&gt;' in page
    assert 'web-<i>' not in page
    assert 'db-1' not in page
    assert 'could not be determined for one more guest' in page
    assert 'qemu/102' in page
    assert 'is disabled' in page


def test_a_rule_counts_its_guests_on_its_tab_and_in_its_form(admin_client, lab, role):
    for vmid in range(100, 103):
        make_guest(lab, vmid, name=f'web-{vmid}')
    make_guest(lab, 110, name='db-1')
    make_guest(lab, 111, name='', details=unread('name'))
    rule = make_rule(role=role, name_pattern='web-*')
    assert re.search(r'Matching Guests\s*<span[^>]*>3<', admin_client.get(rule.get_absolute_url()).content.decode())
    url = reverse('plugins:netbox_proxsync:mappingrule_matches')
    assert f'hx-post="{url}"' in admin_client.get(reverse('plugins:netbox_proxsync:mappingrule_add')).content.decode()

    def matches(**form: str) -> str:
        return admin_client.post(
            url, {'weight': 1, 'pattern_type': 'glob', 'tag_match': 'any', **form}
        ).content.decode()

    assert matches(name_pattern='web-*') == 'Matches 3 guests, not known for 1'
    assert matches(vmid_min='110', vmid_max='110') == 'Matches 1 guest'
    assert matches() == 'Matches 5 guests'
    assert matches(name_pattern='(', pattern_type='regex') == 'The conditions are not valid.'


def test_the_number_of_matches_is_for_authors_of_rules_and_counts_what_they_may_view(client, lab):
    make_guest(lab, 100, name='web-1', virtual_machine=create_test_virtualmachine('hidden'))
    make_guest(lab, 101, name='web-2')
    url = reverse('plugins:netbox_proxsync:mappingrule_matches')
    form = {'weight': 1, 'pattern_type': 'glob', 'tag_match': 'any', 'name_pattern': 'web-*'}
    user = User.objects.create_user(username='author')
    client.force_login(user)
    assert client.post(url, form).status_code == 403
    for model, action in ((MappingRule, 'add'), (ProxmoxGuest, 'view')):
        permission = ObjectPermission.objects.create(name=model.__name__, actions=[action])
        permission.users.add(user)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
    client.force_login(User.objects.get(pk=user.pk))
    assert client.post(url, form).content.decode() == 'Matches 1 guest'


def test_the_tab_hides_guests_whose_machine_may_not_be_viewed(client, lab, role):
    shown, hidden = create_test_virtualmachine('shown'), create_test_virtualmachine('hidden')
    make_guest(lab, 100, name='web-shown', virtual_machine=shown)
    make_guest(lab, 101, name='web-hidden', virtual_machine=hidden)
    make_guest(lab, 102, name='', virtual_machine=hidden, details=unread('name'))
    rule = make_rule(role=role, name_pattern='web-*')
    user = User.objects.create_user(username='reader')
    for model, constraints in ((MappingRule, None), (ProxmoxGuest, None), (VirtualMachine, {'name': 'shown'})):
        permission = ObjectPermission.objects.create(name=model.__name__, actions=['view'], constraints=constraints)
        permission.users.add(user)
        permission.object_types.add(ObjectType.objects.get_for_model(model))
    client.force_login(user)
    page = client.get(reverse('plugins:netbox_proxsync:mappingrule_guests', args=[rule.pk])).content.decode()
    assert 'web-shown' in page
    assert 'web-hidden' not in page
    assert 'could not be determined' not in page


def test_a_guests_page_names_the_rules(admin_client, lab, role):
    tags = [Tag.objects.create(name=f'Tag <{name}>', slug=name) for name in ('a', 'b')]
    make_rule('Roles <b>', role=role)
    make_rule('Tags', tags)
    make_rule('Pools', pools=['x'], skip=True)
    make_rule('Disabled', name_pattern='g*', skip=True, enabled=False)
    make_rule('Elsewhere', endpoint=plain_endpoint('Other'), skip=True)
    guest = make_guest(lab, 100, details=unread('pool'))
    page = admin_client.get(guest.get_absolute_url()).content.decode()
    panel = page[page.index('Mapping Rules</h2>') if 'Mapping Rules</h2>' in page else 0 :]
    for text in (
        'Roles &lt;b&gt;',
        role.get_absolute_url(),
        'Tag &lt;a&gt;',
        'Tag &lt;b&gt;',
        'Unknown, therefore',
        'Pools',
    ):
        assert text in panel, text
    for text in ('Roles <b>', 'Disabled', 'Elsewhere'):
        assert text not in panel, text


def test_a_guests_page_hides_rules_that_may_not_be_viewed(client, lab, role):
    make_rule('Hidden', role=role)
    guest = make_guest(lab, 100)
    user = User.objects.create_user(username='reader')
    permission = ObjectPermission.objects.create(name='guests', actions=['view'])
    permission.users.add(user)
    permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxGuest))
    client.force_login(user)
    assert 'by a rule' not in client.get(guest.get_absolute_url()).content.decode()
    some = ObjectPermission.objects.create(name='rules', actions=['view'], constraints={'name': 'Other'})
    some.users.add(user)
    some.object_types.add(ObjectType.objects.get_for_model(MappingRule))
    client.force_login(User.objects.get(pk=user.pk))
    page = client.get(guest.get_absolute_url()).content.decode()
    assert 'by a rule that you do not have permission to view' in page
    assert 'Hidden' not in page


def test_matching_takes_one_query_whatever_the_number_of_guests(lab, role):
    rule = make_rule(role=role, name_pattern='guest-*')
    rule = MappingRule.objects.select_related('role').prefetch_related('extra_tags').get(pk=rule.pk)
    numbers = []
    for start in (100, 200):
        for vmid in range(start, start + 30):
            make_guest(lab, vmid)
        with CaptureQueriesContext(connection) as captured:
            found = matching_guests(rule, ProxmoxGuest.objects.all())
        numbers.append(len([query for query in captured if 'proxmoxguest' in query['sql']]))
    assert len(found.matched) == 60
    assert numbers[0] == numbers[1]
