"""Export of endpoints and rules, and import into another NetBox: as YAML, JSON and CSV, without secrets."""

import csv
import io
import json
from datetime import UTC, datetime

import pytest
import yaml
from dcim.models import DeviceRole, DeviceType, Manufacturer, Platform, Site
from django.forms.models import model_to_dict
from django.test import Client
from django.urls import reverse
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from tenancy.models import Tenant
from users.models import Owner, User
from virtualization.models import ClusterGroup, ClusterType

from netbox_proxsync.crypto import Secret
from netbox_proxsync.models import MappingRule, ProxmoxEndpoint

from ..cases import MARKER, make_clusters, make_endpoint, make_rule

pytestmark = pytest.mark.django_db

STATE = (
    'id',
    'status',
    'last_run',
    'pve_version',
    'token_history',
    'cluster_identity',
    'next_sync',
    'next_quick',
    'tags',
    'extra_tags',
)
SECRETS = {'token_secret': MARKER, 'ssh_password': f'{MARKER}-ssh'}


@pytest.fixture
def admin():
    client = Client()
    client.force_login(User.objects.create_superuser('root'))
    return client


@pytest.fixture
def endpoint():
    """An endpoint without any default value."""
    tag = Tag.objects.create(name='Prod', slug='prod')
    endpoint = make_endpoint(
        'Lab, the first', enabled=False, hosts=['pve1.example.com:8006', '[2001:db8::1]:8007'], **SECRETS,
        tls_mode='fingerprint', fingerprint=':'.join(['AB'] * 32), timeout=10, concurrency=3,
        ssh_user='root', ssh_port=2222, ssh_host_keys='', cluster=make_clusters('lab')[0],
        cluster_type=ClusterType.objects.create(name='Other', slug='other'),
        cluster_group=ClusterGroup.objects.create(name='Group', slug='group'),
        site=Site.objects.create(name='Site', slug='site'), tenant=Tenant.objects.create(name='Tenant', slug='tenant'),
        guest_role=DeviceRole.objects.create(name='Guest', slug='guest', vm_role=True),
        node_role=DeviceRole.objects.create(name='Node', slug='node'),
        node_device_type=DeviceType.objects.create(
            manufacturer=Manufacturer.objects.create(name='Acme', slug='acme'), model='R1', slug='r1'
        ),
        vrf=VRF.objects.create(name='VRF', rd='65000:1'), vlan_group=VLANGroup.objects.create(name='VG', slug='vg'),
        sync_vms=False, sync_containers=False, sync_templates=True, include_guests=['web-*', 'tag:prod'],
        exclude_guests=['pool:lab'], sync_nodes=False, create_vlans=True, read_os_info=True, read_host_names=True,
        ignored_interfaces=[], ignored_prefixes=['172.17.0.0/16'], interface_naming='guest', missing_guests='delete',
        grace_days=7, missing_addresses='leave', missing_address_reads=5, address_limit=99, change_limit=50,
        sync_interval=1440, quick_interval=15, object_events='later', write_policy='create-only',
        sync_windows=['Mon, Wed 22:00-06:00', '01:00-02:00'], paused_until=datetime(2030, 1, 1, tzinfo=UTC),
        field_policy={'vm.comments': 'ignored', 'vm.name': 'fact'}, description='in the cellar: "old"',
        owner=Owner.objects.create(name='Team'),
        comments='# Ünïcode\n\n- list',
    )  # fmt: skip
    endpoint.full_clean()
    endpoint.save()
    endpoint.tags.add(tag)
    return endpoint


def export(admin: Client, model: str) -> list[dict]:
    response = admin.get(reverse(f'plugins:netbox_proxsync:{model}_list') + '?export')
    assert response.headers['Content-Type'] == 'text/yaml'
    text = response.content.decode()
    assert MARKER not in text
    return list(yaml.safe_load_all(text))


