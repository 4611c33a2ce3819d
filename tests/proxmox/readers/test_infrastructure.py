"""What a read tells of nodes, networks, SDN and backup: over real HTTPS, whole, refused and broken."""

from collections import Counter

import pytest

from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.infrastructure import InterfaceType
from netbox_proxsync.proxmox.inventory import Inventory, Node, known

from ..reading import answer_of, guest_of, is_unknown, messages, read, serve
from ..recordings import NAMES, data, recording

CLUSTER = 'pve-9.2.11-cluster'
RESTRICTED = 'pve-9.2.11-cluster-restricted-token'
VERSIONS = ('7.4-20', '8.4.21', '9.2.11')
NODES = {'nodes': True}
NODE_PARTS = {'facts': 'status', 'certificates': 'certificates/info', 'interfaces': 'network'}


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


@pytest.fixture
def pve(standin):
    return standin(CLUSTER)


def node_of(inventory: Inventory, name: str) -> Node:
    (found,) = (node for node in inventory.nodes if node.name == name)
    return found


def interface_of(inventory: Inventory, node: str, name: str):
    return next(found for found in node_of(inventory, node).interfaces if found.name == name)


def unknown_parts(inventory: Inventory) -> set[str]:
    parts = {f'{node.name} {part}': getattr(node, part) for node in inventory.nodes for part in NODE_PARTS}
    parts |= {part: getattr(inventory, part) for part in ('vnets', 'not_backed_up')}
    return {name for name, reading in parts.items() if not known(reading)}


def refused_parts(name: str) -> set[str]:
    """What the recording refuses: calls with 403, and lists that its token's privileges cannot have seen whole."""
    answers = recording(name)
    held = data(name, '/access/permissions').get('/', {})
    refused = set()
    for node in {path.split('/')[2] for path in answers if path.startswith('/nodes/')}:
        for part, path in NODE_PARTS.items():
            if answers[f'/nodes/{node}/{path}']['status'] != 200:
                refused.add(f'{node} {part}')
        if 'SDN.Audit' not in held:
            refused.add(f'{node} interfaces')
    if answers['/cluster/backup-info/not-backed-up']['status'] != 200:
        refused.add('not_backed_up')
    return refused | (set() if 'SDN.Audit' in held else {'vnets'})


class TestRecordings:
    @pytest.mark.parametrize('name', NAMES)
    def test_unknown_is_exactly_what_the_recording_refuses(self, standin, name):
        inventory = read(standin(name), options=NODES)
        assert unknown_parts(inventory) == refused_parts(name)
        assert all(node.hardware is None for node in inventory.nodes)

    def test_the_restricted_token_is_refused_something_in_every_part(self):
        """Else the test above would prove little."""
        assert len(refused_parts(RESTRICTED)) == 3 * 2 + 2
        assert refused_parts(CLUSTER) == set()

    @pytest.mark.parametrize('name', [CLUSTER, 'pve-8.4.21-solo'])
    def test_everything_is_as_it_was_recorded(self, standin, name):
        inventory = read(standin(name), options=NODES)
        for node in inventory.nodes:
            status = data(name, f'/nodes/{node.name}/status')
            assert (node.facts.memory, node.facts.rootfs) == (status['memory']['total'], status['rootfs']['total'])
            assert node.facts.version == inventory.version
            rows = {row['iface']: row for row in data(name, f'/nodes/{node.name}/network')}
            listed = {found.name: found for found in node.interfaces if found.type is not InterfaceType.VNET}
            assert {found: interface.raw_type for found, interface in listed.items()} == {
                # An Open vSwitch interface whose parts do not exist is of type 'unknown'; `ovs_type` still states it.
                iface: row.get('ovs_type', row['type']) if row['type'] == 'unknown' else row['type']
                for iface, row in rows.items()
            }
        assert {vnet.name for vnet in inventory.vnets} == {row['vnet'] for row in data(name, '/cluster/sdn/vnets')}
        assert inventory.not_backed_up == {row['vmid'] for row in data(name, '/cluster/backup-info/not-backed-up')}
        assert inventory.warnings == ()

    def test_a_stand_alone_host_has_the_address_that_its_status_reports(self, standin):
        assert read(standin('pve-8.4.21-solo')).nodes[0].address == '10.78.0.11'
        assert read(standin(nodes=1, standalone=True, addresses=('127.0.0.9',))).nodes[0].address == '127.0.0.9'

    def test_restricted(self, standin):
        inventory = read(standin(RESTRICTED), options=NODES)
        for node in inventory.nodes:
            assert is_unknown(node.facts, 'Sys.Audit')
            assert is_unknown(node.interfaces, 'SDN.Audit')
        assert is_unknown(inventory.vnets, 'SDN.Audit on /sdn/zones')
        assert is_unknown(inventory.not_backed_up, 'Sys.Audit')
        # All of it, in one notice for one command.
        assert [notice.remedy.count('pveum') for notice in inventory.warnings if notice.subject == 'token'] == [1]
        assert not [notice for notice in inventory.warnings if notice.subject.startswith('node')]


