"""Storages, volumes, guests without backup, and the virtual networks of SDN."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.estate import Storage, Vnet
from netbox_proxsync.proxmox.properties import Garbled
from netbox_proxsync.proxmox.sdn import parse_vnets, parse_zones
from netbox_proxsync.proxmox.storages import parse_not_backed_up, parse_storages, parse_volume_sizes

from .recordings import data
from .strategies import json_values, nearly

CLUSTER = 'pve-9.2.11-cluster'
PARSERS = [parse_storages, parse_volume_sizes, parse_not_backed_up, parse_zones, lambda rows: parse_vnets(rows, {})]


class TestStorages:
    def test_recorded(self):
        found = {storage.name: storage for storage in parse_storages(data(CLUSTER, '/storage'))}
        assert len(found) == len(data(CLUSTER, '/storage'))
        assert found['tank'] == Storage(
            name='tank',
            type='zfspool',
            content=frozenset({'images', 'rootdir'}),
            shared=False,
            enabled=True,
            nodes=frozenset({'pve1', 'pve2'}),
        )
        assert not found['fast-btrfs'].enabled
        assert found['ceph-vm'].shared
        assert found['san'].content == frozenset()  # 'none'
        assert found['local'].nodes is None

    @pytest.mark.parametrize(
        'change', [{'storage': ''}, {'type': None}, {'shared': 'x'}, {'content': {}}, {'nodes': [{}]}]
    )
    def test_garbled(self, change):
        with pytest.raises(Garbled):
            parse_storages([{'storage': 'local', 'type': 'dir'}, {'storage': 'a', 'type': 'dir'} | change])

    def test_sizes_of_volumes_are_bytes(self):
        rows = [
            {'volid': 'local:100/vm-100-disk-0.qcow2', 'size': 34359738368, 'format': 'qcow2', 'vmid': 100},
            {'volid': 'local-lvm:vm-101-disk-0', 'size': '4194304'},
            {'volid': 'local:subvol', 'size': 0},
            {'volid': 'esxi:x', 'approximate-size': 5},
            {'volid': 'local:bad', 'size': 'big'},
            {'size': 5},
        ]
        assert parse_volume_sizes(rows) == {
            'local:100/vm-100-disk-0.qcow2': 34359738368,
            'local-lvm:vm-101-disk-0': 4194304,
        }

    def test_guests_without_backup(self):
        assert parse_not_backed_up(data(CLUSTER, '/cluster/backup-info/not-backed-up')) == {103, 203}
        assert parse_not_backed_up([{'vmid': '5', 'type': 'lxc'}]) == {5}
        with pytest.raises(Garbled):
            parse_not_backed_up([{'type': 'lxc'}])


class TestSdn:
    def test_recorded(self):
        zones = parse_zones(data(CLUSTER, '/cluster/sdn/zones'))
        assert zones == {
            'carrier': 'qinq',
            'dc': 'vlan',
            'fabric1': 'evpn',
            'localnat': 'simple',
            'overlay': 'vxlan',
        }
        found = {vnet.name: vnet for vnet in parse_vnets(data(CLUSTER, '/cluster/sdn/vnets'), zones)}
        assert found['web'] == Vnet(
            name='web', zone='dc', zone_type='vlan', tag=20, alias='Web tier (prod)', vlan_aware=False
        )
        assert {name: (vnet.tag, vnet.vlan_id) for name, vnet in found.items()} == {
            'ev100': (10100, None),
            'nat0': (None, None),
            'q101': (101, 101),
            'trunk': (999, 999),
            'vx5000': (5000, None),
            'web': (20, 20),
        }
        assert found['trunk'].vlan_aware

    @pytest.mark.parametrize('change', [{'vnet': None}, {'zone': None}, {'tag': 'x'}, {'tag': 2**24}, {'vlanaware': 7}])
    def test_garbled(self, change):
        with pytest.raises(Garbled):
            parse_vnets([{'vnet': 'web', 'zone': 'dc', 'tag': '20'} | change], {})


@pytest.mark.parametrize('parse', PARSERS)
@given(value=json_values)
def test_any_answer_is_read_or_garbled(parse, value):
    with contextlib.suppress(Garbled):
        parse(value)


@pytest.mark.parametrize('parse', PARSERS)
@given(
    row=st.dictionaries(
        st.sampled_from(
            [
                'storage',
                'type',
                'content',
                'shared',
                'disable',
                'nodes',
                'volid',
                'size',
                'vmid',
                'zone',
                'vnet',
                'tag',
                'alias',
                'vlanaware',
            ]
        ),
        json_values | nearly('local', '20', 'iso,backup'),
    )
)
def test_any_row_is_read_or_garbled(parse, row):
    with contextlib.suppress(Garbled):
        parse([row])
