"""What a read of a cluster returns, over real HTTPS, when all goes well and when each part of it does not."""

import contextlib
import socket
import threading
import time
from collections import Counter
from dataclasses import replace

import pytest

from netbox_proxsync.proxmox.errors import (
    AuthenticationError,
    CanceledError,
    HostUnreachableError,
    ProxmoxError,
    RunTimeoutError,
    VersionTooOldError,
)
from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.inventory import GuestType, Inventory, TagStyle, known
from netbox_proxsync.proxmox.parsers.address_filters import AddressFilters
from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect
from tests.pve import StandIn

from ..reading import answer_of, connection, guest_of, is_unknown, messages, read, serve
from ..recordings import data

CLUSTER = 'pve-9.2.11-cluster'
RESTRICTED = 'pve-9.2.11-cluster-restricted-token'
SOLO = 'pve-8.4.21-solo'
# Version, permissions, ACL, status, resources, options, (pinned fingerprints only) nodes, SDN's zones and
# virtual networks, guests without backup.
CLUSTER_PATHS = 10
# Permissions and ACL once more after the list of guests, and after the other lists.
CLUSTER_CALLS = CLUSTER_PATHS + 2 * 2


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


@pytest.fixture
def pve(standin):
    return standin(CLUSTER)


class TestRecordings:
    @pytest.mark.parametrize('name', [CLUSTER, RESTRICTED, SOLO])
    def test_every_listed_guest_is_read_as_it_is(self, standin, name):
        inventory = read(standin(name))
        rows = {row['id']: row for row in data(name, '/cluster/resources') if row['type'] in ('qemu', 'lxc')}
        assert [guest.key for guest in inventory.guests] == sorted(
            rows, key=lambda key: (rows[key]['type'], rows[key]['vmid'])
        )
        for guest in inventory.guests:
            row = rows[guest.key]
            assert (guest.name, guest.node, guest.status) == (row['name'], row['node'], row['status'])
            assert guest.template is bool(row['template'])
            assert guest.lock == row.get('lock')
            assert guest.ha_state == row.get('hastate')
            assert known(guest.config)
            assert known(guest.addresses)
            assert set(guest.addresses) == {nic.key for nic in guest.config.nics}
            assert known(guest.pool) is (name != RESTRICTED)
            if name != RESTRICTED:
                assert guest.pool == row.get('pool')

    def test_a_cluster(self, pve):
        inventory = read(pve)
        assert (inventory.version, inventory.cluster_name, inventory.quorate) == ('9.2.11', 'lab9', True)
        assert [(node.name, node.online, node.cpus, node.address) for node in inventory.nodes] == [
            ('pve1', True, 2, '10.77.0.11'),
            ('pve2', True, 2, '10.77.0.12'),
            ('pve3', True, 2, '10.77.0.13'),
        ]
        assert inventory.tag_style == TagStyle(colors={'prod': 'ff0000', 'dev': '00ff00'}, case_sensitive=True)
        assert inventory.guests_incomplete is None
        assert inventory.warnings == ()

    def test_a_stand_alone_host(self, standin):
        inventory = read(standin(SOLO))
        assert (inventory.version, inventory.cluster_name, inventory.quorate) == ('8.4.21', None, True)
        assert [(node.name, node.online) for node in inventory.nodes] == [('pveold8', True)]
        assert inventory.guests_incomplete is None

    def test_addresses_of_a_running_guest_come_from_its_agent_or_container(self, pve):
        inventory = read(pve)
        for vmid in (100, 200):
            found = guest_of(inventory, vmid).addresses['net0']
            assert found.running is None
            assert len(found.addresses) >= 2
        stopped = guest_of(inventory, 102).addresses['net0']
        assert is_unknown(stopped.running, 'not running')

    def test_data_hidden_from_a_restricted_token_is_unknown(self, standin):
        inventory = read(standin(RESTRICTED))
        assert is_unknown(inventory.guests_incomplete, 'VM.Audit on /vms')
        assert is_unknown(inventory.guests_incomplete, 'quorate')
        assert is_unknown(inventory.quorate, 'Sys.Audit')
        assert is_unknown(inventory.cluster_name, 'Sys.Audit')
        assert all(is_unknown(node.address) and is_unknown(node.cpus) and node.online for node in inventory.nodes)
        assert is_unknown(guest_of(inventory, 100).addresses['net0'].running, 'VM.GuestAgent.Audit')
        assert known(inventory.tag_style)
        assert 'pveum acl modify / --tokens ' in messages(inventory)

    def test_random_order_changes_nothing(self, standin):
        first, second = (read(standin(CLUSTER).__class__(CLUSTER, shuffle=seed).__enter__()) for seed in (1, 2))
        # Each on a port of its own.
        assert replace(first, certificate=None) == replace(second, certificate=None)


