import time
from dataclasses import fields
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.inventory import GuestConfig, GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.config import parse_config
from netbox_proxsync.proxmox.parsers.qemu_defaults import with_defaults
from netbox_proxsync.proxmox.properties import ParseError

from ..recordings import NAMES, data, recording
from ..strategies import json_values, nearly, texts

MIB = 1024**2
QEMU, LXC = GuestType.QEMU, GuestType.LXC


# What neither type of guest has without a line for it.
BLANK = {
    'name': None, 'description': '', 'memory': 512 * MIB, 'min_memory': None, 'sockets': None, 'cores': None,
    'vcpus': None, 'cpulimit': None, 'start_on_boot': False, 'ostype': None, 'tags': (), 'template': False,
    'lock': None, 'nics': (), 'disks': (), 'boot_order': (), 'boot_disk': None, 'agent': False, 'uuid': None,
    'created': None, 'cpu_type': None, 'bios': None, 'machine': None, 'numa': None, 'architecture': None,
    'unprivileged': None, 'features': None,
}  # fmt: skip


def test_empty_virtual_machine_has_proxmox_defaults():
    expected = BLANK | {'sockets': 1, 'cores': 1, 'bios': 'seabios', 'numa': False}
    assert parse_config(QEMU, {}) == GuestConfig(**expected)


def test_empty_container_has_proxmox_defaults():
    assert parse_config(LXC, {}) == GuestConfig(**BLANK | {'architecture': 'amd64', 'unprivileged': False})


UUID = '3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f'


