"""What nodes print about their hardware, and the keys that people paste."""

import json

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, ed448
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import Unreadable, known
from netbox_proxsync.proxmox.ssh.errors import InvalidSSHSettingsError
from netbox_proxsync.proxmox.ssh.hardware import SSHSettings
from netbox_proxsync.proxmox.ssh.keys import load_private_key, parse_pins, with_confirmed
from netbox_proxsync.proxmox.ssh.parsers import NicFacts, parse_dmi, parse_links, parse_nic_facts
from netbox_proxsync.proxmox.ssh.session import shortened
from netbox_proxsync.proxmox.ssh.settings import check_address

from ..strategies import json_values, nearly, texts
from .outputs import (
    BONDED,
    BONDED_FACTS,
    DELL,
    GUESTS,
    OPEN_VSWITCH,
    OPEN_VSWITCH_FACTS,
    SINGLE,
    SINGLE_FACTS,
    WHITE_BOX,
    bond_member,
    card,
    link,
    printed,
)
from .servers import pem, private_key

NO_FACTS = NicFacts(speeds={})


def nics(output: str, facts: str = ''):
    return {nic.name: nic for nic in parse_links(output, parse_nic_facts(facts))}


def test_bond_members_have_their_own_permanent_mac():
    found = nics(BONDED, BONDED_FACTS)
    assert list(found) == ['eno1', 'eno2', 'enp3s0']
    assert [found[name].mac for name in ('eno1', 'eno2')] == ['A0:36:9F:12:34:56'] * 2
    assert [found[name].permanent_mac for name in ('eno1', 'eno2')] == ['A0:36:9F:12:34:56', 'A0:36:9F:12:34:58']
    assert [nic.speed_mbps for nic in found.values()] == [10000, 10000, None]


def test_the_mac_stored_by_the_bond_replaces_a_permanent_mac_that_the_driver_does_not_report():
    output = printed(
        card(2, 'ens18', 'bc:24:11:00:00:01', bond_member('bc:24:11:00:00:01'), master='bond0'),
        card(3, 'ens19', 'bc:24:11:00:00:01', bond_member('bc:24:11:00:00:02'), master='bond0'),
        card(4, 'ens20', 'bc:24:11:00:00:01', {'info_slave_kind': 'bond'}, master='bond0'),
    )
    found = nics(output)
    assert found['ens19'].permanent_mac == 'BC:24:11:00:00:02'
    # The address is the bond's: nothing tells whose it really is.
    assert isinstance(found['ens20'].permanent_mac, Unreadable)


def test_single_nic():
    found = nics(SINGLE, SINGLE_FACTS)
    assert list(found) == ['eno1']
    nic = found['eno1']
    assert (nic.mac, nic.permanent_mac, nic.speed_mbps) == ('3C:EC:EF:01:02:03', '3C:EC:EF:01:02:03', 1000)


def test_an_address_that_was_set_is_not_the_permanent_one():
    found = nics(printed(card(2, 'eno1', '02:00:00:00:00:01', permaddr='3c:ec:ef:01:02:03')))
    assert (found['eno1'].mac, found['eno1'].permanent_mac) == ('02:00:00:00:00:01', '3C:EC:EF:01:02:03')


def test_virtual_interfaces_of_guests_and_of_the_node_are_left_out():
    assert len(json.loads(GUESTS)) > 1500
    assert list(nics(GUESTS)) == ['eno1']


def test_nic_in_an_open_vswitch_bridge():
    found = nics(OPEN_VSWITCH, OPEN_VSWITCH_FACTS)
    assert list(found) == ['enp65s0f0']
    assert found['enp65s0f0'].permanent_mac == 'B8:CE:F6:00:11:22'
    assert found['enp65s0f0'].speed_mbps == 25000


def test_no_hardware_is_not_unread_hardware():
    assert parse_links(printed(), NO_FACTS) == ()
    assert parse_links('[]', NO_FACTS) == ()
    assert parse_links('[{},{}]', NO_FACTS) == ()


@pytest.mark.parametrize(
    'output',
    [
        '',
        'null',
        '{}',
        '7',
        BONDED[:-10],
        '[' * 100_000,
        '[{' * 100_000,
        '[{"ifname":null}]',
        '[{"link_type":"ether"}]',
    ],
)
def test_a_list_that_is_not_whole_is_none(output):
    assert isinstance(parse_links(output, NO_FACTS), Unreadable)