class TestGenerated:
    @pytest.mark.parametrize('version', VERSIONS)
    def test_nothing_is_unknown(self, standin, version):
        inventory = read(standin(version=version, nodes=2, vms=3, containers=2), options=NODES)
        assert unknown_parts(inventory) == set()
        assert inventory.warnings == ()
        assert interface_of(inventory, 'pve1', 'vmbr0').vlan_aware
        assert interface_of(inventory, 'pve2', 'bond0.40').parent == 'bond0'
        assert node_of(inventory, 'pve1').facts.version == version
        has_vnets = any(found.type is InterfaceType.VNET for found in node_of(inventory, 'pve1').interfaces)
        assert has_vnets is (version == '9.2.11')

    @pytest.mark.parametrize('version', VERSIONS)
    @pytest.mark.parametrize(
        ('privilege', 'lost'),
        [('SDN.*', {'vnets', 'interfaces'}), ('Pool.Audit', set())],
    )
    def test_without_a_privilege(self, standin, version, privilege, lost):
        pve = standin(version=version, nodes=1, vms=1, containers=0)
        pve.revoke(privilege)
        inventory = read(pve, options=NODES)
        # In 7, bridges have no privileges of their own.
        expected = {'pve1 interfaces' if part == 'interfaces' else part for part in lost}
        assert unknown_parts(inventory) == expected - ({'pve1 interfaces'} if version == '7.4-20' else set())
        assert len([notice for notice in inventory.warnings if notice.subject == 'token']) == 1

    def test_ports_of_open_vswitch_a_vnet_and_a_pending_one(self, standin):
        pve = standin(nodes=2, vms=1, containers=0)
        pve.set_interface('pve2', 'vmbr7', type='OVSBridge', ovs_ports='p7', active=None)
        pve.set_interface('pve2', 'p7', type='OVSIntPort', ovs_bridge='vmbr7', ovs_tag='7', cidr='10.7.0.1/31')
        pve.set_vnet('lab7', 'dc', tag=77, alias='Lab')
        inventory = read(pve, options=NODES)
        port = interface_of(inventory, 'pve2', 'p7')
        assert (port.bridge, port.vlan_id, [str(found) for found in port.addresses]) == ('vmbr7', 7, ['10.7.0.1/31'])
        assert interface_of(inventory, 'pve2', 'vmbr7').vlan_aware
        assert next(vnet for vnet in inventory.vnets if vnet.name == 'lab7').vlan_id == 77
        assert interface_of(inventory, 'pve1', 'lab7').comments == 'Lab'


