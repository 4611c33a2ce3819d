"""Volumes, guests without backup, and the virtual networks of SDN."""

import contextlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.infrastructure import Vnet
from netbox_proxsync.proxmox.parsers.sdn import parse_vnets, parse_zones
from netbox_proxsync.proxmox.parsers.volumes import parse_not_backed_up, parse_volume_sizes
from netbox_proxsync.proxmox.properties import ParseError
from netbox_proxsync.proxmox.readings import Unreadable

from ..recordings import data
from ..strategies import json_values, nearly

CLUSTER = 'pve-9.2.11-cluster'
PARSERS = [parse_volume_sizes, parse_not_backed_up, parse_zones, lambda rows: parse_vnets(rows, {})]


class TestVolumes:
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
        with pytest.raises(ParseError):
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
        assert found['web'] == Vnet(name='web', zone_type='vlan', tag=20, alias='Web tier (prod)', vlan_aware=False)
        assert {name: (vnet.tag, vnet.vlan_id) for name, vnet in found.items()} == {
            'ev100': (10100, None),
            'nat0': (None, None),
            'q101': (101, 101),
            'trunk': (999, 999),
            'vx5000': (5000, None),
            'web': (20, 20),
        }
        assert found['trunk'].vlan_aware

    def test_a_network_without_name_spoils_the_list(self):
        with pytest.raises(ParseError):
            parse_vnets([{'vnet': None, 'zone': 'dc', 'tag': '20'}], {})

    @pytest.mark.parametrize(
        ('change', 'attributes', 'vlan'),
        [
            ({'zone': None}, 'zone_type', None),
            ({'zone': 'bad'}, 'zone_type', None),
            ({'tag': 'x'}, 'tag', None),
            ({'tag': 2**24}, 'tag', None),
            ({'vlanaware': 7}, 'vlan_aware', 20),
            ({'alias': []}, 'alias', 20),
        ],
    )
    def test_a_value_that_cannot_be_read_spoils_no_other(self, change, attributes, vlan):
        zones = parse_zones([{'zone': 'dc', 'type': 'vlan'}, {'zone': 'bad', 'type': []}])
        row = {'vnet': 'web', 'zone': 'dc', 'tag': '20'}
        found, other = parse_vnets([row | change, row | {'vnet': 'xother'}], zones)
        assert {name for name in Vnet.__dataclass_fields__ if isinstance(getattr(found, name), Unreadable)} == {
            *attributes.split()
        }
        assert other.vlan_id == 20
        # Without the zone or the tag, whether the guests are in a VLAN is not known: never "in none".
        assert found.vlan_id == vlan or isinstance(found.vlan_id, Unreadable)
        assert (found.vlan_id is None) is False


@pytest.mark.parametrize('parse', PARSERS)
@given(value=json_values)
def test_any_answer_is_read_or_garbled(parse, value):
    with contextlib.suppress(ParseError):
        parse(value)


@pytest.mark.parametrize('parse', PARSERS)
@given(
    row=st.dictionaries(
        st.sampled_from(
            [
                'type',
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
    with contextlib.suppress(ParseError):
        parse([row])
