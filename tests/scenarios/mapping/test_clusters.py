"""The cluster in NetBox of a Proxmox VE cluster, or of a stand-alone host."""

import pytest

pytestmark = pytest.mark.django_db


def test_the_cluster_bears_the_name_of_proxmoxs_or_of_the_host(lab9, solo, made):
    assert [synced.endpoint.cluster.name for synced in (lab9, solo, made)] == ['lab9', 'pveold8', 'fleet']


def test_the_cluster_has_the_values_of_the_endpoint(lab9):
    cluster = lab9.endpoint.cluster
    assert (cluster.type.name, cluster.group.name, cluster.tenant.name) == ('Hypervisors', 'Labs', 'Research')
    assert cluster.scope == lab9.endpoint.site


def test_without_a_choice_its_type_is_proxmox_ve(solo):
    cluster = solo.endpoint.cluster
    assert (cluster.type.name, cluster.group, cluster.tenant) == ('Proxmox VE', None, None)