class TestCalls:
    def paths(self, pve) -> Counter:
        return Counter(call.path for call in pve.log if '/qemu/' not in call.path and '/lxc/' not in call.path)

    @pytest.mark.parametrize('nodes', [False, True])
    def test_a_constant_number_for_each_node(self, standin, nodes):
        pve = standin(nodes=5, vms=10, containers=0)
        read(pve, options={'nodes': nodes})
        paths = self.paths(pve)
        for node in pve.cluster.nodes:
            assert {
                path: count for path, count in paths.items() if path.startswith(f'/nodes/{node}/')
            } == dict.fromkeys(
                [f'/nodes/{node}/{part}' for part in NODE_PARTS.values() if nodes or part == 'network'], 1
            )
        assert pve.refused == []

    def test_data_that_is_not_requested(self, pve):
        inventory = read(pve)
        for node in inventory.nodes:
            assert is_unknown(node.facts, 'settings of the endpoint')
            assert is_unknown(node.certificates, 'settings of the endpoint')
            assert known(node.interfaces)

    def test_the_running_configuration_is_requested(self, pve):
        read(pve)
        assert {call.query for call in pve.calls('/cluster/sdn/*')} == {'running=1'}
        assert {call.query for call in pve.calls('/nodes/*/network')} == {'type=include_sdn'}

    def test_a_node_of_an_older_version_does_not_know_the_interfaces_of_sdn(self, pve):
        pve.fail('/nodes/pve2/network', 400, 'Parameter verification failed.', times=1)
        inventory = read(pve)
        assert unknown_parts(inventory) == {f'{node} {part}' for node in ('pve1', 'pve2', 'pve3') for part in (
            'facts', 'certificates',
        )}  # fmt: skip
        assert [call.query for call in pve.calls('/nodes/pve2/network')] == ['type=include_sdn', '']


