"""
Configuration lines as Proxmox VE's own parsers read them.

Each row of `configurations.json` has the lines of a configuration file, what the API answers for them, and what Proxmox
VE makes of them, as attributes of the inventory. The facts were found by running the parsers of qemu-server 7.4-7,
8.4.10 and 9.2.6 (parse_vm_config, parse_net, parse_drive, parse_ipconfig, device_bootorder, ...) and of pve-container
4.4-7, 5.3.5 and 6.1.10 (parse_pct_config, parse_lxc_network, parse_volume, parse_features); they are facts about those
programs, and none of their code is here. What an option of a container means to a version that does not know it yet is
not asked.

Values: 'absent': there is no such device; qemu-server leaves lines out that it cannot parse. 'no disk': a CD-ROM, a
cloud-init drive or an empty tray. 'refused': pve-container hands the value out and cannot parse it itself; so the
value, or a part of the device, is unknown.
"""

import json
from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from netbox_proxsync.proxmox.inventory import GuestConfig, GuestType, Unreadable
from netbox_proxsync.proxmox.parsers.config import parse_config
from netbox_proxsync.proxmox.parsers.qemu_defaults import with_defaults

ROWS = json.loads((Path(__file__).parent / 'configurations.json').read_text())
PATCH_LEVELS = {'7.4': '7.4-20', '8.4': '8.4.21', '9.2': '9.2.11'}
CASES = [(version, row) for row in ROWS for version in row['versions']]


def plain(value: Any) -> Any:
    """As JSON has it."""
    match value:
        case tuple():
            return [plain(element) for element in value]
        case Decimal():
            return float(value)
    return value


def device(config: GuestConfig, key: str) -> Any:
    return next((found for found in (*config.nics, *config.disks) if found.key == key), None)


def unread(found: Any) -> bool:
    return any(isinstance(getattr(found, name), Unreadable) for name in type(found).__dataclass_fields__)


def differences(config: GuestConfig, facts: dict[str, Any]) -> list[str]:
    """Where the configuration as we read it is not what Proxmox VE makes of it."""
    found = []
    for name, expected in facts.items():
        if hasattr(config, name):
            value = getattr(config, name)
            if isinstance(value, Unreadable) != (expected == 'refused') or (
                expected != 'refused' and plain(value) != expected and (name != 'extra' or value)
            ):
                found.append(f'{name}: {value!r}, not {expected!r}')
        elif name.startswith('cloudinit.'):
            value = config.cloudinit.get(int(name.partition('.')[2]), 'absent')
            if value != expected:
                found.append(f'{name}: {value!r}, not {expected!r}')
        elif expected in ('absent', 'no disk'):
            if device(config, name) is not None:
                found.append(f'{name} is there')
        elif expected == 'refused':
            if device(config, name) is None or not unread(device(config, name)):
                found.append(f'{name} is read')
        else:
            there = device(config, name)
            for attribute, value in expected.items():
                seen = getattr(there, attribute)
                seen = None if attribute == 'size' and isinstance(seen, Unreadable) else plain(seen)
                if seen != value:
                    found.append(f'{name}.{attribute}: {seen!r}, not {value!r}')
    return found


@pytest.mark.parametrize(
    ('version', 'row'),
    CASES,
    ids=[f'{version} {row["type"]} {" | ".join(row["lines"][-2:])}' for version, row in CASES],
)
def test_a_line_is_read_as_proxmox_reads_it(version, row):
    config = parse_config(GuestType(row['type']), row['answer'])
    config = with_defaults(config, PATCH_LEVELS[version], 'x86_64') if row['type'] == 'qemu' else config
    assert not differences(config, row['facts'])


def test_the_table_has_every_version_and_kind_of_line():
    lines = {(row['type'], line) for row in ROWS for line in row['lines']}
    assert len(lines) > 300
    assert Counter(version for version, _row in CASES).keys() == PATCH_LEVELS.keys()
    assert min(Counter(version for version, _row in CASES).values()) > 300
    keys = {(kind, line.partition(':')[0].rstrip('0123456789')) for kind, line in lines}
    for key in (
        'net', 'scsi', 'ide', 'virtio', 'sata', 'boot', 'bootdisk', 'cpu', 'smp', 'sockets', 'cores', 'vcpus', 'memory',
        'balloon', 'agent', 'smbios', 'ipconfig', 'meta', 'cpulimit', 'onboot', 'tags', 'description', 'arch', 'ostype',
        'machine', 'bios', 'numa',
    ):  # fmt: skip
        assert ('qemu', key) in keys, key
    for key in (
        'net', 'rootfs', 'mp', 'features', 'memory', 'cores', 'cpulimit', 'cmode', 'onboot', 'unprivileged', 'tags',
        'description', 'arch', 'ostype',
    ):  # fmt: skip
        assert ('lxc', key) in keys, key


def test_a_row_that_says_something_else_is_found():
    row = next(row for row in ROWS if row['facts'].get('net0', {}) and 'mac' in row['facts']['net0'])
    config = parse_config(GuestType(row['type']), row['answer'])
    assert differences(config, {'net0': row['facts']['net0'] | {'mac': '00:00:00:00:00:00'}})
    assert differences(config, {'net0': 'absent'})
    assert differences(config, {'net0': 'refused'})
    assert differences(config, {'memory': 5})
    assert differences(config, {'memory': 'refused'})