class TestCalls:
    def calls(self, pve) -> Counter:
        return Counter(call.path for call in pve.log)

    def test_each_once_and_no_other(self, pve):
        inventory = read(pve)
        expected = Counter(
            ['/version', '/nodes']
            + 3 * ['/access/permissions', '/access/acl']
            + [f'/cluster/{name}' for name in ('status', 'resources', 'options')]
            + ['/cluster/sdn/zones', '/cluster/sdn/vnets', '/cluster/backup-info/not-backed-up']
            + [f'/nodes/{name}/network' for name in ('pve1', 'pve2', 'pve3')]
        )
        rows = [row for row in data(CLUSTER, '/cluster/resources') if row['type'] in ('qemu', 'lxc')]
        for row in rows:
            expected[f'/nodes/{row["node"]}/{row["id"]}/config'] = 1
        expected['/nodes/pve1/qemu/100/agent/network-get-interfaces'] = 1
        expected['/nodes/pve1/lxc/200/interfaces'] = 1
        assert self.calls(pve) == expected
        assert inventory.calls == len(pve.log)
        assert {call.query for call in pve.calls('*/config')} == {'current=1'}
        assert pve.refused == []

    @pytest.mark.filterwarnings('ignore:Unverified HTTPS')
    def test_only_pinned_fingerprints_take_the_list_of_nodes(self, pve):
        read(pve, tls_mode='off', fingerprint='')
        assert pve.calls('/nodes') == []

    def test_optional_calls_only_when_asked_for(self, pve):
        plain = read(pve)
        assert guest_of(plain, 100).os_name is None
        assert guest_of(plain, 100).host_name is None
        assert pve.calls('*/agent/get-*') == []
        inventory = read(pve, options={'os_info': True, 'host_names': True})
        assert guest_of(inventory, 100).os_name == 'Debian GNU/Linux 13 (trixie)'
        assert guest_of(inventory, 100).host_name == 'web01.corp.example'
        assert is_unknown(guest_of(inventory, 101).os_name, 'not running')
        assert guest_of(inventory, 104).os_name is None  # no agent enabled: there is nobody to tell
        assert guest_of(inventory, 200).os_name is None
        assert len(pve.calls('*/agent/get-*')) == 2

    def test_an_agent_that_may_not_be_asked_is_not_asked(self, pve):
        pve.revoke('VM.GuestAgent.*')
        inventory = read(pve)
        assert pve.calls('*/agent/*') == []
        assert is_unknown(guest_of(inventory, 100).addresses['net0'].running, 'VM.GuestAgent.Audit')
        assert 'VM.GuestAgent.Audit' in messages(inventory)
        assert inventory.guests_incomplete is None

    @pytest.mark.parametrize(('vms', 'containers'), [(True, False), (False, True)])
    def test_types_that_are_not_wanted_are_there_but_not_read(self, pve, vms, containers):
        inventory = read(pve, options={'vms': vms, 'containers': containers})
        assert len(inventory.guests) == 10
        assert bool(pve.calls('*/qemu/*')) is vms
        assert bool(pve.calls('*/lxc/*')) is containers
        for guest in inventory.guests:
            assert known(guest.config) is (vms if guest.type is GuestType.QEMU else containers)
            assert known(guest.status)

    def test_progress_is_reported_for_each_guest_in_the_calling_thread(self, pve):
        reported = []
        read(pve, progress=lambda done, total: reported.append((done, total, threading.current_thread())))
        assert [entry[:2] for entry in reported] == [(number, 10) for number in range(1, 11)]
        assert {entry[2] for entry in reported} == {threading.current_thread()}

    def test_never_more_calls_at_a_time_than_allowed(self, standin):
        pve = standin(vms=40, containers=10)
        pve.latency(0.01)
        read(pve, concurrency=3)
        assert pve.peak <= 3

    def test_many_guests_cost_no_more_calls_each(self, standin):
        pve = standin(nodes=4, vms=700, containers=300)
        inventory = read(pve, concurrency=8, timeout=30)
        running = sum(
            guest.status == 'running' and (guest.type is GuestType.LXC or guest.config.agent)
            for guest in inventory.guests
        )
        assert len(inventory.guests) == 1000
        assert inventory.calls == CLUSTER_CALLS + 4 + 1000 + running
        assert pve.peak <= 8


class TestVersion7:
    @pytest.fixture
    def pve(self, standin):
        return standin(version='7.4-20', nodes=2, vms=6, containers=8)

    def test_containers_are_asked_once_only(self, pve):
        inventory = read(pve)
        containers = [guest for guest in inventory.guests if guest.type is GuestType.LXC]
        running = [guest for guest in containers if guest.status == 'running']
        assert len(running) > 1
        assert len(pve.calls('*/interfaces')) == 1
        assert all(is_unknown(found.running, '8.1') for guest in running for found in guest.addresses.values())
        assert inventory.guests_incomplete is None

    def test_everything_else_is_read(self, pve):
        inventory = read(pve)
        assert len(inventory.guests) == 14
        assert all(known(guest.config) and known(guest.status) for guest in inventory.guests)
        assert inventory.warnings == ()


