import json

from dcim.models import DeviceRole
from django.urls import reverse
from extras.models import Tag
from rest_framework import status
from utilities.testing import APITestCase, APIViewTestCases, create_test_virtualmachine

from netbox_proxsync.graphql.filters import (
    ProxSyncBindingFilter,
    ProxSyncChangeFilter,
    ProxSyncDecisionFilter,
    ProxSyncEndpointFilter,
    ProxSyncGuestFilter,
    ProxSyncMappingRuleFilter,
    ProxSyncRunFilter,
)
from netbox_proxsync.graphql.types import (
    ProxSyncBindingType,
    ProxSyncChangeType,
    ProxSyncDecisionType,
    ProxSyncEndpointType,
    ProxSyncGuestType,
    ProxSyncMappingRuleType,
    ProxSyncRunType,
)
from netbox_proxsync.models import Binding, Decision, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

from ..cases import (
    MARKER,
    PluginAPI,
    allow,
    make_binding,
    make_change,
    make_decision,
    make_endpoint,
    make_guest,
    make_rule,
    make_run,
)

FILTERS = {
    ProxmoxEndpoint: ProxSyncEndpointFilter,
    MappingRule: ProxSyncMappingRuleFilter,
    SyncRun: ProxSyncRunFilter,
    SyncChange: ProxSyncChangeFilter,
    Binding: ProxSyncBindingFilter,
    Decision: ProxSyncDecisionFilter,
    ProxmoxGuest: ProxSyncGuestFilter,
}


class GraphQLFilters:
    """The names of the filters differ from the names of the models, because names in GraphQL are global."""

    def _get_model_graphql_filter_class(self, model=None):
        return FILTERS[model or self.model]


class ProxmoxEndpointAPITestCase(GraphQLFilters, PluginAPI, APIViewTestCases.APIViewTestCase):
    model = ProxmoxEndpoint
    type_class = ProxSyncEndpointType
    graphql_base_name = 'proxsync_endpoint'
    brief_fields = ['description', 'display', 'id', 'name', 'url']
    create_data = [
        {'name': name, 'hosts': [f'{name}.example.com'], 'token_id': 'netbox@pve!sync', 'token_secret': MARKER}
        for name in ('four', 'five', 'six')
    ]
    bulk_update_data = {'description': 'edited', 'timeout': 60}
    # Write-only.
    validation_excluded_fields = ['token_secret']

    @classmethod
    def setUpTestData(cls):
        for name in ('One', 'Two', 'Three'):
            make_endpoint(name)

    def assertInstanceEqual(self, instance, data, exclude=None, api=False):
        super().assertInstanceEqual(instance, data, exclude=[*(exclude or []), 'hosts', 'token_secret'], api=api)


