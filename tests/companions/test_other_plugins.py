"""With netbox-topology-views, netbox-plugin-dns and netbox-branching installed, everything is as without them."""

from io import StringIO

import pytest
from dcim.models import Device, Site
from django.core.management import call_command
from django.test import Client
from django.urls import reverse
from ipam.models import IPAddress, Prefix
from netbox_dns.models import NameServer, Record, View, Zone
from users.models import Token
from virtualization.models import Cluster, VirtualMachine

from netbox_proxsync.models import Binding, MappingRule, ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun
from tests.pve import ClusterSpec, StandIn
from tests.scenarios.synced import kept_database, pin, run_job

VIEW = 'plugins:netbox_proxsync:'
SPEC = {'nodes': 2, 'vms': 4, 'containers': 2, 'templates': 0, 'running': 1, 'agent': 1}


@pytest.fixture(scope='module')
def pve():
    with StandIn(ClusterSpec(**SPEC)) as running:
        yield running


def virtual_machines(pve: StandIn) -> list:
    return sorted((guest for guest in pve.cluster.guests.values() if guest.type == 'qemu'), key=lambda each: each.vmid)


@pytest.fixture(scope='module')
def run(django_db_setup, django_db_blocker, pve) -> SyncRun:
    """The first sync of a cluster whose guests have addresses in a prefix for which DNS records are kept."""
    with kept_database(django_db_blocker):
        view = View.objects.create(name='Default', default_view=True)
        for network in ('10.0.0.0/8', '2001:db8::/32'):
            Prefix.objects.create(prefix=network).netbox_dns_views.add(view)
        nameserver = NameServer.objects.create(name='ns1.example.com')
        zone = Zone.objects.create(
            view=view, name='example.com', soa_mname=nameserver, soa_rname='admin.example.com', default_ttl=3600
        )
        for guest, name in zip(virtual_machines(pve), ('taken', 'named'), strict=False):
            guest.agent_info['get-host-name'] = {'host-name': f'{name}.example.com'}
        # No address may have this name: it is an alias.
        Record.objects.create(zone=zone, type='CNAME', name='taken', value='elsewhere.example.org.')
        endpoint = pin(pve, site=Site.objects.create(name='Linz', slug='linz'), read_host_names=True)
        yield run_job(endpoint)


@pytest.fixture
def client(run, admin_user) -> Client:
    client = Client()
    client.force_login(admin_user)
    return client


pytestmark = pytest.mark.django_db


def test_a_sync_writes_everything_except_what_another_plugin_rejects(run: SyncRun, pve):
    assert run.status == 'completed_with_errors'
    refused = run.changes.exclude(outcome='applied')
    assert {(change.kind, change.outcome) for change in refused} == {('ip', 'failed')}
    assert all('CNAME' in change.message for change in refused)
    assert IPAddress.objects.count() == run.counts['ip']['create'] - refused.count()
    taken = VirtualMachine.objects.get(custom_field_data__vmid=virtual_machines(pve)[0].vmid)
    assert taken.interfaces.exists()
    assert taken.virtualdisks.exists()
    assert not IPAddress.objects.filter(dns_name='taken.example.com').exists()
    assert run.counts['vm'] == {'create': SPEC['vms'] + SPEC['containers']}
    assert Device.objects.count() == SPEC['nodes']


def test_dns_records_follow_the_addresses_that_a_sync_writes(run: SyncRun, pve):
    addresses = IPAddress.objects.filter(dns_name='named.example.com')
    assert addresses.exists()
    records = Record.objects.filter(zone__name='example.com', name='named', type__in=('A', 'AAAA'))
    assert {record.value for record in records} == {str(address.address.ip) for address in addresses}
    pve.set_addresses(virtual_machines(pve)[1].vmid, 'net0', '10.77.0.7/24')
    again = run_job(run.endpoint)
    assert again.status == 'completed_with_errors'  # the other plugin still refuses the same address
    assert '10.77.0.7' in {record.value for record in records.all()}


def test_every_page_answers(client: Client, run: SyncRun):
    machine, device = VirtualMachine.objects.first(), Device.objects.first()
    MappingRule.objects.create(name='Rule', skip=True)
    shown = [
        reverse(f'{VIEW}{model._meta.model_name}_list')
        for model in (ProxmoxEndpoint, MappingRule, ProxmoxGuest, SyncRun, SyncChange, Binding)
    ]
    shown += [
        model.objects.first().get_absolute_url()
        for model in (ProxmoxEndpoint, MappingRule, ProxmoxGuest, SyncRun, SyncChange, Binding)
    ]
    shown += [reverse(f'{VIEW}proxmoxendpoint_{tab}', args=[run.endpoint_id]) for tab in ('edit', 'guests', 'runs')]
    shown += [
        reverse('home'),
        reverse('virtualization:virtualmachine_list'),
        reverse('ipam:ipaddress_list'),
        IPAddress.objects.first().get_absolute_url(),
        f'{reverse("plugins:netbox_topology_views:home")}?site_id={run.endpoint.site_id}',
        reverse('plugins:netbox_dns:zone_list'),
        reverse('plugins:netbox_dns:record_list'),
        Zone.objects.first().get_absolute_url(),
        reverse('plugins:netbox_branching:branch_list'),
    ]
    for url in shown:
        assert client.get(url, follow=True).status_code == 200, url
    for instance in (machine, device, Cluster.objects.first()):
        page = client.get(instance.get_absolute_url()).content.decode()
        assert reverse(f'{VIEW}proxmoxendpoint', args=[run.endpoint_id]) in page, instance


def test_rest_and_graphql_answer(client: Client, run: SyncRun, admin_user):
    token = Token(user=admin_user, version=1)
    token.save()
    headers = {'authorization': f'Token {token.token}'}
    for name in ('proxmoxendpoint', 'syncrun', 'syncchange', 'binding', 'proxmoxguest', 'mappingrule'):
        url = reverse(f'plugins-api:netbox_proxsync-api:{name}-list')
        assert client.get(url, headers=headers).status_code == 200, url
    query = '{ proxsync_endpoint_list { name runs { id status } } netbox_dns_zone_list { name } }'
    answer = client.post(reverse('graphql'), {'query': query}, content_type='application/json', headers=headers).json()
    assert 'errors' not in answer
    assert answer['data']['proxsync_endpoint_list'][0]['runs'][0]['id'] == str(run.pk)


def test_no_migration_of_ours_is_missing(run: SyncRun):
    told = StringIO()
    call_command('makemigrations', 'netbox_proxsync', check=True, dry_run=True, stdout=told)
    assert 'No changes' in told.getvalue()
