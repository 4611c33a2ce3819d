"""proxsync_import_env: the settings of ProxSyncBox become endpoints."""

import io
from pathlib import Path

import pytest
from core.models import ObjectChange
from dcim.models import DeviceRole, DeviceType, Manufacturer, Site
from django.core.management import CommandError, call_command
from hypothesis import given
from hypothesis import strategies as st
from users.models import User
from virtualization.models import Cluster, ClusterType

from netbox_proxsync.management.proxsyncbox.env_file import parse
from netbox_proxsync.models import ProxmoxEndpoint

from ..cases import MARKER, make_clusters

# The format of ProxSyncBox: without quotes, and with keys for empty values.
NODE = """
# Node: {id}
PROXMOX_NODE_{id}_ID_NAME={id}
PROXMOX_NODE_{id}_HOST={host}
PROXMOX_NODE_{id}_NODE_NAME={id}
PROXMOX_NODE_{id}_USER=netbox@pve
PROXMOX_NODE_{id}_TOKEN_NAME=sync
PROXMOX_NODE_{id}_TOKEN_SECRET={secret}
PROXMOX_NODE_{id}_NETBOX_CLUSTER_NAME={cluster}
PROXMOX_NODE_{id}_NETBOX_NODE_SITE_NAME=Main Datacenter
PROXMOX_NODE_{id}_NETBOX_NODE_DEVICE_ROLE_NAME=Hypervisor
PROXMOX_NODE_{id}_NETBOX_NODE_MANUFACTURER_NAME=Dell
PROXMOX_NODE_{id}_NETBOX_NODE_DEVICE_TYPE_NAME=PowerEdge R740
PROXMOX_NODE_{id}_NETBOX_NODE_PLATFORM_NAME=Debian 12
PROXMOX_NODE_{id}_VERIFY_SSL={verify}
PROXMOX_NODE_{id}_ENABLE_SSH_MAC_FETCH={ssh}
PROXMOX_NODE_{id}_SSH_HOST=
PROXMOX_NODE_{id}_SSH_PORT=2222
PROXMOX_NODE_{id}_SSH_USER=root
PROXMOX_NODE_{id}_SSH_PASSWORD={password}
PROXMOX_NODE_{id}_SSH_KEY_PATH=
"""
GLOBAL = """NETBOX_URL=https://netbox.example.com
NETBOX_TOKEN=0123456789abcdef-global-token
NETBOX_CLUSTER_TYPE_NAME=Proxmox VE 8
LOG_LEVEL=INFO
"""
PASSWORD = 'hunter2-of-the-nodes'


def node(node_id: str, host: str, cluster: str = 'Prod', **values: str) -> str:
    defaults = {'secret': MARKER, 'verify': 'false', 'ssh': 'true', 'password': PASSWORD}
    return NODE.format(id=node_id, host=host, cluster=cluster, **(defaults | values))


class TestFile:
    def test_ids_with_underscores_and_fields_that_end_alike(self):
        text = 'PROXMOX_NODE_rack_1_HOST=a\nPROXMOX_NODE_rack_1_SSH_HOST=b\nPROXMOX_NODE_x_NODE_NAME=c\n'
        first, second = parse(text).nodes
        assert (first.id, first['host'], first['ssh_host']) == ('rack_1', 'a', 'b')
        assert (second.id, second['node_name']) == ('x', 'c')

    @pytest.mark.parametrize(
        ('text', 'value'),
        [
            ('a b', 'a b'), ('a#b', 'a#b'), ('a #b', 'a'), ("'a #b' # c", 'a #b'), ('"a\\"b"', 'a"b'), ('', ''),
            ('=x', '=x'),
        ],
    )  # fmt: skip
    def test_values(self, text, value):
        assert parse(f'export PROXMOX_NODE_a_HOST={text}').nodes[0]['host'] == value

    def test_bad_lines_are_reported_by_their_number_and_nothing_of_them_is_repeated(self):
        text = f'nonsense {MARKER}\n\nPROXMOX_NODE_a_TOKEN_SECRET="{MARKER}\nPROXMOX_NODE_a_SSH_PORT={MARKER}\n'
        file = parse(text)
        told = [str(error) for error in file.errors]
        assert [error.number for error in file.errors] == [1, 3, 4, 4]
        assert 'has no PROXMOX_NODE_a_HOST, PROXMOX_NODE_a_USER' in told[3]
        assert MARKER not in ' '.join(told)

    @given(st.text())
    def test_any_text_is_read_and_repeats_no_value(self, text):
        parse(text)