class MappingRuleAPITestCase(GraphQLFilters, PluginAPI, APIViewTestCases.APIViewTestCase):
    model = MappingRule
    type_class = ProxSyncMappingRuleType
    graphql_base_name = 'proxsync_mapping_rule'
    brief_fields = ['description', 'display', 'id', 'name', 'url', 'weight']
    bulk_update_data = {'description': 'edited', 'weight': 5}

    @classmethod
    def setUpTestData(cls):
        for name in ('One', 'Two', 'Three'):
            make_rule(name)
        role = DeviceRole.objects.create(name='Web', slug='web')
        tag = Tag.objects.create(name='Prod', slug='prod')
        cls.create_data = [
            {'name': 'Four', 'skip': False, 'role': role.pk, 'guest_type': 'qemu', 'guest_tags': ['web', 'prod']},
            {'name': 'Five', 'extra_tags': [tag.pk], 'vmid_min': 100, 'vmid_max': 199, 'template': False},
            {'name': 'Six', 'skip': True, 'name_pattern': '^lab-', 'pattern_type': 'regex', 'pools': ['lab']},
        ]

    def test_bad_input_is_reported_at_its_field(self):
        self.add_permissions('netbox_proxsync.add_mappingrule')
        role = DeviceRole.objects.get()
        for data, field, told in (
            ({'role': role.pk, 'name_pattern': '(a', 'pattern_type': 'regex'}, 'name_pattern', 'missing )'),
            ({'role': role.pk, 'name_pattern': 'a(?=b)', 'pattern_type': 'regex'}, 'name_pattern', 'Look-around'),
            ({'role': role.pk, 'name_pattern': '[ab'}, 'name_pattern', 'not closed'),
            ({'role': role.pk, 'vmid_min': 200, 'vmid_max': 100}, 'vmid_max', 'reversed'),
            ({'role': role.pk, 'vmid_min': 5}, 'vmid_min', '100'),
            ({'role': role.pk, 'guest_type': 'vm'}, 'guest_type', 'not a valid choice'),
            ({'role': role.pk, 'guest_tags': ['a b']}, 'guest_tags', 'not a valid Proxmox VE tag'),
            ({'role': role.pk, 'skip': True, 'name_pattern': 'a'}, 'skip', 'A rule that skips guests cannot set'),
            ({'skip': True}, 'skip', 'every guest'),
            ({'name_pattern': 'a'}, '__all__', 'must either skip guests or set'),
        ):
            with self.subTest(data):
                url = self._get_list_url()
                response = self.client.post(url, {'name': 'New', **data}, format='json', **self.header)
                self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
                assert told in str(response.data[field]), response.data
        assert not MappingRule.objects.filter(name='New').exists()

    def test_a_value_of_the_wrong_type_is_reported_at_its_field(self):
        self.add_permissions('netbox_proxsync.change_mappingrule')
        rule = MappingRule.objects.first()
        for field, bad in (
            ('name', {}), ('name', 'x' * 101), ('weight', 'heavy'), ('weight', -1), ('enabled', 'perhaps'),
            ('endpoint', 999999), ('endpoint', {'name': 'Nowhere'}), ('guest_type', ['qemu']),
            ('name_pattern', 'x' * 256), ('name_pattern', ['a']), ('guest_tags', 'web'),
            ('guest_tags', {'web': True}), ('nodes', [{}]), ('pools', [None]), ('vmid_min', 'x'),
            ('vmid_max', 10**12), ('template', 'perhaps'), ('skip', []), ('role', 'nobody'),
            ('extra_tags', ['nonsense']), ('extra_tags', 5), ('owner', 999999),
        ):  # fmt: skip
            with self.subTest(field=field, bad=bad):
                response = self.client.patch(self._get_detail_url(rule), {field: bad}, format='json', **self.header)
                self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
                assert response.data[field]
        assert MappingRule.objects.get(pk=rule.pk).last_updated == rule.last_updated

    def test_one_bad_row_of_many_and_nothing_is_written(self):
        self.add_permissions('netbox_proxsync.add_mappingrule', 'netbox_proxsync.change_mappingrule')
        good, bad = {'name': 'Good', 'skip': True, 'pools': ['lab']}, {'name': 'Bad', 'skip': True}
        response = self.client.post(self._get_list_url(), [good, bad], format='json', **self.header)
        self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
        assert [(row['index'], list(row['errors'])) for row in response.data['errors']] == [(1, ['skip'])]
        first, second = MappingRule.objects.all()[:2]
        rows = [{'id': first.pk, 'weight': 1}, {'id': second.pk, 'weight': -1}]
        response = self.client.patch(self._get_list_url(), rows, format='json', **self.header)
        self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
        assert not MappingRule.objects.filter(name='Good').exists()
        assert not MappingRule.objects.filter(weight=1).exists()

    def test_who_saw_an_older_state_changes_and_deletes_nothing(self):
        self.add_permissions(*(f'netbox_proxsync.{name}_mappingrule' for name in ('view', 'change', 'delete')))
        url = self._get_detail_url(MappingRule.objects.first())
        stale = {**self.header, 'HTTP_IF_MATCH': self.client.get(url, **self.header).headers['ETag']}
        self.assertHttpStatus(self.client.patch(url, {'weight': 2}, format='json', **stale), status.HTTP_200_OK)
        for response in (
            self.client.patch(url, {'weight': 3}, format='json', **stale),
            self.client.delete(url, **stale),
        ):
            self.assertHttpStatus(response, status.HTTP_412_PRECONDITION_FAILED)
        assert MappingRule.objects.first().weight == 2

    def test_the_last_outcome_cannot_be_taken_away(self):
        self.add_permissions('netbox_proxsync.change_mappingrule')
        rule = MappingRule.objects.first()
        response = self.client.patch(self._get_detail_url(rule), {'skip': False}, format='json', **self.header)
        self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
        data = {'skip': False, 'extra_tags': [Tag.objects.get().pk], 'pools': [' web/ ', 'web']}
        response = self.client.patch(self._get_detail_url(rule), data, format='json', **self.header)
        self.assertHttpStatus(response, status.HTTP_200_OK)
        rule.refresh_from_db()
        assert (rule.skip, rule.pools, [tag.name for tag in rule.extra_tags.all()]) == (False, ['web'], ['Prod'])


