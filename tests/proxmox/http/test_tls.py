"""Who may see the token: four ways to prove a host, against real TLS servers."""

import socket
import ssl

import pytest

from netbox_proxsync.proxmox.errors import HostUnreachableError, InvalidConnectionError, NotProxmoxError, TLSError
from netbox_proxsync.proxmox.hosts import Host
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.http.tls import (
    TLSMode,
    fetch_fingerprint,
    normalize_fingerprint,
    tls_context,
    try_fetch_fingerprint,
)

from ..certificates import make_ca, make_leaf
from ..reading import THIS_MACHINE
from ..servers import Server, answering, closed_port, serving, speaking_http, speaking_ssh

SECRET = '0a1b2c3d-dead-beef-cafe-000000000001'


def version(server: Server | str, **settings: object) -> str:
    host = server if isinstance(server, str) else server.host
    connection = Connection(
        hosts=(host,), token_id='netbox@pve!sync', token_secret=SECRET, **{'timeout': 5, **settings}
    )
    with ProxmoxClient(connection) as client:
        return client.version().text


@pytest.fixture
def serve(tmp_path):
    """Start an HTTPS server with a certificate."""
    with_contexts = []

    def start(certificate, **settings):
        manager = serving(answering(), certificate.server_context(tmp_path), **settings)
        with_contexts.append(manager)
        return manager.__enter__()

    yield start
    for manager in with_contexts:
        manager.__exit__(None, None, None)


def test_system_authorities_are_those_of_the_operating_system(serve, ca, leaf, tmp_path, monkeypatch):
    server = serve(leaf)
    store = tmp_path / 'store.pem'
    store.write_text(ca.pem)
    monkeypatch.setenv('SSL_CERT_FILE', str(store))
    assert version(server) == '9.2.11'
    monkeypatch.setenv('SSL_CERT_FILE', '/dev/null')
    monkeypatch.setenv('SSL_CERT_DIR', '/dev/null')
    # The usual ways to change requests' mind, from the environment of the process, do nothing.
    monkeypatch.setenv('REQUESTS_CA_BUNDLE', str(store))
    with pytest.raises(TLSError):
        version(server)


def test_self_signed_is_refused_and_its_fingerprint_reported(serve):
    certificate = make_leaf(None, '127.0.0.1')
    server = serve(certificate)
    with pytest.raises(TLSError) as caught:
        version(server)
    assert caught.value.fingerprint == certificate.fingerprint
    assert 'self-signed' in caught.value.message
    assert certificate.fingerprint in caught.value.message
    assert 'pin it' in caught.value.remedy
    assert server.received == []


def test_own_ca_of_proxmox_is_accepted_though_it_lacks_a_key_usage(serve, ca, leaf):
    server = serve(leaf)
    strict = ssl.create_default_context(cadata=ca.pem)
    strict.verify_flags |= ssl.VERIFY_X509_STRICT
    with (
        socket.create_connection(('127.0.0.1', server.port)) as sock,
        pytest.raises(ssl.SSLCertVerificationError, match='key usage'),
    ):
        strict.wrap_socket(sock, server_hostname='127.0.0.1')
    assert version(server, tls_mode='ca', ca_certificate=ca.pem) == '9.2.11'
    context = tls_context(TLSMode.CA, ca.pem)
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


def test_a_given_ca_is_the_only_one_that_counts(serve, ca, leaf, tmp_path, monkeypatch):
    store = tmp_path / 'store.pem'
    store.write_text(ca.pem)
    monkeypatch.setenv('SSL_CERT_FILE', str(store))
    server = serve(leaf)
    with pytest.raises(TLSError):
        version(server, tls_mode='ca', ca_certificate=make_ca('Another').pem)
    assert server.received == []