@pytest.mark.django_db
class TestImport:
    @pytest.fixture
    def env(self, tmp_path):
        def write(*parts: str) -> str:
            path = tmp_path / '.env'
            path.write_text(GLOBAL + ''.join(parts), encoding='utf-8')
            return str(path)

        return write

    @staticmethod
    def call(*arguments: str) -> str:
        out = io.StringIO()
        call_command('proxsync_import_env', *arguments, stdout=out, stderr=out)
        text = out.getvalue()
        assert MARKER not in text
        assert PASSWORD not in text
        assert 'global-token' not in text
        return text

    def test_a_dry_run_says_what_it_would_make_and_makes_nothing(self, env):
        text = self.call(env(node('pve1', '10.0.0.1')))
        assert 'Would create:' in text
        assert 'endpoint "Prod" for 10.0.0.1:8006, token netbox@pve!sync' in text
        assert 'site "Main Datacenter"' in text
        for model in (ProxmoxEndpoint, Site, Cluster, DeviceType, Manufacturer, ObjectChange):
            assert not model.objects.exists()
        assert not User.objects.filter(username='proxsync').exists()

    def test_nodes_of_one_cluster_become_one_endpoint(self, env):
        path = env(
            node('pve1', '10.0.0.1'), node('pve2', '10.0.0.2'),
            node('lab', 'lab.example.com', 'Lab', verify='true', ssh='false', secret=f'{MARKER}-2'),
        )  # fmt: skip
        text = self.call(path, '--apply')
        lab, prod = ProxmoxEndpoint.objects.order_by('name')
        assert prod.hosts == ['10.0.0.1:8006', '10.0.0.2:8006']
        assert (prod.token_id, prod.token_secret.reveal()) == ('netbox@pve!sync', MARKER)
        assert (prod.cluster.name, prod.cluster.type.name, prod.cluster_type.name) == (
            'Prod', 'Proxmox VE 8', 'Proxmox VE 8',
        )  # fmt: skip
        assert (prod.site.name, prod.node_role.name, str(prod.node_device_type)) == (
            'Main Datacenter', 'Hypervisor', 'PowerEdge R740',
        )  # fmt: skip
        assert prod.node_device_type.manufacturer.name == 'Dell'
        assert (prod.tls_mode, lab.tls_mode) == ('off', 'system')
        assert (prod.ssh_user, prod.ssh_port, prod.ssh_password.reveal()) == ('root', 2222, PASSWORD)
        assert (lab.ssh_user, bool(lab.ssh_password)) == ('', False)
        assert 'the certificate is not verified' in text
        assert 'the platform "Debian 12" is retained' in text
        assert ObjectChange.objects.filter(user__username='proxsync', changed_object_id=prod.pk).exists()
        assert 'there is an endpoint "Prod" already' in self.call(path, '--apply')
        assert ProxmoxEndpoint.objects.count() == 2

    def test_existing_netbox_objects_are_used(self, env):
        cluster = make_clusters('PROD')[0]
        site = Site.objects.create(name='Main', slug='main-datacenter')
        role = DeviceRole.objects.create(name='hypervisor', slug='hv')
        self.call(env(node('pve1', '10.0.0.1')), '--apply')
        endpoint = ProxmoxEndpoint.objects.get()
        assert (endpoint.cluster, endpoint.site, endpoint.node_role) == (cluster, site, role)
        assert endpoint.cluster_type == cluster.type
        assert ClusterType.objects.count() == 1

    def test_an_ssh_key_is_read_from_its_file(self, env, tmp_path):
        path = tmp_path / 'id'
        text = node('pve1', '10.0.0.1', password='').replace('SSH_KEY_PATH=', f'SSH_KEY_PATH={path}')
        with pytest.raises(CommandError, match='cannot be read: No such file'):
            self.call(env(text), '--apply')
        path.write_text('no key')
        with pytest.raises(CommandError, match='ssh_private_key'):
            self.call(env(text), '--apply')
        assert not ProxmoxEndpoint.objects.exists()

    @pytest.mark.parametrize(
        ('text', 'told'),
        [
            (node('a', '10.0.0.1') + node('b', '10.0.0.2', secret=f'{MARKER}-2'), 'b (line 28): .* another token'),
            (node('a', 'not a host'), 'a (line 7): hosts: '),
            (node('a', '10.0.0.1', secret=f'netbox!{MARKER}='), 'a (line 7): token_secret: This contains more'),
            (node('a', '10.0.0.1').replace('MANUFACTURER_NAME=Dell', 'MANUFACTURER_NAME='), 'without a manufacturer'),
            ('', 'no entry of a node'),
            ('garbage\n', 'line 5: '),
        ],
    )
    def test_one_bad_entry_and_nothing_is_written(self, env, text, told):
        with pytest.raises(CommandError, match=told.replace('(', '\\(').replace(')', '\\)')) as caught:
            self.call(env(text), '--apply')
        assert MARKER not in str(caught.value)
        assert caught.value.returncode == 1
        assert not ProxmoxEndpoint.objects.exists()
        assert not Site.objects.exists()

    def test_a_file_that_there_is_not(self, tmp_path):
        with pytest.raises(CommandError, match='No such file'):
            self.call(str(Path(tmp_path) / 'nothing'))
