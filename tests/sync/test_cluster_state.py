"""The last known state of a cluster, as JSON and back."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from netbox_proxsync.proxmox.infrastructure import Certificate, HostCertificate, NodeFacts
from netbox_proxsync.proxmox.inventory import Notice
from netbox_proxsync.sync.cluster_state import ClusterState, Expiry, NodeState, state_of
from tests.sync.builders import NOW, UNREAD, inventory, node

FACTS = NodeFacts(
    version='9.2.11', cpu_model='x', cpu_sockets=1, cpus=8, memory=2**34, rootfs=2**35
)  # fmt: skip


def certificate(expires, filename='pve-ssl.pem') -> Certificate:
    return Certificate(filename=filename, fingerprint='AA', subject='pve1', expires=expires)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(seconds, UTC)


FULL = node('pve1', facts=FACTS, certificates=(certificate(2000),))
SHOWN = HostCertificate(host='pve.example.com:8006', expires=1000)


def parsed(inv, before=None, now=NOW) -> ClusterState:
    return ClusterState.parse(json.loads(json.dumps(state_of(inv, before or {}, now))))


def test_a_state_survives_json():
    state = parsed(inventory(nodes=(node('pve2', cpus=UNREAD, address=UNREAD), FULL), certificate=SHOWN))
    assert state == ClusterState(
        read=True,
        name='lab',
        quorate=True,
        nodes=(
            NodeState(
                name='pve1', online=True, address='10.0.0.1', version='9.2.11', cpus=8, memory=2**34, expires=at(2000)
            ),
            NodeState(name='pve2', online=True),
        ),
        shown=Expiry(name='pve.example.com:8006', expires=at(1000)),
    )
    assert state.online == 2


def test_unreadable_names_and_votes_are_not_known():
    state = parsed(inventory(cluster_name=UNREAD, quorate=UNREAD, nodes=()))
    assert (state.name, state.quorate, state.shown, state.first_expiry) == ('', None, None, None)


def test_values_that_a_node_did_not_report_stay_as_they_were():
    before = state_of(inventory(nodes=(FULL,), certificate=SHOWN), {}, NOW)
    lost = inventory(nodes=(node('pve1', online=False, cpus=UNREAD, address=UNREAD),))
    state = parsed(lost, before)
    (found,) = state.nodes
    assert (found.version, found.cpus, found.memory, found.expires) == ('9.2.11', 8, 2**34, at(2000))
    assert (found.online, found.offline_since) == (False, NOW)
    assert state.online == 0
    assert state.shown.name == SHOWN.host


def test_a_node_is_offline_since_the_first_read_that_found_it_so():
    offline = inventory(nodes=(node('pve1', online=False),))
    first = state_of(offline, {}, NOW)
    later = state_of(offline, first, NOW.replace(year=2027))
    assert later == first
    back = state_of(inventory(nodes=(node('pve1'),)), later, NOW)
    assert 'offline_since' not in back['nodes'][0]


def test_a_served_certificate_without_a_readable_end_is_not_known():
    state = parsed(inventory(nodes=(node(certificates=(certificate(UNREAD),)), node('pve2', certificates=()))))
    assert [found.expires for found in state.nodes] == [None, None]


@pytest.mark.parametrize(
    'data', [None, [], {}, {'name': 'x'}, {'name': 'x', 'quorate': True, 'nodes': [{}], 'notices': []}]
)
def test_data_of_another_shape_is_an_empty_state(data):
    assert ClusterState.parse(data) == ClusterState()


def test_only_notices_about_the_cluster_are_stored():
    warnings = tuple(Notice(subject=subject, message='m') for subject in ('token', 'qemu/100', 'nodes', 'node/pve1'))
    state = parsed(inventory(warnings=warnings))
    assert [notice.subject for notice in state.notices] == ['token', 'nodes', 'node/pve1']


def test_without_a_node_nothing_names_it():
    warnings = (
        Notice(subject='node/pve1', message='It is offline.'),
        Notice(subject='nodes', message='pve1 and pve2 differ.'),
        Notice(subject='nodes', message='pve10 is old.', remedy='Update it.'),
    )
    state = parsed(inventory(nodes=(node('pve1'), node('pve10')), warnings=warnings)).without(['pve1'])
    assert [found.name for found in state.nodes] == ['pve10']
    assert [notice.message for notice in state.notices] == ['pve10 is old.']


def test_the_first_expiry_is_that_of_a_node_or_of_the_host():
    state = parsed(inventory(nodes=(FULL,), certificate=SHOWN))
    assert state.first_expiry.name == SHOWN.host
    assert replace(state, shown=replace(state.shown, expires=at(3000))).first_expiry.name == 'pve1'
