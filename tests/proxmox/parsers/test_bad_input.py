"""Invalid values in the configuration of a guest affect only this guest, and never another one."""

import json
import logging

import pytest

from netbox_proxsync.proxmox.inventory import Unreadable, known
from tests.proxmox.reading import read

GUEST = 100
CONFIG = f'/nodes/pve1/qemu/{GUEST}/config'


@pytest.fixture
def pve(standin):
    return standin('pve-9.2.11-cluster')


def of(inventory, vmid=GUEST):
    return next(guest for guest in inventory.guests if guest.vmid == vmid)


def answer(pve, **values):
    """Let the guest's configuration be answered with other values; the list of guests stays as it is."""
    config = pve.cluster.guest(GUEST).config | {'digest': '0' * 40} | values
    body = json.dumps({'data': {key: value for key, value in config.items() if value is not None}})
    pve.fail(CONFIG, 200, 'OK', body=body)


def others(inventory):
    return [guest for guest in inventory.guests if guest.vmid != GUEST]


@pytest.mark.parametrize(
    'wrong',
    [
        {'memory': float('nan')},
        {'memory': float('inf')},
        {'memory': 'lots'},
        {'memory': -1},
        {'memory': {'current': 1}},
        {'memory': '9' * 400},
        {'cores': 'two'},
        {'cores': []},
        {'sockets': 1.5},
        {'tags': 5.5e300},
        {'tags': ['a']},
        {'description': ['x']},
        {'net0': ['virtio=BC:24:11:00:00:01']},
        {'scsi0': 'size=8G'},
        {'onboot': 'perhaps'},
        {'template': 'maybe'},
    ],
    ids=lambda wrong: json.dumps(wrong)[:40],
)
def test_an_invalid_value_does_not_affect_other_values(pve, wrong):
    before = read(pve)
    answer(pve, **wrong)
    inventory = read(pve)
    guest = of(inventory)
    unread = list(guest.config.unreadable_parts())
    (key,) = wrong
    assert unread
    assert all(key in reason for _part, _of, reason in unread)
    names = {part for part, _of, _reason in unread} | {'nics', 'disks', 'boot_disk'}
    for name in ('memory', 'cores', 'sockets', 'description', 'start_on_boot', 'uuid', 'cpu_type', 'ostype', 'agent'):
        if name not in names:
            assert getattr(guest.config, name) == getattr(of(before).config, name)
    assert [nic.key for nic in guest.config.nics] == [nic.key for nic in of(before).config.nics]
    assert [disk.key for disk in guest.config.disks] == [disk.key for disk in of(before).config.disks]
    assert guest.template is False
    assert others(inventory) == others(before)
    assert inventory.guests_incomplete is None
    reported = [notice for notice in inventory.warnings if notice.subject == f'qemu/{GUEST}']
    assert any(key in notice.message for notice in reported)


@pytest.mark.parametrize('size', ['NaN', 'inf', '-5G', '1e3', '', '8Q', '9' * 30 + 'T', '8G8'])
def test_a_size_that_is_none_is_unknown(pve, size):
    answer(pve, scsi0=f'local-lvm:vm-100-disk-9,size={size}')
    disk = next(disk for disk in of(read(pve)).config.disks if disk.key == 'scsi0')
    assert isinstance(disk.size, Unreadable)


def test_notes_may_hold_anything(pve):
    notes = ''.join(map(chr, range(1, 0x500))) + '\x00\ud800\U0001f980' + '<script>alert(1)</script>'
    answer(pve, description=notes)
    # No database takes NUL or half a surrogate pair.
    assert of(read(pve)).config.description == notes.replace('\x00', ' ').replace('\ud800', '\ufffd')


def test_sixty_four_nics(pve):
    nics = {f'net{number}': f'virtio=BC:24:11:99:00:{number:02X},bridge=vmbr0' for number in range(64)}
    pve.set_config(GUEST, **nics)
    guest = of(read(pve))
    assert [nic.key for nic in guest.config.nics] == list(nics)
    assert set(guest.addresses) == set(nics)


def test_two_nics_of_one_mac_have_no_addresses_that_could_be_the_others(pve):
    answer(pve, net1=pve.cluster.guest(GUEST).config['net0'])
    guest = of(read(pve))
    assert known(guest.config)
    for found in (guest.addresses['net0'], guest.addresses['net1']):
        assert 'share the MAC address' in found.running.reason


def test_a_key_of_a_newer_version_is_retained_and_logged_once_without_its_value(standin, caplog):
    pve = standin(nodes=1, vms=5, containers=0)
    vmids = [guest.vmid for guest in pve.cluster.guests.values()]
    for vmid in vmids:
        nic = 'virtio=BC:24:11:99:00:01,bridge=vmbr0,warp=hunter2'
        pve.set_config(vmid, **{'quantum-bits': 'hunter2', 'net0': nic})
    with caplog.at_level(logging.INFO, logger='netbox_proxsync'):
        inventory = read(pve)
    for guest in inventory.guests:
        assert guest.config.extra == {'quantum-bits': 'hunter2'}
        assert guest.config.nics[0].extra == {'warp': 'hunter2'}
    logged = [record.getMessage() for record in caplog.records if 'does not understand' in record.getMessage()]
    assert len([text for text in logged if 'quantum-bits' in text]) == 1
    assert len([text for text in logged if 'netN warp' in text]) == 1
    assert 'hunter2' not in caplog.text


@pytest.mark.parametrize(('machine', 'cpu_type', 'default'), [('x86_64', 'kvm64', 'pc'), ('aarch64', 'host', 'virt')])
def test_defaults_depend_on_the_architecture_of_the_node(pve, machine, cpu_type, default):
    answer(pve, cpu=None, machine=None, arch=None, kvm=None)
    status = {'current-kernel': {'machine': machine, 'release': '6.14', 'sysname': 'Linux', 'version': '#1'}}
    pve.fail('/nodes/pve1/status', 200, 'OK', body=json.dumps({'data': status}))
    config = of(read(pve, options={'nodes': True})).config
    assert (config.cpu_type, config.machine) == (cpu_type, default)
