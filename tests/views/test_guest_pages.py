"""Permissions to view guests and decide about them, in pages, REST, GraphQL and search; escaping of their texts."""

from datetime import UTC, datetime

from core.models import ObjectType
from django.test import TestCase
from django.urls import reverse
from extras.models import CachedValue
from netbox.search.backends import search_backend
from rest_framework import status
from users.models import ObjectPermission
from utilities.testing import APITestCase, create_test_virtualmachine
from utilities.testing import TestCase as NetBoxTestCase

from netbox_proxsync.models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncRun

from ..cases import MARKER, PluginAPI, make_binding, make_change, make_endpoint, make_guest, make_run

PAGES = 'plugins:netbox_proxsync:proxmoxguest'
REST = 'plugins-api:netbox_proxsync-api:proxmoxguest'
VIEW_MACHINES = 'virtualization.view_virtualmachine'


class Permitted:
    """Gives permissions with constraints."""

    def allow(self, model: type, action: str, **constraints: object):
        permission = ObjectPermission.objects.create(
            name=f'{action} {model.__name__} {constraints}', actions=[action], constraints=constraints or None
        )
        permission.users.add(self.user)
        permission.object_types.add(ObjectType.objects.get_for_model(model))


class HiddenGuestsTestCase(Permitted, NetBoxTestCase, TestCase):
    """Users who may not view a virtual machine find neither the name nor the values of its guest."""

    user_permissions = ('netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.view_proxmoxendpoint')

    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()
        self.secret_vm, self.open_vm = create_test_virtualmachine('hidden-vm'), create_test_virtualmachine('open-vm')
        self.secret = make_guest(self.endpoint, 100, name=MARKER, virtual_machine=self.secret_vm)
        self.open = make_guest(self.endpoint, 101, name='open', virtual_machine=self.open_vm)
        self.unbound = make_guest(self.endpoint, 102, name='not-in-netbox', state='new')
        search_backend.cache([self.secret, self.open, self.unbound])

    def pages(self) -> dict[str, str]:
        guests = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[self.endpoint.pk])
        answers = {
            url: self.client.get(url)
            for url in (
                reverse(f'{PAGES}_list'),
                reverse(f'{PAGES}_list') + '?export=table',
                reverse(f'{PAGES}_list') + '?export',
                reverse(f'{PAGES}_list') + '?q=' + MARKER[:8] + '&virtual_machine=hidden-vm',
                reverse('search') + '?q=o',
                guests,
                reverse(f'{REST}-list'),
            )
        }
        graphql = self.client.post(
            reverse('graphql'),
            {'query': '{ proxsync_guest_list { name details } proxsync_endpoint_list { guests { name } } }'},
            content_type='application/json',
        )
        return {url: answer.content.decode() for url, answer in {**answers, 'graphql': graphql}.items()}

    def test_without_any_machine_only_guests_without_one_are_seen(self):
        for url, text in self.pages().items():
            with self.subTest(url):
                assert MARKER not in text.replace(f'q={MARKER[:8]}', '')
                assert 'open-vm' not in text
        assert list(ProxmoxGuest.objects.restrict(self.user, 'view')) == [self.unbound]

    def test_with_some_machines_their_guests_are_seen(self):
        self.allow(type(self.open_vm), 'view', name='open-vm')
        for url, text in self.pages().items():
            with self.subTest(url):
                assert MARKER not in text
                assert 'hidden-vm</a>' not in text
        assert set(ProxmoxGuest.objects.restrict(self.user, 'view')) == {self.open, self.unbound}

    def test_with_all_machines_everything_is_seen(self):
        self.add_permissions(VIEW_MACHINES)
        texts = self.pages()
        exported = reverse(f'{PAGES}_list') + '?export'
        for url in (reverse(f'{PAGES}_list'), exported, 'graphql', reverse(f'{REST}-list')):
            assert MARKER in texts[url], url
        assert ProxmoxGuest.objects.restrict(self.user, 'view').count() == 3

    def test_a_hidden_guest_is_not_found_and_cannot_be_decided_about(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        assert self.client.get(self.secret.get_absolute_url()).status_code == 404
        assert self.client.get(reverse(f'{REST}-detail', args=[self.secret.pk])).status_code == 404
        assert self.client.post(reverse(f'{PAGES}_ignore', args=[self.secret.pk])).status_code == 404
        self.client.post(reverse(f'{PAGES}_bulk_ignore'), {'pk': [self.secret.pk, self.unbound.pk]})
        assert list(ProxmoxGuest.objects.filter(ignored=True)) == [self.unbound]


class GuestPageTestCase(NetBoxTestCase, TestCase):
    user_permissions = ('netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.view_proxmoxendpoint', VIEW_MACHINES)

    def test_text_from_guests_is_escaped(self):
        script = '<script>alert(1)</script>'
        nic = {
            'key': script, 'name': script, 'mac': script, 'model': script, 'bridge': script, 'vlan': 5,
            'trunks': [script], 'firewall': True, 'link_down': True,
            'addresses': [{'address': script, 'origin': script, 'source': script, 'guest_interface': script}],
            'ignored': [{'address': script, 'guest_interface': script, 'reason': script}],
        }  # fmt: skip
        disk = {
            'key': script, 'storage': script, 'volume': script, 'size': None, 'format': script, 'mount_point': script,
            'passthrough': True,
        }  # fmt: skip
        guest = make_guest(
            make_endpoint(),
            100,
            name=script,
            node=script,
            status=script,
            tags=[script],
            reason=script,
            details={
                'nics': [nic],
                'disks': [disk],
                'unread': [{'part': script, 'of': script, 'reason': script}],
                'unknown_keys': [script],
                'pool': script,
                'lock': script,
                'ha_state': script,
            },
        )
        for url in (guest.get_absolute_url(), reverse(f'{PAGES}_list')):
            page = self.client.get(url)
            self.assertNotContains(page, script)
            self.assertContains(page, '&lt;script&gt;')

    def test_an_unread_guest_has_a_message(self):
        details = {'unread': [{'part': 'config', 'of': '', 'reason': 'Node pve2 is offline.'}]}
        guest = make_guest(make_endpoint(), 100, name='', status='', state='unknown', details=details)
        page = self.client.get(guest.get_absolute_url())
        self.assertContains(page, 'Node pve2 is offline.')
        self.assertContains(page, 'The configuration of the guest was not read.')

    def test_it_says_when_its_values_were_read(self):
        endpoint = make_endpoint()
        ProxmoxEndpoint.objects.update(guests_read=datetime(2024, 5, 6, 7, 8, tzinfo=UTC))
        listed = make_guest(endpoint, 100)
        lost = make_guest(endpoint, 101, status='', seen_until=datetime(2022, 3, 4, 5, 6, tzinfo=UTC))
        for guest, moment in ((listed, '2024-05-06'), (lost, '2022-03-04')):
            self.assertContains(self.client.get(guest.get_absolute_url()), moment)
            self.assertContains(self.client.get(reverse(f'{PAGES}_list')), moment)
        self.assertContains(self.client.get(endpoint.get_absolute_url()), '2024-05-06')

    def test_sizes_are_in_true_units(self):
        disk = {
            'key': 'scsi0', 'storage': 'local', 'volume': 'vm-100-disk-0', 'size': 33 * 2**29, 'format': 'raw',
            'mount_point': None, 'passthrough': False,
        }  # fmt: skip
        guest = make_guest(make_endpoint(), 100, details={'nics': [], 'disks': [disk], 'unread': []})
        self.assertContains(self.client.get(guest.get_absolute_url()), '16.5 GiB')

    def test_guests_are_found_by_search(self):
        guest = make_guest(make_endpoint(), 4711, name='needle')
        search_backend.cache([guest])
        for word in ('needle', '4711'):
            self.assertContains(self.client.get(reverse('search'), {'q': word}), guest.get_absolute_url())

    def test_an_endpoint_takes_its_guests_along_without_reading_them(self):
        endpoint = make_endpoint()
        search_backend.cache([make_guest(endpoint, 100)])
        endpoint.delete()
        assert not ProxmoxGuest.objects.exists()
        assert not CachedValue.objects.filter(object_type__model='proxmoxguest').exists()

    def test_a_deleted_machine_leaves_the_guest(self):
        vm = create_test_virtualmachine('vm')
        guest = make_guest(make_endpoint(), 100, virtual_machine=vm)
        vm.delete()
        guest.refresh_from_db()
        assert guest.virtual_machine is None


class GuestTabsTestCase(NetBoxTestCase, TestCase):
    user_permissions = (
        'netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.view_proxmoxendpoint', VIEW_MACHINES,
        'netbox_proxsync.view_syncchange', 'netbox_proxsync.view_binding',
    )  # fmt: skip

    def test_changes_and_bindings_of_a_guest_are_on_tabs(self):
        endpoint = make_endpoint()
        guest = make_guest(endpoint, 101)
        binding = make_binding(endpoint, create_test_virtualmachine('vm'), 101)
        other = make_binding(endpoint, create_test_virtualmachine('other'), 102)
        run = make_run(endpoint)
        change, foreign = make_change(run, 1), make_change(run, 2)
        # An endpoint elsewhere has a guest of the same VM ID.
        elsewhere = make_change(make_run(make_endpoint('Elsewhere')), 1)
        for tab, shown, hidden in (('changes', change, (foreign, elsewhere)), ('bindings', binding, (other,))):
            page = self.client.get(reverse(f'{PAGES}_{tab}', args=[guest.pk]))
            self.assertContains(page, shown.get_absolute_url())
            for row in hidden:
                self.assertNotContains(page, f'"{row.get_absolute_url()}"')
            self.assertContains(self.client.get(guest.get_absolute_url()), f'/{tab}/"')

    def test_objects_are_named_once(self):
        endpoint = make_endpoint()
        assert str(make_change(make_run(endpoint), 1)) == 'Create: Virtual machine vm1'
        vm = create_test_virtualmachine('vm')
        assert str(make_binding(endpoint, vm, 1, kind='cluster', key='cluster')) == 'Cluster'

    def test_guests_that_require_attention_are_listed_first(self):
        endpoint = make_endpoint()
        for vmid, state in ((100, 'in-sync'), (101, 'ignored'), (102, 'conflict'), (103, 'new'), (104, 'in-sync')):
            make_guest(endpoint, vmid, state=state)
        for url in (
            reverse(f'{PAGES}_list'),
            reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[endpoint.pk]),
        ):
            table = self.client.get(url).context['table']
            assert [row.record.vmid for row in table.rows] == [102, 103, 100, 104, 101]

    def test_filters_offer_the_nodes_and_statuses_of_guests_that_the_user_may_view(self):
        make_guest(make_endpoint(), 100, node='pve7', status='paused')
        hidden = make_guest(make_endpoint('Other'), 101, node=MARKER, virtual_machine=create_test_virtualmachine('vm'))
        url = reverse(f'{PAGES}_list')
        self.assertContains(self.client.get(url), MARKER)
        self.remove_permissions(VIEW_MACHINES)
        page = self.client.get(url, {'node': 'pve8'})
        for value in ('pve7', 'pve8', 'paused'):
            self.assertContains(page, f'<option value="{value}"')
        self.assertNotContains(page, MARKER)
        assert hidden.node == MARKER