class TestCompleteness:
    """What makes absence mean nothing."""

    @pytest.mark.parametrize('path', ['/access/permissions', '/access/acl', '/cluster/status'])
    @pytest.mark.parametrize(
        'failure',
        [
            {'status': 500, 'reason': 'got timeout'},
            {'status': 595, 'reason': 'No route to host'},
            {'status': 403, 'reason': 'Permission check failed', 'body': {'data': None}},
            {'status': 501, 'reason': 'not implemented', 'body': {'data': None}},
            {'status': 200, 'reason': 'OK', 'body': '<html>error</html>'},
            {'status': 200, 'reason': 'OK', 'body': {'data': None}},
            {'status': 200, 'reason': 'OK', 'body': {'data': 'x'}},
            {'status': 200, 'reason': 'OK', 'body': {'data': 5}},
            'drop',
        ],
        ids=lambda failure: failure if isinstance(failure, str) else f'{failure["status"]} {failure.get("body", "")}',
    )
    def test_without_any_of_the_answers_that_prove_it(self, pve, path, failure):
        if failure == 'drop':
            pve.drop(path)
        else:
            pve.fail(path, **failure)
        inventory = read(pve)
        assert len(inventory.guests) == 10
        assert all(known(guest.config) for guest in inventory.guests)
        assert is_unknown(inventory.guests_incomplete)
        assert inventory.warnings

    def test_empty_status_of_the_cluster(self, pve):
        serve(pve, '/cluster/status', [])
        inventory = read(pve)
        assert is_unknown(inventory.quorate)
        assert is_unknown(inventory.cluster_name)
        assert is_unknown(inventory.guests_incomplete)

    def test_status_of_the_cluster_cut_off(self, pve):
        serve(pve, '/cluster/status', [row for row in answer_of(pve, '/cluster/status') if row['id'] != 'node/pve3'])
        assert is_unknown(read(pve).guests_incomplete, 'is incomplete')

    def test_no_quorum(self, pve):
        pve.quorum(False)
        inventory = read(pve)
        assert inventory.quorate is False
        assert is_unknown(inventory.guests_incomplete, 'not quorate')
        assert 'not quorate' in messages(inventory)

    def test_a_guest_that_is_hidden_from_the_token(self, pve):
        pve.revoke('VM.Audit', '/vms/102')
        inventory = read(pve)
        assert 102 not in {guest.vmid for guest in inventory.guests}
        assert is_unknown(inventory.guests_incomplete, '/vms/102')
        assert 'pveum acl' in messages(inventory)

    def test_all_guests_hidden(self, pve):
        pve.revoke('VM.Audit')
        inventory = read(pve)
        assert inventory.guests == ()
        assert is_unknown(inventory.guests_incomplete, 'VM.Audit on /vms')

    def test_an_offline_node_is_no_reason_since_its_guests_stay_listed(self, pve):
        pve.node_offline('pve3', phase='unknown')
        inventory = read(pve)
        assert len(inventory.guests) == 10
        assert inventory.guests_incomplete is None

    @pytest.mark.parametrize('status', [None, 'unknown', 5])
    def test_a_node_that_is_not_known(self, pve, status):
        rows = answer_of(pve, '/cluster/resources')
        next(row for row in rows if row['id'] == 'node/pve3')['status'] = status
        serve(pve, '/cluster/resources', rows)
        members = answer_of(pve, '/cluster/status')
        del next(row for row in members if row['id'] == 'node/pve3')['online']
        serve(pve, '/cluster/status', members)
        inventory = read(pve)
        assert is_unknown(inventory.guests_incomplete, 'pve3')
        assert not next(node for node in inventory.nodes if node.name == 'pve3').online
        assert is_unknown(guest_of(inventory, 105).config, 'pve3 is online')
        assert pve.calls('/nodes/pve3/*') == []


class TestListOfGuests:
    @pytest.fixture
    def rows(self, pve):
        return answer_of(pve, '/cluster/resources')

    def row(self, rows, vmid):
        return next(row for row in rows if row.get('vmid') == vmid)

    @pytest.mark.parametrize('answer', [None, {}, 'x', 5])
    def test_no_list(self, pve, answer):
        serve(pve, '/cluster/resources', answer)
        with pytest.raises(ProxmoxError, match='list of guests and nodes'):
            read(pve)

    @pytest.mark.parametrize('rows', [[], [{'type': 'storage', 'id': 'storage/pve1/local'}]])
    def test_a_list_without_any_node_is_cut_off(self, pve, rows):
        serve(pve, '/cluster/resources', rows)
        inventory = read(pve)
        assert inventory.guests == ()
        assert is_unknown(inventory.guests_incomplete, 'no node')

    @pytest.mark.parametrize(
        'change',
        [
            {'vmid': None},
            {'vmid': 'x'},
            {'vmid': -1},
            {'vmid': float('nan')},
            {'vmid': [1]},
            {'node': None},
            {'node': 5},
            {'type': None},
            {'type': ['qemu']},
        ],
        ids=str,
    )
    def test_a_row_that_is_no_guest_spoils_completeness_only(self, pve, rows, change):
        self.row(rows, 102).update(change)
        serve(pve, '/cluster/resources', rows)
        inventory = read(pve)
        assert {guest.vmid for guest in inventory.guests} == {100, 101, 103, 104, 105, 200, 201, 202, 203}
        assert all(known(guest.config) for guest in inventory.guests)
        assert is_unknown(inventory.guests_incomplete, '1 row of')

    @pytest.mark.parametrize('row', [None, 5, 'x', [], {}])
    def test_a_row_that_is_nothing(self, pve, rows, row):
        serve(pve, '/cluster/resources', [*rows, row])
        inventory = read(pve)
        assert len(inventory.guests) == 10
        assert is_unknown(inventory.guests_incomplete)

    def test_types_that_are_not_known_mean_nothing(self, pve, rows):
        serve(pve, '/cluster/resources', [*rows, {'type': 'quantum', 'id': 'quantum/1'}])
        assert read(pve).guests_incomplete is None

    def test_numbers_as_text(self, pve, rows):
        for row in rows:
            if row['type'] in ('qemu', 'lxc'):
                row.update(vmid=str(row['vmid']), template=str(row['template']))
        serve(pve, '/cluster/resources', rows)
        inventory = read(pve)
        assert [guest.vmid for guest in inventory.guests] == [200, 201, 202, 203, 100, 101, 102, 103, 104, 105]
        assert guest_of(inventory, 101).template is True
        assert inventory.guests_incomplete is None

    @pytest.mark.parametrize(
        ('change', 'attribute'),
        [({'tags': ['a']}, 'tags'), ({'template': 'x'}, 'template'), ({'name': {}}, 'name'), ({'status': 5.5}, None)],
    )
    def test_a_garbled_value_does_not_affect_other_values(self, pve, rows, change, attribute):
        self.row(rows, 102).update(change)
        serve(pve, '/cluster/resources', rows)
        pve.fail('/nodes/pve2/qemu/102/config', 500, 'got timeout')
        inventory = read(pve)
        guest = guest_of(inventory, 102)
        if attribute:
            assert is_unknown(getattr(guest, attribute))
        assert guest.node == 'pve2'
        assert inventory.guests_incomplete is None

    def test_a_pool_that_is_garbled_is_not_none(self, pve, rows):
        self.row(rows, 102).update(pool={}, hastate=[])
        serve(pve, '/cluster/resources', rows)
        guest = guest_of(read(pve), 102)
        assert is_unknown(guest.pool)
        assert is_unknown(guest.ha_state)

    @pytest.mark.parametrize('twin', [{}, {'node': 'pve3', 'status': 'running'}, {'type': 'lxc', 'id': 'lxc/102'}])
    def test_the_same_vmid_twice(self, pve, rows, twin):
        serve(pve, '/cluster/resources', [*rows, {**self.row(rows, 102), **twin}])
        inventory = read(pve)
        guests = [guest for guest in inventory.guests if guest.vmid == 102]
        assert len({guest.key for guest in guests}) == len(guests)
        for guest in guests:
            assert is_unknown(guest.config, 'more than once')
            assert is_unknown(guest.status, 'more than once')
            assert is_unknown(guest.addresses)
        assert '102 more than once' in messages(inventory)
        assert len([guest for guest in inventory.guests if known(guest.config)]) == 9

    def test_without_pvestatd_the_configuration_still_reports(self, pve):
        pve.set_status(100, 'unknown')
        inventory = read(pve)
        guest = guest_of(inventory, 100)
        assert is_unknown(guest.status, 'pvestatd')
        assert (guest.name, guest.template, guest.tags) == ('web01', False, ('prod', 'web', 'tier-1'))
        assert known(guest.config)
        assert is_unknown(guest.addresses['net0'].running, 'pvestatd')
        assert pve.calls('*/agent/*') == []

    def test_a_name_that_is_not_set(self, pve):
        pve.rename(100, None)
        pve.rename(200, None)
        inventory = read(pve)
        assert guest_of(inventory, 100).name == 'VM 100'
        assert guest_of(inventory, 200).name == 'CT200'

    def test_a_guest_on_a_node_that_is_not_a_member(self, pve, rows):
        self.row(rows, 102)['node'] = 'ghost'
        serve(pve, '/cluster/resources', rows)
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 102).config, 'ghost is not a member')
        assert is_unknown(guest_of(inventory, 102).status, 'ghost')
        assert 'node/ghost' in messages(inventory)