class TestTroubles:
    def test_an_offline_node_is_not_asked(self, pve):
        pve.node_offline('pve3')
        inventory = read(pve, options=NODES)
        assert unknown_parts(inventory) == {f'pve3 {part}' for part in NODE_PARTS}
        assert all(is_unknown(getattr(node_of(inventory, 'pve3'), part), 'offline') for part in NODE_PARTS)
        assert [call.path for call in pve.calls('/nodes/pve3/*')] == []

    def test_a_node_that_cannot_be_reached_is_reported_once(self, standin):
        pve = standin(nodes=3, vms=0, containers=0)
        pve.fail('/nodes/pve2/*', 595, 'No route to host')
        inventory = read(pve, options=NODES)
        assert unknown_parts(inventory) == {f'pve2 {part}' for part in NODE_PARTS}
        (notice,) = inventory.warnings
        assert (notice.subject, notice.message) == (
            'node/pve2',
            'Node pve2 stopped answering: Proxmox VE reports "595 No route to host".',
        )

    def test_the_same_on_many_nodes_is_reported_once(self, standin):
        pve = standin(nodes=30, vms=0, containers=0)
        pve.fail('/nodes/*/network', 500, 'got timeout')
        inventory = read(pve, options=NODES)
        (notice,) = inventory.warnings
        assert notice.subject == 'nodes'
        assert '(nodes pve1, pve10, ' in notice.message
        assert 'and 10 more: network)' in notice.message
        assert 'got timeout' in notice.message
        assert all(known(node.facts) for node in inventory.nodes)

    @pytest.mark.parametrize('answer', [None, {}, 'x', [None], [{'mtu': 1500}]])
    def test_a_garbled_network(self, pve, answer):
        serve(pve, '/nodes/pve1/network', answer)
        inventory = read(pve, options=NODES)
        assert unknown_parts(inventory) == {'pve1 interfaces'}
        assert '(node pve1: network)' in messages(inventory)

    @pytest.mark.parametrize('answer', [None, {}, 'x', [None], [{'type': 'x'}]])
    @pytest.mark.parametrize('call', ['vnets', 'zones'])
    def test_garbled_sdn(self, pve, answer, call):
        serve(pve, f'/cluster/sdn/{call}', answer)
        inventory = read(pve, options=NODES)
        assert unknown_parts(inventory) == {'vnets'}
        assert inventory.warnings[0].subject == 'cluster'

    def test_no_sdn_on_an_old_node(self, standin):
        pve = standin(version='7.4-20', nodes=1, vms=1, containers=0)
        pve.fail('/cluster/sdn/*', 501, "Method 'GET /cluster/sdn/vnets' not implemented")
        inventory = read(pve)
        assert inventory.vnets == ()
        assert inventory.warnings == ()

    def test_changes_that_are_not_applied(self, pve):
        pve.set_interface('pve1', 'vmbr5', pending=True, type='bridge', bridge_ports='')
        inventory = read(pve, options=NODES)
        assert unknown_parts(inventory) == {'pve1 interfaces'}
        assert is_unknown(node_of(inventory, 'pve1').interfaces, 'not applied')
        (notice,) = inventory.warnings
        assert notice.subject == 'node/pve1'
        assert 'Apply or revert' in notice.remedy
        pve.apply_network('pve1')
        inventory = read(pve, options=NODES)
        assert interface_of(inventory, 'pve1', 'vmbr5').type is InterfaceType.BRIDGE
        assert inventory.warnings == ()

    def test_they_are_reported_also_where_nodes_are_not_read(self, pve):
        pve.set_interface('pve1', 'vmbr5', pending=True, type='bridge', bridge_ports='')
        (notice,) = read(pve).warnings
        assert (notice.subject, 'Apply or revert' in notice.remedy) == ('node/pve1', True)

    def test_one_bridge_hidden_from_the_token(self, pve):
        pve.revoke('SDN.*', '/sdn/zones/localnetwork/vmbr1')
        inventory = read(pve)
        assert is_unknown(node_of(inventory, 'pve1').interfaces, '/sdn/zones/localnetwork/vmbr1')
        assert known(inventory.vnets)
        assert 'pveum acl' in messages(inventory)

    def test_privileges_on_storages_are_not_needed(self, standin):
        pve = standin(nodes=1, vms=1, containers=1)
        pve.revoke('Datastore.*')
        inventory = read(pve, options=NODES)
        assert inventory.warnings == ()
        assert unknown_parts(inventory) == set()

    def test_a_value_of_a_virtual_network_that_cannot_be_read(self, pve):
        pve.set_vnet('web', 'dc', tag='x')
        inventory = read(pve)
        assert is_unknown(next(vnet for vnet in inventory.vnets if vnet.name == 'web').vlan_id, 'tag')
        (notice,) = inventory.warnings
        assert (notice.subject, notice.remedy) == ('cluster', 'Correct it in Proxmox VE (Datacenter > SDN).')
        assert notice.message.startswith(
            'A value could not be read and is left unchanged in NetBox (virtual network web): '
        )

    def test_one_virtual_network_hidden_from_the_token(self, pve):
        pve.revoke('SDN.*', '/sdn/zones/dc/web')
        assert is_unknown(read(pve).vnets, '/sdn/zones/dc/web')

    @pytest.mark.parametrize('path', ['/access/permissions', '/access/acl'])
    def test_whether_lists_are_whole_cannot_be_determined(self, pve, path):
        pve.fail(path, 500, 'got timeout')
        inventory = read(pve)
        assert is_unknown(inventory.vnets, 'Possibly incomplete')
        assert is_unknown(node_of(inventory, 'pve1').interfaces, 'Possibly incomplete')
        assert known(inventory.not_backed_up)

    @pytest.mark.parametrize(
        ('path', 'privilege', 'part'),
        [
            ('/cluster/sdn/vnets', 'SDN.Audit', 'vnets'),
            ('/nodes/pve1/network', 'SDN.Audit', 'pve1 interfaces'),
        ],
    )
    def test_a_privilege_that_is_taken_away_while_a_list_is_read(self, pve, path, privilege, part):
        pve.before(path, lambda: pve.revoke(privilege))
        inventory = read(pve, options=NODES, concurrency=1)
        assert part in unknown_parts(inventory)

    def test_guests_without_backup(self, pve):
        pve.set_not_backed_up(100, 200)
        assert read(pve).not_backed_up == {100, 200}

    def test_300_bridges_and_a_comment_of_10_megabytes(self, pve):
        for number in range(100, 400):
            pve.set_interface('pve1', f'vmbr{number}', type='bridge', bridge_ports='')
        pve.set_interface('pve1', 'eno1', comments='x' * 10 * 1024**2)
        inventory = read(pve)
        assert len(node_of(inventory, 'pve1').interfaces) > 300


