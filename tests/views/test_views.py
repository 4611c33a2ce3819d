import json

from dcim.models import DeviceRole, Platform
from django.db.models import Q
from django.test import TestCase
from django.urls import reverse
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from tenancy.models import Tenant
from users.models import ObjectPermission
from utilities.testing import TestCase as NetBoxTestCase
from utilities.testing import ViewTestCases, create_test_virtualmachine

from netbox_proxsync.models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

from ..cases import (
    MARKER,
    PluginViews,
    allow,
    make_binding,
    make_change,
    make_decision,
    make_endpoint,
    make_guest,
    make_rule,
    make_run,
)


class ProxmoxEndpointViewTestCase(
    PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase
):
    model = ProxmoxEndpoint

    @classmethod
    def setUpTestData(cls):
        for name in ('One', 'Two', 'Three'):
            make_endpoint(name)
        cls.form_data = {
            'name': 'Four',
            'enabled': True,
            'hosts': 'https://pve1.example.com:8006/, pve2.example.com',
            'token_id': 'netbox@pve!sync',
            'token_secret': MARKER,
            'tls_mode': 'system',
            'timeout': 20,
            'concurrency': 4,
            'sync_vms': True,
            'sync_containers': True,
            'interface_naming': 'proxmox',
            'missing_guests': 'retire',
            'missing_addresses': 'unassign',
            'field_policy': 'vm.comments = ignored\n# the rest is fine',
            'grace_days': 10,
            'missing_address_reads': 3,
            'address_limit': 100,
            'change_limit': 30,
            'object_events': 'later',
            'write_policy': 'no-removals',
            'description': 'new',
        }
        cls.csv_data = (
            'name,hosts,token_id,token_secret,timeout',
            f'Five,pve5.example.com,netbox@pve!sync,{MARKER},',
            f'Six,"pve6.example.com,pve7.example.com:8007",netbox@pve!sync,{MARKER},20',
            f'Seven,pve8.example.com,netbox@pve!sync,{MARKER},40',
        )
        ids = list(ProxmoxEndpoint.objects.order_by('pk').values_list('pk', flat=True))
        cls.csv_update_data = (
            'id,description',
            f'{ids[0]},first',
            f'{ids[1]},second',
            f'{ids[2]},third',
        )
        # Without the sync interval, which requires another permission: see test_schedule_permission.py.
        cls.bulk_edit_data = {'description': 'edited', 'change_limit': 40}

    def assertInstanceEqual(self, instance, data, exclude=None, api=False):
        # The form converts the texts for hosts and policy, and does not return the secret.
        kept = [*(exclude or []), 'hosts', 'token_secret', 'field_policy']
        super().assertInstanceEqual(instance, data, exclude=kept, api=api)
        if 'field_policy' in data:
            assert instance.field_policy == {'vm.comments': 'ignored'}
        if 'hosts' in data:
            assert instance.hosts == ['pve1.example.com:8006', 'pve2.example.com:8006']
            assert instance.token_secret.reveal() == MARKER

    def test_export_objects(self):
        """As for other models with `to_yaml()`: all data as YAML, the table as CSV."""
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint')
        assert self.client.get(f'{self._get_url("list")}?export').headers['Content-Type'] == 'text/yaml'
        table = self.client.get(f'{self._get_url("list")}?export=table')
        assert table.headers['Content-Type'] == 'text/csv; charset=utf-8'
        assert 'Sync status' in table.content.decode()


class ProxmoxEndpointFormTestCase(NetBoxTestCase, TestCase):
    user_permissions = ('netbox_proxsync.add_proxmoxendpoint',)

    def test_a_form_can_be_saved_as_displayed(self):
        """All fields that the form requires must be on the page."""
        url = reverse('plugins:netbox_proxsync:proxmoxendpoint_add')
        page = self.client.get(url)
        form, content = page.context['form'], page.content.decode()
        for name in ('missing_addresses', 'field_policy-vm.name', 'sync_interval', 'quick_interval'):
            assert f'name="{name}"' in content
        for name, field in form.fields.items():
            assert not field.required or f'name="{name}"' in content, name