@pytest.mark.parametrize(
    ('guest_type', 'key', 'value', 'attribute', 'expected'),
    [
        (QEMU, 'name', 'web01', 'name', 'web01'),
        (QEMU, 'name', 123, 'name', '123'),
        (LXC, 'hostname', 'ct-web', 'name', 'ct-web'),
        (QEMU, 'memory', 2048, 'memory', 2048 * MIB),  # 7.x
        (QEMU, 'memory', '2048', 'memory', 2048 * MIB),
        (QEMU, 'memory', 'current=2048', 'memory', 2048 * MIB),
        (LXC, 'memory', 16, 'memory', 16 * MIB),
        (QEMU, 'balloon', 1024, 'min_memory', 1024 * MIB),
        (QEMU, 'balloon', 0, 'min_memory', None),
        (QEMU, 'sockets', '2', 'sockets', 2),
        (QEMU, 'cores', 128, 'cores', 128),
        (QEMU, 'cores', 0, 'cores', 1),
        (LXC, 'cores', 2, 'cores', 2),
        (QEMU, 'vcpus', 3, 'vcpus', 3),
        (QEMU, 'vcpus', 0, 'vcpus', None),
        (LXC, 'cpulimit', '1.5', 'cpulimit', Decimal('1.5')),
        (QEMU, 'cpulimit', 0, 'cpulimit', None),
        (QEMU, 'onboot', 1, 'start_on_boot', True),
        (QEMU, 'onboot', '0', 'start_on_boot', False),
        (QEMU, 'ostype', 'l26', 'ostype', 'l26'),
        (QEMU, 'tags', 'a;b,c d', 'tags', ('a', 'b', 'c', 'd')),
        (QEMU, 'tags', '', 'tags', ()),
        (QEMU, 'template', 1, 'template', True),
        (QEMU, 'template', '', 'template', False),
        (QEMU, 'template', None, 'template', False),
        (QEMU, 'lock', 'suspended', 'lock', 'suspended'),
        (QEMU, 'agent', '1', 'agent', True),
        (QEMU, 'agent', 1, 'agent', True),
        (QEMU, 'agent', '1,fstrim_cloned_disks=1', 'agent', True),
        (QEMU, 'agent', 'fstrim_cloned_disks=1,enabled=1', 'agent', True),
        (QEMU, 'agent', 'enabled=0', 'agent', False),
        (QEMU, 'agent', '0,fstrim_cloned_disks=1', 'agent', False),
        (QEMU, 'agent', 'fstrim_cloned_disks=1', 'agent', False),
        (QEMU, 'smbios1', f'uuid={UUID}', 'uuid', UUID),
        (
            QEMU,
            'smbios1',
            f'uuid={UUID.upper()},manufacturer=UHJveG1veA==,product=TGFi,serial=U04tMTAwLUFCQw==,base64=1',
            'uuid',
            UUID,
        ),
        (QEMU, 'smbios1', 'serial=abc', 'uuid', None),
        (QEMU, 'meta', 'creation-qemu=10.0.2,ctime=1754899200', 'created', 1754899200),
        (QEMU, 'meta', 'creation-qemu=6.1.0', 'created', None),
        (QEMU, 'cpu', 'x86-64-v2-AES', 'cpu_type', 'x86-64-v2-AES'),
        (QEMU, 'cpu', 'host,flags=+aes;-pcid', 'cpu_type', 'host'),
        (QEMU, 'cpu', 'flags=+aes,cputype=custom-mine', 'cpu_type', 'custom-mine'),
        (QEMU, 'kvm', 0, 'kvm', False),
        (QEMU, 'arch', 'aarch64', 'architecture', 'aarch64'),
        (QEMU, 'bios', 'ovmf', 'bios', 'ovmf'),
        (QEMU, 'machine', 'pc-q35-8.1', 'machine', 'pc-q35-8.1'),
        (QEMU, 'machine', 'type=q35,viommu=intel', 'machine', 'q35'),
        (QEMU, 'machine', 'viommu=virtio', 'machine', None),
        (QEMU, 'numa', 1, 'numa', True),
        (QEMU, 'cicustom', 'user=local:snippets/u.yml,network=local:snippets/n.yml', 'cloudinit_custom', True),
        (QEMU, 'cicustom', 'user=local:snippets/u.yml', 'cloudinit_custom', False),
        (LXC, 'arch', 'arm64', 'architecture', 'arm64'),
        (LXC, 'unprivileged', 1, 'unprivileged', True),
        (LXC, 'features', 'nesting=1,keyctl=1', 'features', 'keyctl=1,nesting=1'),
        # the answer is decoded already: what looks like an escape is the text
        (QEMU, 'description', 'Load: 100%25\nüñï ☃\n', 'description', 'Load: 100%25\nüñï ☃\n'),
        (LXC, 'description', 'a\0b\x1b', 'description', 'a\0b\x1b'),
    ],
)
def test_key(guest_type, key, value, attribute, expected):
    config = parse_config(guest_type, {key: value})
    assert getattr(config, attribute) == expected
    assert config.extra == {}


def test_cloud_init_is_retained_by_nic_number():
    config = parse_config(
        QEMU, {'ipconfig10': 'ip=dhcp,ip6=auto', 'ipconfig2': 'ip=10.0.0.5/24,gw=10.0.0.1', 'ipconfig0': 'a=1,a=2'}
    )
    assert list(config.cloudinit) == [0, 2, 10]
    assert config.cloudinit[2] == {'ip': '10.0.0.5/24', 'gw': '10.0.0.1'}
    assert config.cloudinit[10] == {'ip': 'dhcp', 'ip6': 'auto'}
    assert config.cloudinit[0] == Unreadable('"ipconfig0" cannot be read: \'a\' is given twice.')


def test_nics_and_disks_are_in_natural_order():
    config = parse_config(QEMU, data('pve-9.2.11-cluster', '/nodes/pve3/qemu/105/config?current=1'))
    assert [nic.key for nic in config.nics] == [f'net{n}' for n in range(32)]
    assert [disk.key for disk in config.disks] == [f'scsi{n}' for n in range(31)] + [f'virtio{n}' for n in range(16)]


def test_running_values_differ_from_pending_ones():
    path = '/nodes/pve1/qemu/100/config'
    running, pending = (parse_config(QEMU, data('pve-9.2.11-cluster', path + query)) for query in ('?current=1', ''))
    assert (running.cores, running.memory, len(running.nics)) == (2, 2048 * MIB, 3)
    assert (pending.cores, pending.memory, len(pending.nics)) == (4, 4096 * MIB, 2)