class TestNodes:
    @pytest.mark.parametrize('phase', ['stale', 'unknown'])
    def test_nothing_is_asked_of_an_offline_node_and_nothing_believed(self, pve, phase):
        pve.start(105)
        pve.node_offline('pve3', phase=phase)
        inventory = read(pve)
        assert pve.calls('/nodes/pve3/*') == []
        assert [node.online for node in inventory.nodes] == [True, True, False]
        for vmid in (105, 203):
            guest = guest_of(inventory, vmid)
            assert is_unknown(guest.status, 'pve3 is offline')
            assert is_unknown(guest.config, 'pve3 is offline')
            assert is_unknown(guest.addresses, 'pve3 is offline')
            assert known(guest.name) is (phase == 'stale')
            assert known(guest.template) is (phase == 'stale')
        assert guest_of(inventory, 105).tags == ('a', 'b', 'c', 'd')
        assert guest_of(inventory, 203).pool == 'dev'
        assert [notice.subject for notice in inventory.warnings] == ['node/pve3']
        assert all(known(guest.config) for guest in inventory.guests if guest.node != 'pve3')

    @pytest.mark.parametrize('status', [595, 596])
    def test_a_node_that_stops_answering_is_not_asked_for_every_guest(self, standin, status):
        pve = standin(nodes=2, vms=60, containers=0)
        lost = next(name for name in pve.cluster.nodes if name != pve.cluster.local)
        pve.fail(f'/nodes/{lost}/*', status, 'No route to host')
        inventory = read(pve, concurrency=2)
        missing = [guest for guest in inventory.guests if guest.node == lost]
        assert len(missing) > 10
        assert all(is_unknown(guest.config) and is_unknown(guest.status) for guest in missing)
        assert all(known(guest.config) for guest in inventory.guests if guest.node != lost)
        assert len(pve.calls(f'/nodes/{lost}/*/config')) <= 2 * 3
        assert f'Node {lost} stopped answering' in messages(inventory)

    def test_a_node_that_hangs_is_not_waited_for_with_every_guest(self, standin):
        pve = standin(nodes=2, vms=40, containers=0)
        lost = next(name for name in pve.cluster.nodes if name != pve.cluster.local)
        pve.hang(f'/nodes/{lost}/*')
        inventory = read(pve, concurrency=2, timeout=2)
        assert all(is_unknown(guest.config) for guest in inventory.guests if guest.node == lost)
        assert len(pve.calls(f'/nodes/{lost}/*/config')) <= 4