def test_all_zero_and_odd_addresses_are_none():
    found = nics(printed(*(card(i, f'e{i}', mac) for i, mac in enumerate(('00:00:00:00:00:00', '', '02:00', None)))))
    assert len(found) == 4
    assert {(nic.mac, nic.permanent_mac) for nic in found.values()} == {(None, None)}


@pytest.mark.parametrize(
    ('value', 'speed'),
    [
        ('10', 10),
        ('1000', 1000),
        ('400000', 400000),
        ('-1', None),
        ('0', None),
        ('65535', None),
        ('4294967295', None),
        ('', None),
        ('Invalid argument', None),
        ('٣', None),
        ('9' * 5000, None),
    ],
)
def test_speeds(value, speed):
    assert parse_nic_facts(f'/sys/class/net/eno1/speed:{value}\n').speeds.get('eno1') == speed


@pytest.mark.parametrize(
    'value',
    [
        'To Be Filled By O.E.M.',
        'To be filled by O.E.M. by More String',
        'Default string',
        'System Serial Number',
        'System Product Name',
        'System manufacturer',
        'Not Specified',
        'Not Applicable',
        'None',
        'N/A',
        'Unknown',
        'O.E.M.',
        '0',
        '00000000',
        '0123456789',
        '............',
        'xxxxxxxxxx',
        'FFFFFFFF',
        '-',
        '',
        '   ',
    ],
)
def test_values_that_were_not_filled_in(value):
    files = ('sys_vendor', 'product_name', 'product_serial')
    dmi = parse_dmi(''.join(f'/sys/class/dmi/id/{file}:{value}\n' for file in files), 'root')
    assert (dmi.manufacturer, dmi.product, dmi.serial) == (None, None, None)
    assert dmi.lines == 3


@pytest.mark.parametrize(
    'value',
    ['Supermicro', 'Standard PC (Q35 + ICH9, 2009)', 'X570D4U', '100', 'CZ2D0F00', 'System x3650 M5', 'NUC7', 'F'],
)
def test_values_that_mean_something(value):
    assert parse_dmi(f'/sys/class/dmi/id/product_name:  {value} \x00 \n', 'root').product == value


def test_dmi():
    dmi = parse_dmi(DELL, 'root')
    assert (dmi.manufacturer, dmi.product, dmi.serial) == ('Dell Inc.', 'PowerEdge R740', '7XK2M93')
    dmi = parse_dmi(WHITE_BOX, 'root')
    assert (dmi.manufacturer, dmi.product, dmi.serial) == (None, 'X570D4U', None)


def test_values_may_hold_colons():
    assert parse_dmi('/sys/class/dmi/id/product_name:A: B:C\n', 'root').product == 'A: B:C'


def test_a_machine_without_dmi():
    dmi = parse_dmi('', 'root')
    assert not any(known(reading) for reading in (dmi.manufacturer, dmi.product, dmi.serial))
    assert 'sys_vendor' in dmi.manufacturer.reason


# No text makes a parser fail


def mutilated(*samples: str) -> st.SearchStrategy[str]:
    """A real output with something else in the middle."""
    return st.builds(
        lambda sample, start, length, inserted: sample[:start] + inserted + sample[start + length :],
        st.sampled_from(samples),
        st.integers(0, 2000),
        st.integers(0, 50),
        texts,
    )


links = st.dictionaries(
    st.sampled_from(['ifname', 'link_type', 'address', 'permaddr', 'linkinfo', 'master']),
    json_values
    | st.sampled_from(['ether', 'eno1', 'a0:36:9f:12:34:56'])
    | st.dictionaries(
        st.sampled_from(['info_kind', 'info_slave_kind', 'info_slave_data']), json_values | st.just('bond')
    ),
)


@given(texts | nearly(BONDED, SINGLE_FACTS, DELL) | mutilated(BONDED, SINGLE, BONDED_FACTS, DELL, WHITE_BOX))
def test_no_text_makes_a_parser_fail(text):
    facts = parse_nic_facts(text)
    assert all(isinstance(speed, int) and speed > 0 for speed in facts.speeds.values())
    parse_links(text, facts)
    parse_links(text, Unreadable('not read'))
    dmi = parse_dmi(text, 'netbox')
    for reading in (dmi.manufacturer, dmi.product, dmi.serial):
        assert not known(reading) or reading is None or reading.isprintable()
    assert '\n' not in shortened(text)