class ImportTestCase(NetBoxTestCase, TestCase):
    user_permissions = ('netbox_proxsync.view_proxmoxendpoint', 'netbox_proxsync.add_proxmoxendpoint')

    def test_missing_columns_have_defaults(self):
        data = f'name,hosts,token_id,token_secret\nFive,pve5.example.com,netbox@pve!sync,{MARKER}'
        url = reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_import')
        form = {'import_method': 'direct', 'data': data, 'format': 'csv', 'csv_delimiter': ','}
        response = self.client.post(url, form)
        assert response.status_code == 302
        made = ProxmoxEndpoint.objects.get()
        assert (made.enabled, made.sync_vms, made.sync_templates) == (True, True, False)
        assert (made.timeout, made.change_limit, made.tls_mode) == (30, 20, 'system')

    def bring(self, **values: object):
        row = {'name': 'Five', 'hosts': 'pve5', 'token_id': 'netbox@pve!sync', 'token_secret': MARKER, **values}
        form = {'import_method': 'direct', 'data': json.dumps([row]), 'format': 'json', 'csv_delimiter': ','}
        return self.client.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_import'), form)

    def test_empty_columns_have_defaults(self):
        names = ('timeout', 'enabled', 'tls_mode', 'missing_guests', 'sync_vms', 'change_limit', 'field_policy')
        assert self.bring(**dict.fromkeys(names, ''), ignored_interfaces='').status_code == 302
        made = ProxmoxEndpoint.objects.get()
        for name in names:
            assert getattr(made, name) == ProxmoxEndpoint._meta.get_field(name).get_default(), name
        assert made.ignored_interfaces == []

    def test_spellings_of_booleans(self):
        for word in ('no', 'No', 'FALSE', '0', False, 0):
            assert self.bring(enabled=word, sync_containers=word).status_code == 302
            assert not ProxmoxEndpoint.objects.filter(Q(enabled=True) | Q(sync_containers=True)).exists()
            ProxmoxEndpoint.objects.all().delete()

    def test_a_value_of_the_wrong_type_is_reported_at_its_field(self):
        for name, bad in (
            ('enabled', 'perhaps'), ('sync_vms', {'a': 1}), ('hosts', 5), ('hosts', {'a': 1}), ('hosts', [['x']]),
            ('include_guests', True), ('field_policy', [1]), ('field_policy', 5), ('timeout', 'long'),
            ('tls_mode', ['off']), ('cluster', {'name': 'x'}), ('site', 'Nowhere'), ('owner', 'Nobody'),
        ):  # fmt: skip
            with self.subTest(name=name, bad=bad):
                self.assertContains(self.bring(**{name: bad}), f'{name}: ')
        assert not ProxmoxEndpoint.objects.exists()


class MappingRuleViewTestCase(
    PluginViews, ViewTestCases.PrimaryObjectViewTestCase, ViewTestCases.BulkRenameObjectsViewTestCase
):
    model = MappingRule

    @classmethod
    def setUpTestData(cls):
        for name in ('One', 'Two', 'Three'):
            make_rule(name)
        role = DeviceRole.objects.create(name='Web', slug='web')
        Tag.objects.create(name='Prod', slug='prod')
        make_endpoint('Lab')
        cls.form_data = {
            'name': 'Four',
            'weight': 10,
            'enabled': True,
            'guest_type': 'lxc',
            'name_pattern': '^(web|app)-\\d+$',
            'pattern_type': 'regex',
            'guest_tags': 'prod web',
            'tag_match': 'all',
            'pools': 'web/prod',
            'nodes': 'pve1, pve2',
            'vmid_min': 100,
            'vmid_max': 199,
            'template': False,
            'role': role.pk,
            'description': 'new',
        }
        cls.csv_data = (
            'name,endpoint,guest_tags,template,skip,role,extra_tags',
            'Five,Lab,"prod,web",false,,Web,',
            'Six,,lab,,true,,',
            'Seven,,,,,,prod',
        )
        ids = list(MappingRule.objects.order_by('pk').values_list('pk', flat=True))
        cls.csv_update_data = (
            'id,description',
            f'{ids[0]},first',
            f'{ids[1]},second',
            f'{ids[2]},third',
        )
        cls.bulk_edit_data = {'description': 'edited', 'weight': 40, 'guest_type': 'qemu'}

    def assertInstanceEqual(self, instance, data, exclude=None, api=False):
        # The form converts the texts to lists.
        super().assertInstanceEqual(instance, data, exclude=[*(exclude or []), 'guest_tags', 'pools', 'nodes'], api=api)
        if 'guest_tags' in data:
            expected = (['prod', 'web'], ['web/prod'], ['pve1', 'pve2'])
            assert (instance.guest_tags, instance.pools, instance.nodes) == expected

    def test_export_objects(self):
        """As for other models with `to_yaml()`: all data as YAML, the table as CSV."""
        self.add_permissions('netbox_proxsync.view_mappingrule')
        assert self.client.get(f'{self._get_url("list")}?export').headers['Content-Type'] == 'text/yaml'
        table = self.client.get(f'{self._get_url("list")}?export=table')
        assert table.headers['Content-Type'] == 'text/csv; charset=utf-8'
        assert 'web-*' in table.content.decode()