class TestVanishing:
    CONFIG = '/nodes/pve2/qemu/102/config'

    def test_a_guest_that_moves_between_list_and_configuration_is_read_where_it_is(self, pve):
        pve.before(self.CONFIG, lambda: pve.migrate(102, 'pve3'))
        inventory = read(pve)
        guest = guest_of(inventory, 102)
        assert guest.node == 'pve3'
        assert guest.config.name == 'win-sql01.corp.example.com'
        assert len(pve.calls('/cluster/resources')) == 2
        assert inventory.guests_incomplete is None
        assert inventory.warnings == ()

    def test_a_guest_that_is_deleted_between_list_and_configuration_is_missing(self, pve):
        pve.before(self.CONFIG, lambda: pve.delete(102))
        inventory = read(pve)
        assert 102 not in {guest.vmid for guest in inventory.guests}
        assert inventory.guests_incomplete is None

    def test_several_take_one_more_list(self, pve):
        pve.before(self.CONFIG, lambda: pve.delete(102))
        pve.before('/nodes/pve2/qemu/104/config', lambda: pve.migrate(104, 'pve1'))
        pve.before('/nodes/pve2/lxc/202/config', lambda: pve.migrate(202, 'pve3'))
        inventory = read(pve)
        assert guest_of(inventory, 104).node == 'pve1'
        assert guest_of(inventory, 202).node == 'pve3'
        assert len(pve.calls('/cluster/resources')) == 2

    @pytest.mark.parametrize('failure', ['error', 'garbled', 'row garbled', 'incomplete'])
    def test_deleted_is_believed_from_a_complete_list_only(self, pve, failure):
        def prepare():
            pve.delete(102)
            if failure == 'error':
                pve.fail('/cluster/resources', 500, 'got timeout')
            elif failure == 'garbled':
                serve(pve, '/cluster/resources', None)
            elif failure == 'row garbled':
                serve(pve, '/cluster/resources', [*answer_of(pve, '/cluster/resources'), {'type': 'qemu'}])

        if failure == 'incomplete':
            pve.fail('/cluster/status', 500, 'got timeout')
        pve.before(self.CONFIG, prepare)
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 102).config, 'was moved from node pve2')
        assert len(inventory.guests) == 10

    def test_one_that_keeps_moving_is_unknown(self, pve):
        pve.fail(self.CONFIG, 500, "Configuration file 'nodes/pve2/qemu-server/102.conf' does not exist")
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 102).config)
        assert len(pve.calls(self.CONFIG)) == 2
        assert len(pve.calls('/cluster/resources')) == 2

    def test_one_that_stops_before_it_can_be_asked(self, pve):
        pve.before('/nodes/pve1/lxc/200/config', lambda: pve.stop(200))
        pve.before('/nodes/pve1/qemu/100/config', lambda: pve.stop(100))
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 200).addresses['net0'].running, 'not running')
        assert is_unknown(guest_of(inventory, 100).addresses['net0'].running, 'not running')
        assert inventory.warnings == ()


class TestOneGuest:
    """Whatever happens to one guest, the others are as if nothing had."""

    CONFIG = '/nodes/pve1/qemu/100/config'

    @pytest.mark.parametrize(
        ('failure', 'words'),
        [
            ({'status': 500, 'reason': 'unable to parse'}, 'unable to parse'),
            (
                {'status': 403, 'reason': 'Permission check failed (/vms/100, VM.Audit)'},
                'The token has no permission (',
            ),
            ({'status': 501, 'reason': 'not implemented'}, 'not implemented'),
            ({'status': 502, 'reason': 'Bad Gateway'}, 'Bad Gateway'),
            ({'status': 200, 'reason': 'OK', 'body': '<html>'}, 'invalid response'),
            ({'status': 200, 'reason': 'OK', 'body': {'data': None}}, 'not a complete configuration'),
            ({'status': 200, 'reason': 'OK', 'body': {'data': {}}}, 'not a complete configuration'),
            ({'status': 200, 'reason': 'OK', 'body': {'data': []}}, 'not a complete configuration'),
            ('drop', 'closed the connection'),
            ('hang', 'within 2 seconds'),
        ],
        ids=str,
    )
    def test_without_its_configuration_it_is_there_and_unknown(self, pve, failure, words):
        expected = read(pve)
        pve.clear_log()
        if failure == 'drop':
            pve.drop(self.CONFIG)
        elif failure == 'hang':
            pve.hang(self.CONFIG)
        else:
            pve.fail(self.CONFIG, **failure)
        inventory = read(pve, timeout=2)
        guest = guest_of(inventory, 100)
        assert is_unknown(guest.config, words)
        assert is_unknown(guest.addresses, words)
        assert (guest.name, guest.status, guest.pool, guest.ha_state) == ('web01', 'running', 'prod', 'started')
        assert pve.calls('*/agent/*') == []
        assert inventory.guests_incomplete is None
        others = [guest for guest in inventory.guests if guest.vmid != 100]
        assert others == [guest for guest in expected.guests if guest.vmid != 100]
        assert messages(inventory).count('qemu/100') == 1

    def test_a_large_description(self, pve):
        pve.set_config(100, description='x\n' * 5 * 1024**2)
        inventory = read(pve, timeout=20)
        assert len(guest_of(inventory, 100).config.description) >= 10 * 1024**2 - 1

    @pytest.mark.parametrize(
        ('failure', 'words', 'reported'),
        [
            ({'status': 500, 'reason': 'QEMU guest agent is not running'}, 'not running', True),
            ({'status': 500, 'reason': 'VM 100 is not running'}, 'machine is not running', False),
            ({'status': 500, 'reason': 'No QEMU guest agent configured'}, 'not enabled', False),
            ({'status': 500, 'reason': 'VM 100 qmp command failed'}, 'qmp command failed', True),
            (
                {'status': 403, 'reason': 'Permission check failed (/vms/100, VM.GuestAgent.Audit)'},
                'The token has no permission (',
                True,
            ),
            (
                {'status': 403, 'reason': 'Permission check failed'},
                'The token has no permission (',
                True,
            ),
            ({'status': 595, 'reason': 'No route to host'}, 'could not reach node pve1', False),
            ({'status': 200, 'reason': 'OK', 'body': {'data': None}}, 'list of interfaces', True),
            ({'status': 200, 'reason': 'OK', 'body': {'data': {'result': 'x'}}}, 'list of interfaces', True),
            ('drop', 'closed the connection', True),
            ('hang', 'frozen', True),
        ],
        ids=str,
    )
    def test_a_silent_agent_costs_the_running_addresses_only(self, pve, failure, words, reported):
        glob = '/nodes/pve1/qemu/100/agent/*'
        pve.set_config(100, ide3='local-lvm:vm-100-cloudinit,media=cdrom')
        if failure == 'drop':
            pve.drop(glob)
        elif failure == 'hang':
            pve.hang(glob)
        else:
            pve.fail(glob, **failure)
        inventory = read(pve, timeout=2, options={'os_info': True, 'host_names': True})
        guest = guest_of(inventory, 100)
        assert known(guest.config)
        for found in guest.addresses.values():
            assert is_unknown(found.running, words)
        assert [str(address.interface) for address in guest.addresses['net0'].addresses] == [
            '10.20.0.10/24',
            '2001:db8:20::10/64',
        ]
        assert is_unknown(guest.os_name, words)
        assert is_unknown(guest.host_name, words)
        assert len({call.path for call in pve.calls(glob)}) == 1
        assert bool(inventory.warnings) is reported
        assert inventory.guests_incomplete is None

    def test_an_agent_that_refuses_with_200(self, pve):
        pve.agent_error(100)
        assert is_unknown(guest_of(read(pve), 100).addresses['net0'].running, 'disabled')

    @pytest.mark.parametrize('answer', [{'result': None}, {'result': {'pretty-name': []}}, {'result': {'error': 5}}, 5])
    def test_an_operating_system_that_is_garbled(self, pve, answer):
        serve(pve, '*/agent/get-osinfo', answer)
        inventory = read(pve, options={'os_info': True})
        assert is_unknown(guest_of(inventory, 100).os_name, 'get-osinfo')
        assert guest_of(inventory, 100).addresses['net0'].running is None

    def test_an_operating_system_without_name(self, pve):
        serve(pve, '*/agent/get-osinfo', {'result': {'id': 'x'}})
        assert guest_of(read(pve, options={'os_info': True}), 100).os_name is None

    @pytest.mark.parametrize(
        ('answer', 'words'), [({'x': 1}, 'list of interfaces'), ('x', 'list of interfaces'), (None, 'not running')]
    )
    def test_a_container_that_answers_anything(self, pve, answer, words):
        serve(pve, '/nodes/pve1/lxc/200/interfaces', answer)
        guest = guest_of(read(pve), 200)
        assert is_unknown(guest.addresses['net0'].running, words)
        assert known(guest.config)

    def test_a_container_that_cannot_be_asked(self, pve):
        pve.fail('/nodes/pve1/lxc/200/interfaces', 500, 'unable to open namespace')
        guest = guest_of(read(pve), 200)
        assert is_unknown(guest.addresses['net0'].running, 'unable to open namespace')

    def test_an_internal_error_affects_only_its_guest(self, pve, monkeypatch, caplog):
        """The only way to test it is to make one."""
        from netbox_proxsync.proxmox.readers import guests

        parse = guests.parse_config

        def stumble(type, raw):
            if raw.get('name') == 'web01':
                raise ZeroDivisionError
            return parse(type, raw)

        monkeypatch.setattr(guests, 'parse_config', stumble)
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 100).config, 'ZeroDivisionError')
        assert sum(known(guest.config) for guest in inventory.guests) == 9
        assert 'qemu/100' in caplog.text


