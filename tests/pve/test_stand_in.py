"""The stand-in does what a real Proxmox VE does: its answers against the official schema and the recordings; errors."""

import json

import pytest
import requests

from tests.pve import ClusterSpec, StandIn, recorded
from tests.pve.conformance import deviations
from tests.pve.facts import FACTS, match
from tests.pve.recordings import RECORDINGS
from tests.pve.shapes import differences, impossible, shapes_of

VERSIONS = ('7.4-20', '8.4.21', '9.2.11')


class Client:
    def __init__(self, pve: StandIn, tmp_path):
        self.pve = pve
        authority = tmp_path / 'ca.pem'
        authority.write_text(pve.ca_pem)
        self.session = requests.Session()
        # Else requests prefers the machine's own settings to the authority given here.
        self.session.trust_env = False
        self.session.verify = str(authority)
        self.session.headers['Authorization'] = f'PVEAPIToken={pve.token_id}={pve.token_secret}'

    def get(self, path: str, **arguments) -> requests.Response:
        return self.session.get(f'https://localhost:{self.pve.port}/api2/json{path}', timeout=10, **arguments)

    def data(self, path: str):
        answer = self.get(path)
        assert answer.status_code == 200, (path, answer.status_code, answer.reason)
        return answer.json()['data']


@pytest.fixture
def connect(standin, tmp_path):
    return lambda *arguments, **spec: Client(standin(*arguments, **spec), tmp_path)


def recording(name: str) -> dict:
    return json.loads((RECORDINGS / f'{name}.json').read_text())


@pytest.mark.parametrize('name', recorded())
def test_the_schema_check_accepts_what_real_servers_answered(name):
    answers = recording(name)
    major = int(answers['/version']['body']['data']['version'].partition('.')[0])
    checked = 0
    for path, answer in answers.items():
        found = match(path.partition('?')[0], major)
        if answer['status'] == 200 and found and found[0] in FACTS:
            assert list(deviations(found[0], major, answer['body']['data'])) == [], path
            checked += 1
    assert checked > 60


@pytest.mark.parametrize('version', VERSIONS)
def test_generated_clusters_answer_as_the_schema_says(version, connect):
    client = connect(nodes=2, vms=6, containers=4, version=version, seed=5)
    major = int(version[0])
    paths = ['/version', '/access/permissions', '/cluster/status', '/cluster/resources', '/cluster/options', '/nodes']
    for node in client.data('/nodes'):
        paths += [f'/nodes/{node["node"]}/{rest}' for rest in (
            *('qemu', 'lxc', 'status', 'network', 'storage', 'certificates/info', 'storage/local-lvm/content'),
            *(('network?type=include_sdn',) if major >= 9 else ()),
        )]  # fmt: skip
    paths += ['/storage', '/cluster/sdn/vnets?running=1', '/cluster/sdn/zones?running=1']
    paths += ['/cluster/backup-info/not-backed-up']
    for row in client.data('/cluster/resources?type=vm'):
        paths += [f'/nodes/{row["node"]}/{row["id"]}/{rest}' for rest in ('config?current=1', 'status/current')]
    for path in paths:
        template = match(path.partition('?')[0], major)[0]
        assert list(deviations(template, major, client.data(path))) == [], path
    assert len(paths) > 30


def answers_of(client, major: int) -> list[tuple[str, object]]:
    """Yield (path, data) of all successful responses of the stand-in: recorded ones, computed ones, and every guest."""
    cluster = client.pve.cluster
    paths = [*cluster.fixed, '/cluster/resources', '/cluster/status', '/cluster/options', '/nodes', '/pools']
    paths += ['/cluster/ha/resources']
    for node in cluster.nodes:
        paths += [f'/nodes/{node}/{rest}' for rest in ('qemu', 'qemu?full=1', 'lxc')]
        paths += [f'/nodes/{node}/network?type=include_sdn'] if major >= 9 else []
    for guest in cluster.guests.values():
        rests = ('config', 'config?current=1', 'status/current', 'pending', 'snapshot', 'interfaces', 'cloudinit',
                 'agent/network-get-interfaces', 'agent/get-osinfo', 'agent/get-host-name')  # fmt: skip
        paths += [f'/nodes/{guest.node}/{guest.id}/{rest}' for rest in rests]
    found = [(path, client.get(path)) for path in paths]
    return [(path, answer.json()['data']) for path, answer in found if answer.status_code == 200]


