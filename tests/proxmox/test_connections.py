"""
Which addresses are contacted: a name that means another address a moment later, an address in any spelling, an address
that stands for another one.

Tried besides: names with several addresses, some of them allowed; IPv4-mapped, IPv4-compatible, IPv4-translated, NAT64
(well-known and local prefixes), 6to4, Teredo, ISATAP; zones; decimal, octal, hexadecimal and shortened IPv4;
unspecified, multicast, broadcast, reserved; redirects; a lookup that does not end.
"""

import ipaddress
import re
import socket
import time
from pathlib import Path
from threading import Event, Timer

import pytest

import netbox_proxsync
from netbox_proxsync.proxmox import connections
from netbox_proxsync.proxmox.connections import AddressNotAllowedError, ContactPolicy, connect
from netbox_proxsync.proxmox.errors import APIError, CanceledError, HostUnreachableError, NotProxmoxError
from netbox_proxsync.proxmox.http.client import Connection, ProxmoxClient
from netbox_proxsync.proxmox.http.tls import fetch_fingerprint
from tests.stack import loopback

from .reading import THIS_MACHINE
from .servers import answering, serving

DENIED = ContactPolicy.parse(loopback.NETWORKS, ['127.0.0.2/32'])
# The same address as the C library understands it.
SPELLINGS = ('127.0.0.2', '127.2', '0x7f.2', '0177.0.0.2', '2130706434', '0x7f000002', '::ffff:127.0.0.2')


@pytest.fixture
def names(monkeypatch):
    """A DNS: {name: [addresses at the first lookup, at the second, ...]}; the last ones stay. Counts the lookups."""
    table: dict[str, list[list[str]]] = {}
    asked: list[str] = []
    real = socket.getaddrinfo

    def getaddrinfo(host, port, *args, flags=0, **kwargs):
        if host not in table or flags & socket.AI_NUMERICHOST:
            return real(host, port, *args, flags=flags, **kwargs)
        asked.append(host)
        answers = table[host]
        found = answers.pop(0) if len(answers) > 1 else answers[0]
        return [entry for address in found for entry in real(address, port, *args, **kwargs)]

    monkeypatch.setattr(connections.socket, 'getaddrinfo', getaddrinfo)
    table['asked'] = asked
    return table


def client(host: str, leaf, **settings) -> ProxmoxClient:
    values = {'tls_mode': 'fingerprint', 'fingerprint': leaf.fingerprint, 'timeout': 5, 'policy': THIS_MACHINE}
    return ProxmoxClient(Connection(hosts=(host,), token_id='netbox@pve!sync', token_secret='x', **(values | settings)))


def refused(policy: ContactPolicy, address: str) -> str:
    """Why an address may not be contacted; '' if it may."""
    try:
        policy.check(address, 8006, address)
    except AddressNotAllowedError as error:
        return str(error)
    return ''


class TestByDefault:
    @pytest.mark.parametrize(
        'address',
        [
            '10.77.0.12', '192.168.1.1', '172.16.0.1', '100.64.0.1', '203.0.113.9', '127.0.0.1', '::1', 'fd00::12',
            '2001:db8::12', '::ffff:10.77.0.12', '64:ff9b::10.77.0.12', '64:ff9b:1::10.77.0.12', '2002:a4d:c::1',
        ],
    )  # fmt: skip
    def test_nodes_are_contacted_wherever_they_are(self, address):
        assert refused(ContactPolicy(), address) == ''

    @pytest.mark.parametrize(
        'address',
        [
            '169.254.169.254', '169.254.170.2', '169.254.0.1', '100.100.100.200', '168.63.129.16', '192.0.0.192',
            'fd00:ec2::254', 'fd00:ec2::23', 'fd20:ce::254', 'fe80::1', 'fe80::1%eth0',
            '::ffff:169.254.169.254', '::169.254.169.254', '::ffff:0:169.254.169.254',
            '64:ff9b::169.254.169.254', '64:ff9b::a9fe:a9fe',
            # A local NAT64 with a prefix of 96, 64, 56 and 48 bits.
            '64:ff9b:1::169.254.169.254', '64:ff9b:1:0:a9:fea9:fe00:0', '64:ff9b:1:a9:fe:a9fe::',
            '64:ff9b:1:a9fe:a9:fe00::',
            '2002:a9fe:a9fe::1', '2001:0:a9fe:a9fe::1', '2001:db8::5efe:169.254.169.254',
            'fd00::200:5efe:169.254.169.254',
        ],
    )  # fmt: skip
    def test_link_local_and_metadata_addresses_are_not(self, address):
        assert 'denied_networks' in refused(ContactPolicy(), address)

    def test_teredo_hides_an_address_inverted(self):
        hidden = int(ipaddress.ip_address('169.254.169.254')) ^ 0xFFFFFFFF
        address = ipaddress.ip_address(int(ipaddress.ip_address('2001:0:c000:201::')) | hidden)
        assert '(169.254.169.254)' in refused(ContactPolicy(), str(address))

    @pytest.mark.parametrize(
        'address',
        ['0.0.0.0', '0.0.0.1', '::', '224.0.0.1', '239.1.2.3', 'ff02::1', '255.255.255.255', '240.0.0.1',
         '::ffff:0.0.0.0', '64:ff9b::255.255.255.255'],
    )  # fmt: skip
    def test_addresses_of_no_single_host_are_never_contacted(self, address):
        nothing_denied = ContactPolicy.parse(['0.0.0.0/0', '::/0'], [])
        for policy in (ContactPolicy(), nothing_denied):
            assert 'not the address of a single host' in refused(policy, address)