def test_container_with_everything():
    config = parse_config(LXC, data('pve-8.4.21-solo', '/nodes/pveold8/lxc/200/config?current=1'))
    assert (config.name, config.memory, config.cores, config.tags) == ('ct-web', 1024 * MIB, 2, ('prod',))
    assert (config.unprivileged, config.features, config.architecture) == (True, 'keyctl=1,nesting=1', 'amd64')
    assert [disk.key for disk in config.disks] == ['rootfs', 'mp0', 'mp1']
    assert isinstance(config.disks[2].size, Unreadable)
    assert config.boot_disk == 'rootfs'
    assert config.extra == {}


@pytest.mark.parametrize('name', NAMES)
def test_every_recorded_configuration_is_understood(name):
    seen = 0
    for path, answer in recording(name).items():
        parts = path.split('?')[0].split('/')
        if parts[-1] == 'config' and parts[3:4] in (['qemu'], ['lxc']) and answer['status'] == 200:
            config = parse_config(GuestType(parts[3]), answer['body']['data'])
            assert config.extra == {}, path
            assert {part for part, _of, _reason in config.unreadable_parts()} <= {'size'}, path
            seen += 1
    assert seen >= 6


@pytest.mark.parametrize('raw', [None, [], '', 'name: web01', 5, [['name', 'web01']]])
def test_a_configuration_that_is_not_a_mapping_is_garbled(raw):
    with pytest.raises(ParseError):
        parse_config(QEMU, raw)


@pytest.mark.parametrize(
    ('key', 'value', 'attribute', 'reason'),
    [
        ('cpulimit', -1, 'cpulimit', '"cpulimit" cannot be read: -1 is negative.'),
        ('agent', 'enabled=', 'agent', '"agent" cannot be read: \'enabled\' has no value.'),
        ('machine', 'q35,type=pc', 'machine', '"machine" cannot be read: \'type\' is given twice.'),
        ('smp', 'x', 'sockets', '"smp" cannot be read: \'x\' is not a whole number.'),
    ],
)
def test_a_value_that_cannot_be_read_states_the_reason(key, value, attribute, reason):
    assert getattr(parse_config(QEMU, {key: value}), attribute) == Unreadable(reason)


def unread(config) -> set[tuple[str, str]]:
    return {(part, of) for part, of, _reason in config.unreadable_parts()}


NEIGHBORS = {
    QEMU: {
        'name': 'web01', 'memory': 1024, 'cores': 2, 'sockets': 3, 'onboot': 1, 'ostype': 'l26', 'tags': 'a',
        'description': 'notes', 'net0': 'virtio=BC:24:11:00:01:00,bridge=vmbr0', 'scsi0': 'tank:vm-1-disk-0,size=8G',
        'boot': 'order=scsi0', 'agent': '1', 'cpu': 'host', 'machine': 'q35', 'smbios1': f'uuid={UUID}',
    },
    LXC: {
        'hostname': 'ct-web', 'memory': 1024, 'cores': 2, 'onboot': 1, 'ostype': 'debian', 'tags': 'a',
        'description': 'notes', 'net0': 'name=eth0,hwaddr=BC:24:11:00:01:00', 'rootfs': 'tank:subvol-1-disk-0,size=8G',
        'features': 'nesting=1', 'unprivileged': 1,
    },
}  # fmt: skip