@given(json_values | st.lists(links))
def test_no_json_makes_the_parser_of_links_fail(value):
    found = parse_links(json.dumps(value), NO_FACTS)
    if known(found):
        assert all(nic.name and (nic.mac is None or len(nic.mac) == 17) for nic in found)


def test_a_slice_of_a_list_never_passes_for_the_list():
    whole = parse_links(SINGLE, NO_FACTS)
    for end in range(len(SINGLE.rstrip())):
        assert isinstance(parse_links(SINGLE[:end], NO_FACTS), Unreadable)
    assert whole == parse_links(SINGLE.rstrip(), NO_FACTS)


# Keys and other settings


def refusal(function, *args) -> InvalidSSHSettingsError | None:
    try:
        function(*args)
    except InvalidSSHSettingsError as error:
        return error


@given(st.lists(texts | nearly('ssh-ed25519 AAAA', 'SHA256:', 'pve1 ssh-rsa AAAAB3NzaC1yc2E='), max_size=4))
def test_pins_are_read_or_refused(lines):
    error = refusal(parse_pins, lines)
    assert error is None or error.remedy


@given(texts | mutilated(pem('ed25519'), pem('rsa'), pem('ecdsa', 0, '', 'PKCS8'), pem('rsa', 0, 'x', 'PKCS8')))
def test_private_keys_are_read_or_refused_without_showing_them(text):
    error = refusal(load_private_key, text, None)
    assert error is None or error.remedy
    assert not any(line in str(error) for line in text.splitlines() if len(line) > 20)


@pytest.mark.parametrize(
    'line',
    [
        'pve1',
        'MD5:16:27:ac:a5:76:28:2d:36:63:1b:56:4d:eb:df:a6:48',
        'SHA256:tooshort',
        'pve1 ssh-dss AAAAB3NzaC1kc3M=',
        'pve1 ssh-ed25519',
        'pve1 ssh-ed25519 AAAA',
        f'pve1 ssh-rsa {private_key("ed25519").get_base64()}',
        f'pve1 ssh-ed25519 {private_key("ed25519").get_base64()[:40]}',
        f'|1|c2FsdA==|aGFzaA== ssh-ed25519 {private_key("ed25519").get_base64()}',
        f'@cert-authority * ssh-ed25519 {private_key("ed25519").get_base64()}',
        f'pve1,pve2 ssh-ed25519 {private_key("ed25519").get_base64()}AAAA',
    ],
)
def test_pins_that_are_none(line):
    with pytest.raises(InvalidSSHSettingsError, match=r'[Ll]ine 2 of the SSH host keys') as caught:
        parse_pins(('# a comment', line))
    assert 'ssh-keygen' in caught.value.remedy


@pytest.mark.parametrize(
    ('names', 'host', 'port', 'counts'),
    [
        ('pve1', 'pve1', 22, True),
        ('pve1', 'PVE1', 2222, True),
        ('pve1,10.0.0.1', '10.0.0.1', 22, True),
        ('[pve1]:2222', 'pve1', 2222, True),
        ('[pve1]:22', 'pve1', 22, True),
        ('[pve1]:2222', 'pve1', 22, False),
        ('[pve1]:22', 'pve1', 2222, False),
        ('pve2', 'pve1', 22, False),
        ('2001:DB8:0::1', '2001:db8::1', 22, True),
        ('[2001:db8::1]:2222', '2001:db8::1', 2222, True),
    ],
)
def test_which_host_a_pin_is_for(names, host, port, counts):
    key = private_key('ed25519')
    for pin in (f'{names} ssh-ed25519 {key.get_base64()} comment', f'{names} {key.fingerprint}'):
        assert parse_pins((pin,))[0].is_for(host, port) is counts


GOOD = {'user': 'root', 'password': 'secret'}