class MappingRuleFormTestCase(NetBoxTestCase, TestCase):
    """The errors for invalid values, in the form and the import."""

    user_permissions = (
        *(f'netbox_proxsync.{action}_mappingrule' for action in ('view', 'add', 'change')),
        'netbox_proxsync.view_proxmoxendpoint', 'dcim.view_devicerole', 'dcim.view_platform', 'extras.view_tag',
        'ipam.view_vrf', 'ipam.view_vlangroup', 'tenancy.view_tenant',
    )  # fmt: skip

    def setUp(self):
        super().setUp()
        self.role = DeviceRole.objects.create(name='Web', slug='web')
        self.remove_permissions('netbox_proxsync.view_proxmoxendpoint')
        allow(self.user, ProxmoxEndpoint, 'view', {'name': 'Lab'})
        self.hidden = make_endpoint('Hidden')

    def post(self, **values: object):
        form = {'name': 'New', 'weight': 1, 'pattern_type': 'glob', 'tag_match': 'any', **values}
        return self.client.post(reverse('plugins:netbox_proxsync:mappingrule_add'), form)

    def bring(self, data: str, file_format: str = 'csv'):
        form = {'import_method': 'direct', 'data': data, 'format': file_format, 'csv_delimiter': ','}
        return self.client.post(reverse('plugins:netbox_proxsync:mappingrule_bulk_import'), form)

    def test_the_form(self):
        for values, field in (
            ({'role': self.role.pk, 'name_pattern': '(a', 'pattern_type': 'regex'}, 'name_pattern'),
            ({'role': self.role.pk, 'vmid_min': 200, 'vmid_max': 100}, 'vmid_max'),
            ({'role': self.role.pk, 'pools': 'a/b/c;d!'}, 'pools'),
            ({'role': self.role.pk, 'endpoint': self.hidden.pk}, 'endpoint'),
            ({'role': self.role.pk, 'name_pattern': 'x' * 256}, 'name_pattern'),
            ({'role': self.role.pk, 'guest_type': 'vm'}, 'guest_type'),
            ({'role': self.role.pk, 'nodes': 'pve1.example.com'}, 'nodes'),
            ({'role': self.role.pk, 'skip': True, 'name_pattern': 'a'}, 'skip'),
            ({'skip': True}, 'skip'),
            ({'name_pattern': 'a'}, 'skip'),
        ):
            with self.subTest(values):
                response = self.post(**values)
                assert response.status_code == 200
                assert list(response.context['form'].errors) == [field]
        assert not MappingRule.objects.exists()

    def test_the_import(self):
        for data, told in (
            ('name,role,name_pattern,pattern_type\nA,Web,(a,regex', 'name_pattern: This pattern is not valid'),
            ('name,role,vmid_min,vmid_max\nA,Web,200,100', 'vmid_max: The range is reversed'),
            ('name,name_pattern\nA,a', 'A rule must either skip guests or set'),
            ('name,role\nA,Nowhere', 'role: Object not found'),
            ('name,role\nA,web', 'role: Object not found'),
            ('name,role,owner\nA,Web,Nobody', 'owner: Object not found'),
            ('name,role,guest_type\nA,Web,vm', 'guest_type: '),
            ('name,role,nodes\nA,Web,pve1.example.com', 'nodes: '),
            ('name,role,pools\nA,Web,a!', 'pools: '),
            (f'name,role,name_pattern\nA,Web,{"x" * 256}', 'name_pattern: '),
            ('name,role,template\nA,Web,perhaps', 'template: '),
            ('name,name_pattern,skip\nA,a*,nope', 'skip: '),
            ('name,extra_tags\nA,nonsense', 'extra_tags: '),
            ('name,role,endpoint\nA,Web,Hidden', 'endpoint: Object not found'),
            ('name,nonsense\nA,b', 'nonsense'),
            # One invalid row prevents the import of the valid one.
            ('name,role\nGood,Web\nBad,Nowhere', 'Record 2 role: '),
        ):
            with self.subTest(data):
                self.assertContains(self.bring(data), told)
        assert not MappingRule.objects.exists()
        for data, file_format in (('{', 'json'), ('[', 'yaml')):
            assert self.bring(data, file_format).status_code == 200
        rows = [{'name': name, 'skip': True, 'pools': pools} for name, pools in (('A', ['lab']), ('B', {'lab': 1}))]
        self.assertContains(self.bring(json.dumps(rows), 'json'), 'Record 2 pools: ')
        assert not MappingRule.objects.exists()

    def test_spellings_of_booleans(self):
        data = 'name,role,name_pattern,skip,template,weight,pattern_type,tag_match\nA,Web,a*,no,YES,,,'
        assert self.bring(data).status_code == 302
        made = MappingRule.objects.get()
        assert (made.skip, made.template, made.weight) == (False, True, 1000)
        assert (made.pattern_type, made.tag_match) == ('glob', 'any')

    def test_an_import_that_makes_a_rule_contradict_itself(self):
        rule = make_rule(role=self.role, name_pattern='a')
        self.assertContains(self.bring(f'id,skip\n{rule.pk},true'), 'A rule that skips guests cannot set')
        rule.refresh_from_db()
        assert not rule.skip

    def test_an_import_of_one_column_leaves_the_others(self):
        rule = make_rule(role=self.role, enabled=False, guest_tags=['web'], weight=7)
        assert self.bring(f'id,description\n{rule.pk},edited').status_code == 302
        rule.refresh_from_db()
        assert (rule.description, rule.enabled, rule.guest_tags, rule.weight) == ('edited', False, ['web'], 7)

    def test_a_bulk_edit_that_leaves_a_rule_without_outcome(self):
        rule = make_rule(role=self.role)
        form = {'pk': [rule.pk], '_apply': True, '_nullify': ['role']}
        response = self.client.post(reverse('plugins:netbox_proxsync:mappingrule_bulk_edit'), form)
        self.assertContains(response, 'must either skip guests or set')
        rule.refresh_from_db()
        assert rule.role == self.role

    def test_an_export_can_be_imported(self):
        tag = Tag.objects.create(name='Prod', slug='prod')
        values = {
            'endpoint': make_endpoint('Lab'), 'guest_type': 'qemu', 'name_pattern': 'web-*: "#1"',
            'guest_tags': ['a', 'b'], 'tag_match': 'all', 'pools': ['web'], 'nodes': ['pve1'], 'vmid_min': 100,
            'vmid_max': 199, 'template': False, 'role': self.role, 'weight': 5, 'enabled': False,
            'tenant': Tenant.objects.create(name='Tenant', slug='tenant'),
            'platform': Platform.objects.create(name='Linux', slug='linux'),
            'vrf': VRF.objects.create(name='Red'), 'vlan_group': VLANGroup.objects.create(name='Group', slug='group'),
            'comments': 'Lines\nof text', 'description': 'é',
        }  # fmt: skip
        make_rule('Full', [tag], **values)
        make_rule('Skipping')
        exported = self.client.get(reverse('plugins:netbox_proxsync:mappingrule_list'), {'export': ''})
        before = {rule.name: rule.to_yaml() for rule in MappingRule.objects.all()}
        MappingRule.objects.all().delete()
        response = self.bring(exported.content.decode(), 'yaml')
        assert response.status_code == 302, response.content
        assert {rule.name: rule.to_yaml() for rule in MappingRule.objects.all()} == before
        full = MappingRule.objects.get(name='Full')
        assert {name: getattr(full, name) for name in values} == values
        assert list(full.extra_tags.all()) == [tag]

    def test_the_page_shows_what_it_does_as_text(self):
        rule = make_rule('<script>alert(1)</script>', role=self.role, name_pattern='<b>*', vmid_min=100)
        response = self.client.get(rule.get_absolute_url())
        self.assertNotContains(response, '<script>alert(1)')
        self.assertNotContains(response, '<b>*')
        self.assertContains(response, '&lt;b&gt;*')
        self.assertContains(response, '100 and above')


