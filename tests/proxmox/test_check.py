"""The connection test: cheap, in words, and never an exception."""

import pytest

from netbox_proxsync.proxmox.check import check
from netbox_proxsync.proxmox.http import client as client_module

from .reading import connection
from .servers import closed_port

CLUSTER = 'pve-9.2.11-cluster'


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


def failed(report) -> dict[str, object]:
    return {line.label: line for line in report.checks if not line.ok}


def test_all_is_well(standin):
    pve = standin(CLUSTER)
    report = check(connection(pve))
    assert report.ok
    assert (report.version, report.cluster_name) == ('9.2.11', 'lab9')
    assert (report.nodes_online, report.nodes_total, report.quorate) == (3, 3, True)
    assert report.fingerprint == pve.fingerprint
    assert report.host == f'{pve.host}:{pve.port}'
    assert (report.error, report.remedy) == ('', '')
    assert failed(report) == {}
    assert {'Connection', 'Certificate', 'Version', 'Cluster', 'Guests', 'Privileges'} == {
        line.label for line in report.checks
    }
    assert all(line.detail for line in report.checks)


def test_it_reads_no_guest(standin):
    pve = standin(CLUSTER)
    check(connection(pve))
    assert pve.calls('/nodes/*') == []
    assert len(pve.log) <= 6


def test_a_stand_alone_host(standin):
    report = check(connection(standin('pve-8.4.21-solo')))
    assert report.ok
    assert report.cluster_name is None
    assert (report.nodes_online, report.nodes_total, report.quorate) == (1, 1, True)
    assert failed(report) == {}


def test_a_restricted_token_works_and_its_missing_privileges_are_reported(standin):
    pve = standin('pve-9.2.11-cluster-restricted-token')
    report = check(connection(pve))
    assert (report.connected, report.ok) == (True, False)
    assert report.cluster_name is None
    assert report.quorate is None
    lines = failed(report)
    assert lines['VM.Audit on /vms'].required
    assert lines['Sys.Audit on /'].required
    assert not lines['Pool.Audit on /pool'].required
    assert f"pveum acl modify / --tokens '{pve.token_id}' --roles PVEAuditor" in lines['VM.Audit on /vms'].remedy


def test_each_command_is_shown_once_with_all_that_it_grants(standin):
    pve = standin(nodes=1, vms=1, containers=1)
    pve.revoke('*.Audit')
    lines = failed(check(connection(pve)))
    remedies = [line.remedy for line in lines.values() if 'pveum' in line.remedy]
    assert len(remedies) == 1
    granted = {label for label in lines if ' on /' in label}
    assert len(granted) > 5
    assert all(label in remedies[0] for label in granted)


def test_a_command_that_grants_one_privilege_says_no_more(standin):
    pve = standin(nodes=1, vms=1, containers=1)
    pve.revoke('Pool.Audit')
    (line,) = failed(check(connection(pve))).values()
    assert line.remedy.endswith('(a token never has more privileges than its user).')


@pytest.mark.parametrize(
    ('vms', 'nodes', 'detail'), [(1, 1, '1 guest on 1 node visible'), (2, 3, '2 guests on 3 nodes visible')]
)
def test_numbers_and_their_nouns(vms, nodes, detail, standin):
    report = check(connection(standin(nodes=nodes, vms=vms, containers=0)))
    assert next(line.detail for line in report.checks if line.label == 'Guests') == detail


def test_trouble_in_the_cluster(standin):
    pve = standin(CLUSTER)
    pve.node_offline('pve3')
    report = check(connection(pve))
    assert report.ok
    assert (report.nodes_online, report.nodes_total) == (2, 3)
    assert 'pve3' in failed(report)['Nodes'].detail
    pve.quorum(False)
    report = check(connection(pve))
    assert report.quorate is False
    assert (report.connected, report.ok) == (True, False)
    assert 'not quorate' in failed(report)['Cluster'].detail