class TestNotices:
    def test_the_same_for_many_guests_is_reported_once(self, standin):
        pve = standin(vms=30, containers=0)
        pve.fail('/nodes/*/qemu/*/config', 500, 'unable to parse')
        inventory = read(pve)
        assert len(inventory.warnings) == 1
        assert 'in 30 guests: qemu/' in inventory.warnings[0].message
        assert 'and 10 more' in inventory.warnings[0].message

    def test_privileges_with_one_command(self, pve):
        pve.revoke('Pool.Audit')
        pve.revoke('VM.GuestAgent.*')
        inventory = read(pve)
        (notice,) = inventory.warnings
        assert 'Pool.Audit on /pool' in notice.message
        assert 'VM.GuestAgent.Audit on /vms' in notice.message
        assert f"pveum acl modify / --tokens '{pve.token_id}' --roles PVEAuditor" in notice.remedy
        assert is_unknown(guest_of(inventory, 104).pool, 'Pool.Audit')

    def test_privileges_for_what_guests_stand_on(self, pve):
        pve.revoke('Datastore.Audit')  # not needed
        pve.revoke('SDN.Audit')
        (notice,) = read(pve).warnings
        assert 'Datastore.Audit' not in notice.message
        assert 'SDN.Audit on /sdn' in notice.message
        assert not pve.calls('/storage')

    def test_tag_colors(self, pve):
        pve.fail('/cluster/options', 500, 'got timeout')
        inventory = read(pve)
        assert is_unknown(inventory.tag_style, 'got timeout')
        assert inventory.guests_incomplete is None

    @pytest.mark.parametrize(
        ('style', 'expected'),
        [
            (None, TagStyle(colors={}, case_sensitive=False)),
            ({'color-map': 'A:FF0000;b:00ff00:ffffff;bad;c:xyz;:000000'}, {'A': 'ff0000', 'b': '00ff00'}),
            ('color-map=a:ff0000,case-sensitive=1', TagStyle(colors={'a': 'ff0000'}, case_sensitive=True)),
        ],
    )
    def test_forms_of_the_tag_style(self, pve, style, expected):
        serve(pve, '/cluster/options', {'tag-style': style})
        found = read(pve).tag_style
        assert (found.colors if isinstance(expected, dict) else found) == expected


