"""What becomes of guests' NICs, their VLANs and their addresses, by the rows of the mapping."""

import pytest

pytestmark = pytest.mark.django_db


def vlans_of(interface) -> tuple:
    untagged = interface.untagged_vlan and interface.untagged_vlan.vid
    return interface.mode, untagged, set(interface.tagged_vlans.values_list('vid', flat=True))


def addresses_of(interface) -> dict[str, tuple]:
    return {str(ip): (ip.status, ip.vrf and ip.vrf.name, ip.dns_name) for ip in interface.ip_addresses.all()}


def test_the_name_is_that_of_proxmox_or_of_a_container(made):
    assert {interface.name for interface in made.vm(150).interfaces.all()} == {'net0', 'net1'}
    assert {interface.name for interface in made.vm(200).interfaces.all()} == {'eth0', 'wan'}


def test_the_name_is_that_in_the_guest_if_the_endpoint_prefers_it_and_the_agent_reports(solo):
    assert [solo.nic(100, key).name for key in ('net0', 'net1', 'net2')] == ['ens18', 'ens19', 'net2']


@pytest.mark.parametrize(
    ('key', 'mode', 'untagged', 'tagged'),
    [
        ('net0', 'access', 20, set()),  # tag
        ('net1', 'tagged', 10, {20, 30, 31, 32}),  # trunks, and a tag as the native VLAN
        ('net2', 'tagged-all', None, set()),  # neither, on a VLAN-aware bridge
        ('net3', None, None, set()),  # neither, on a plain one
        ('net4', 'access', 20, set()),  # a vnet of a VLAN zone
        ('net5', None, None, set()),  # VNI 5000
        ('net6', None, None, set()),  # VNI 100, which is no VLAN either
        ('net7', None, None, set()),  # no bridge
        ('net9', 'tagged-all', None, set()),  # a VLAN-aware vnet
        ('net11', 'tagged-all', None, set()),  # a trunk of all
        ('net12', 'access', None, set()),  # a VLAN that is there twice
    ],
)
def test_vlans_of_machines(made, key, mode, untagged, tagged):
    assert vlans_of(made.nic(120, key)) == (mode, untagged, tagged)


def test_vlans_on_open_vswitch_and_of_containers(made):
    assert vlans_of(made.nic(121, 'net0')) == ('tagged-all', None, set())
    assert vlans_of(made.nic(200, 'net0')) == ('access', 20, set())
    assert vlans_of(made.nic(200, 'net1')) == (None, None, set())


def test_vlans_are_looked_up_in_the_group_then_in_the_site_then_globally_and_then_created(made, lab9, solo):
    assert made.nic(120, 'net0').untagged_vlan.name == 'servers'
    tagged = {vlan.vid: vlan for vlan in made.nic(120, 'net1').tagged_vlans.all()}
    assert (tagged[30].name, tagged[30].site) == ('global', None)
    assert (tagged[31].name, tagged[31].site, tagged[31].group) == ('VLAN 31', made.endpoint.site, None)
    # Of another site.
    assert made.nic(120, 'net1').untagged_vlan.name == 'VLAN 10'
    assert lab9.nic(100, 'net0').untagged_vlan.group == lab9.endpoint.vlan_group
    assert solo.nic(100, 'net0').untagged_vlan.site == solo.endpoint.site


def test_a_nic_is_enabled_unless_its_link_is_down(made):
    assert (made.nic(120, 'net2').enabled, made.nic(120, 'net3').enabled) == (True, False)


@pytest.mark.parametrize(('key', 'mtu'), [('net0', 1400), ('net2', None), ('net8', 9000), ('net10', None)])
def test_the_mtu_and_1_is_that_of_the_bridge(made, key, mtu):
    assert made.nic(120, key).mtu == mtu


def test_the_mac_is_the_primary_one(made):
    assert str(made.nic(120, 'net1').primary_mac_address.mac_address) == 'BC:24:11:0A:00:01'
    assert str(made.nic(200, 'net1').primary_mac_address.mac_address) == 'BC:24:11:0B:00:01'
    assert made.nic(120, 'net1').mac_addresses.count() == 1


