"""What nodes tell of themselves: hardware, versions, certificates."""

import contextlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import NodeFacts
from netbox_proxsync.proxmox.parsers.node_facts import certificate_served, parse_certificates, parse_node_facts
from netbox_proxsync.proxmox.properties import ParseError
from netbox_proxsync.proxmox.readings import Unreadable

from ..recordings import data
from ..strategies import json_values

OLD = {  # 7.4, with numbers as text
    'pveversion': 'pve-manager/7.4-20/14a22df35955d97d',
    'kversion': 'Linux 5.15.108-1-pve #1 SMP PVE 5.15.108-1 (2023-06-17T09:41Z)',
    'cpuinfo': {'model': 'AMD EPYC', 'sockets': '2', 'cpus': '64'},
    'memory': {'total': '270000000000'},
    'rootfs': {'total': 100000000000},
}
CERTIFICATE = {'filename': 'pve-ssl.pem', 'notafter': 1858456599, 'fingerprint': 'aa:bb', 'subject': '/CN=pve1'}


def test_a_recorded_node():
    facts = parse_node_facts(data('pve-9.2.11-cluster', '/nodes/pve1/status'))
    assert facts == NodeFacts(
        version='9.2.11',
        cpu_model='Intel(R) Xeon(R) Processor',
        cpu_sockets=1,
        cpus=2,
        memory=25276063744,
        rootfs=2147483648,
        architecture='x86_64',
    )


def test_version_7():
    assert parse_node_facts(OLD) == NodeFacts(
        version='7.4-20',
        cpu_model='AMD EPYC',
        cpu_sockets=2,
        cpus=64,
        memory=270000000000,
        rootfs=100000000000,
    )


def test_missing_facts_are_none():
    facts = parse_node_facts({'cpuinfo': None, 'pveversion': ''})
    assert {getattr(facts, name) for name in NodeFacts.__slots__} == {None}


@pytest.mark.parametrize('status', [None, [], 'x'])
def test_a_status_that_is_not_a_map(status):
    with pytest.raises(ParseError):
        parse_node_facts(status)


@pytest.mark.parametrize(
    ('change', 'attributes'),
    [
        ({'cpuinfo': []}, 'cpu_model cpu_sockets cpus'),
        ({'cpuinfo': {'model': [], 'sockets': 2, 'cpus': 64}}, 'cpu_model'),
        ({'memory': {'total': 'NaN'}}, 'memory'),
        ({'rootfs': {'total': -5}}, 'rootfs'),
        ({'pveversion': {}}, 'version'),
    ],
    ids=str,
)
def test_a_fact_that_cannot_be_read_spoils_no_other(change, attributes):
    found, usual = parse_node_facts(OLD | change), parse_node_facts(OLD)
    for name in NodeFacts.__slots__:
        if name in attributes.split():
            assert isinstance(getattr(found, name), Unreadable)
        elif name != 'cpu_model':
            assert getattr(found, name) == getattr(usual, name)


def test_certificates_of_a_recorded_node():
    rows = {row['filename']: row for row in data('pve-8.4.21-solo', '/nodes/pveold8/certificates/info')}
    found = parse_certificates(list(rows.values()))
    assert [certificate.filename for certificate in found] == ['pve-root-ca.pem', 'pve-ssl.pem']
    for certificate in found:
        row = rows[certificate.filename]
        assert (certificate.fingerprint, certificate.subject, certificate.expires) == (
            *(row['fingerprint'], row['subject']),
            row['notafter'],
        )
    assert certificate_served(found).filename == 'pve-ssl.pem'


def test_an_own_certificate_is_served_first():
    rows = [CERTIFICATE, CERTIFICATE | {'filename': 'pveproxy-ssl.pem', 'notafter': '99'}]
    served = certificate_served(parse_certificates(rows))
    assert (served.filename, served.expires) == ('pveproxy-ssl.pem', 99)
    assert certificate_served(()) is None


def test_a_certificate_without_file_name_spoils_the_list():
    with pytest.raises(ParseError):
        parse_certificates([CERTIFICATE | {'filename': None}])


@pytest.mark.parametrize(
    ('change', 'attribute'),
    [
        ({'notafter': None}, 'expires'),
        ({'notafter': 10**18}, 'expires'),
        ({'subject': []}, 'subject'),
        ({'fingerprint': {}}, 'fingerprint'),
    ],
)
def test_a_value_of_a_certificate_that_cannot_be_read_spoils_no_other(change, attribute):
    (found,), (usual,) = parse_certificates([CERTIFICATE | change]), parse_certificates([CERTIFICATE])
    assert isinstance(getattr(found, attribute), Unreadable)
    assert replace(found, **{attribute: getattr(usual, attribute)}) == usual


@pytest.mark.parametrize('parse', [parse_node_facts, parse_certificates])
@given(value=json_values)
def test_any_answer_is_read_or_garbled(parse, value):
    with contextlib.suppress(ParseError):
        parse(value)


@given(
    st.fixed_dictionaries({}, optional=dict.fromkeys(OLD, json_values)),
    st.fixed_dictionaries({}, optional=dict.fromkeys(CERTIFICATE, json_values)),
)
def test_any_values_are_read_or_garbled(facts, certificate):
    for parse, value in ((parse_node_facts, facts), (parse_certificates, [certificate])):
        with contextlib.suppress(ParseError):
            parse(value)