class TestWhatStopsARun:
    def test_a_wrong_token(self, pve):
        with pytest.raises(AuthenticationError):
            read(pve, token_secret='wrong')
        assert len(pve.log) == 1

    def test_a_token_that_is_deleted_meanwhile(self, pve):
        pve.before('/nodes/pve2/qemu/102/config', lambda: pve.remove_token(pve.token_id))
        with pytest.raises(AuthenticationError):
            read(pve, concurrency=1)

    def test_an_old_version(self, standin):
        with pytest.raises(VersionTooOldError, match='Upgrade'):
            read(standin(version='6.4-15'))

    @pytest.mark.parametrize('path', ['/version', '/cluster/resources'])
    @pytest.mark.parametrize('status', [500, 403, 502, 595])
    def test_without_these_there_is_nothing(self, pve, path, status):
        pve.fail(path, status, 'got timeout')
        with pytest.raises(ProxmoxError):
            read(pve)

    def test_another_member_goes_on_when_the_given_host_goes_away(self, pve):
        """All nodes have the same port and return the same data."""
        rows = answer_of(pve, '/cluster/status')
        next(row for row in rows if row['id'] == 'node/pve2')['ip'] = '127.0.0.2'
        serve(pve, '/cluster/status', rows)
        nodes = answer_of(pve, '/nodes')
        for node in nodes:
            node['ssl_fingerprint'] = pve.fingerprint
        serve(pve, '/nodes', nodes)
        with StandIn(pve.cluster, host='127.0.0.2', port=pve.port, tls=pve.tls) as member:
            pve.before('/nodes/pve2/qemu/102/config', lambda: threading.Thread(target=pve.close).start())
            inventory = read(pve, concurrency=1)
            assert member.log
            assert all(known(guest.config) for guest in inventory.guests)
            assert inventory.guests_incomplete is None

    @pytest.mark.parametrize('status', [595, 596, 599])
    def test_a_single_host_is_not_asked_about_other_nodes(self, standin, status):
        pve = standin('pve-8.4.21-solo')
        pve.fail(f'/nodes/{pve.cluster.local}/*', status, 'Connection timed out')
        inventory = read(pve)
        (notice,) = (notice for notice in inventory.warnings if notice.subject.startswith('node/'))
        assert f'"{status} Connection timed out"' in notice.message
        assert 'each other' not in notice.remedy
        assert 'pvedaemon' in notice.remedy

    @pytest.mark.parametrize('when', ['from the beginning', 'later'])
    def test_a_dead_host_does_not_go_unnoticed_because_the_next_one_works(self, pve, when):
        """One notice, whatever the number of calls."""
        with StandIn(pve.cluster, port=0, tls=pve.tls) as dying:
            hosts = (f'{dying.host}:{dying.port}', f'{pve.host}:{pve.port}')
            if when == 'later':
                dying.before('/nodes/pve2/qemu/102/config', lambda: threading.Thread(target=dying.close).start())
            else:
                dying.close()
            inventory = read(pve, hosts=hosts, concurrency=2)
            (notice,) = (notice for notice in inventory.warnings if notice.subject == 'hosts')
            assert hosts[0] in notice.message
            assert f'{hosts[1]} was used instead.' in notice.message
            assert notice.remedy
        assert all(known(guest.config) for guest in inventory.guests)
        assert not [notice for notice in read(pve).warnings if notice.subject == 'hosts']

    def test_an_untrusted_certificate_of_the_first_host(self, pve):
        with StandIn(pve.cluster, port=0) as other:
            hosts = (f'{other.host}:{other.port}', f'{pve.host}:{pve.port}')
            inventory = read(pve, hosts=hosts)
        (notice,) = (notice for notice in inventory.warnings if notice.subject == 'hosts')
        assert 'fingerprint' in notice.message

    def test_a_host_that_goes_away(self, pve):
        pve.before('/nodes/pve2/qemu/102/config', lambda: threading.Thread(target=pve.close).start())
        with pytest.raises((HostUnreachableError, ProxmoxError)):
            read(pve, concurrency=1)

    def test_time(self, pve):
        pve.hang('/nodes/*/config')
        begin = time.monotonic()
        with pytest.raises(RunTimeoutError):
            read(pve, timeout=30, run_timeout=1)
        assert time.monotonic() - begin < 4

    def test_canceling_from_another_thread(self, pve):
        pve.hang('/nodes/*/config')
        with ProxmoxClient(connection(pve, timeout=30)) as client:
            threading.Thread(target=lambda: (pve.wait_for('/nodes/*/config'), client.cancel())).start()
            begin = time.monotonic()
            with pytest.raises(CanceledError):
                collect(client, CollectOptions())
            assert time.monotonic() - begin < 4

    def test_canceling_does_not_wait_for_a_connection_that_is_not_established(self):
        """A host that accepts no connection: each attempt waits until its timeout."""
        with socket.create_server(('127.0.0.1', 0), backlog=0) as server, contextlib.ExitStack() as filling:
            for _ in range(3):
                waiting = filling.enter_context(socket.socket())
                waiting.setblocking(False)
                waiting.connect_ex(server.getsockname())
            host = f'127.0.0.1:{server.getsockname()[1]}'
            settings = Connection(hosts=(host,), token_id='a@pve!b', token_secret='x', tls_mode='off')
            with ProxmoxClient(settings) as client:
                begin = time.monotonic()
                threading.Timer(0.3, client.cancel).start()
                with pytest.raises(CanceledError):
                    collect(client, CollectOptions())
                assert 0.2 < time.monotonic() - begin < 3

    def test_an_exception_from_progress(self, pve):
        """As the job's own time limit raises one in the calling thread."""

        def stop(done, total):
            raise KeyboardInterrupt

        pve.hang('/nodes/pve3/*/config')
        begin = time.monotonic()
        with pytest.raises(KeyboardInterrupt):
            read(pve, progress=stop, timeout=30)
        assert time.monotonic() - begin < 4