class TestCertificates:
    @pytest.mark.parametrize(('days', 'words'), [(-3, 'expired on'), (29, 'expires on'), (31, None)])
    def test_the_end_of_the_one_that_is_served(self, pve, days, words):
        pve.expire_certificate('pve2', days)
        notices = read(pve, options=NODES).warnings
        assert [notice.subject for notice in notices] == (['node/pve2'] if words else [])
        if words:
            assert f'pve-ssl.pem of node pve2 {words} 20' in notices[0].message
            assert 'pvecm updatecerts' in notices[0].remedy

    def test_one_that_is_not_served_does_not_matter(self, pve):
        pve.expire_certificate('pve2', -3)
        pve.expire_certificate('pve2', 300, 'pveproxy-ssl.pem')
        assert read(pve, options=NODES).warnings == ()
        pve.expire_certificate('pve2', 5, 'pveproxy-ssl.pem')
        (notice,) = read(pve, options=NODES).warnings
        assert 'pvenode acme cert renew' in notice.remedy

    def test_an_end_that_cannot_be_read(self, pve):
        path = '/nodes/pve2/certificates/info'
        serve(pve, path, [row | {'notafter': 'never'} for row in answer_of(pve, path)])
        inventory = read(pve, options=NODES)
        assert all(is_unknown(found.expires, 'notafter') for found in node_of(inventory, 'pve2').certificates)
        assert {notice.subject for notice in inventory.warnings} == {'node/pve2'}
        assert 'left unchanged in NetBox (node pve2: certificate pve-ssl.pem): ' in messages(inventory)

    def test_not_asked_for(self, pve):
        pve.expire_certificate('pve2', -3)
        assert read(pve).warnings == ()


class TestSizesOfVolumes:
    VOLUME = 'local-lvm:vm-{}-disk-9'

    @pytest.fixture
    def pve(self, standin):
        pve = standin(nodes=1, vms=4, containers=2)
        for vmid in (100, 101):
            volume = self.VOLUME.format(vmid)
            pve.set_config(vmid, **{'scsi9' if pve.cluster.guest(vmid).type == 'qemu' else 'mp9': f'{volume},mp=/x'})
            pve.set_volume(volume, vmid, 5 * 1024**3 + 512)
        return pve

    def size(self, inventory, vmid):
        return next(disk.size for disk in guest_of(inventory, vmid).config.disks if disk.key in ('scsi9', 'mp9'))

    def test_an_auditor_cannot_see_them(self, pve):
        inventory = read(pve)
        assert is_unknown(self.size(inventory, 100), 'VM.Config.Disk on /vms/100')
        assert is_unknown(self.size(inventory, 100), 'rescan --vmid 100')
        assert pve.calls('*/content') == []
        assert inventory.warnings == ()

    def test_with_the_privilege_one_call_for_the_storage(self, pve):
        pve.grant('VM.Config.Disk')
        inventory = read(pve)
        assert {self.size(inventory, vmid) for vmid in (100, 101)} == {5 * 1024**3 + 512}
        assert [call.path for call in pve.calls('*/content')] == ['/nodes/pve1/storage/local-lvm/content']

    def test_on_one_guest_only(self, pve):
        pve.grant('VM.Config.Disk', '/vms/100')
        inventory = read(pve)
        assert self.size(inventory, 100) == 5 * 1024**3 + 512
        assert is_unknown(self.size(inventory, 101), 'VM.Config.Disk')

    @pytest.mark.parametrize('status', [500, 595, 403])
    def test_a_storage_that_does_not_answer(self, pve, status):
        pve.grant('VM.Config.Disk')
        pve.fail('*/content', status, 'storage is not online')
        inventory = read(pve)
        assert is_unknown(self.size(inventory, 100), 'gives no size')
        assert known(guest_of(inventory, 100).addresses)

    def test_a_volume_that_is_not_listed(self, pve):
        pve.grant('VM.Config.Disk')
        pve.set_config(100, **{'scsi9' if pve.cluster.guest(100).type == 'qemu' else 'mp9': 'local-lvm:other,mp=/x'})
        assert is_unknown(self.size(read(pve), 100), 'does not report the size either')

    def test_pass_through_is_not_looked_up(self, pve):
        pve.grant('VM.Config.Disk')
        vmid = next(guest.vmid for guest in pve.cluster.guests.values() if guest.type == 'qemu' and guest.vmid > 101)
        pve.set_config(vmid, scsi9='/dev/disk/by-id/x')
        assert is_unknown(self.size(read(pve), vmid), 'gives no size')
        assert len(pve.calls('*/content')) == 1