@pytest.mark.parametrize('standalone', [False, True])
@pytest.mark.parametrize('version', VERSIONS)
def test_generated_clusters_answer_as_the_recorded_servers(version, standalone, connect):
    """
    Fields, their types, what is in every row, newlines at the end of texts, and values that a version cannot have.

    The class of a stand-in that answers what no server answers. Seen before: notes of containers without their last
    newline; `vmid` as text in status/current; certificates without `pem`; on 7.4 `boot-info`, `current-kernel`,
    `dhcp-range`, the `id` of a subnet, `x86-64-v2-AES`, QEMU 10.1; ranges in the trunks of containers.
    """
    client = connect(
        nodes=1 if standalone else 2, vms=25, containers=20, version=version, seed=5, standalone=standalone
    )
    major = int(version[0])
    client.pve.create(900, type='lxc', config={'description': 'set by a script'})
    client.pve.set_config(900, description='set\ntwice')
    client.pve.create(901, running=True, config={'description': 'set by a script\n', 'vga': 'qxl'})
    answers = answers_of(client, major)
    assert list(differences(shapes_of(answers, major), major)) == []
    assert list(impossible(answers, major)) == []
    assert len(answers) > 200


@pytest.mark.parametrize('name', recorded())
def test_the_recorded_servers_hold_nothing_impossible(name):
    answers = [(path, answer['body']['data']) for path, answer in recording(name).items() if answer['status'] == 200]
    assert list(impossible(answers, 9)) == []


@pytest.mark.parametrize(
    ('path', 'data', 'told'),
    [
        ('/nodes/pve1/lxc/200/config', {'description': 'a', 'arch': 'amd64', 'digest': 'x'}, 'newline'),
        ('/nodes/pve1/qemu/100/status/current', {'vmid': ['100']}, 'vmid'),
        ('/nodes/pve1/qemu/100/status/current', {'vmid': 100}, 'missing here'),
        ('/nodes/pve1/qemu/100/status/current', {'invented': 1}, 'no real server has invented'),
        ('/cluster/status', [{'type': 'node', 'online': '1'}], 'online is str'),
    ],
)
def test_the_comparison_with_the_recordings_can_fail(path, data, told):
    assert any(told in line for line in differences(shapes_of([(path, data)], 9), 9))


@pytest.mark.parametrize(
    ('major', 'path', 'data'),
    [
        (7, '/nodes/pve1/qemu/100/config', {'cpu': 'x86-64-v2-AES,flags=+aes'}),
        (9, '/nodes/pve1/lxc/200/config?current=1', {'net3': 'name=wan,trunks=5;6;7-9'}),
    ],
)
def test_impossible_values_are_found(major, path, data):
    assert list(impossible([(path, data)], major))


def test_version_7_has_no_fields_of_later_versions():
    subnet = [{'subnet': 'dc-10.20.0.0-16', 'id': 'dc-10.20.0.0-16', 'dhcp-range': []}]
    found = shapes_of([('/nodes/pve1/status', {'boot-info': {}}), ('/cluster/sdn/vnets/web/subnets', subnet)], 7)
    assert sum('does not exist in version 7' in line for line in differences(found, 7)) == 3


def test_a_container_takes_no_ranges_of_vlans(connect):
    client = connect(nodes=1, vms=0, containers=1)
    with pytest.raises(ValueError, match='single VLANs'):
        client.pve.add_nic(100, options='trunks=5;6;7-9')


def test_changes_of_a_network_stand_next_to_the_data(connect):
    client = connect('pve-9.2.11-cluster')
    before = client.data('/nodes/pve1/network')
    client.pve.set_interface('pve1', 'vmbr5', pending=True, type='bridge')
    answer = client.get('/nodes/pve1/network').json()
    assert answer['changes']
    assert {row['iface'] for row in answer['data']} == {row['iface'] for row in before} | {'vmbr5'}
    assert 'changes' not in client.get('/nodes/pve2/network').json()
    client.pve.remove_interface('pve1', 'vmbr5', pending=True)
    client.pve.apply_network('pve1')
    answer = client.get('/nodes/pve1/network').json()
    assert answer.keys() == {'data'}
    assert sorted(row['iface'] for row in answer['data']) == sorted(row['iface'] for row in before)


def test_scripted_changes_are_answered_according_to_the_schema(connect):
    client = connect(nodes=2, vms=2, containers=1)
    client.pve.grant('VM.Config.Disk')
    client.pve.set_interface('pve1', 'vmbr7', type='OVSBridge', ovs_ports='p7')
    client.pve.set_volume('local-lvm:vm-100-disk-5', 100, 4096)
    client.pve.set_not_backed_up(100, 101)
    client.pve.expire_certificate('pve1', 5, 'pveproxy-ssl.pem')
    client.pve.set_vnet('lab7', 'dc', tag=7)
    for path, count in {
        '/nodes/pve1/network': 7,
        '/nodes/pve1/storage/local-lvm/content': 1,
        '/cluster/backup-info/not-backed-up': 2,
        '/nodes/pve1/certificates/info': 3,
        '/cluster/sdn/vnets': 3,
    }.items():
        found = client.data(path)
        assert len(found) == count, path
        assert list(deviations(match(path, 9)[0], 9, found)) == []


def test_the_schema_check_can_fail():
    assert list(deviations('/cluster/resources', 9, [{'id': 'qemu/100', 'type': 'qemu', 'maxmem': [1]}]))
    assert list(deviations('/cluster/resources', 9, [{'type': 'qemu'}]))
    assert list(deviations('/cluster/resources', 9, {'id': 'x'}))