class GuestDecisionTestCase(Permitted, NetBoxTestCase, TestCase):
    user_permissions = ('netbox_proxsync.view_proxmoxguest', VIEW_MACHINES)

    def setUp(self):
        super().setUp()
        self.lab, self.other = make_endpoint('Lab'), make_endpoint('Other')
        self.vm = create_test_virtualmachine('vm')
        self.guest = make_guest(self.lab, 100, virtual_machine=self.vm)
        self.binding = make_binding(self.lab, self.vm, 100)
        self.foreign = make_guest(self.other, 100)

    def post(self, action: str, guest: ProxmoxGuest | None = None, **values):
        return self.client.post(reverse(f'{PAGES}_{action}', args=[(guest or self.guest).pk]), values, follow=True)

    def test_without_the_permission_nothing_is_decided_and_nothing_is_offered(self):
        for action in ('ignore', 'stop_ignoring', 'stop_managing'):
            assert self.post(action).status_code == 403
            bulk = self.client.post(reverse(f'{PAGES}_bulk_{action}'), {'pk': [self.guest.pk]})
            assert bulk.status_code == 403
            for page in (self.guest.get_absolute_url(), reverse(f'{PAGES}_list')):
                self.assertNotContains(self.client.get(page), f'/{action.replace("_", "-")}/"')
        self.guest.refresh_from_db()
        assert not self.guest.ignored
        assert Binding.objects.exists()

    def test_getting_decides_nothing(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for action in ('ignore', 'stop_managing'):
            assert self.client.get(reverse(f'{PAGES}_{action}', args=[self.guest.pk])).status_code == 302
            assert self.client.get(reverse(f'{PAGES}_bulk_{action}')).status_code == 302
        self.guest.refresh_from_db()
        assert not self.guest.ignored

    def test_a_guest_is_ignored_and_no_longer(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        page = self.client.get(self.guest.get_absolute_url())
        self.assertContains(page, '/ignore/"')
        self.assertNotContains(page, '/stop-ignoring/"')
        self.assertContains(self.post('ignore'), '1 guest is ignored now')
        self.guest.refresh_from_db()
        assert (self.guest.ignored, self.guest.state) == (True, 'ignored')
        self.assertContains(self.client.get(self.guest.get_absolute_url()), '/stop-ignoring/"')
        self.assertContains(self.post('stop_ignoring'), 'no longer ignored')
        self.guest.refresh_from_db()
        assert (self.guest.ignored, self.guest.state) == (False, 'unknown')

    def test_a_guest_is_no_longer_managed(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        asked = self.post('stop_managing')
        self.assertContains(asked, self.vm.get_absolute_url())
        assert Binding.objects.exists()
        self.post('stop_managing', _confirm='1')
        self.guest.refresh_from_db()
        assert (self.guest.ignored, self.guest.virtual_machine) == (True, self.vm)
        assert not Binding.objects.exists()
        self.assertNotContains(self.client.get(self.guest.get_absolute_url()), '/stop-managing/"')
        page = self.client.get(self.vm.get_absolute_url())
        self.assertContains(page, 'Unmanaged')
        self.assertContains(page, 'Manage Again')
        self.post('stop_ignoring')
        self.assertNotContains(self.client.get(self.vm.get_absolute_url()), 'Manage Again')

    def test_during_a_sync_it_says_to_wait(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        make_run(self.lab, status='running', completed=None)
        self.assertContains(self.post('stop_managing', _confirm='1'), 'Try again when it has ended')
        assert Binding.objects.exists()

    def test_the_permission_may_be_for_some_endpoints_only(self):
        self.allow(ProxmoxEndpoint, 'sync', name='Lab')
        assert self.post('ignore', self.foreign).status_code == 403
        guests = {'pk': [self.guest.pk, self.foreign.pk]}
        answer = self.client.post(reverse(f'{PAGES}_bulk_ignore'), guests, follow=True)
        self.assertContains(answer, 'that you do not have permission to sync')
        assert list(ProxmoxGuest.objects.filter(ignored=True)) == [self.guest]

    def test_all_that_a_filter_finds(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        url = reverse(f'{PAGES}_bulk_ignore') + f'?endpoint_id={self.other.pk}'
        self.client.post(url, {'_all': 'on'})
        assert list(ProxmoxGuest.objects.filter(ignored=True)) == [self.foreign]

    def test_nothing_selected_is_reported(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        answer = self.client.post(reverse(f'{PAGES}_bulk_stop_managing'), {'pk': ['x']}, follow=True)
        self.assertContains(answer, 'No guest was selected')

    def test_a_single_object_is_no_longer_managed_and_again(self):
        self.add_permissions('netbox_proxsync.view_binding')
        urls = [
            reverse(f'plugins:netbox_proxsync:binding_{action}', args=[self.binding.pk])
            for action in ('stop_managing', 'manage_again')
        ]
        assert self.client.post(urls[0]).status_code == 403
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        asked = self.client.post(urls[0])
        self.assertContains(asked, self.vm.get_absolute_url())
        self.assertContains(asked, 'name="_confirm"')
        self.binding.refresh_from_db()
        assert not self.binding.unmanaged
        for url, unmanaged in zip(urls, (True, False), strict=True):
            self.assertContains(self.client.get(self.binding.get_absolute_url()), f'"{url}"')
            assert self.client.get(url).status_code == 302
            assert self.client.post(url, {'_confirm': '1'}).status_code == 302
            self.binding.refresh_from_db()
            assert self.binding.unmanaged is unmanaged


class GuestDecisionAPITestCase(Permitted, PluginAPI, APITestCase):
    user_permissions = ('netbox_proxsync.view_proxmoxguest', 'netbox_proxsync.view_binding', VIEW_MACHINES)

    def setUp(self):
        super().setUp()
        self.endpoint = make_endpoint()
        self.vm = create_test_virtualmachine('vm')
        self.guest = make_guest(self.endpoint, 100, virtual_machine=self.vm)
        self.binding = make_binding(self.endpoint, self.vm, 100)

    def post(self, action: str):
        return self.client.post(reverse(f'{REST}-{action}', args=[self.guest.pk]), **self.header)

    def test_without_the_permission(self):
        for action in ('ignore', 'stop-ignoring', 'stop-managing'):
            self.assertHttpStatus(self.post(action), status.HTTP_403_FORBIDDEN)
        self.allow(ProxmoxEndpoint, 'sync', name='Another')
        self.assertHttpStatus(self.post('ignore'), status.HTTP_403_FORBIDDEN)

    def test_decisions(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for action, state in (('ignore', 'ignored'), ('stop-ignoring', 'unknown'), ('stop-managing', 'ignored')):
            response = self.post(action)
            self.assertHttpStatus(response, status.HTTP_200_OK)
            assert response.data['state']['value'] == state
        assert not Binding.objects.exists()

    def test_during_a_sync(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        make_run(self.endpoint, status='running', completed=None)
        response = self.post('stop-managing')
        self.assertHttpStatus(response, status.HTTP_409_CONFLICT)
        assert 'in progress' in response.data['detail']

    def test_a_single_object(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint')
        for action, unmanaged in (('stop-managing', True), ('manage-again', False)):
            url = reverse(f'plugins-api:netbox_proxsync-api:binding-{action}', args=[self.binding.pk])
            response = self.client.post(url, **self.header)
            self.assertHttpStatus(response, status.HTTP_200_OK)
            assert response.data['unmanaged'] is unmanaged

    def test_guests_are_read_only(self):
        self.add_permissions(*(f'netbox_proxsync.{action}_proxmoxguest' for action in ('add', 'change', 'delete')))
        url = reverse(f'{REST}-detail', args=[self.guest.pk])
        for method in (self.client.patch, self.client.put, self.client.delete):
            self.assertHttpStatus(method(url, {}, **self.header), status.HTTP_405_METHOD_NOT_ALLOWED)


class GuestRunTestCase(Permitted, NetBoxTestCase, TestCase):
    """Previews and syncs of selected guests: one limited run for each endpoint."""

    user_permissions = ('netbox_proxsync.view_proxmoxguest', VIEW_MACHINES)

    def setUp(self):
        super().setUp()
        self.lab, self.other = make_endpoint('Lab'), make_endpoint('Other')
        self.guests = [make_guest(self.lab, vmid) for vmid in (100, 101, 102)]
        self.foreign = make_guest(self.other, 100)

    def allow_all(self):
        self.add_permissions('netbox_proxsync.sync_proxmoxendpoint', 'netbox_proxsync.view_syncrun')

    def bulk(self, mode: str, *guests: ProxmoxGuest, query: str = '', **data: object):
        url = reverse(f'{PAGES}_bulk_{mode}') + query
        return self.client.post(url, {'pk': [guest.pk for guest in guests], **data}, follow=True)

    def test_without_the_permission_nothing_is_started_and_nothing_is_offered(self):
        for mode in ('preview', 'sync'):
            assert self.client.post(reverse(f'{PAGES}_{mode}', args=[self.guests[0].pk])).status_code == 403
            assert self.bulk(mode, *self.guests).status_code == 403
            for page in (self.guests[0].get_absolute_url(), reverse(f'{PAGES}_list')):
                self.assertNotContains(self.client.get(page), f'/guests/{mode}/')
        assert not SyncRun.objects.exists()

    def test_getting_starts_nothing(self):
        self.allow_all()
        assert self.client.get(reverse(f'{PAGES}_sync', args=[self.guests[0].pk])).status_code == 302
        assert self.client.get(reverse(f'{PAGES}_bulk_sync')).status_code == 302
        assert not SyncRun.objects.exists()

    def test_one_guest(self):
        self.allow_all()
        guest = self.guests[1]
        page = self.client.get(guest.get_absolute_url())
        for mode in ('preview', 'sync'):
            url = reverse(f'{PAGES}_{mode}', args=[guest.pk])
            self.assertContains(page, f'action="{url}"')
            answer = self.client.post(url, follow=True)
            run = SyncRun.objects.get()
            assert (run.mode, run.vmids, run.user) == (mode, [101], self.user)
            self.assertRedirects(answer, run.get_absolute_url())
            self.assertContains(answer, '1 guest of Lab is queued')
            run.delete()

    def test_several_guests_of_one_endpoint(self):
        self.allow_all()
        self.assertContains(self.client.get(reverse(f'{PAGES}_list')), 'Sync Selected')
        answer = self.bulk('sync', self.guests[2], self.guests[0])
        run = SyncRun.objects.get()
        assert (run.mode, run.vmids) == ('sync', [100, 102])
        self.assertRedirects(answer, run.get_absolute_url())
        self.assertContains(answer, '100, 102')

    def test_guests_of_several_endpoints_get_a_run_each(self):
        self.allow_all()
        answer = self.bulk('preview', self.guests[0], self.foreign, return_url=reverse(f'{PAGES}_list'))
        assert {run.endpoint: run.vmids for run in SyncRun.objects.all()} == {self.lab: [100], self.other: [100]}
        self.assertRedirects(answer, reverse(f'{PAGES}_list'))
        for name in ('Lab', 'Other'):
            self.assertContains(answer, f'1 guest of {name} is queued')

    def test_all_that_a_filter_finds(self):
        self.allow_all()
        self.bulk('sync', query=f'?endpoint_id={self.lab.pk}&vmid__gte=101', _all='on')
        assert [run.vmids for run in SyncRun.objects.all()] == [[101, 102]]

    def test_ignored_guests_and_disabled_endpoints_are_left_out(self):
        self.allow_all()
        ProxmoxGuest.objects.filter(pk=self.guests[0].pk).update(ignored=True)
        ProxmoxEndpoint.objects.filter(pk=self.other.pk).update(enabled=False)
        answer = self.bulk('sync', *self.guests, self.foreign)
        self.assertContains(answer, '1 ignored guest was skipped')
        self.assertContains(answer, 'Other is disabled')
        assert [run.vmids for run in SyncRun.objects.all()] == [[101, 102]]
        self.assertNotContains(self.client.get(self.foreign.get_absolute_url()), '/sync/"')

    def test_a_run_that_is_under_way_is_shown_instead(self):
        self.allow_all()
        run = make_run(self.lab, status='queued', started=None, completed=None)
        answer = self.bulk('sync', *self.guests)
        self.assertRedirects(answer, run.get_absolute_url())
        self.assertContains(answer, 'not finished yet')
        assert SyncRun.objects.get() == run

    def test_the_permission_may_be_for_some_endpoints_only(self):
        self.allow(ProxmoxEndpoint, 'sync', name='Lab')
        self.assertContains(self.bulk('sync', self.guests[0], self.foreign), 'that you do not have permission to sync')
        assert [run.endpoint for run in SyncRun.objects.all()] == [self.lab]
