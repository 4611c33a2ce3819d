"""What nodes print, by the forms of iproute2 5.10 to 6.15 and the kernels of Proxmox VE 7.4 to 9."""

import json
from typing import Any

DELL = (
    '/sys/class/dmi/id/sys_vendor:Dell Inc.\n'
    '/sys/class/dmi/id/product_name:PowerEdge R740\n'
    '/sys/class/dmi/id/product_serial:7XK2M93\n'
)
# An ordinary user: product_serial is 0400.
DELL_UNPRIVILEGED = ''.join(DELL.splitlines(keepends=True)[:2])
WHITE_BOX = (
    '/sys/class/dmi/id/sys_vendor:To Be Filled By O.E.M.\n'
    '/sys/class/dmi/id/product_name:X570D4U\n'
    '/sys/class/dmi/id/product_serial:To Be Filled By O.E.M.\n'
)


def link(index: int, name: str, address: str, linkinfo: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    """One interface as `ip -j -d link show` prints it."""
    return {
        'ifindex': index,
        'ifname': name,
        'flags': ['BROADCAST', 'MULTICAST', 'UP', 'LOWER_UP'],
        'mtu': 1500,
        'qdisc': 'mq',
        'operstate': 'UP',
        'linkmode': 'DEFAULT',
        'group': 'default',
        'txqlen': 1000,
        'link_type': 'ether',
        'address': address,
        'broadcast': 'ff:ff:ff:ff:ff:ff',
        'promiscuity': 0,
        'allmulti': 0,
        'min_mtu': 68,
        'max_mtu': 9710,
        **({'linkinfo': linkinfo} if linkinfo else {}),
        'inet6_addr_gen_mode': 'eui64',
        'num_tx_queues': 64,
        'num_rx_queues': 64,
        'gso_max_size': 65536,
        'gso_max_segs': 65535,
        **more,
    }


def card(index: int, name: str, address: str, linkinfo: dict[str, Any] | None = None, **more: Any) -> dict[str, Any]:
    return link(index, name, address, linkinfo, **more, parentbus='pci', parentdev=f'0000:01:00.{index}')


def bond_member(permanent: str, state: str = 'ACTIVE') -> dict[str, Any]:
    return {
        'info_slave_kind': 'bond',
        'info_slave_data': {
            'state': state,
            'mii_status': 'UP',
            'link_failure_count': 0,
            'perm_hwaddr': permanent,
            'queue_id': 0,
            'prio': 0,
            'ad_aggregator_id': 1,
            'ad_actor_oper_port_state': 61,
            'ad_actor_oper_port_state_str': ['active', 'aggregating', 'in_sync', 'collecting', 'distributing'],
        },
    }


BRIDGE = {
    'info_kind': 'bridge',
    'info_data': {'forward_delay': 0, 'hello_time': 200, 'stp_state': 0, 'priority': 32768},
}
BRIDGE_PORT = {'info_slave_kind': 'bridge', 'info_slave_data': {'state': 'forwarding', 'priority': 32, 'cost': 4}}
OVS = {'info_kind': 'openvswitch'}
LOOPBACK = link(1, 'lo', '00:00:00:00:00:00', link_type='loopback', mtu=65536, qdisc='noqueue', operstate='UNKNOWN')


def printed(*links: dict[str, Any]) -> str:
    return json.dumps([LOOPBACK, *links], separators=(',', ':')) + '\n'


# Two ports of an X540 in bond0 (LACP), that in vmbr0; a third port without a cable.
BONDED = printed(
    card(2, 'eno1', 'a0:36:9f:12:34:56', bond_member('a0:36:9f:12:34:56'), master='bond0'),
    card(
        3,
        'eno2',
        'a0:36:9f:12:34:56',
        bond_member('a0:36:9f:12:34:58'),
        master='bond0',
        permaddr='a0:36:9f:12:34:58',
    ),
    card(4, 'enp3s0', '00:1b:21:aa:bb:cc', operstate='DOWN', flags=['NO-CARRIER', 'BROADCAST', 'MULTICAST', 'UP']),
    link(
        5,
        'bond0',
        'a0:36:9f:12:34:56',
        {
            'info_kind': 'bond',
            'info_data': {'mode': '802.3ad', 'miimon': 100},
            'info_slave_kind': 'bridge',
            'info_slave_data': BRIDGE_PORT['info_slave_data'],
        },
        master='vmbr0',
    ),
    link(6, 'vmbr0', 'a0:36:9f:12:34:56', BRIDGE),
)
BONDED_FACTS = (
    '/sys/class/net/bond0/speed:20000\n'
    '/sys/class/net/eno1/speed:10000\n'
    '/sys/class/net/eno2/speed:10000\n'
    '/sys/class/net/enp3s0/speed:-1\n'
    '/sys/class/net/vmbr0/speed:20000\n'
    '/sys/class/net/eno1/device/uevent:DRIVER=ixgbe\n'
    '/sys/class/net/eno1/device/uevent:PCI_CLASS=20000\n'
    '/sys/class/net/eno1/device/uevent:PCI_ID=8086:1528\n'
    '/sys/class/net/eno2/device/uevent:DRIVER=ixgbe\n'
    '/sys/class/net/eno2/device/uevent:PCI_CLASS=20000\n'
    '/sys/class/net/enp3s0/device/uevent:DRIVER=igb\n'
)

SINGLE = printed(
    card(2, 'eno1', '3c:ec:ef:01:02:03', BRIDGE_PORT, master='vmbr0'), link(3, 'vmbr0', '3c:ec:ef:01:02:03', BRIDGE)
)
SINGLE_FACTS = '/sys/class/net/eno1/speed:1000\n/sys/class/net/eno1/device/uevent:DRIVER=igb\n'


def _guest(number: int) -> list[dict[str, Any]]:
    """What Proxmox VE makes for a VM with its firewall on, and for a container."""
    vm, container = 100 + number, 200 + number
    tun = {'info_kind': 'tun', 'info_data': {'type': 'tap', 'pi': False, 'vnet_hdr': True, 'persist': False}}
    port = BRIDGE_PORT['info_slave_data']
    index = 10 + 10 * number
    slave = {'info_slave_kind': 'bridge', 'info_slave_data': port}
    return [
        link(index, f'tap{vm}i0', 'd2:5c:1b:00:00:01', {**tun, **slave}, master=f'fwbr{vm}i0'),
        link(index + 1, f'fwbr{vm}i0', 'b2:2c:1b:00:00:02', BRIDGE),
        link(
            index + 2,
            f'fwpr{vm}p0',
            'c2:2c:1b:00:00:03',
            {'info_kind': 'veth', **slave},
            master='vmbr0',
            link=f'fwln{vm}i0',
        ),
        link(
            index + 3,
            f'fwln{vm}i0',
            'e2:2c:1b:00:00:04',
            {'info_kind': 'veth', **slave},
            master=f'fwbr{vm}i0',
            link=f'fwpr{vm}p0',
        ),
        link(
            index + 4,
            f'veth{container}i0',
            'fe:2c:1b:00:00:05',
            {'info_kind': 'veth', **slave},
            master='vmbr0',
            link_index=2,
            link_netnsid=number,
        ),
    ]


GUESTS = printed(
    card(2, 'eno1', '3c:ec:ef:01:02:03', BRIDGE_PORT, master='vmbr0', altnames=['enp1s0']),
    link(3, 'vmbr0', '3c:ec:ef:01:02:03', BRIDGE),
    link(4, 'vmbr0.10', '3c:ec:ef:01:02:03', {'info_kind': 'vlan', 'info_data': {'id': 10}}, link='vmbr0'),
    link(5, 'vxlan_v1', '7a:00:00:00:00:01', {'info_kind': 'vxlan', 'info_data': {'id': 4000}}),
    link(6, 'dummy0', '7a:00:00:00:00:02', {'info_kind': 'dummy'}),
    link(7, 'wg0', '', {'info_kind': 'wireguard'}, link_type='none'),
    link(8, 'ib0', '80:00:00:48:fe:80:00:00:00:00:00:00:00:02:c9:03:00:1a:2b:3c', link_type='infiniband'),
    *(part for number in range(300) for part in _guest(number)),
)

OPEN_VSWITCH = printed(
    card(
        2,
        'enp65s0f0',
        'b8:ce:f6:00:11:22',
        {'info_slave_kind': 'openvswitch'},
        master='ovs-system',
    ),
    link(3, 'ovs-system', '52:1b:6f:00:00:01', OVS),
    link(4, 'vmbr0', 'b8:ce:f6:00:11:22', OVS),
    link(5, 'mgmt', '6e:1b:6f:00:00:02', OVS),
)
OPEN_VSWITCH_FACTS = '/sys/class/net/enp65s0f0/speed:25000\n/sys/class/net/enp65s0f0/device/uevent:DRIVER=mlx5_core\n'
