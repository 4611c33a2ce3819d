from datetime import UTC, datetime, timedelta

from dcim.models import DeviceRole, DeviceType, Manufacturer, Platform, Site
from django.test import TestCase
from django.utils import timezone
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from tenancy.models import Tenant
from users.models import User
from utilities.testing import BaseFilterSetTestMixin, ChangeLoggedFilterSetTestMixin, create_test_virtualmachine
from virtualization.models import ClusterGroup, ClusterType

from netbox_proxsync.filtersets import (
    BindingFilterSet,
    DecisionFilterSet,
    MappingRuleFilterSet,
    ProxmoxEndpointFilterSet,
    ProxmoxGuestFilterSet,
    SyncChangeFilterSet,
    SyncRunFilterSet,
)
from netbox_proxsync.models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

from ..cases import (
    LONG_AGO,
    make_binding,
    make_change,
    make_clusters,
    make_decision,
    make_endpoint,
    make_guest,
    make_rule,
    make_run,
)


class Filtering:
    def assertFound(self, params: dict[str, object], *expected: object):
        found = self.filterset(params, self.queryset)
        assert found.is_valid(), found.errors
        assert sorted(row.pk for row in found.qs) == sorted(row.pk for row in expected)


class ProxmoxEndpointFilterSetTestCase(Filtering, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = ProxmoxEndpoint.objects.all()
    filterset = ProxmoxEndpointFilterSet
    # Secrets must not be searchable, and filters for certificates and JSON data make no sense.
    ignore_fields = (
        'token_secret', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', 'ca_certificate', 'token_history',
        'field_policy', 'cluster_identity', 'cluster_state', 'acknowledged_faults',
    )  # fmt: skip

    @classmethod
    def setUpTestData(cls):
        clusters = make_clusters('one', 'two')
        cls.placement = {
            'cluster_type': ClusterType.objects.create(name='Type', slug='type'),
            'cluster_group': ClusterGroup.objects.create(name='Group', slug='group'),
            'site': Site.objects.create(name='Site', slug='site'),
            'tenant': Tenant.objects.create(name='Tenant', slug='tenant'),
            'guest_role': DeviceRole.objects.create(name='Role', slug='role'),
            'node_role': DeviceRole.objects.create(name='Hypervisor', slug='hypervisor'),
            'node_device_type': DeviceType.objects.create(
                manufacturer=Manufacturer.objects.create(name='Acme', slug='acme'), model='R1', slug='r1'
            ),
            'vlan_group': VLANGroup.objects.create(name='Group', slug='group'),
            'vrf': VRF.objects.create(name='VRF', rd='65000:1'),
        }
        cls.first = make_endpoint(
            'First',
            cluster=clusters[0],
            description='in the cellar',
            fingerprint=':'.join(['AB'] * 32),
            tls_mode='fingerprint',
            timeout=10,
            concurrency=2,
            interface_naming='guest',
            missing_guests='delete',
            missing_addresses='leave',
            grace_days=7,
            missing_address_reads=5,
            address_limit=99,
            change_limit=50,
            sync_interval=1440,
            quick_interval=15,
            object_events='later',
            write_policy='no-removals',
            sync_windows=['Mon-Fri 22:00-06:00'],
            paused_until=datetime(2030, 1, 1, tzinfo=UTC),
            sync_vms=False,
            sync_containers=False,
            sync_templates=True,
            sync_nodes=False,
            create_vlans=True,
            read_os_info=True,
            read_host_names=True,
            include_guests=['web-*'],
            exclude_guests=['tag:test'],
            ignored_interfaces=['wg*'],
            ignored_prefixes=['172.17.0.0/16'],
            token_id='first@pve!one',
            **cls.placement,
        )
        cls.second = make_endpoint('Second', cluster=clusters[1], enabled=False)
        cls.third = make_endpoint('Third')
        ProxmoxEndpoint.objects.filter(pk=cls.third.pk).update(
            status='failed', pve_version='8.4.21', guests_read=LONG_AGO
        )
        cls.lab_run = make_run(cls.third)
        ProxmoxEndpoint.objects.filter(pk=cls.third.pk).update(last_run=cls.lab_run)

    def test_search_by_name_host_cluster_and_description(self):
        self.assertFound({'q': 'firs'}, self.first)
        self.assertFound({'q': 'second.example.com'}, self.second)
        self.assertFound({'q': 'two'}, self.second)
        self.assertFound({'q': 'CELLAR'}, self.first)
        self.assertFound({'q': '  '}, self.first, self.second, self.third)

    def test_own_fields(self):
        for params in (
            {'name': ['First']},
            {'hosts': ['FIRST.example']},
            {'token_id': ['first@pve!one']},
            {'tls_mode': ['fingerprint']},
            {'fingerprint': [':'.join(['AB'] * 32)]},
            {'timeout': [10]},
            {'concurrency': [2]},
            {'interface_naming': ['guest']},
            {'missing_guests': ['delete']},
            {'missing_addresses': ['leave']},
            {'grace_days': [7]},
            {'missing_address_reads': [5]},
            {'address_limit': [99]},
            {'change_limit': [50]},
            {'sync_interval': [1440]},
            {'quick_interval': [15]},
            {'object_events': ['later']},
            {'write_policy': ['no-removals']},
            {'sync_windows': ['mon-fri']},
            {'paused_until': ['2030-01-01T00:00:00Z']},
            {'sync_vms': False},
            {'sync_containers': False},
            {'sync_templates': True},
            {'sync_nodes': False},
            {'create_vlans': True},
            {'read_os_info': True},
            {'read_host_names': True},
            {'include_guests': ['WEB']},
            {'exclude_guests': ['tag:']},
            {'ignored_interfaces': ['wg']},
            {'ignored_prefixes': ['172.17']},
            {'description': ['in the cellar']},
        ):
            with self.subTest(params):
                self.assertFound(params, self.first)
        self.assertFound({'enabled': False}, self.second)

    def test_state(self):
        self.assertFound({'status': ['failed']}, self.third)
        self.assertFound({'pve_version': ['8.4.21']}, self.third)
        self.assertFound({'guests_read': [LONG_AGO]}, self.third)
        self.assertFound({'last_run_id': [self.lab_run.pk]}, self.third)

    def test_placement(self):
        for name, related in self.placement.items():
            with self.subTest(name):
                self.assertFound({f'{name}_id': [related.pk]}, self.first)
                self.assertFound({name: [related.rd if name == 'vrf' else related.slug]}, self.first)
        self.assertFound({'cluster_id': [self.second.cluster_id]}, self.second)
        self.assertFound({'cluster': ['one']}, self.first)


class SyncRunFilterSetTestCase(Filtering, BaseFilterSetTestMixin, TestCase):
    queryset = SyncRun.objects.all()
    filterset = SyncRunFilterSet
    # Filters for these make no sense.
    ignore_fields = (
        'timings', 'counts', 'messages', 'units', 'actions', 'cluster_identity', 'shared_objects', 'error_source',
        'refusal_source',
    )  # fmt: skip

    @classmethod
    def setUpTestData(cls):
        cls.lab, cls.other = make_endpoint('Lab'), make_endpoint('Other')
        cls.user = User.objects.create_user(username='alice')
        cls.first = make_run(cls.lab, user=cls.user, calls=5, guests=1, vmids=[100, 101])
        cls.second = make_run(cls.other, mode='preview', status='failed', error='no route to host', calls=6)
        cls.third = make_run(
            cls.lab, status='running', phase='collect', completed=None, started=LONG_AGO, branch='Review',
            branch_id='k3x9q2ab',
        )  # fmt: skip

    def test_search(self):
        self.assertFound({'q': 'other'}, self.second)
        self.assertFound({'q': 'alice'}, self.first)
        self.assertFound({'q': 'ROUTE'}, self.second)

    def test_own_fields(self):
        self.assertFound({'endpoint_id': [self.other.pk]}, self.second)
        self.assertFound({'endpoint': ['Other']}, self.second)
        self.assertFound({'mode': ['preview']}, self.second)
        self.assertFound({'status': ['running', 'failed']}, self.second, self.third)
        self.assertFound({'user_id': [self.user.pk]}, self.first)
        self.assertFound({'user': ['alice']}, self.first)
        self.assertFound({'phase': ['collect']}, self.third)
        self.assertFound({'calls': [5]}, self.first)
        self.assertFound({'vmids': [7, 101]}, self.first)
        self.assertFound({'vmids': [7]})
        self.assertFound({'vmids': [99_999_999_999]})
        self.assertFound({'branch': ['Review']}, self.third)
        self.assertFound({'branch_id': ['k3x9q2ab']}, self.third)
        self.assertFound({'in_branch': True}, self.third)
        self.assertFound({'in_branch': False}, self.first, self.second)
        self.assertFound({'limited': True}, self.first)
        self.assertFound({'limited': False}, self.second, self.third)
        self.assertFound({'guests__lt': [2]}, self.first)
        self.assertFound({'request_id': self.first.request_id}, self.first)
        self.assertFound({'started__lt': ['2021-01-01T00:00:00']}, self.third)
        self.assertFound({'created__gt': [timezone.now().isoformat()]})


class SyncChangeFilterSetTestCase(Filtering, BaseFilterSetTestMixin, TestCase):
    queryset = SyncChange.objects.all()
    filterset = SyncChangeFilterSet
    # Filters for these make no sense.
    ignore_fields = ('fields', 'binding', 'reason_source', 'message_source')

    @classmethod
    def setUpTestData(cls):
        cls.lab_run, cls.other_run = make_run(make_endpoint('Lab')), make_run(make_endpoint('Other'), mode='preview')
        cls.vm = create_test_virtualmachine('web')
        cls.first = make_change(cls.lab_run, 0, object=cls.vm, label='web')
        cls.second = make_change(
            cls.lab_run,
            1,
            kind='interface',
            key='qemu/101/net0',
            action='conflict',
            outcome='skipped',
            reason='two hits',
        )
        cls.third = make_change(
            cls.other_run, 0, message='went wrong', outcome='failed', key='qemu/300', unit='qemu/300'
        )

    def test_search(self):
        self.assertFound({'q': 'web'}, self.first)
        self.assertFound({'q': 'net0'}, self.second)
        self.assertFound({'q': 'hits'}, self.second)
        self.assertFound({'q': 'wrong'}, self.third)

    def test_own_fields(self):
        self.assertFound({'run_id': [self.lab_run.pk]}, self.first, self.second)
        self.assertFound({'endpoint_id': [self.other_run.endpoint_id]}, self.third)
        self.assertFound({'mode': ['preview']}, self.third)
        self.assertFound({'kind': ['interface']}, self.second)
        self.assertFound({'unit': ['qemu/300']}, self.third)
        self.assertFound({'key': ['qemu/101/net0']}, self.second)
        self.assertFound({'action': ['conflict']}, self.second)
        self.assertFound({'outcome': ['applied', 'failed']}, self.first, self.third)
        self.assertFound({'position': [1]}, self.second)
        self.assertFound({'object_type': ['virtualization.virtualmachine'], 'object_id': [self.vm.pk]}, self.first)
        self.assertFound({'label': ['web']}, self.first)


class BindingFilterSetTestCase(Filtering, BaseFilterSetTestMixin, TestCase):
    queryset = Binding.objects.all()
    filterset = BindingFilterSet
    # Filters for these make no sense.
    ignore_fields = ('values', 'proxmox_values', 'kept_values')

    @classmethod
    def setUpTestData(cls):
        cls.lab, cls.other = make_endpoint('Lab'), make_endpoint('Other')
        cls.vms = [create_test_virtualmachine(name) for name in ('a', 'b', 'c')]
        cls.first = make_binding(cls.lab, cls.vms[0], 100, created_by_sync=True)
        cls.second = make_binding(cls.lab, cls.vms[1], 101, missing_since=LONG_AGO, unmanaged=True)
        cls.third = make_binding(cls.other, cls.vms[2], 200, kind='other', unit='lxc/200')

    def test_search(self):
        self.assertFound({'q': 'qemu/101'}, self.second)
        self.assertFound({'q': 'other'}, self.third)

    def test_own_fields(self):
        self.assertFound({'endpoint_id': [self.lab.pk]}, self.first, self.second)
        self.assertFound({'endpoint': ['Other']}, self.third)
        self.assertFound({'kind': ['other']}, self.third)
        self.assertFound({'key': ['qemu/100']}, self.first)
        self.assertFound({'unit': ['lxc/200']}, self.third)
        self.assertFound({'object_type': ['virtualization.virtualmachine'], 'object_id': [self.vms[1].pk]}, self.second)
        self.assertFound({'created_by_sync': True}, self.first)
        self.assertFound({'unmanaged': True}, self.second)
        self.assertFound({'missing': True}, self.second)
        self.assertFound({'missing': False}, self.first, self.third)
        self.assertFound({'missing_since__lt': ['2021-01-01T00:00:00']}, self.second)
        self.assertFound({'first_seen__gt': [timezone.now().isoformat()]})


class DecisionFilterSetTestCase(Filtering, BaseFilterSetTestMixin, TestCase):
    queryset = Decision.objects.all()
    filterset = DecisionFilterSet

    @classmethod
    def setUpTestData(cls):
        cls.lab, cls.other = make_endpoint('Lab'), make_endpoint('Other')
        cls.vm = create_test_virtualmachine('a')
        cls.ada = User.objects.create_user('ada')
        cls.first = make_decision(cls.lab, 100, cls.vm, user=cls.ada)
        cls.second = make_decision(cls.other, 200, None, choice='separate')
        cls.third = make_decision(
            cls.other, 201, None, kind='ip', key='lxc/201/10.0.0.1', unit='lxc/201', choice='ignore'
        )

    def test_all(self):
        self.assertFound({'q': 'qemu/100'}, self.first)
        self.assertFound({'q': 'other'}, self.second, self.third)
        self.assertFound({'endpoint_id': [self.lab.pk]}, self.first)
        self.assertFound({'endpoint': ['Other']}, self.second, self.third)
        self.assertFound({'kind': ['vm']}, self.first, self.second)
        self.assertFound({'key': ['qemu/100']}, self.first)
        self.assertFound({'unit': ['qemu/200']}, self.second)
        self.assertFound({'choice': ['separate']}, self.second)
        self.assertFound({'object_type': ['virtualization.virtualmachine'], 'object_id': [self.vm.pk]}, self.first)
        self.assertFound({'user_id': [self.ada.pk]}, self.first)
        self.assertFound({'user': ['ada']}, self.first)
        self.assertFound({'created__gt': [timezone.now().isoformat()]})


class MappingRuleFilterSetTestCase(Filtering, ChangeLoggedFilterSetTestMixin, TestCase):
    queryset = MappingRule.objects.all()
    filterset = MappingRuleFilterSet

    # The name of the filter is in the singular, as in NetBox.
    filter_name_map = {'extra_tags': 'extra_tag'}

    @classmethod
    def setUpTestData(cls):
        cls.related = {
            'role': DeviceRole.objects.create(name='Role', slug='role'),
            'tenant': Tenant.objects.create(name='Tenant', slug='tenant'),
            'platform': Platform.objects.create(name='Platform', slug='platform'),
            'vrf': VRF.objects.create(name='VRF', rd='65000:1'),
            'vlan_group': VLANGroup.objects.create(name='Group', slug='group'),
        }
        cls.tags_ = [Tag.objects.create(name=name, slug=name) for name in ('one', 'two')]
        cls.lab = make_endpoint('Lab')
        cls.first = make_rule(
            'First',
            cls.tags_,
            weight=5,
            endpoint=cls.lab,
            guest_type='lxc',
            name_pattern='^web',
            pattern_type='regex',
            guest_tags=['prod'],
            tag_match='all',
            pools=['web/prod'],
            nodes=['pve1'],
            vmid_min=100,
            vmid_max=199,
            template=False,
            description='in the cellar',
            **cls.related,
        )
        cls.second = make_rule('Second', name_pattern='db-*', skip=True, enabled=False)
        cls.third = make_rule('Third', role=cls.related['role'].__class__.objects.create(name='Other', slug='other'))

    def test_search(self):
        for text in ('firs', '^web', 'PROD', 'pve1', 'cellar'):
            with self.subTest(text):
                self.assertFound({'q': text}, self.first)
        self.assertFound({'q': 'db-'}, self.second)
        self.assertFound({'q': '  '}, self.first, self.second, self.third)

    def test_conditions(self):
        for params in (
            {'name': ['First']},
            {'weight': [5]},
            {'endpoint_id': [self.lab.pk]},
            {'endpoint': ['Lab']},
            {'guest_type': ['lxc']},
            {'name_pattern': ['^web']},
            {'pattern_type': ['regex']},
            {'guest_tags': ['PRO']},
            {'tag_match': ['all']},
            {'pools': ['web']},
            {'nodes': ['pve1']},
            {'vmid_min__gte': [100]},
            {'vmid_max': [199]},
            {'template': False},
        ):
            with self.subTest(params):
                self.assertFound(params, self.first)

    def test_outcomes(self):
        self.assertFound({'skip': True}, self.second)
        self.assertFound({'enabled': False}, self.second)
        for name, related in self.related.items():
            with self.subTest(name):
                self.assertFound({f'{name}_id': [related.pk]}, self.first)
                self.assertFound({name: [related.rd if name == 'vrf' else related.slug]}, self.first)
        self.assertFound({'extra_tag_id': [tag.pk for tag in self.tags_]}, self.first)
        self.assertFound({'extra_tag': ['one', 'two']}, self.first)


class ProxmoxGuestFilterSetTestCase(Filtering, BaseFilterSetTestMixin, TestCase):
    queryset = ProxmoxGuest.objects.all()
    filterset = ProxmoxGuestFilterSet
    # Filters for these make no sense.
    ignore_fields = ('details', 'candidate_ids', 'row_fingerprint', 'reason_source')

    @classmethod
    def setUpTestData(cls):
        cls.lab, cls.other = make_endpoint('Lab'), make_endpoint('Other')
        cls.vm = create_test_virtualmachine('documented')
        cls.first = make_guest(cls.lab, 100, virtual_machine=cls.vm, tags=['Production'])
        cls.second = make_guest(
            cls.lab,
            201,
            type='lxc',
            name='db',
            node='pve2',
            status='stopped',
            state='conflict',
            reason='two hits',
            details={'pool': 'web/prod'},
        )
        cls.third = make_guest(cls.other, 300, state='ignored', ignored=True, template=True, seen_until=LONG_AGO)

    def test_search(self):
        self.assertFound({'q': 'guest-100'}, self.first)
        self.assertFound({'q': '20'}, self.second)
        self.assertFound({'q': 'PVE2'}, self.second)
        self.assertFound({'q': 'hits'}, self.second)
        self.assertFound({'q': 'documented'}, self.first)
        self.assertFound({'q': 'production'}, self.first)
        self.assertFound({'q': ' '}, self.first, self.second, self.third)

    def test_own_fields(self):
        self.assertFound({'endpoint_id': [self.other.pk]}, self.third)
        self.assertFound({'endpoint': ['Lab']}, self.first, self.second)
        self.assertFound({'type': ['lxc']}, self.second)
        self.assertFound({'vmid': [100]}, self.first)
        self.assertFound({'vmid__gte': [201]}, self.second, self.third)
        self.assertFound({'name': ['db']}, self.second)
        self.assertFound({'node': ['pve2']}, self.second)
        self.assertFound({'status': ['stopped']}, self.second)
        self.assertFound({'tags': ['prod']}, self.first)
        self.assertFound({'template': True}, self.third)
        self.assertFound({'state': ['conflict', 'ignored']}, self.second, self.third)
        self.assertFound({'reason': ['two hits']}, self.second)
        self.assertFound({'ignored': True}, self.third)
        self.assertFound({'seen_until': [LONG_AGO]}, self.third)
        self.assertFound({'pool': ['web/prod']}, self.second)

    def test_when_it_was_last_seen(self):
        ProxmoxEndpoint.objects.filter(pk=self.lab.pk).update(guests_read=LONG_AGO + timedelta(days=2))
        between = f'{LONG_AGO + timedelta(days=1):%Y-%m-%d %H:%M:%S}'
        self.assertFound({'last_seen_before': between}, self.third)
        self.assertFound({'last_seen_after': between}, self.first, self.second)

    def test_the_virtual_machine(self):
        self.assertFound({'virtual_machine_id': [self.vm.pk]}, self.first)
        self.assertFound({'virtual_machine': ['documented']}, self.first)
        self.assertFound({'has_virtual_machine': True}, self.first)
        self.assertFound({'has_virtual_machine': False}, self.second, self.third)
