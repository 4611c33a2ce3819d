"""By what a cluster is known again."""

import pytest

from netbox_proxsync.sync.cluster_identity import ClusterIdentity, another_cluster, identity_of_cluster, is_same_cluster
from tests.sync.builders import inventory, node


def cluster(authority, name, *nodes):
    return ClusterIdentity(authority=authority, name=name, nodes=frozenset(nodes))


@pytest.mark.parametrize(
    ('remembered', 'seen', 'same'),
    [
        (ClusterIdentity(), cluster('A', 'lab', 'pve1'), True),  # the first sync
        (cluster('A', 'lab', 'pve1'), ClusterIdentity(), True),  # nothing was read
        (cluster('A', 'lab', 'pve1'), cluster('A', 'lab', 'pve1', 'pve2'), True),
        (cluster('A', None, 'pve1'), cluster('A', 'lab', 'pve1', 'pve2'), True),  # became the first of a cluster
        (cluster('B', None, 'pve2'), cluster('A', 'lab', 'pve1', 'pve2'), False),  # joined one
        (cluster('A', None, 'pve'), cluster('B', None, 'pve'), False),  # alike in name only
        # Without an authority:
        (cluster(None, 'lab', 'pve1'), cluster('A', 'lab', 'pve2'), True),  # all nodes replaced
        (cluster(None, None, 'pve1'), cluster(None, 'lab', 'pve1', 'pve2'), True),
        (cluster(None, 'lab', 'pve1'), cluster(None, 'prod', 'node1'), False),
        (cluster(None, None, 'pve1'), cluster(None, None, 'pve2'), False),
    ],
)
def test_another_cluster(remembered, seen, same):
    assert (another_cluster(remembered, seen) == '') is same


def test_two_endpoints_of_one_cluster_are_reported_by_its_authority_only():
    assert is_same_cluster(cluster('A', None, 'pve'), cluster('A', 'lab', 'pve', 'pve2')) is True
    assert is_same_cluster(cluster('A', 'lab', 'pve'), cluster('B', 'lab', 'pve')) is False
    assert is_same_cluster(cluster(None, 'lab', 'pve'), cluster('B', 'lab', 'pve')) is None
    assert is_same_cluster(cluster(None, 'lab', 'pve1'), cluster(None, 'lab', 'pve2')) is False


def test_a_host_that_stood_alone_may_have_joined_a_cluster_and_its_guests_must_tell():
    assert is_same_cluster(cluster('B', None, 'pve2'), cluster('A', 'lab', 'pve1', 'pve2')) is None
    assert is_same_cluster(cluster('B', None, 'pve3'), cluster('A', 'lab', 'pve1', 'pve2')) is False
    assert is_same_cluster(cluster('B', None, 'pve2'), cluster('A', None, 'pve2')) is False


def test_an_identity_survives_being_stored():
    for identity in (ClusterIdentity(), cluster('A', 'lab', 'pve1', 'pve2'), cluster(None, None, 'pve')):
        assert ClusterIdentity.from_json(identity.as_json()) == identity


def test_nodes_whose_certificates_were_not_read_tell_no_authority():
    assert identity_of_cluster(inventory()) == cluster(None, 'lab', 'pve1')
    assert identity_of_cluster(inventory(nodes=(node('b'), node('a')), cluster_name=None)) == cluster(
        None, None, 'a', 'b'
    )