@pytest.mark.parametrize(
    ('guest_type', 'key', 'value', 'parts'),
    [
        (QEMU, 'memory', 'NaN', {('memory', '')}),
        (QEMU, 'memory', float('nan'), {('memory', '')}),
        (QEMU, 'memory', -5, {('memory', '')}),
        (QEMU, 'memory', [], {('memory', '')}),
        (QEMU, 'cores', 'many', {('cores', '')}),
        (QEMU, 'sockets', {}, {('sockets', '')}),
        (QEMU, 'vcpus', -1, {('vcpus', '')}),
        (QEMU, 'onboot', 'perhaps', {('start_on_boot', '')}),
        (QEMU, 'tags', ['a'], {('tags', '')}),
        (QEMU, 'description', {'a': 1}, {('description', '')}),
        (QEMU, 'name', [], {('name', '')}),
        (QEMU, 'lock', [], {('lock', '')}),
        (QEMU, 'template', 'maybe', {('template', '')}),
        (QEMU, 'agent', 'perhaps', {('agent', '')}),
        (QEMU, 'smbios1', 'uuid=nonsense', {('uuid', '')}),
        (QEMU, 'meta', 'ctime=yesterday', {('created', '')}),
        (QEMU, 'cpu', 'flags=+aes', {('cpu_type', '')}),
        (QEMU, 'numa', '7', {('numa', '')}),
        (QEMU, 'kvm', 'x', {('kvm', '')}),
        (QEMU, 'boot', ['scsi0'], {('boot_order', ''), ('boot_disk', '')}),
        (QEMU, 'cicustom', 'user=a,=b', {('cloudinit_custom', '')}),
        (QEMU, 'ipconfig0', 'ip', {('ipconfig', '0')}),
        (QEMU, 'net0', None, {('nic', 'net0')}),
        (QEMU, 'net0', ['virtio'], {('nic', 'net0')}),
        (QEMU, 'scsi1', 5.5e300, {('disk', 'scsi1')}),
        (QEMU, 'scsi1', 'size=5G', {('disk', 'scsi1')}),
        (LXC, 'memory', 0, {('memory', '')}),
        (LXC, 'memory', 'lots', {('memory', '')}),
        (LXC, 'cores', 'abc', {('cores', '')}),
        (LXC, 'cpulimit', 'x', {('cpulimit', '')}),
        (LXC, 'onboot', 'maybe', {('start_on_boot', '')}),
        (LXC, 'template', 'maybe', {('template', '')}),
        (LXC, 'unprivileged', 'x', {('unprivileged', '')}),
        (LXC, 'features', 'nesting', {('features', '')}),
        (LXC, 'features', 'nesting=maybe', {('features', '')}),
        (LXC, 'features', 'nesting=1,nesting=0', {('features', '')}),
        (LXC, 'rootfs', 'size=8G', {('disk', 'rootfs')}),
        (LXC, 'rootfs', 'tank:subvol-1-disk-0,size=8G,size=9G', {('size', 'rootfs')}),
        (LXC, 'mp0', 'tank:subvol-1-disk-1,mp=/a,mp=/b,size=8G', {('mount_point', 'mp0')}),
        (LXC, 'net0', 'name=eth0,hwaddr=BC:24:11:00:01:00,tag=5,tag=6', {('vlan_tag', 'net0')}),
        (LXC, 'net0', 'name=eth0,name=eth1,hwaddr=BC:24:11:00:01:00', {('name', 'net0')}),
        (LXC, 'net0', 'veth', {('nic', 'net0')}),
    ],
)
def test_one_bad_value_does_not_spoil_its_neighbors(guest_type, key, value, parts):
    good = parse_config(guest_type, NEIGHBORS[guest_type])
    bad = parse_config(guest_type, NEIGHBORS[guest_type] | {key: value})
    assert not unread(good)
    # A line that cannot be read at all is reported once.
    assert unread(bad) == parts
    assert all(key in reason for _part, _of, reason in bad.unreadable_parts())
    attributes = {part for part, of in parts if not of}
    for field in fields(GuestConfig):
        # Of a drive that cannot be read it is not known whether it is the one for cloud-init.
        if field.name not in attributes | {'nics', 'disks', 'cloudinit', 'cloudinit_drive'}:
            assert getattr(bad, field.name) == getattr(good, field.name)
    # What a configuration has a line of exists, whether it can be read or not.
    assert {nic.key for nic in bad.nics} == {'net0'}
    assert {disk.key for disk in bad.disks} == {disk.key for disk in good.disks} | ({key} & {'scsi1', 'mp0'})