class SyncRunAPITestCase(
    GraphQLFilters,
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.DeleteObjectViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = SyncRun
    type_class = ProxSyncRunType
    graphql_base_name = 'proxsync_run'
    brief_fields = ['created', 'display', 'id', 'mode', 'status', 'url']

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for _number in range(3):
            make_run(endpoint)


class SyncChangeAPITestCase(
    GraphQLFilters,
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = SyncChange
    type_class = ProxSyncChangeType
    graphql_base_name = 'proxsync_change'
    brief_fields = ['action', 'display', 'id', 'key', 'kind', 'outcome', 'url']

    @classmethod
    def setUpTestData(cls):
        run = make_run(make_endpoint())
        for number in range(3):
            make_change(run, number)


class BindingAPITestCase(
    GraphQLFilters,
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = Binding
    type_class = ProxSyncBindingType
    graphql_base_name = 'proxsync_binding'
    brief_fields = ['display', 'id', 'key', 'kind', 'url']
    # Without this permission, the bindings of virtual machines are hidden.
    user_permissions = ('virtualization.view_virtualmachine', 'dcim.view_device')

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_binding(endpoint, create_test_virtualmachine(f'vm{number}'), 100 + number)


class DecisionAPITestCase(
    GraphQLFilters,
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = Decision
    type_class = ProxSyncDecisionType
    graphql_base_name = 'proxsync_decision'
    brief_fields = ['choice', 'display', 'id', 'key', 'kind', 'url']
    # Without this permission, decisions about virtual machines are hidden.
    user_permissions = ('virtualization.view_virtualmachine', 'dcim.view_device')

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_decision(endpoint, 100 + number, create_test_virtualmachine(f'vm{number}'))


class ProxmoxGuestAPITestCase(
    GraphQLFilters,
    PluginAPI,
    APIViewTestCases.GetObjectViewTestCase,
    APIViewTestCases.ListObjectsViewTestCase,
    APIViewTestCases.GraphQLTestCase,
):
    model = ProxmoxGuest
    type_class = ProxSyncGuestType
    graphql_base_name = 'proxsync_guest'
    brief_fields = ['display', 'id', 'name', 'state', 'type', 'url', 'vmid']

    @classmethod
    def setUpTestData(cls):
        endpoint = make_endpoint()
        for number in range(3):
            make_guest(endpoint, 100 + number)


class EndpointActionAPITestCase(PluginAPI, APITestCase):
    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()

    def post(self, action: str, data: dict | None = None):
        url = reverse(f'plugins-api:netbox_proxsync-api:proxmoxendpoint-{action}', args=[self.endpoint.pk])
        return self.client.post(url, data, format='json', **self.header)

    def test_without_the_permission(self):
        self.add_permissions('netbox_proxsync.view_proxmoxendpoint', 'netbox_proxsync.add_proxmoxendpoint')
        for action in ('test', 'preview', 'sync'):
            self.assertHttpStatus(self.post(action), status.HTTP_403_FORBIDDEN)
        assert not SyncRun.objects.exists()

    def test_a_run_is_queued_and_a_second_one_is_refused_with_the_first(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.view_syncrun')
        response = self.post('preview')
        self.assertHttpStatus(response, status.HTTP_202_ACCEPTED)
        run = SyncRun.objects.get()
        assert (response.data['id'], response.data['mode']['value']) == (run.pk, 'preview')
        response = self.post('sync')
        self.assertHttpStatus(response, status.HTTP_409_CONFLICT)
        assert response.data['run']['id'] == run.pk

    def test_a_run_may_be_limited_to_some_guests(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.view_syncrun')
        response = self.post('preview', {'vmids': [101, 100, 101]})
        self.assertHttpStatus(response, status.HTTP_202_ACCEPTED)
        assert response.data['vmids'] == [100, 101]
        assert SyncRun.objects.get().vmids == [100, 101]
        SyncRun.objects.all().delete()
        for data in ({}, {'vmids': None}):
            assert self.post('sync', data).data['vmids'] is None
            SyncRun.objects.all().delete()

    def test_a_limit_that_means_nothing_is_reported_at_its_field(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for data, field, told in (
            ({'vmids': []}, 'vmids', 'not be empty'),
            ({'vmids': 100}, 'vmids', 'list'),
            ({'vmids': ['web']}, 'vmids', 'valid integer'),
            ({'vmids': [None]}, 'vmids', 'null'),
            ({'vmids': [True]}, 'vmids', 'valid integer'),
            ({'vmids': [7]}, 'vmids', '100'),
            ({'vmids': [-100]}, 'vmids', '100'),
            ({'vmids': [0]}, 'vmids', '100'),
            ({'vmids': [10**9]}, 'vmids', '999999999'),
            ({'vmids': list(range(100, 100_100))}, 'vmids', 'no more than 10000'),
            ([100], '__all__', 'dictionary'),
            ({'vmid': [100]}, 'vmid', 'does not exist'),
        ):
            with self.subTest(data):
                response = self.post('sync', data)
                self.assertHttpStatus(response, status.HTTP_400_BAD_REQUEST)
                assert told in str(response.data[field]), response.data
        assert not SyncRun.objects.exists()

    def test_a_disabled_endpoint(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        ProxmoxEndpoint.objects.update(enabled=False)
        self.assertHttpStatus(self.post('sync'), status.HTTP_409_CONFLICT)
        assert not SyncRun.objects.exists()

    def test_an_endpoint_that_there_is_not(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for pk in (0, 10**30, 'nonsense'):
            for action in ('test', 'preview', 'sync'):
                response = self.client.post(f'/api/plugins/proxsync/endpoints/{pk}/{action}/', **self.header)
                self.assertHttpStatus(response, status.HTTP_404_NOT_FOUND)

    def test_the_permission_may_be_for_other_endpoints_only(self):
        allow(self.user, ProxmoxEndpoint, 'sync', {'name': 'Other'})
        # A user who may not view the endpoint either must not learn that it exists.
        self.assertHttpStatus(self.post('sync'), status.HTTP_404_NOT_FOUND)
        allow(self.user, ProxmoxEndpoint, 'view')
        response = self.post('sync')
        self.assertHttpStatus(response, status.HTTP_403_FORBIDDEN)
        assert 'permission to sync' in response.data['detail']
        assert not SyncRun.objects.exists()

    def test_a_token_that_may_not_write(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        self.token.write_enabled = False
        self.token.save()
        for action in ('preview', 'sync'):
            self.assertHttpStatus(self.post(action), status.HTTP_403_FORBIDDEN)
        assert not SyncRun.objects.exists()


class PlanAPITestCase(PluginAPI, APITestCase):
    """The responses to invalid requests to apply or accept a plan."""

    user_permissions = ('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.accept_proxmoxendpoint')

    def setUp(self):
        super().setUp()
        allow(self.user, SyncRun, 'view', {'endpoint__name': 'Lab'})
        self.preview = make_run(make_endpoint(), mode='preview')
        make_change(self.preview, 0, outcome='planned')

    def post(self, run: SyncRun, action: str, data: object = None, code: int = 409):
        url = f'/api/plugins/proxsync/runs/{run.pk}/{action}/'
        response = self.client.post(url, data, format='json', **self.header)
        self.assertHttpStatus(response, code)
        assert not SyncRun.objects.exclude(applies=None).exists() or code == 202
        return response.data

    def test_an_unknown_selection_does_not_apply_the_whole_plan(self):
        for data, field in (
            ({'unit': ['qemu/100']}, 'unit'), ({'vmids': [100]}, 'vmids'), ({'units': []}, 'units'),
            ({'units': 'qemu/100'}, 'units'), ({'units': [{}]}, 'units'), ({'units': ['x' * 201]}, 'units'),
            ({'units': ['qemu/100'] * 10_001}, 'units'), (['qemu/100'], '__all__'),
        ):  # fmt: skip
            assert self.post(self.preview, 'apply', data, 400)[field]
        refused = make_run(self.preview.endpoint, status='refused', refusal='Too much.')
        # A misspelled request for a part must not approve all of it.
        assert self.post(refused, 'accept', {'unit': ['qemu/100']}, 400)['unit']
        assert 'no changes of: qemu/100' in self.post(refused, 'accept', {'units': ['qemu/100']})['detail']

    def test_units_that_are_not_in_the_plan(self):
        assert 'qemu/999' in self.post(self.preview, 'apply', {'units': ['qemu/999', 'qemu/100']})['detail']
        many = self.post(self.preview, 'apply', {'units': [f'qemu/{number}' for number in range(200, 300)]})['detail']
        assert many.endswith('qemu/209, ....')

    def test_a_part_named_twice_is_one(self):
        assert self.post(self.preview, 'apply', {'units': ['qemu/100'] * 2}, 202)['units'] == ['qemu/100']

    def test_runs_without_a_plan_that_waits(self):
        for values in ({}, {'mode': 'apply'}, {'status': 'failed', 'mode': 'preview'}, {'status': 'refused'}):
            assert 'no plan' in self.post(make_run(self.preview.endpoint, **values), 'apply')['detail']
            SyncRun.objects.exclude(pk=self.preview.pk).delete()
        assert 'not refused' in self.post(self.preview, 'accept')['detail']

    def test_a_run_that_no_longer_exists_or_may_not_be_seen(self):
        other = make_run(make_endpoint('Other'), mode='preview')
        make_change(other, 0, outcome='planned')
        gone = SyncRun(pk=0)
        for run in (other, gone):
            for action in ('apply', 'accept'):
                self.post(run, action, code=404)
        self.post(gone, 'cancel', code=404)

    def test_while_another_run_is_under_way_or_the_endpoint_is_disabled(self):
        running = make_run(make_endpoint('Other'), status='queued', started=None, completed=None)
        SyncRun.objects.filter(pk=running.pk).update(endpoint=self.preview.endpoint)
        assert self.post(self.preview, 'apply')['run']['id'] == running.pk
        running.delete()
        ProxmoxEndpoint.objects.update(enabled=False)
        assert 'is disabled' in self.post(self.preview, 'apply')['detail']


class GraphQLBadInputTestCase(PluginAPI, APITestCase):
    """Bad input gets the same response as from NetBox: 200, no data, and the errors."""

    user_permissions = ('netbox_proxsync.view_proxmoxendpoint', 'netbox_proxsync.view_proxmoxguest')

    def test_invalid_requests(self):
        make_guest(make_endpoint(token_secret=MARKER), 100)
        for query, told in (
            ('{ proxsync_endpoint(id: 0) { name } }', 'does not exist'),
            ('{ proxsync_endpoint(id: "x") { name } }', 'expected a number'),
            ('{ proxsync_endpoint_list { token_secret } }', 'Cannot query field'),
            ('{ proxsync_guest_list(filters: {state: {exact: NONSENSE}}) { name } }', 'NONSENSE'),
            ('{ proxsync_guest_list(filters: {vmid: {exact: "x"}}) { name } }', 'Int'),
            ('{ proxsync_guest_list(filters: {nonsense: 1}) { name } }', 'nonsense'),
            ('{', 'Syntax Error'),
        ):
            with self.subTest(query):
                answer = self.client.post('/graphql/', {'query': query}, format='json', **self.header)
                self.assertHttpStatus(answer, status.HTTP_200_OK)
                said = json.loads(answer.content)
                assert said['data'] is None
                assert told in said['errors'][0]['message'], said
                assert MARKER not in answer.content.decode()


class CancelAPITestCase(PluginAPI, APITestCase):
    def setUp(self):
        super().setUp()
        self.run_ = make_run(make_endpoint(), status='queued', started=None, completed=None)

    def post(self):
        url = reverse('plugins-api:netbox_proxsync-api:syncrun-cancel', args=[self.run_.pk])
        assert url == f'/api/plugins/proxsync/runs/{self.run_.pk}/cancel/'
        return self.client.post(url, **self.header)

    def test_without_the_permission(self):
        self.add_permissions('netbox_proxsync.view_syncrun', 'netbox_proxsync.view_proxmoxendpoint')
        response = self.post()
        self.assertHttpStatus(response, status.HTTP_403_FORBIDDEN)
        assert response.data['detail']
        assert SyncRun.objects.get().status == 'queued'

    def test_a_queued_run_is_canceled_once(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.view_syncrun')
        for _again in range(2):
            response = self.post()
            self.assertHttpStatus(response, status.HTTP_200_OK)
            assert (response.data['status']['value'], response.data['error']) == (
                'canceled', f'Canceled by {self.user}.'
            )  # fmt: skip

    def test_without_permission_to_view_runs_only_the_status_is_returned(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        response = self.post()
        self.assertHttpStatus(response, status.HTTP_200_OK)
        assert 'messages' not in response.data

    def test_a_run_that_has_ended(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        SyncRun.objects.update(status='failed')
        response = self.post()
        self.assertHttpStatus(response, status.HTTP_409_CONFLICT)
        assert 'has ended' in response.data['detail']

    def test_a_run_whose_worker_is_dead_has_ended(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        SyncRun.objects.update(status='running')
        self.assertHttpStatus(self.post(), status.HTTP_409_CONFLICT)
        assert SyncRun.objects.get().status == 'failed'