@pytest.mark.parametrize(
    ('vmid', 'key', 'values'),
    [
        (120, 'net0', ('vmbr0', 'virtio', True, 12.5)),
        (120, 'net1', ('vmbr0', 'e1000', False, None)),
        (120, 'net7', (None, 'rtl8139', False, None)),
        (120, 'net4', ('web', 'virtio', False, None)),
        (200, 'net0', ('vmbr0', 'veth', True, 10)),
    ],
)
def test_custom_fields(made, vmid, key, values):
    data = made.nic(vmid, key).custom_field_data
    names = ('bridge', 'interface_model', 'proxmox_firewall', 'proxmox_rate_limit')
    assert tuple(data.get(name) for name in names) == values


def test_all_usable_addresses_of_all_interfaces_with_the_mac(made):
    # eth0.5 bears the MAC of net0. Not: link-local and multicast, docker0 and mesh0, an excluded prefix.
    assert addresses_of(made.nic(150, 'net0')) == {
        '10.1.0.5/24': ('active', None, ''),
        '2001:db8:1::5/64': ('active', None, ''),
        '10.1.5.5/24': ('active', None, ''),
    }
    assert addresses_of(made.nic(150, 'net1')) == {
        '10.1.2.5/24': ('dhcp', None, ''),
        '2001:db8:2::5/64': ('slaac', None, ''),
    }


def test_a_containers_addresses_are_configured_leased_or_its_own(made):
    # 10.2.0.0/16 is in one VRF.
    assert addresses_of(made.nic(200, 'net0')) == {
        '10.2.0.20/24': ('active', 'customer', ''),
        '2001:db8:22::20/64': ('active', None, ''),
    }
    assert addresses_of(made.nic(200, 'net1')) == {
        '10.2.1.20/24': ('dhcp', 'customer', ''),
        '2001:db8:21::20/64': ('slaac', None, ''),
    }


def test_without_a_length_it_is_that_of_the_longest_prefix_around_else_of_a_host(made):
    assert addresses_of(made.nic(153, 'net0')) == {
        '10.1.8.5/26': ('active', 'customer', ''),
        '10.99.0.5/32': ('active', None, ''),  # its prefixes are in two VRFs
        '2a01:4f8:1::5/128': ('active', None, ''),
    }


def test_an_unassigned_address_is_adopted(made):
    (found,) = made.nic(152, 'net0').ip_addresses.all()
    assert (str(found), found.description) == ('10.1.3.5/24', 'reserved for two-ways')


def test_a_temporary_address_is_left_out(made):
    assert set(addresses_of(made.nic(151, 'net0'))) == {'fd00::5/64', '2a01:4f8::5/64'}


def test_the_dns_name_is_the_host_name_of_the_agent(made):
    assert addresses_of(made.nic(110, 'net0')) == {'10.1.6.5/24': ('active', None, 'db.example.com')}


def test_the_vrf_of_the_endpoint(lab9):
    assert {ip.vrf.name for key in ('net0', 'net1') for ip in lab9.nic(100, key).ip_addresses.all()} == {'lab9'}


@pytest.mark.parametrize(
    ('vmid', 'ip4', 'ip6'),
    [
        (150, '10.1.0.5/24', '2001:db8:1::5/64'),  # static before leased
        (152, '10.1.4.5/24', None),  # the NIC with the gateway
        (151, None, '2a01:4f8::5/64'),  # global before private
        (153, '10.1.8.5/26', '2a01:4f8:1::5/128'),  # the first
        (200, '10.2.0.20/24', '2001:db8:22::20/64'),
        (101, None, None),
    ],
)
def test_primary_addresses(made, vmid, ip4, ip6):
    vm = made.vm(vmid)
    assert (vm.primary_ip4 and str(vm.primary_ip4), vm.primary_ip6 and str(vm.primary_ip6)) == (ip4, ip6)