class SyncRunViewTestCase(
    PluginViews,
    ViewTestCases.GetObjectViewTestCase,
    ViewTestCases.ListObjectsViewTestCase,
    ViewTestCases.DeleteObjectViewTestCase,
    ViewTestCases.BulkDeleteObjectsViewTestCase,
):
    model = SyncRun

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for _number in range(3):
            make_run(endpoint)


class SyncChangeViewTestCase(PluginViews, ViewTestCases.GetObjectViewTestCase, ViewTestCases.ListObjectsViewTestCase):
    model = SyncChange

    @classmethod
    def setUpTestData(cls):
        run = make_run(make_endpoint())
        for number in range(3):
            make_change(run, number)


class BindingViewTestCase(PluginViews, ViewTestCases.GetObjectViewTestCase, ViewTestCases.ListObjectsViewTestCase):
    model = Binding
    # Without this permission, the bindings of virtual machines are hidden.
    user_permissions = ('virtualization.view_virtualmachine', 'dcim.view_device')

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_binding(endpoint, create_test_virtualmachine(f'vm{number}'), 100 + number)


class DecisionViewTestCase(PluginViews, ViewTestCases.GetObjectViewTestCase, ViewTestCases.ListObjectsViewTestCase):
    model = Decision
    # Without this permission, decisions about virtual machines are hidden.
    user_permissions = ('virtualization.view_virtualmachine', 'dcim.view_device')

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_decision(endpoint, 100 + number, create_test_virtualmachine(f'vm{number}'))