def import_(admin: Client, model: str, rows: list[dict], form: str):
    if form == 'csv':
        out = io.StringIO()
        writer = csv.DictWriter(out, sorted({name for row in rows for name in row}))
        writer.writeheader()
        writer.writerows(
            {name: ','.join(value) if isinstance(value, list) else value for name, value in row.items()} for row in rows
        )
        data = out.getvalue()
    else:
        data = json.dumps(rows) if form == 'json' else yaml.safe_dump_all(rows)
    values = {'import_method': 'direct', 'data': data, 'format': form, 'csv_delimiter': ','}
    response = admin.post(reverse(f'plugins:netbox_proxsync:{model}_bulk_import'), values)
    assert response.status_code == 302, response.context['form'].errors


def values_of(instance) -> dict:
    kept = {name: value for name, value in model_to_dict(instance).items() if name not in STATE}
    kept |= {name: value.reveal() for name, value in kept.items() if isinstance(value, Secret)}
    kept['tags'] = {tag.slug for tag in instance.tags.all()}
    if isinstance(instance, MappingRule):
        kept['extra_tags'] = {tag.slug for tag in instance.extra_tags.all()}
    return kept


@pytest.mark.parametrize('form', ['yaml', 'json', 'csv'])
def test_an_endpoint_comes_back_as_it_was(admin, endpoint, form):
    before = values_of(endpoint)
    (row,) = export(admin, 'proxmoxendpoint')
    assert not set(SECRETS) & set(row)
    endpoint.delete()
    import_(admin, 'proxmoxendpoint', [{**row, **SECRETS}], form)
    after = values_of(ProxmoxEndpoint.objects.get())
    for name in before:
        assert after[name] == before[name], name


def test_the_export_says_which_secrets_to_add(admin, endpoint):
    text = admin.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export').content.decode()
    assert text.startswith('# Secrets are not exported. Before an import, add: token_secret, ssh_password\n')


def test_the_export_says_which_vrf_it_cannot_name(admin, endpoint):
    VRF.objects.filter(pk=endpoint.vrf_id).update(rd=None, name='Blue\ntoken_secret: x')
    text = admin.get(reverse('plugins:netbox_proxsync:proxmoxendpoint_list') + '?export').content.decode()
    assert '\n# The VRF has no route distinguisher' in text
    (row,) = yaml.safe_load_all(text)
    assert {'vrf', 'token_secret'}.isdisjoint(row)


def test_an_endpoint_without_its_secret_is_not_imported(admin, endpoint):
    (row,) = export(admin, 'proxmoxendpoint')
    endpoint.delete()
    values = {'import_method': 'direct', 'data': yaml.safe_dump(row), 'format': 'yaml', 'csv_delimiter': ','}
    response = admin.post(reverse('plugins:netbox_proxsync:proxmoxendpoint_bulk_import'), values)
    assert (response.status_code, 'token_secret' in response.content.decode()) == (200, True)
    assert not ProxmoxEndpoint.objects.exists()


@pytest.mark.parametrize('form', ['yaml', 'json', 'csv'])
def test_rules_come_back_as_they_were(admin, endpoint, form):
    make_rule('Skip')
    make_rule(
        'Web', weight=7, enabled=False, endpoint=endpoint, guest_type='lxc', name_pattern='^(web|app)-', skip=False,
        pattern_type='regex', guest_tags=['prod', 'web'], tag_match='all', pools=['web/prod'], nodes=['pve1', 'pve2'],
        vmid_min=100, vmid_max=199, template=False, role=endpoint.guest_role, tenant=endpoint.tenant, vrf=endpoint.vrf,
        platform=Platform.objects.create(name='Debian', slug='debian'), vlan_group=endpoint.vlan_group,
        extra_tags=[Tag.objects.get()], owner=endpoint.owner, description='ü', comments='two\nlines',
    )  # fmt: skip
    before = {rule.name: values_of(rule) for rule in MappingRule.objects.all()}
    rows = export(admin, 'mappingrule')
    MappingRule.objects.all().delete()
    import_(admin, 'mappingrule', rows, form)
    after = {rule.name: values_of(rule) for rule in MappingRule.objects.all()}
    for name, values in before.items():
        for field in values:
            assert after[name][field] == values[field], (name, field)