class TestSettings:
    @pytest.mark.parametrize(
        'address', ['10.77.0.12', '::ffff:10.77.0.12', '64:ff9b::10.77.0.12', '2001:db8::1', '128.0.0.1']
    )
    def test_only_allowed_networks(self, address):
        text = refused(ContactPolicy.parse(['127.0.0.0/8', '64:ff9b::/96'], []), address)
        assert address in text or '10.77.0.12' in text
        assert "allowed_networks in PLUGINS_CONFIG['netbox_proxsync']" in text

    @pytest.mark.parametrize('address', ['127.0.0.1', '127.255.255.254', '::ffff:127.0.0.9', '::1'])
    def test_allowed_addresses(self, address):
        assert refused(THIS_MACHINE, address) == ''

    def test_a_denied_network_can_be_allowed_again(self):
        assert refused(ContactPolicy.parse(['0.0.0.0/0'], []), '169.254.169.254') == ''

    def test_the_message_names_host_address_network_and_setting(self):
        with pytest.raises(AddressNotAllowedError) as caught:
            ContactPolicy().check('pve1.example.com', 8006, '169.254.169.254')
        assert str(caught.value) == (
            'NetBox is not allowed to contact pve1.example.com:8006: 169.254.169.254 is in 169.254.0.0/16, which is '
            "one of the denied_networks in PLUGINS_CONFIG['netbox_proxsync']. If NetBox should contact this address, "
            "remove 169.254.0.0/16 from denied_networks in PLUGINS_CONFIG['netbox_proxsync']."
        )