class ProxmoxGuestViewTestCase(PluginViews, ViewTestCases.GetObjectViewTestCase, ViewTestCases.ListObjectsViewTestCase):
    model = ProxmoxGuest

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_guest(endpoint, 100 + number)


class EndpointActionTestCase(NetBoxTestCase, TestCase):
    """The buttons of an endpoint."""

    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint', 'netbox_proxsync.view_syncrun')

    def url(self, action: str) -> str:
        return reverse(f'plugins:netbox_proxsync:proxmoxendpoint_{action}', args=[self.endpoint.pk])

    def test_without_the_permission_nothing_is_started(self):
        for action in ('test', 'preview', 'sync'):
            assert self.client.post(self.url(action)).status_code == 403
        assert not SyncRun.objects.exists()

    def test_getting_starts_nothing(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for action in ('test', 'preview', 'sync'):
            response = self.client.get(self.url(action))
            assert (response.status_code, response.url) == (302, self.endpoint.get_absolute_url())
        assert not SyncRun.objects.exists()

    def test_a_run_is_queued_once_and_shown(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        first = self.client.post(self.url('preview'))
        run = SyncRun.objects.get()
        assert (run.mode, run.status, run.user) == ('preview', 'queued', self.user)
        assert first.url == run.get_absolute_url()
        second = self.client.post(self.url('sync'), follow=True)
        assert SyncRun.objects.count() == 1
        self.assertContains(second, 'not finished yet')

    def test_a_disabled_endpoint_says_so(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        ProxmoxEndpoint.objects.update(enabled=False)
        self.assertContains(self.client.post(self.url('sync'), follow=True), 'is disabled')
        assert not SyncRun.objects.exists()

    def test_the_permission_may_be_for_some_endpoints_only(self):
        from core.models import ObjectType

        permission = ObjectPermission.objects.create(name='other', actions=['sync'], constraints={'name': 'Other'})
        permission.users.add(self.user)
        permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
        assert self.client.post(self.url('sync')).status_code == 404

    def test_text_from_guests_is_escaped(self):
        script = '<script>alert(1)</script>'
        run = make_run(
            self.endpoint,
            error=script,
            messages=[{'level': 'warning', 'subject': script, 'message': script, 'remedy': script}],
        )
        change = make_change(
            run,
            0,
            label=script,
            reason=script,
            message=script,
            fields=[
                {
                    'name': 'comments', 'owner': 'editorial', 'last': None, 'now': script, 'want': script,
                    'kept': False, 'drift': False,
                }
            ],
        )  # fmt: skip
        self.add_permissions('netbox_proxsync.view_syncchange')
        changes = reverse('plugins:netbox_proxsync:syncchange_list')
        for url in (run.get_absolute_url(), change.get_absolute_url(), changes):
            response = self.client.get(url)
            self.assertNotContains(response, script)
            self.assertContains(response, '&lt;script&gt;')


class RunPageTestCase(NetBoxTestCase, TestCase):
    """The page of a run shows its progress while it is active, and filters after it has finished."""

    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()
        self.add_permissions('netbox_proxsync.view_syncrun', 'netbox_proxsync.view_syncchange')

    def progress(self, run: SyncRun):
        return self.client.get(reverse('plugins:netbox_proxsync:syncrun_progress', args=[run.pk]))

    def test_while_it_goes_on_it_asks_for_its_progress(self):
        run = make_run(self.endpoint, status='running', phase='collect 3/17', completed=None)
        asks = f'hx-get="/plugins/proxsync/runs/{run.pk}/progress/"'
        self.assertContains(self.client.get(run.get_absolute_url()), asks)
        # The polling element remains in the page, and the response replaces its content.
        progress = self.progress(run)
        self.assertNotContains(progress, asks)
        self.assertContains(progress, 'Reading Proxmox VE')
        self.assertContains(progress, '3 of 17')
        self.assertContains(progress, 'aria-valuenow="17"')

    def test_a_screen_reader_announces_only_news(self):
        run = make_run(self.endpoint, status='running', phase='collect 3/17', completed=None)
        url = reverse('plugins:netbox_proxsync:syncrun_progress', args=[run.pk])
        self.assertContains(self.client.get(url), 'hx-swap-oob')
        self.assertContains(self.client.get(url, {'announced': 'Starting'}), 'hx-swap-oob')
        self.assertNotContains(self.client.get(url, {'announced': 'Reading Proxmox VE: 10%'}), 'hx-swap-oob')

    def test_the_page_of_the_endpoint_follows_its_run(self):
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint')
        run = make_run(self.endpoint, status='running', phase='apply 50/100', completed=None, messages=[])
        page = self.client.get(self.endpoint.get_absolute_url())
        self.assertContains(page, f'hx-get="/plugins/proxsync/runs/{run.pk}/progress/?brief=1"')
        self.assertContains(page, '50 of 100')
        brief = self.client.get(reverse('plugins:netbox_proxsync:syncrun_progress', args=[run.pk]), {'brief': 1})
        self.assertContains(brief, run.get_absolute_url())
        self.assertNotContains(brief, 'Request ID')

    def test_the_page_of_the_endpoint_shows_no_run_that_has_ended_or_may_not_be_seen(self):
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint')
        make_run(self.endpoint)
        self.assertNotContains(self.client.get(self.endpoint.get_absolute_url()), '/progress/')
        make_run(self.endpoint, status='running', completed=None)
        self.remove_permissions('netbox_proxsync.view_syncrun')
        self.assertNotContains(self.client.get(self.endpoint.get_absolute_url()), '/progress/')

    def test_when_it_has_ended_the_page_is_loaded_again_and_asks_no_more(self):
        run = make_run(self.endpoint)
        assert self.progress(run).headers['HX-Refresh'] == 'true'
        self.assertNotContains(self.client.get(run.get_absolute_url()), '/progress/')

    def test_progress_needs_the_permission_to_view_the_run(self):
        self.remove_permissions('netbox_proxsync.view_syncrun')
        assert self.progress(make_run(self.endpoint)).status_code == 403

    def test_the_error_is_displayed_first(self):
        run = make_run(self.endpoint, status='failed', error='No route to host.')
        page = self.client.get(run.get_absolute_url()).content.decode()
        assert page.index('No route to host.') < page.index('API requests')


class CancelTestCase(NetBoxTestCase, TestCase):
    """The button to cancel a run, on its page and on the page of its endpoint."""

    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()
        self.run_ = make_run(self.endpoint, status='queued', started=None, completed=None)
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint', 'netbox_proxsync.view_syncrun')
        self.url = reverse('plugins:netbox_proxsync:syncrun_cancel', args=[self.run_.pk])

    def pages(self) -> list[str]:
        return [self.run_.get_absolute_url(), self.endpoint.get_absolute_url()]

    def test_it_takes_the_permission_to_sync_the_endpoint(self):
        for page in self.pages():
            self.assertNotContains(self.client.get(page), self.url)
        assert self.client.post(self.url).status_code == 403
        self.run_.refresh_from_db()
        assert self.run_.status == 'queued'

    def test_the_permission_may_be_for_some_endpoints_only(self):
        from core.models import ObjectType

        permission = ObjectPermission.objects.create(name='other', actions=['sync'], constraints={'name': 'Other'})
        permission.users.add(self.user)
        permission.object_types.add(ObjectType.objects.get_for_model(ProxmoxEndpoint))
        for page in self.pages():
            self.assertNotContains(self.client.get(page), self.url)
        assert self.client.post(self.url).status_code == 403

    def test_a_run_that_has_not_ended_has_the_button_and_is_canceled_by_it_once(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for page in self.pages():
            self.assertContains(self.client.get(page), f'action="{self.url}"')
        for _again in range(2):
            response = self.client.post(self.url, follow=True)
            self.assertContains(response, 'is canceled.')
            self.assertContains(response, f'Canceled by {self.user}.')
        for page in self.pages():
            self.assertNotContains(self.client.get(page), self.url)

    def test_a_stopping_run_displays_its_status(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        type(self.run_).objects.update(status='canceling')
        self.assertContains(self.client.get(self.run_.get_absolute_url()), 'Canceling')

    def test_a_run_that_has_ended_is_unchanged(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        type(self.run_).objects.update(status='completed')
        self.assertContains(self.client.post(self.url, follow=True), 'has ended (completed)')
        assert SyncRun.objects.get().status == 'completed'

    def test_getting_cancels_nothing(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        assert self.client.get(self.url).url == self.run_.get_absolute_url()
        assert SyncRun.objects.get().status == 'queued'


class ConnectionTestTestCase(NetBoxTestCase, TestCase):
    """The connection test in the form, before the endpoint is saved."""

    def setUp(self):
        super().setUp()
        self.url = reverse('plugins:netbox_proxsync:proxmoxendpoint_test_form')
        self.data = {
            'name': 'New',
            'hosts': '127.0.0.1:1',
            'token_id': 'netbox@pve!sync',
            'token_secret': MARKER,
            'tls_mode': 'system',
            'timeout': 2,
            'concurrency': 1,
        }

    def test_it_needs_the_permission(self):
        assert self.client.post(self.url, self.data).status_code == 403
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        assert self.client.post(self.url, self.data).status_code == 403

    def test_errors_are_displayed_without_saving_and_without_the_secret(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.add_proxmoxendpoint')
        response = self.client.post(self.url, self.data)
        self.assertContains(response, 'refused')
        self.assertNotContains(response, MARKER)
        assert not ProxmoxEndpoint.objects.exists()

    def test_bad_input_is_reported_at_its_field(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.add_proxmoxendpoint')
        response = self.client.post(self.url, {**self.data, 'token_id': 'root'})
        self.assertContains(response, 'user@realm!name')