@pytest.mark.parametrize(
    ('key', 'value', 'attribute', 'expected'),
    [
        # Perl takes every number but 0 for true; only a template has to be 1.
        ('unprivileged', 2, 'unprivileged', True),
        ('unprivileged', '2', 'unprivileged', True),
        ('unprivileged', '0', 'unprivileged', False),
        ('onboot', 2, 'start_on_boot', True),
        ('template', 2, 'template', False),
        ('template', 'yes', 'template', True),
        ('features', 'nesting=on', 'features', 'nesting=1'),
        ('features', 'nesting=yes,keyctl=off,fuse=TRUE', 'features', 'fuse=1,keyctl=0,nesting=1'),
        ('features', 'mount=nfs;cifs,nesting=1', 'features', 'mount=nfs;cifs,nesting=1'),
    ],
)
def test_values_of_containers_that_proxmox_hands_out_as_they_are(key, value, attribute, expected):
    assert getattr(parse_config(LXC, {key: value}), attribute) == expected


@pytest.mark.parametrize(
    ('keys', 'sockets'),
    [({'smp': 4}, 4), ({'smp': '4', 'sockets': 2}, 2), ({'smp': 4, 'sockets': 0}, 4), ({'smp': 0}, 1), ({}, 1)],
)
def test_smp_is_the_old_name_of_sockets(keys, sockets):
    config = parse_config(QEMU, keys | {'cores': 2})
    assert (config.sockets, config.cores, config.extra) == (sockets, 2, {})


@pytest.mark.parametrize(
    ('line', 'expected'),
    [
        ('ip=dhcp,gw=10.0.0.1', {}),
        ('ip6=auto,gw6=2001:db8::1', {}),
        ('gw=10.0.0.1', {}),
        ('ip=10.0.0.5/24,ip6=dhcp,gw6=2001:db8::1', {}),
        ('ip=10.0.0.5/24,gw=10.0.0.1', {'ip': '10.0.0.5/24', 'gw': '10.0.0.1'}),
    ],
)
def test_a_gateway_beside_no_address_makes_proxmox_ignore_the_line(line, expected):
    assert parse_config(QEMU, {'ipconfig0': line}).cloudinit == {0: expected}


@pytest.mark.parametrize(
    ('keys', 'version', 'host', 'cpu_type', 'machine'),
    [
        ({}, '9.2.11', None, 'kvm64', 'pc'),
        ({}, '7.4-20', 'x86_64', 'kvm64', 'pc'),
        ({'kvm': 0}, '9.2.11', 'x86_64', 'qemu64', 'pc'),
        ({'arch': 'x86_64'}, '9.2.11', 'x86_64', 'kvm64', 'pc'),
        ({'arch': 'aarch64'}, '7.4-20', None, 'cortex-a57', 'virt'),
        ({'arch': 'aarch64'}, '8.4.21', 'x86_64', 'cortex-a57', 'virt'),
        ({'arch': 'aarch64'}, '9.2.8', 'x86_64', 'cortex-a57', 'virt'),
        ({'arch': 'aarch64'}, '9.2.9', 'x86_64', 'max', 'virt'),
        ({'arch': 'aarch64'}, '10.0.1', 'x86_64', 'max', 'virt'),
        ({'arch': 'aarch64', 'kvm': 1}, '9.2.11', 'x86_64', 'host', 'virt'),
        ({'arch': 'aarch64'}, '9.2.11', 'aarch64', 'host', 'virt'),
        ({'arch': 'aarch64', 'kvm': 0}, '9.2.11', 'aarch64', 'max', 'virt'),
        ({}, '9.2.11', 'aarch64', 'host', 'virt'),
        ({'kvm': 0}, '9.2.11', 'aarch64', 'max', 'virt'),
        ({}, '8.4.21', 'aarch64', 'cortex-a57', 'virt'),
        ({'arch': 'x86_64'}, '9.2.11', 'aarch64', 'qemu64', 'pc'),
        ({'arch': 'x86_64', 'kvm': 1}, '9.2.11', 'aarch64', 'kvm64', 'pc'),
        ({'cpu': 'host', 'machine': 'q35'}, '9.2.11', 'aarch64', 'host', 'q35'),
    ],
)
def test_defaults_of_cpu_and_machine(keys, version, host, cpu_type, machine):
    config = with_defaults(parse_config(QEMU, keys), version, host)
    assert (config.cpu_type, config.machine) == (cpu_type, machine)


