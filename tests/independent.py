"""
A second, independent reading of the recorded answers of Proxmox VE.

Written from Proxmox VE's documentation and the recordings alone. It shares no code with the plugin, so that the two can
disagree.
"""

import json
import re
from decimal import Decimal
from pathlib import Path

RECORDINGS = Path(__file__).parent / 'pve' / 'recordings'
NAMES = sorted(path.stem for path in RECORDINGS.glob('*.json'))

STATUS = {'running': 'active', 'stopped': 'offline', 'paused': 'paused', 'suspended': 'paused'}
FACTOR = {'': 1, 'K': 2**10, 'M': 2**20, 'G': 2**30, 'T': 2**40}


class Recording:
    def __init__(self, name: str):
        self.name = name
        self.answers = json.loads((RECORDINGS / f'{name}.json').read_text())

    def data(self, path: str):
        answer = self.answers.get(path)
        return answer['body']['data'] if answer and answer['status'] == 200 else None

    @property
    def node_cpus(self) -> dict[str, int]:
        return {row['node']: row['maxcpu'] for row in self.data('/nodes') if 'maxcpu' in row}

    @property
    def cluster_name(self) -> str | None:
        rows = self.data('/cluster/status')
        if rows is None:
            return None
        clusters = [row['name'] for row in rows if row['type'] == 'cluster']
        return clusters[0] if clusters else rows[0]['name']

    def guests(self) -> list['Guest']:
        rows = [row for row in self.data('/cluster/resources') if row['type'] in ('qemu', 'lxc')]
        return [Guest(self, row) for row in rows]


class Guest:
    def __init__(self, recording: Recording, row: dict):
        self.recording, self.row = recording, row
        self.type, self.vmid, self.node = row['type'], row['vmid'], row['node']
        self.path = f'/nodes/{self.node}/{self.type}/{self.vmid}'
        self.config = recording.data(f'{self.path}/config?current=1')

    @property
    def key(self) -> str:
        return f'{self.type}/{self.vmid}'

    @property
    def name(self) -> str:
        return self.row['name']

    @property
    def status(self) -> str:
        if self.row['template']:
            return 'staged'
        if self.row.get('lock') == 'suspended':
            return 'paused'
        return STATUS.get(self.row['status'], 'staged')

    @property
    def vcpus(self) -> Decimal | None:
        config = self.config
        if self.type == 'qemu':
            return Decimal(config.get('vcpus') or int(config.get('sockets', 1)) * int(config.get('cores', 1)))
        value = config.get('cores') or config.get('cpulimit') or self.recording.node_cpus.get(self.node)
        return Decimal(str(value)) if value else None

    @property
    def memory_bytes(self) -> int:
        return int(str(self.config.get('memory', 512)).removeprefix('current=')) * 2**20

    @property
    def disks(self) -> dict[str, int]:
        """Sizes in bytes by key, of those data disks that tell one."""
        pattern = r'(ide|sata|scsi|virtio)\d+' if self.type == 'qemu' else r'rootfs|mp\d+'
        disks = {}
        for key, text in self.config.items():
            if not re.fullmatch(pattern, key) or 'media=cdrom' in text:
                continue
            if size := re.search(r'(?:^|,)size=(\d+)([KMGT]?)', text):
                disks[key] = int(size[1]) * FACTOR[size[2]]
        return disks

    @property
    def nics(self) -> dict[str, dict]:
        """By key: the name in NetBox and the MAC address."""
        nics = {}
        for key, text in self.config.items():
            if re.fullmatch(r'net\d+', key):
                parts = dict(part.split('=', 1) for part in text.split(','))
                mac = re.search(r'(?:[0-9A-F]{2}:){5}[0-9A-F]{2}', text.upper())
                nics[key] = {'name': parts.get('name', key), 'mac': mac[0], 'bridge': parts.get('bridge'), 'text': text}
        return nics

    @property
    def addresses(self) -> dict[str, set[str]]:
        """By NIC key: the addresses that the guest has, as far as anyone can tell."""
        reported: dict[str, set[str]] = {}
        agent = self.recording.data(f'{self.path}/agent/network-get-interfaces')
        for interface in (agent or {}).get('result', []):
            for address in interface.get('ip-addresses', []):
                reported.setdefault(interface.get('hardware-address', '').upper(), set()).add(
                    f'{address["ip-address"]}/{address["prefix"]}'
                )
        for interface in self.recording.data(f'{self.path}/interfaces') or []:
            for address in interface['ip-addresses']:
                reported.setdefault(interface['hardware-address'].upper(), set()).add(
                    f'{address["ip-address"]}/{address["prefix"]}'
                )
        result = {}
        for key, nic in self.nics.items():
            configured = set(re.findall(r'(?:^|,)ip6?=([0-9a-fA-F:.]+/\d+)', nic['text']))
            has_drive = any('cloudinit' in str(value) for value in self.config.values())
            wished = set(re.findall(r'ip6?=([0-9a-fA-F:.]+/\d+)', self.config.get(f'ipconfig{key[3:]}', '')))
            observed = reported.get(nic['mac'], set())
            # Cloud-init only asks; once the guest answers, its answer counts.
            found = configured | observed | (wished if agent is None and has_drive else set())
            result[key] = {
                address for address in found if not re.match(r'127\.|169\.254\.|fe[89ab]|::1/|2[2-5]\d\.|ff', address)
            }
        return result

    @property
    def tags(self) -> set[str]:
        return set(re.split(r'[;, ]+', self.row['tags'])) if self.row.get('tags') else set()
