"""What a read of Proxmox VE leaves in JSON: of a guest, and of a cluster. About as much as a usual guest has."""

from typing import Any

__all__ = ('cluster_state_of', 'details_of')


def details_of(number: int) -> dict[str, Any]:
    """As `sync.guest_details` writes it."""
    return {
        'nics': [nic(number, part) for part in range(2)],
        'disks': [
            {
                'key': f'scsi{part}',
                'storage': 'ceph-pool',
                'volume': f'vm-{number}-disk-{part}',
                'size': 32 * 2**30,
                'format': 'raw',
                'mount_point': None,
                'passthrough': False,
            }
            for part in range(2)
        ],
        'unread': [],
        'unknown_keys': ['smbios1', 'vmgenid'],
        'pool': f'pool-{number % 12}',
    }


def nic(number: int, part: int) -> dict[str, Any]:
    address = f'10.{number >> 16}.{number >> 8 & 255}.{number & 255}'
    return {
        'key': f'net{part}',
        'name': f'eth{part}',
        'mac': f'BC:24:11:00:{number >> 8 & 255:02X}:{number & 255:02X}',
        'model': 'virtio',
        'bridge': 'vmbr0',
        'vlan': 100 + number % 50,
        'trunks': [],
        'firewall': True,
        'link_down': False,
        'addresses': [
            {'address': f'{address}/8', 'origin': origin, 'source': source, 'guest_interface': f'eth{part}'}
            for origin, source in (('static', 'cloud-init'), ('observed', 'guest agent'))
        ],
        'ignored': [
            {'address': f'fe80::{number % 9999}', 'guest_interface': f'eth{part}', 'reason': 'Link-local address'}
        ],
    }


def cluster_state_of(name: str, nodes: list[str]) -> dict[str, Any]:
    """As `cluster_state.state_of` writes it."""
    return {
        'name': name,
        'quorate': True,
        'nodes': [
            {
                'name': node,
                'online': True,
                'address': '192.0.2.10',
                'version': '9.0.3',
                'cpus': 64,
                'memory': 512 * 2**30,
                'expires': 1_900_000_000,
            }
            for node in nodes
        ],
        'notices': [],
    }