@pytest.mark.parametrize('keys', [{'arch': []}, {'arch': 'vax'}])
def test_a_default_that_depends_on_what_cannot_be_read_is_unknown(keys):
    config = with_defaults(parse_config(QEMU, keys), '9.2.11', 'x86_64')
    assert isinstance(config.machine, Unreadable)
    assert with_defaults(parse_config(QEMU, keys | {'machine': 'q35'}), '9.2.11', None).machine == 'q35'


def test_keys_of_a_newer_version_are_retained_as_text():
    config = parse_config(QEMU, {'memory': 1024, 'quantum': '1,qubits=7', 'news': {'b': [1], 'a': None}})
    assert config.memory == 1024 * MIB
    assert config.extra == {'quantum': '1,qubits=7', 'news': '{"a": null, "b": [1]}'}


def test_keys_that_may_hold_secrets_are_not_retained():
    secrets = {'cipassword': '**********', 'args': '-vnc :1,password=on', 'sshkeys': 'ssh-ed25519 AAAA'}
    assert parse_config(QEMU, secrets).extra == {}
    assert parse_config(LXC, {'env': 'PASSWORD=hunter2'}).extra == {}


def test_large_configuration_takes_but_a_moment():
    raw = {f'net{n}': f'virtio=BC:24:11:00:05:{n:02X},bridge=vmbr0,tag={n + 1}' for n in range(64)}
    raw |= {'description': 'x, y=z;\n' * 1_310_720, 'tags': 'a;' * 10_000}
    started = time.perf_counter()
    config = parse_config(QEMU, raw)
    assert time.perf_counter() - started < 1
    assert [nic.vlan_tag for nic in config.nics] == list(range(1, 65))
    assert len(config.description) == 10 * MIB


DEVICE_KEYS = ('net0', 'net1', 'scsi0', 'ide2', 'rootfs', 'mp0', 'ipconfig0', 'boot', 'bootdisk', 'lxc')
VALUE_KEYS = (
    'agent', 'arch', 'balloon', 'bios', 'cicustom', 'cores', 'cpu', 'cpulimit', 'description', 'features', 'hostname',
    'kvm', 'lock', 'machine', 'memory', 'meta', 'name', 'numa', 'onboot', 'ostype', 'smbios1', 'smp', 'sockets', 'tags',
    'template', 'unprivileged', 'vcpus',
)  # fmt: skip
KNOWN_KEYS = st.sampled_from(sorted({*VALUE_KEYS, *DEVICE_KEYS}))
VALUES = json_values | nearly(
    'order=scsi0;ide2;net0',
    'uuid=3b8e7d8c-4d6a-4f6b-8d77-0a1b2c3d4e5f,base64=1',
    'local-lvm:vm-100-disk-1,size=32G',
    'name=eth0,ip=10.0.0.1/24',
    'current=2048',
)


@pytest.mark.parametrize('guest_type', GuestType)
@given(raw=st.dictionaries(KNOWN_KEYS | texts, VALUES, max_size=6) | json_values)
def test_configuration_or_garbled(guest_type, raw):
    try:
        config = parse_config(guest_type, raw)
    except ParseError:
        assert not isinstance(raw, dict)
        return
    assert isinstance(config.memory, Unreadable) or config.memory > 0
    assert not config.boot_disk or config.boot_disk in raw
    assert all(isinstance(value, str) for value in config.extra.values())
    assert all(isinstance(reason, str) for _part, _of, reason in config.unreadable_parts())