class TestKillingEveryCall:
    """None of the answers can be taken away without the inventory saying so."""

    KILLS = {
        '500': lambda pve, path: pve.fail(path, 500, 'got timeout'),
        '595': lambda pve, path: pve.fail(path),
        'null': lambda pve, path: serve(pve, path, None),
        'HTML': lambda pve, path: pve.fail(path, 200, 'OK', body='<html></html>'),
        'dropped': lambda pve, path: pve.drop(path),
    }

    def parts(self, inventory: Inventory) -> dict[str, bool]:
        """Every part of an inventory, and whether it claims to be known."""
        parts = {
            'name': known(inventory.cluster_name),
            'quorate': known(inventory.quorate),
            'guests': inventory.guests_incomplete is None,
            'tag style': known(inventory.tag_style),
            'vnets': known(inventory.vnets),
            'backup': known(inventory.not_backed_up),
        }
        for node in inventory.nodes:
            parts[f'{node.name} status'] = known(node.facts)
            parts[f'{node.name} info'] = known(node.certificates)
            parts[f'{node.name} network'] = known(node.interfaces)
        for guest in inventory.guests:
            parts[f'{guest.key} config'] = known(guest.config)
            parts[f'{guest.key} addresses'] = known(guest.addresses) and all(
                found.running is None for found in guest.addresses.values()
            )
            parts[f'{guest.key} os'] = known(guest.os_name)
            parts[f'{guest.key} host'] = known(guest.host_name)
        return parts

    def lost(self, path: str) -> str | None:
        """The part that is not known without a call, where it is not fatal."""
        parts = path.strip('/').split('/')
        if parts[0] == 'nodes' and 2 < len(parts) <= 4:
            return f'{parts[1]} {parts[-1]}'
        if parts[0] == 'nodes' and len(parts) > 4:
            guest = f'{parts[2]}/{parts[3]}'
            return {
                'config': f'{guest} config',
                'get-osinfo': f'{guest} os',
                'get-host-name': f'{guest} host',
            }.get(parts[-1], f'{guest} addresses')
        return {
            '/access/permissions': 'guests',
            '/access/acl': 'guests',
            '/cluster/status': 'guests',
            '/cluster/options': 'tag style',
            '/cluster/sdn/zones': 'vnets',
            '/cluster/sdn/vnets': 'vnets',
            '/cluster/backup-info/not-backed-up': 'backup',
        }.get(path)

    @pytest.mark.parametrize('kill', KILLS.values(), ids=KILLS.keys())
    def test_each_in_turn(self, standin, kill):
        options = {'os_info': True, 'host_names': True, 'nodes': True}
        pve = standin(CLUSTER)
        whole = self.parts(read(pve, options=options))
        paths = sorted({call.path for call in pve.log})
        assert len(paths) == CLUSTER_PATHS + 3 * 3 + 10 + 2 + 2
        for path in paths:
            kill(pve, path)
            try:
                inventory = read(pve, options=options)
            except ProxmoxError:
                assert path in ('/version', '/cluster/resources'), path
            else:
                part = self.lost(path)
                now = self.parts(inventory)
                # The list of nodes serves further hosts only, no part of the inventory.
                assert part or path == '/nodes', path
                assert part is None or not now[part], path
                # That a guest has stopped meanwhile, or has no agent, is no trouble.
                assert inventory.warnings or path == '/nodes' or part.startswith(('qemu/', 'lxc/')), path
                assert now.keys() == whole.keys()
                assert not {name for name in now if now[name] and not whole[name]}
            pve.heal()
        assert self.parts(read(pve, options=options)) == whole


class TestSomeGuests:
    def test_the_others_are_as_listed(self, standin):
        pve = standin(nodes=1, vms=3, containers=2)
        by_type = {kind: [guest for guest in read(pve).guests if guest.type is kind] for kind in GuestType}
        one, *others = by_type[GuestType.QEMU]
        before = len(pve.calls('*/config'))
        inventory = read(pve, options={'only': frozenset({one.vmid}), 'os_info': True, 'host_names': True})
        assert known(guest_of(inventory, one.vmid).config)
        for guest in (guest_of(inventory, other.vmid) for other in (*others, *by_type[GuestType.LXC])):
            assert is_unknown(guest.config, 'This run is for other guests.')
            assert known(guest.name)
            assert known(guest.status)
            # Containers have no agent.
            assert is_unknown(guest.os_name, 'other guests') is (guest.type is GuestType.QEMU)
        assert [call.path.split('/')[4] for call in pve.calls('*/config')[before:]] == [str(one.vmid)]
        assert inventory.guests_incomplete is None

    def test_before_7_3_the_list_has_no_tags(self, standin):
        pve = standin(version='7.2-11', nodes=1, vms=2, containers=0)
        guest = guest_of(read(pve, options={'only': frozenset({100})}), 101)
        assert is_unknown(guest.tags, 'does not list tags')


class TestAddressesOfAGuest:
    @pytest.fixture
    def pve(self, standin):
        pve = standin(nodes=1, vms=1, containers=0)
        pve.set_status(100, 'running')
        pve.agent_running(100)
        return pve

    def test_more_than_the_limit(self, pve):
        pve.set_config(100, agent='1')
        pve.set_addresses(100, 'net0', *(f'10.0.0.{number}/24' for number in range(1, 7)))
        inventory = read(pve, options={'filters': AddressFilters(limit=4)})
        nics = guest_of(inventory, 100).addresses
        number = sum(len(nic.addresses) + len(nic.excess) for nic in nics.values())
        assert sum(len(nic.addresses) for nic in nics.values()) == 4
        (notice,) = [notice for notice in inventory.warnings if 'addresses, of which' in notice.message]
        assert notice.message == f'The guest has {number} addresses, of which at most 4 are synchronized.'
        assert 'raise the address limit' in notice.remedy

    def test_an_agent_option_that_cannot_be_read(self, pve):
        pve.set_config(100, agent='enabled=maybe')
        inventory = read(pve)
        assert is_unknown(guest_of(inventory, 100).addresses['net0'].running, '"agent" cannot be read')
        assert pve.calls('*/agent/*') == []