@pytest.mark.parametrize('path', ['/access/permissions', '/access/acl', '/cluster/status', '/cluster/resources'])
@pytest.mark.parametrize('body', [None, {'data': None}, {'data': 'x'}, '<html>'])
def test_each_answer_missing_or_garbled(standin, path, body):
    pve = standin(CLUSTER)
    pve.fail(path, 500 if body is None else 200, 'got timeout', body=body)
    report = check(connection(pve))
    assert report.connected is (path != '/cluster/resources')
    assert bool(report.error) is not report.connected
    assert report.ok is not any(line.required for line in failed(report).values())
    assert failed(report)
    assert report.version == '9.2.11'


def test_an_empty_name_of_the_cluster_is_no_name(standin):
    pve = standin(CLUSTER)
    rows = [
        {'type': 'cluster', 'name': '', 'nodes': 1, 'quorate': 1},
        {'type': 'node', 'name': 'pve1', 'online': 1, 'ip': '10.0.0.1'},
    ]
    pve.fail('/cluster/status', 200, 'OK', body={'data': rows})
    assert check(connection(pve)).cluster_name is None


@pytest.mark.filterwarnings('ignore:Unverified HTTPS')
def test_unverified(standin):
    report = check(connection(standin(CLUSTER), tls_mode='off', fingerprint=''))
    assert report.ok
    line = failed(report)['Certificate']
    assert not line.required
    assert 'Not verified' in line.detail


class TestBadInput:
    def report(self, pve, **settings):
        report = check(connection(pve, **settings))
        assert (report.connected, report.ok) == (False, False)
        assert report.error
        assert report.remedy
        assert [line.label for line in report.checks] == ['Connection']
        assert report.error.count('\n') == 0
        return report

    def test_a_wrong_host(self, standin):
        assert 'cannot be resolved' in self.report(standin(CLUSTER), hosts=('no-such-host.invalid',)).error

    def test_no_host(self, standin):
        assert self.report(standin(CLUSTER), hosts=()).fingerprint is None

    def test_invalid_hosts(self, standin):
        assert 'is not a host' in self.report(standin(CLUSTER), hosts=('https://pve1:8006/',)).error

    def test_a_closed_port(self, standin):
        assert 'refused' in self.report(standin(CLUSTER), hosts=(f'127.0.0.1:{closed_port()}',)).error

    def test_plain_http(self, standin):
        from tests.pve import StandIn

        with StandIn(CLUSTER, tls=None) as plain:
            report = self.report(standin(CLUSTER), hosts=(f'127.0.0.1:{plain.port}',))
            assert 'TLS' in report.error
            assert plain.log == []

    def test_another_certificate(self, standin):
        pve = standin(CLUSTER)
        report = self.report(pve, fingerprint='AB' * 32)
        assert report.fingerprint == pve.fingerprint
        assert pve.fingerprint in report.error
        assert pve.log == []

    def test_a_self_signed_certificate(self, standin):
        pve = standin(CLUSTER)
        report = self.report(pve, tls_mode='system', fingerprint='')
        assert report.fingerprint == pve.fingerprint
        assert 'self-signed' in report.error

    def test_a_wrong_token(self, standin):
        report = self.report(standin(CLUSTER), token_secret='0a1b2c3d-0000-0000-0000-000000000000')
        assert 'does not accept the API token' in report.error
        assert '0a1b2c3d-0000' not in repr(report)

    @pytest.mark.parametrize('kind', ['html', 'nginx', 'json', 'broken'])
    def test_not_a_proxmox(self, standin, kind):
        pve = standin(CLUSTER)
        pve.impostor(kind)
        assert 'it is not Proxmox VE' in self.report(pve).error

    def test_an_old_version(self, standin):
        report = self.report(standin(version='6.4-15'))
        assert '6.4-15' in report.error
        assert 'Upgrade' in report.remedy


def test_through_a_proxy_no_certificate_is_fetched_directly(standin):
    """The host may not be reachable, and another one may answer at its address."""
    pve = standin(CLUSTER)
    proxies = {'https': f'http://127.0.0.1:{closed_port()}'}
    report = check(connection(pve, proxies=proxies))
    assert (report.connected, report.fingerprint) == (False, None)
    assert 'The proxy between NetBox and' in report.error
    assert pve.log == []