class TestConnections:
    @pytest.mark.parametrize('host', SPELLINGS)
    def test_no_spelling_of_a_denied_address_is_contacted(self, host, leaf, context):
        shown = f'[{host}]' if ':' in host else host
        with serving(answering(), context, address=('127.0.0.2', 0)) as server:
            # It would be reached by this spelling.
            assert fetch_fingerprint(f'{shown}:{server.port}', 5, THIS_MACHINE) == leaf.fingerprint
            before = server.connections
            with pytest.raises(AddressNotAllowedError, match=r'denied_networks'):
                fetch_fingerprint(f'{shown}:{server.port}', 5, DENIED)
            proxmox = client(f'{shown}:{server.port}', leaf, policy=DENIED)
            with proxmox, pytest.raises(AddressNotAllowedError, match=r'127\.0\.0\.2'):
                proxmox.version()
            assert proxmox.calls == 0
            assert server.connections == before

    def test_a_name_that_means_another_address_a_moment_later(self, names, leaf, context):
        """DNS rebinding: the address that was checked is the one that is connected to."""
        with (
            serving(answering(), context) as server,
            serving(answering(), context, address=('127.0.0.2', server.port)) as other,
        ):
            names['pve.example.com'] = [['127.0.0.1'], ['127.0.0.2']]
            with client(f'pve.example.com:{server.port}', leaf, policy=DENIED) as proxmox:
                assert proxmox.version().text == '9.2.11'
            assert names['asked'] == ['pve.example.com']
            assert (server.connections, other.connections) == (1, 0)
            # Every new connection is checked again.
            proxmox = client(f'pve.example.com:{server.port}', leaf, policy=DENIED)
            with proxmox, pytest.raises(AddressNotAllowedError, match=r'127\.0\.0\.2 is in'):
                proxmox.version()
            assert other.connections == 0

    def test_of_several_addresses_only_allowed_ones_are_contacted(self, names, leaf, context):
        with (
            serving(answering(), context) as server,
            serving(answering(), context, address=('127.0.0.2', server.port)) as other,
        ):
            names['pve.example.com'] = [['127.0.0.2', '169.254.169.254', '127.0.0.1']]
            with client(f'pve.example.com:{server.port}', leaf, policy=DENIED) as proxmox:
                assert proxmox.version().text == '9.2.11'
            assert other.connections == 0

    def test_an_address_that_does_not_answer_leaves_time_for_the_next(self, names, leaf, context):
        with serving(answering(), context) as server, socket.socket() as full:
            full.bind(('127.0.0.3', server.port))
            full.listen(0)
            with socket.socket() as first, socket.socket() as second:
                for waiting in (first, second):
                    waiting.setblocking(False)
                    waiting.connect_ex(('127.0.0.3', server.port))
                names['pve.example.com'] = [['127.0.0.3', '127.0.0.1']]
                with client(f'pve.example.com:{server.port}', leaf, timeout=2) as proxmox:
                    assert proxmox.version().text == '9.2.11'

    @pytest.mark.parametrize('status', ['301 Moved', '302 Found', '303 See Other', '307 Temporary', '308 Permanent'])
    @pytest.mark.parametrize('path', ['/version', '/nodes'])
    def test_a_redirect_is_not_followed(self, status, path, leaf, context):
        with serving(answering(), context, address=('127.0.0.2', 0)) as other:
            location = f'Location: https://127.0.0.2:{other.port}/api2/json{path}\r\n'
            with (
                serving(answering(b'', status, location), context) as server,
                client(server.host, leaf) as proxmox,
                pytest.raises((NotProxmoxError, APIError), match=status[:3]),
            ):
                proxmox.get(path[1:])
            assert other.connections == 0

    def test_a_lookup_that_does_not_end_takes_no_longer_than_a_call_may(self, monkeypatch, leaf):
        never = Event()
        real = socket.getaddrinfo

        def getaddrinfo(host, *args, flags=0, **kwargs):
            if not flags & socket.AI_NUMERICHOST:
                never.wait(20)
            return real(host, *args, flags=flags, **kwargs)

        monkeypatch.setattr(connections.socket, 'getaddrinfo', getaddrinfo)
        begin = time.monotonic()
        with (
            client('pve.example.com', leaf, timeout=1) as proxmox,
            pytest.raises(HostUnreachableError, match='1 seconds'),
        ):
            proxmox.version()
        with pytest.raises(HostUnreachableError, match='1 seconds'):
            fetch_fingerprint('pve.example.com', 1)
        with client('pve.example.com', leaf, timeout=20) as proxmox:
            Timer(0.3, proxmox.cancel).start()
            with pytest.raises(CanceledError):
                proxmox.version()
        assert time.monotonic() - begin < 5
        never.set()

    def test_addresses_that_cannot_be_connected_to(self):
        with pytest.raises(AddressNotAllowedError):
            connect('10.77.0.12', 8006, THIS_MACHINE, time.monotonic() + 1)
        with pytest.raises(TimeoutError):
            connect('127.0.0.1', 8006, THIS_MACHINE, time.monotonic() - 1)


def test_the_policy_is_asked_before_every_connection():
    """One module opens connections: nothing else in the plugin does, so that nothing can forget the policy."""
    opening = re.compile(r'create_connection|open_connection|sock\w*\.connect(_ex)?\(|urlopen|requests\.(get|post)')
    package = Path(*netbox_proxsync.__path__)
    found = {
        (str(path.relative_to(package)), line.strip())
        for path in package.rglob('*.py')
        for line in path.read_text().splitlines()
        if opening.search(line)
    }
    assert found == {
        ('proxmox/connections.py', 'sock.connect(address)'),
        # Of urllib3's pool, whose connections are opened by contacts.connect().
        ('proxmox/http/transport.py', 'response = self._pool.urlopen('),
    }