@pytest.mark.parametrize(
    ('names', 'days', 'words'),
    [
        (('pve1.example.com',), (-1, 30), 'is for another name'),
        (('127.0.0.1',), (-30, -1), 'has expired'),
        (('127.0.0.1',), (1, 30), 'not valid yet'),
    ],
    ids=['hostname', 'expired', 'not yet valid'],
)
def test_the_ca_alone_is_not_enough(serve, ca, names, days, words):
    certificate = make_leaf(ca, *names, days=days)
    server = serve(certificate)
    with pytest.raises(TLSError, match=words) as caught:
        version(server, tls_mode='ca', ca_certificate=ca.pem)
    assert caught.value.fingerprint == certificate.fingerprint
    assert server.received == []


@pytest.mark.parametrize('text', ['', 'hello', '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n'])
def test_a_ca_that_is_none(text):
    with pytest.raises(InvalidConnectionError, match='CA certificate'):
        tls_context(TLSMode.CA, text)


@pytest.mark.parametrize('names', [('pve1.example.com',), ('127.0.0.1',)])
def test_a_pinned_certificate_needs_no_ca_and_no_name(serve, names):
    certificate = make_leaf(None, *names, days=(-30, -1))
    server = serve(certificate)
    for spelling in (certificate.fingerprint, certificate.fingerprint.lower().replace(':', '')):
        assert version(server, tls_mode='fingerprint', fingerprint=spelling) == '9.2.11'


def test_another_certificate_than_the_pinned_one_never_sees_the_token(serve, ca, leaf):
    pinned = make_leaf(None, '127.0.0.1')
    server = serve(leaf)
    with pytest.raises(TLSError) as caught:
        version(server, tls_mode='fingerprint', fingerprint=pinned.fingerprint)
    assert caught.value.fingerprint == leaf.fingerprint
    assert leaf.fingerprint in str(caught.value)
    assert 'renewed' in caught.value.remedy
    assert server.connections > 0
    assert server.received == []


@pytest.mark.filterwarnings('ignore:Unverified HTTPS')
def test_off_verifies_nothing(serve):
    server = serve(make_leaf(None, 'pve1.example.com', days=(-30, -1)))
    assert version(server, tls_mode='off') == '9.2.11'
    assert SECRET.encode() in server.received[0]


def test_fetching_a_fingerprint_sends_nothing(serve, leaf):
    server = serve(leaf)
    assert fetch_fingerprint(server.host, 5) == leaf.fingerprint
    assert server.received == []


def test_ipv6(serve, ca):
    certificate = make_leaf(ca, '::1')
    server = serve(certificate, family=socket.AF_INET6)
    host = f'[::1]:{server.port}'
    assert fetch_fingerprint(host, 5) == certificate.fingerprint
    assert version(host, tls_mode='ca', ca_certificate=ca.pem) == '9.2.11'


def test_a_fingerprint_that_is_not_needed_is_none_where_it_cannot_be_fetched():
    host = Host.parse(f'127.0.0.1:{closed_port()}')
    assert try_fetch_fingerprint(host, 5, THIS_MACHINE) is None


def test_fetching_a_fingerprint_where_there_is_none():
    with pytest.raises(HostUnreachableError, match='refused'):
        fetch_fingerprint(f'127.0.0.1:{closed_port()}', 5)
    with pytest.raises(HostUnreachableError, match='cannot be resolved'):
        fetch_fingerprint('no-such-host.invalid', 5)
    for handle in (speaking_ssh, speaking_http):
        with serving(handle) as server, pytest.raises(NotProxmoxError, match='does not speak TLS'):
            fetch_fingerprint(server.host, 5)


@pytest.mark.parametrize(
    'text',
    ['', 'AB:CD', '00' * 20, 'zz' * 32, ':'.join(['AB'] * 31)],
    ids=['empty', 'short', 'SHA-1', 'no digits', '31 bytes'],
)
def test_invalid_fingerprints(text):
    with pytest.raises(InvalidConnectionError, match='SHA-256'):
        normalize_fingerprint(text)


@pytest.mark.parametrize('text', ['ab' * 32, ':'.join(['aB'] * 32), ' '.join(['AB'] * 32), f'SHA256 {"ab" * 32}'])
def test_spellings_of_a_fingerprint(text):
    assert normalize_fingerprint(text) == ':'.join(['AB'] * 32)