@pytest.mark.parametrize(
    ('settings', 'words'),
    [
        ({'password': None}, 'Neither'),
        ({'password': ''}, 'Neither'),
        ({'private_key': pem('ed25519')}, 'Both'),
        ({'user': ''}, 'user'),
        ({'user': 'root\n'}, 'user'),
        ({'port': 0}, 'not a port'),
        ({'port': 65536}, 'not a port'),
        ({'timeout': 0}, 'not a valid timeout'),
        ({'timeout': float('nan')}, 'not a valid timeout'),
        ({'host_keys': ('nonsense',)}, 'SSH host keys'),
        ({'password': None, 'private_key': 'nonsense'}, 'not in PEM form'),
        ({'password': None, 'private_key': pem('ed25519')[:150]}, 'damaged'),
        ({'password': None, 'private_key': pem('rsa', 0, '', 'PKCS8').replace('a', 'b')}, 'damaged'),
        ({'password': None, 'private_key': 'PuTTY-User-Key-File-3: ssh-ed25519'}, 'PuTTY'),
        ({'password': None, 'private_key': 'ssh-ed25519 AAAA root@pve1'}, 'public key'),
        ({'password': None, 'private_key': pem('ed25519', 0, 'geheim')}, 'is encrypted'),
        ({'password': None, 'private_key': pem('rsa', 0, 'geheim', 'PKCS8')}, 'is encrypted'),
        ({'password': None, 'private_key': pem('ed25519', 0, 'geheim'), 'passphrase': 'falsch'}, 'does not decrypt'),
        (
            {'password': None, 'private_key': pem('rsa', 0, 'geheim', 'PKCS8'), 'passphrase': 'falsch'},
            'does not decrypt',
        ),
    ],
)
def test_settings_that_cannot_be_used(settings, words):
    assert SSHSettings(**GOOD)
    with pytest.raises(InvalidSSHSettingsError, match=words) as caught:
        SSHSettings(**{**GOOD, **settings})
    assert caught.value.remedy
    assert not any(secret in str(caught.value) for secret in ('secret', 'geheim', 'falsch'))


@pytest.mark.parametrize('host', ['', 'pve1:22', 'root@pve1', '[::1]', '10.0.0.1/24'])
def test_invalid_hosts(host):
    with pytest.raises(InvalidSSHSettingsError, match='not a host'):
        check_address(host)


ED25519 = f'ssh-ed25519 {private_key("ed25519").get_base64()}'
OTHER = f'ssh-ed25519 {private_key("ed25519", 1).get_base64()}'


@pytest.mark.parametrize(
    ('before', 'confirmed', 'after'),
    [
        ('', [f'10.0.0.1 {ED25519} pve1'], f'10.0.0.1 {ED25519} pve1'),
        (f'# lab\n10.0.0.2 {OTHER}', [f'10.0.0.1 {ED25519}'], f'# lab\n10.0.0.2 {OTHER}\n10.0.0.1 {ED25519}'),
        (f'10.0.0.1 {OTHER}', [f'10.0.0.1 {ED25519}'], f'10.0.0.1 {ED25519}'),
        (f'10.0.0.1,pve1 {OTHER}', [f'10.0.0.1 {ED25519}'], f'pve1 {OTHER}\n10.0.0.1 {ED25519}'),
        (f'10.0.0.1 {OTHER}', [f'[10.0.0.1]:2222 {ED25519}'], f'[10.0.0.1]:2222 {ED25519}'),
        (f'2001:DB8:0::1 {OTHER}', [f'2001:db8::1 {ED25519}'], f'2001:db8::1 {ED25519}'),
        (OTHER, [f'10.0.0.1 {ED25519}'], f'{OTHER}\n10.0.0.1 {ED25519}'),
    ],
)
def test_a_confirmed_key_is_the_only_one_of_its_host(before, confirmed, after):
    assert with_confirmed(before, confirmed) == after


@pytest.mark.parametrize('line', ['', ED25519, f'*.example.com {ED25519}', '10.0.0.1 SHA256:' + 'A' * 43, 'x y z'])
def test_keys_that_cannot_be_confirmed(line):
    with pytest.raises(InvalidSSHSettingsError):
        with_confirmed('', [line])


def test_a_made_up_mac_is_not_a_permanent_one():
    output = printed(card(2, 'eno1', '02:00:00:00:00:01'), card(3, 'eno2', '02:00:00:00:00:02'))
    facts = parse_nic_facts('/sys/class/net/eno1/addr_assign_type:1\n/sys/class/net/eno2/addr_assign_type:0\n')
    assert [nic.permanent_mac for nic in parse_links(output, facts)] == [None, '02:00:00:00:00:02']


def test_a_key_of_a_type_that_is_not_supported():

    for key in (ed448.Ed448PrivateKey.generate(), ec.generate_private_key(ec.SECP256K1())):
        text = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        ).decode()
        with pytest.raises(InvalidSSHSettingsError, match='type that is not supported'):
            load_private_key(text, None)


def test_links_that_are_listed_twice_count_once():
    output = printed(card(2, 'eno1', '02:00:00:00:00:01'), link(3, 'eno1', '02:00:00:00:00:02'))
    assert [nic.mac for nic in parse_links(output, NO_FACTS)] == ['02:00:00:00:00:01']