@pytest.mark.parametrize('name', recorded())
def test_a_recorded_cluster_answers_as_it_was_recorded(name, connect):
    client = connect(name)
    for path, answer in recording(name).items():
        got = client.get(path)
        assert (got.status_code, got.reason) == (answer['status'], answer['reason']), path
        assert (got.json() if got.content else '') == answer['body'], path


def test_the_same_seed_gives_the_same_cluster(connect):
    first, second = (connect(nodes=2, vms=5, containers=3, seed=9).data('/cluster/resources') for _ in range(2))
    assert first == second


def test_only_get(connect):
    client = connect(nodes=1, vms=1, containers=0)
    answer = client.session.post(f'https://localhost:{client.pve.port}/api2/json/nodes/pve1/qemu', timeout=10)
    assert answer.status_code in (403, 405, 501)
    assert [call.method for call in client.pve.refused] == ['POST']


def test_a_wrong_token_gets_401_with_an_empty_body(connect):
    client = connect(nodes=1, vms=1, containers=0)
    client.session.headers['Authorization'] = f'PVEAPIToken={client.pve.token_id}=00000000-0000-4000-8000-000000000000'
    answer = client.get('/version')
    assert (answer.status_code, answer.content) == (401, b'')
    assert answer.reason


def test_a_missing_privilege_shortens_lists_and_forbids_calls(connect):
    client = connect(nodes=1, vms=2, containers=0, running=1, agent=1)
    vmids = sorted(row['vmid'] for row in client.data('/cluster/resources?type=vm'))
    client.pve.revoke('VM.Audit', path=f'/vms/{vmids[0]}')
    assert [row['vmid'] for row in client.data('/cluster/resources?type=vm')] == vmids[1:]
    answer = client.get(f'/nodes/pve1/qemu/{vmids[0]}/config')
    assert (answer.status_code, 'VM.Audit' in answer.reason) == (403, True)


def test_version_7_states_the_cause_only_in_the_reason(connect):
    client = connect(nodes=1, vms=1, containers=0, version='7.4-20')
    client.pve.revoke('Sys.Audit')
    answer = client.get('/cluster/status')
    assert (answer.status_code, answer.json()) == (403, {'data': None})
    assert 'Sys.Audit' in answer.reason


def test_requests_for_objects_that_do_not_exist(connect):
    client = connect(nodes=1, vms=1, containers=0)
    assert client.get('/nonsense').status_code == 501
    answer = client.get('/nodes/pve1/qemu/99999/config')
    assert (answer.status_code, 'does not exist' in answer.reason) == (500, True)


def test_an_unreachable_node_and_its_guests(connect):
    client = connect(nodes=2, vms=4, containers=0, running=1)
    client.pve.node_offline('pve2', phase='unknown')
    rows = [row for row in client.data('/cluster/resources?type=vm') if row['node'] == 'pve2']
    assert rows
    assert all(row['status'] == 'unknown' and 'name' not in row for row in rows)
    assert client.get('/nodes/pve2/qemu').status_code == 595


def test_the_agent(connect):
    client = connect(nodes=1, vms=1, containers=0, running=1, agent=1)
    vmid = client.data('/cluster/resources?type=vm')[0]['vmid']
    path = f'/nodes/pve1/qemu/{vmid}/agent/network-get-interfaces'
    assert client.data(path)['result']
    client.pve.agent_error(vmid)
    assert 'error' in client.data(path)['result']
    client.pve.agent_silent(vmid)
    assert client.get(path).status_code == 500
    client.pve.stop(vmid)
    assert 'not running' in client.get(path).reason


def test_the_control_endpoint_does_what_the_script_does(tmp_path):
    with StandIn(ClusterSpec(nodes=1, vms=1, containers=0), control=True) as pve:
        client = Client(pve, tmp_path)
        vmid = client.data('/cluster/resources?type=vm')[0]['vmid']
        answer = requests.post(f'{pve.control_url}/control/rename', json={'vmid': vmid, 'name': 'other'}, timeout=10)
        assert answer.ok, answer.text
        assert client.data('/cluster/resources?type=vm')[0]['name'] == 'other'
        assert requests.post(f'{pve.control_url}/control/nonsense', json={}, timeout=10).status_code >= 400
        assert '/cluster/resources' in requests.get(f'{pve.control_url}/control/log', timeout=10).text


def test_a_request_can_fail_hang_or_be_slow(connect):
    client = connect(nodes=1, vms=1, containers=0)
    client.pve.fail('/version', status=596, reason='TLS broken', times=1)
    assert client.get('/version').status_code == 596
    assert client.get('/version').status_code == 200
    client.pve.hang('/version')
    with pytest.raises(requests.Timeout):
        client.session.get(f'https://localhost:{client.pve.port}/api2/json/version', timeout=0.3)
    client.pve.heal()
    assert client.get('/version').status_code == 200
