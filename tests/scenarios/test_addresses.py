"""
Which guest has an address, case by case, through the real job against the stand-in Proxmox VE.

Other inputs of the same classes that were tried:
- several guests that claim an address: static container configuration, cloud-init, guest agent, container interfaces;
  off, running, link down; corrected by assigning, by unassigning, by moving into another VRF
- NICs that cannot be read: another MAC inside the guest, no driver, a bond, two NICs with one MAC, a garbled interface,
  a guest that is off, a silent agent
- retired guests: of the same endpoint, of another one, with an address that a user assigned, with a primary address
- roles that may be shared: anycast and the five virtual ones, with one record and with one for each guest
- addresses that are missing for a while: from the agent, from a container, from cloud-init, from the configuration
"""

import pytest
from ipam.models import VRF, IPAddress
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint

pytestmark = pytest.mark.django_db

SMALL = {'nodes': 1, 'vms': 1, 'containers': 0, 'running': 0, 'templates': 0, 'seed': 3}


def mac(number: int) -> str:
    return f'02:00:00:00:00:{number:02X}'


@pytest.fixture
def pve(standin):
    return standin(**SMALL)


@pytest.fixture
def endpoint(pve, make_endpoint):
    return make_endpoint(pve, change_limit=100)


def agent_row(name: str, number: int | str | None, *addresses: str) -> dict:
    """An interface as the guest agent reports it."""
    row = {'name': name}
    if number is not None:
        row['hardware-address'] = number if isinstance(number, str) else mac(number).lower()
    if addresses:
        row['ip-addresses'] = [
            {'ip-address': host, 'ip-address-type': 'ipv6' if ':' in host else 'ipv4', 'prefix': int(prefix)}
            for host, _slash, prefix in (address.partition('/') for address in addresses)
        ]
    return row


def make_vm(pve, vmid: int, *addresses: str, running: bool = True, nic: str = '', **config) -> int:
    """A virtual machine with a guest agent, whose net0 has the MAC address of its VM ID."""
    nics = {'net0': f'virtio={mac(vmid % 256)},bridge=vmbr0{nic}'}
    pve.create(vmid, name=f'vm{vmid}', config={'agent': '1', **nics, **config})
    if running:
        pve.start(vmid)
        report(pve, vmid, agent_row('ens18', vmid % 256, *addresses))
    return vmid


def make_container(pve, vmid: int, ip: str, running: bool = True) -> int:
    net0 = f'name=eth0,bridge=vmbr0,hwaddr={mac(vmid % 256)},ip={ip},type=veth'
    pve.create(vmid, type='lxc', name=f'ct{vmid}', config={'net0': net0})
    if running:
        pve.start(vmid)
    return vmid


def report(pve, vmid: int, *rows: dict):
    """What the running guest tells of its interfaces."""
    pve.set_interfaces(vmid, list(rows))


def reports(pve, vmid: int, *addresses: str):
    report(pve, vmid, agent_row('ens18', vmid % 256, *addresses))


def vm_of(vmid: int) -> VirtualMachine:
    return VirtualMachine.objects.get(custom_field_data__vmid=vmid)


def held_by(vmid: int) -> list[str]:
    """The addresses of a guest in NetBox."""
    found = IPAddress.objects.filter(vminterface__virtual_machine=vm_of(vmid))
    return sorted(str(address.address) for address in found)


def conflicts(run) -> dict[str, str]:
    return dict(run.changes.filter(action='conflict').values_list('key', 'reason'))


def notices(run) -> str:
    return '\n'.join(f'{warning["subject"]}: {warning["message"]}' for warning in run.messages)


def written(run) -> list[tuple]:
    return list(run.changes.exclude(action='conflict').values_list('kind', 'key', 'action', 'outcome', 'message'))


def give(vmid: int, address: IPAddress):
    """A user assigns an address to a guest's first interface, as NetBox's form does."""
    for machine in VirtualMachine.objects.filter(primary_ip4=address):
        machine.primary_ip4 = None
        machine.save()
    address.assigned_object = vm_of(vmid).interfaces.order_by('pk').first()
    address.full_clean()
    address.save()


# Case 1: a guest that is off does not win against one that runs with the address


def test_a_running_guest_wins_over_a_container_that_is_off(pve, endpoint, sync):
    make_container(pve, 950, '10.0.0.50/24', running=False)
    make_vm(pve, 951, '10.0.0.50/24')
    run = sync(endpoint)
    assert (held_by(950), held_by(951)) == ([], ['10.0.0.50/24'])
    assert vm_of(951).primary_ip4 == IPAddress.objects.get()
    assert list(conflicts(run)) == ['lxc/950/10.0.0.50']
    assert written(sync(endpoint)) == []


def test_a_running_clone_wins_over_its_original_that_is_off(pve, endpoint, sync):
    wish = {'ipconfig0': 'ip=10.0.0.52/24', 'ide2': 'local-lvm:vm-952-cloudinit,media=cdrom'}
    make_vm(pve, 952, running=False, **wish)
    make_vm(pve, 953, '10.0.0.52/24', **wish)
    sync(endpoint)
    assert (held_by(952), held_by(953)) == ([], ['10.0.0.52/24'])
    assert vm_of(953).primary_ip4 is not None


def test_a_guest_whose_link_is_up_wins_over_one_whose_link_is_down(pve, endpoint, sync):
    make_vm(pve, 954, '10.0.0.54/24', nic=',link_down=1')
    make_vm(pve, 955, '10.0.0.54/24')
    sync(endpoint)
    assert (held_by(954), held_by(955)) == ([], ['10.0.0.54/24'])


@pytest.mark.parametrize('running', [True, False])
def test_a_user_who_gives_the_address_to_the_other_guest_settles_it(pve, endpoint, sync, running):
    make_container(pve, 950, '10.0.0.50/24', running=running)
    make_container(pve, 951, '10.0.0.50/24')
    sync(endpoint)
    holder, other = (950, 951) if running else (951, 950)
    assert held_by(holder) == ['10.0.0.50/24']
    address = IPAddress.objects.get()
    give(other, address)
    run = sync(endpoint)
    assert (held_by(holder), held_by(other)) == ([], ['10.0.0.50/24'])
    assert list(conflicts(run)) == [f'lxc/{holder}/10.0.0.50']
    assert vm_of(other).primary_ip4 == address == IPAddress.objects.get()
    assert written(sync(endpoint)) == []


def test_a_user_who_puts_one_of_two_records_into_another_vrf_settles_it(pve, endpoint, sync):
    make_container(pve, 950, '10.0.0.50/24')
    make_container(pve, 951, '10.0.0.50/24')
    assert conflicts(sync(endpoint))
    IPAddress.objects.update(vrf=VRF.objects.create(name='Red'))
    assert not conflicts(sync(endpoint))
    assert (held_by(950), held_by(951)) == (['10.0.0.50/24'], ['10.0.0.50/24'])
    assert written(sync(endpoint)) == []


def test_an_address_that_a_user_gave_to_a_guest_that_does_not_have_it_remains_there(pve, endpoint, sync):
    make_vm(pve, 951, '10.0.0.50/24')
    make_vm(pve, 960, '10.0.0.60/24')
    sync(endpoint)
    give(960, IPAddress.objects.get(address='10.0.0.50/24'))
    for _run in range(3):
        run = sync(endpoint)
        assert list(conflicts(run)) == ['qemu/951/10.0.0.50']
    assert held_by(960) == ['10.0.0.50/24', '10.0.0.60/24']


# Case 2: a NIC that cannot be read keeps its own addresses, and no others


SECOND = {'net1': f'virtio={mac(2)},bridge=vmbr0'}


@pytest.mark.parametrize(
    'others',
    [
        [agent_row('ens19', 77, '192.168.9.9/24')],  # a MAC address of its own
        [],  # no driver, or in another namespace
        [agent_row('bond0', 201)],  # all members of a bond show one MAC address
    ],
)
def test_an_address_that_a_readable_nic_lost_goes_though_another_nic_cannot_be_read(pve, endpoint, sync, others):
    make_vm(pve, 201, **SECOND)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.2/24'), *others)
    sync(endpoint)
    assert held_by(201) == ['192.168.1.2/24']
    report(pve, 201, agent_row('ens18', 201, '192.168.1.3/24'), *others)
    for _run in range(2):
        sync(endpoint)
    assert held_by(201) == ['192.168.1.3/24']
    assert vm_of(201).primary_ip4 == IPAddress.objects.get()
    assert written(sync(endpoint)) == []


def test_the_next_owner_of_that_address_gets_it_at_once(pve, endpoint, sync):
    make_vm(pve, 201, **SECOND)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.2/24'))
    sync(endpoint)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.3/24'))
    make_vm(pve, 202, '192.168.1.2/24')
    run = sync(endpoint)
    assert not conflicts(run)
    assert (held_by(201), held_by(202)) == (['192.168.1.3/24'], ['192.168.1.2/24'])


def test_the_addresses_of_the_nic_that_cannot_be_read_stay(pve, endpoint, sync):
    make_vm(pve, 201, **SECOND)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.2/24'), agent_row('ens19', 2, '192.168.2.2/24'))
    sync(endpoint)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.2/24'))
    for _run in range(3):
        assert written(sync(endpoint)) == []
    assert held_by(201) == ['192.168.1.2/24', '192.168.2.2/24']


@pytest.mark.parametrize(
    'other',
    [
        agent_row('ens19', 77, '192.168.1.2/24'),  # it is seen on an interface that may be net1
        {'name': 'ens19', 'hardware-address': mac(2).lower(), 'ip-addresses': 'x'},  # net1 is not read completely
    ],
)
def test_an_address_that_may_have_moved_to_a_nic_that_cannot_be_read_waits_with_a_notice(pve, endpoint, sync, other):
    make_vm(pve, 201, **SECOND)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.2/24'))
    sync(endpoint)
    report(pve, 201, agent_row('ens18', 201, '192.168.1.3/24'), other)
    for _run in range(4):
        run = sync(endpoint)
    assert held_by(201) == ['192.168.1.2/24', '192.168.1.3/24']
    assert '192.168.1.2 may have moved to net1, which cannot be read' in notices(run)
    # Another guest that is seen with it ends the waiting.
    make_vm(pve, 202, '192.168.1.2/24')
    sync(endpoint)
    assert (held_by(201), held_by(202)) == (['192.168.1.3/24'], ['192.168.1.2/24'])


@pytest.mark.parametrize('how', ['off', 'silent'])
def test_a_guest_that_cannot_be_asked_keeps_its_address_until_another_one_is_seen_with_it(pve, endpoint, sync, how):
    make_vm(pve, 201, '192.168.1.2/24')
    sync(endpoint)
    pve.stop(201) if how == 'off' else pve.agent_silent(201)
    for _run in range(3):
        sync(endpoint)
    assert (held_by(201), vm_of(201).primary_ip4) == (['192.168.1.2/24'], IPAddress.objects.get())
    make_vm(pve, 202, '192.168.1.2/24')
    run = sync(endpoint)
    assert not conflicts(run)
    assert (held_by(201), held_by(202)) == ([], ['192.168.1.2/24'])
    assert vm_of(202).primary_ip4 == IPAddress.objects.get()
    assert written(sync(endpoint)) == []


# Case 3: a retired guest of any endpoint gives its addresses up


@pytest.mark.parametrize('by_user', [False, True])
def test_a_guest_that_moved_to_another_endpoint_takes_its_address_along(
    pve, endpoint, standin, make_endpoint, sync, by_user
):
    make_vm(pve, 928, *([] if by_user else ['10.0.0.28/24']))
    sync(endpoint)
    if by_user:
        interface = vm_of(928).interfaces.get()
        IPAddress.objects.create(address='10.0.0.28/24', assigned_object=interface, description='by hand')
    before = IPAddress.objects.get()
    pve.delete(928)
    with_guest = standin(**SMALL | {'seed': 4, 'name': 'two'})
    two = make_endpoint(with_guest, name='Two', change_limit=100)
    make_vm(with_guest, 928, '10.0.0.28/24')
    run = sync(two)
    # The first endpoint does not know yet that it is missing.
    assert list(conflicts(run)) == ['qemu/928/10.0.0.28']
    sync(endpoint)
    run = sync(two)
    assert not conflicts(run)
    address = IPAddress.objects.get()
    machine = two.bindings.get(kind='vm', key='qemu/928').object
    assert (address.pk, address.assigned_object.virtual_machine) == (before.pk, machine)
    assert machine.primary_ip4 == address
    for again in (endpoint, two):
        assert (written(sync(again)), conflicts(sync(again))) == ([], {})


def test_a_living_guest_of_another_endpoint_keeps_its_address(pve, endpoint, standin, make_endpoint, sync):
    make_vm(pve, 928, '10.0.0.28/24')
    sync(endpoint)
    other = standin(**SMALL | {'seed': 4, 'name': 'two'})
    two = make_endpoint(other, name='Two', change_limit=100)
    make_vm(other, 929, '10.0.0.28/24')
    assert 'managed by another endpoint' in conflicts(sync(two))['qemu/929/10.0.0.28']
    assert held_by(928) == ['10.0.0.28/24']


def test_a_user_who_gives_it_to_a_guest_of_the_other_endpoint_settles_it(pve, endpoint, standin, make_endpoint, sync):
    make_vm(pve, 928, '10.0.0.28/24')
    sync(endpoint)
    other = standin(**SMALL | {'seed': 4, 'name': 'two'})
    two = make_endpoint(other, name='Two', change_limit=100)
    make_vm(other, 929, '10.0.0.28/24')
    sync(two)
    give(929, IPAddress.objects.get())
    assert not conflicts(sync(two))
    assert list(conflicts(sync(endpoint))) == ['qemu/928/10.0.0.28']
    assert held_by(929) == ['10.0.0.28/24']
    assert written(sync(two)) == []


def test_a_guest_that_comes_back_after_its_address_was_given_away_has_the_reason(
    pve, endpoint, standin, make_endpoint, sync
):
    make_vm(pve, 928, '10.0.0.28/24')
    sync(endpoint)
    guest = pve.cluster.guest(928)
    pve.delete(928)
    sync(endpoint)
    other = standin(**SMALL | {'seed': 4, 'name': 'two'})
    two = make_endpoint(other, name='Two', change_limit=100)
    make_vm(other, 929, '10.0.0.28/24')
    sync(two)
    with pve.cluster.lock:
        pve.cluster.guests[guest.id] = guest
        pve.cluster.changed()
    assert 'managed by another endpoint' in conflicts(sync(endpoint))['qemu/928/10.0.0.28']
    assert (held_by(928), vm_of(928).primary_ip4, held_by(929)) == ([], None, ['10.0.0.28/24'])


# Case 4: roles in which an address may be there several times


def record(vmid: int, address: str, role: str) -> IPAddress:
    found = IPAddress(address=address, role=role, assigned_object=vm_of(vmid).interfaces.get())
    found.full_clean()
    found.save()
    return found


def test_each_guest_adopts_its_own_record_of_an_anycast_address(pve, endpoint, sync):
    for vmid in (908, 909):
        make_vm(pve, vmid)
    sync(endpoint)
    ours = {vmid: record(vmid, '10.0.0.53/32', 'anycast') for vmid in (908, 909)}
    for vmid in (908, 909):
        reports(pve, vmid, '10.0.0.53/32')
    run = sync(endpoint)
    assert not conflicts(run)
    for vmid, address in ours.items():
        address.refresh_from_db()
        assert address.assigned_object.virtual_machine == vm_of(vmid)
    assert written(sync(endpoint)) == []
    # The one that loses it leaves the other one's record alone, and gives its own to nobody.
    reports(pve, 908)
    for _run in range(3):
        run = sync(endpoint)
    assert (held_by(908), held_by(909)) == ([], ['10.0.0.53/32'])
    assert not conflicts(run)


def test_a_third_guest_with_an_anycast_address_gets_a_record_of_its_own(pve, endpoint, sync):
    for vmid in (908, 909):
        make_vm(pve, vmid, '10.0.0.53/32' if vmid == 909 else '10.0.0.9/24')
    sync(endpoint)
    IPAddress.objects.filter(address='10.0.0.53/32').update(role='anycast')
    reports(pve, 908, '10.0.0.9/24', '10.0.0.53/32')
    run = sync(endpoint)
    assert not conflicts(run)
    assert (held_by(908), held_by(909)) == (['10.0.0.53/32', '10.0.0.9/24'], ['10.0.0.53/32'])
    assert set(IPAddress.objects.filter(address='10.0.0.53/32').values_list('role', flat=True)) == {'anycast'}
    assert written(sync(endpoint)) == []


def test_an_anycast_record_of_a_guest_that_is_off_remains_there(pve, endpoint, sync):
    make_vm(pve, 908, '10.0.0.53/32')
    make_vm(pve, 909)
    sync(endpoint)
    IPAddress.objects.update(role='anycast')
    pve.stop(908)
    reports(pve, 909, '10.0.0.53/32')
    for _run in range(3):
        run = sync(endpoint)
    assert (held_by(908), held_by(909), conflicts(run)) == (['10.0.0.53/32'], ['10.0.0.53/32'], {})


@pytest.mark.parametrize('role', ['vip', 'vrrp', 'carp', 'hsrp', 'glbp'])
@pytest.mark.parametrize('adopted', [True, False])
def test_a_virtual_address_follows_the_guest_that_is_seen_with_it(pve, endpoint, sync, role, adopted):
    make_vm(pve, 908, *(['10.0.0.99/24'] if adopted else []))
    make_vm(pve, 909, '10.0.0.9/24')
    sync(endpoint)
    if adopted:
        IPAddress.objects.filter(address='10.0.0.99/24').update(role=role)
    else:
        record(908, '10.0.0.99/24', role)
    address = IPAddress.objects.get(address='10.0.0.99/24')
    pve.stop(908)
    sync(endpoint)
    assert held_by(908) == ['10.0.0.99/24']
    reports(pve, 909, '10.0.0.9/24', '10.0.0.99/24')
    run = sync(endpoint)
    assert not conflicts(run)
    assert (held_by(908), held_by(909)) == ([], ['10.0.0.9/24', '10.0.0.99/24'])
    assert written(sync(endpoint)) == []
    # And back.
    pve.start(908)
    reports(pve, 908, '10.0.0.99/24')
    reports(pve, 909, '10.0.0.9/24')
    run = sync(endpoint)
    assert (held_by(908), held_by(909), conflicts(run)) == (['10.0.0.99/24'], ['10.0.0.9/24'], {})
    assert IPAddress.objects.get(address='10.0.0.99/24') == address


def test_a_virtual_address_in_the_configuration_of_the_backup_is_no_conflict(pve, endpoint, sync):
    make_container(pve, 908, '10.0.0.99/24')
    make_container(pve, 909, '10.0.0.99/24', running=False)
    sync(endpoint)
    IPAddress.objects.update(role='vip')
    assert (conflicts(sync(endpoint)), held_by(908)) == ({}, ['10.0.0.99/24'])
    pve.stop(908)
    pve.start(909)
    assert (conflicts(sync(endpoint)), held_by(909), held_by(908)) == ({}, ['10.0.0.99/24'], [])
    assert written(sync(endpoint)) == []


def test_guests_that_each_have_a_record_of_a_virtual_address_keep_theirs(pve, endpoint, sync):
    for vmid in (908, 909):
        make_vm(pve, vmid)
    sync(endpoint)
    ours = {vmid: record(vmid, '10.0.0.99/24', 'vip') for vmid in (908, 909)}
    for vmid in (908, 909):
        reports(pve, vmid, '10.0.0.99/24')
    assert not conflicts(sync(endpoint))
    pve.stop(908)
    assert not conflicts(sync(endpoint))
    for vmid, address in ours.items():
        address.refresh_from_db()
        assert address.assigned_object.virtual_machine == vm_of(vmid)


def test_a_record_on_the_guests_own_interface_in_another_vrf_is_its_record(pve, endpoint, sync):
    make_vm(pve, 908)
    sync(endpoint)
    mine = IPAddress.objects.create(
        address='10.0.0.8/24', vrf=VRF.objects.create(name='Red'), assigned_object=vm_of(908).interfaces.get()
    )
    reports(pve, 908, '10.0.0.8/24')
    sync(endpoint)
    assert IPAddress.objects.get() == mine
    assert written(sync(endpoint)) == []


# Case 5: cloud-init without its drive never reaches the guest


WISH = {'ipconfig0': 'ip=10.0.0.7/24,gw=10.0.0.1'}
DRIVE = {'ide2': 'local-lvm:vm-907-cloudinit,media=cdrom,size=4M'}


def test_a_cloud_init_address_without_a_cloud_init_drive_creates_nothing(pve, endpoint, sync):
    make_vm(pve, 907, running=False, **WISH)
    sync(endpoint)
    assert (held_by(907), vm_of(907).primary_ip4) == ([], None)
    pve.set_config(907, **DRIVE)
    sync(endpoint)
    assert (held_by(907), vm_of(907).primary_ip4) == (['10.0.0.7/24'], IPAddress.objects.get())


def test_a_cloud_init_drive_that_is_detached_removes_nothing(pve, endpoint, sync):
    make_vm(pve, 907, running=False, **WISH, **DRIVE)
    sync(endpoint)
    pve.delete_config(907, 'ide2')
    for _run in range(3):
        assert written(sync(endpoint)) == []
    assert (held_by(907), vm_of(907).primary_ip4) == (['10.0.0.7/24'], IPAddress.objects.get())
    pve.delete_config(907, 'ipconfig0')
    for _run in range(3):
        assert written(sync(endpoint)) == []


@pytest.mark.parametrize('changed', ['ip=10.0.0.8/24', None])
def test_an_unused_cloud_init_address_is_removed_immediately_when_the_configuration_changes(
    pve, endpoint, sync, changed
):
    make_vm(pve, 907, running=False, **WISH, **DRIVE)
    sync(endpoint)
    pve.set_config(907, ipconfig0=changed)
    sync(endpoint)
    assert held_by(907) == (['10.0.0.8/24'] if changed else [])
    assert (vm_of(907).primary_ip4 is None) is (changed is None)
    assert written(sync(endpoint)) == []


def test_reported_addresses_are_retained_when_the_guest_is_off_regardless_of_cloud_init(pve, endpoint, sync):
    make_vm(pve, 907, running=False, **WISH, **DRIVE)
    sync(endpoint)
    pve.start(907)
    reports(pve, 907, '10.0.0.70/24')
    sync(endpoint)
    assert held_by(907) == ['10.0.0.70/24']
    pve.stop(907)
    for _run in range(3):
        assert written(sync(endpoint))[1:] == []
    assert (held_by(907), vm_of(907).primary_ip4) == (['10.0.0.70/24'], IPAddress.objects.get())


def test_a_container_whose_configured_address_changes_while_it_is_off_has_the_new_one_only(pve, endpoint, sync):
    make_container(pve, 906, '10.0.0.6/24')
    sync(endpoint)
    pve.stop(906)
    sync(endpoint)
    config = pve.cluster.guest(906).config['net0']
    pve.set_config(906, net0=config.replace('10.0.0.6/24', '10.0.0.16/24'))
    sync(endpoint)
    assert (held_by(906), vm_of(906).primary_ip4) == (['10.0.0.16/24'], IPAddress.objects.get())
    assert written(sync(endpoint)) == []


# Case 6: an address that is missing for a moment


def test_an_address_that_is_missing_in_one_run_keeps_its_record_and_remains_primary(pve, endpoint, sync):
    make_vm(pve, 201, '10.0.0.21/24')
    sync(endpoint)
    address = IPAddress.objects.get()
    for _again in range(3):
        reports(pve, 201)
        assert written(sync(endpoint)) == []
        assert (vm_of(201).primary_ip4, held_by(201)) == (address, ['10.0.0.21/24'])
        reports(pve, 201, '10.0.0.21/24')
        assert written(sync(endpoint)) == []
    assert IPAddress.objects.get() == address
    reports(pve, 201)
    sync(endpoint)
    sync(endpoint)
    assert (held_by(201), vm_of(201).primary_ip4) == ([], None)
    assert written(sync(endpoint)) == []


@pytest.mark.parametrize('policy', ['delete', 'unassign'])
@pytest.mark.parametrize('reads', [1, 2, 4])
def test_an_address_goes_after_as_many_complete_reads_as_the_endpoint_says(pve, endpoint, sync, reads, policy):
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(missing_address_reads=reads, missing_addresses=policy)
    make_vm(pve, 201, '10.0.0.21/24')
    sync(endpoint)
    reports(pve, 201)
    for number in range(1, reads + 1):
        assert held_by(201) == ['10.0.0.21/24']
        # What was not read completely, and what was only looked at, does not count.
        pve.agent_silent(201)
        assert written(sync(endpoint)) == []
        pve.agent_running(201)
        sync(endpoint, mode='preview')
        run = sync(endpoint)
        assert not run.changes.exclude(outcome='applied').exists(), f'{number}: {written(run)}'
    assert held_by(201) == []
    assert IPAddress.objects.count() == (policy == 'unassign')
    assert vm_of(201).primary_ip4 is None
    assert written(sync(endpoint)) == []


def test_an_address_is_removed_immediately_with_its_nic(pve, endpoint, sync):
    make_vm(pve, 201, **SECOND)
    report(pve, 201, agent_row('ens18', 201, '10.0.0.21/24'), agent_row('ens19', 2, '10.0.1.21/24'))
    sync(endpoint)
    pve.remove_nic(201, 'net1')
    sync(endpoint)
    assert (held_by(201), IPAddress.objects.count()) == (['10.0.0.21/24'], 1)


def test_an_address_that_another_guest_is_seen_with_moves_immediately_with_its_record(pve, endpoint, sync):
    for vmid, host in ((201, '10.0.0.21/24'), (202, '10.0.0.22/24')):
        make_vm(pve, vmid, host)
    sync(endpoint)
    before = {str(address.address): address.pk for address in IPAddress.objects.all()}
    reports(pve, 201, '10.0.0.22/24')
    reports(pve, 202, '10.0.0.21/24')
    run = sync(endpoint)
    assert not conflicts(run)
    assert (held_by(201), held_by(202)) == (['10.0.0.22/24'], ['10.0.0.21/24'])
    assert {str(address.address): address.pk for address in IPAddress.objects.all()} == before
    assert written(sync(endpoint)) == []


def test_a_new_address_beside_a_missing_one_becomes_primary_when_the_old_one_is_missing(pve, endpoint, sync):
    make_vm(pve, 201, '10.0.0.21/24')
    sync(endpoint)
    reports(pve, 201, '10.0.0.31/24')
    sync(endpoint)
    assert held_by(201) == ['10.0.0.21/24', '10.0.0.31/24']
    assert str(vm_of(201).primary_ip4) == '10.0.0.21/24'
    sync(endpoint)
    assert (held_by(201), str(vm_of(201).primary_ip4)) == (['10.0.0.31/24'], '10.0.0.31/24')


# Case 7: what older containers report


@pytest.mark.parametrize('addresses', [[], None, ...])
def test_inet_counts_where_a_container_lists_no_addresses(pve, endpoint, sync, addresses):
    make_container(pve, 205, 'dhcp')
    row = {'name': 'eth0', 'hwaddr': mac(205).lower(), 'inet': '10.0.0.25/24', 'inet6': '2001:db8::25/64'}
    report(pve, 205, row | ({} if addresses is ... else {'ip-addresses': addresses}))
    sync(endpoint)
    assert held_by(205) == ['10.0.0.25/24', '2001:db8::25/64']
    assert written(sync(endpoint)) == []


# Case 8: interfaces that only the guest has


@pytest.mark.parametrize('with_nic', [True, False])
def test_the_addresses_of_a_passed_through_nic_are_shown_with_the_reason(pve, endpoint, sync, with_nic):
    make_vm(pve, 210, '10.0.0.10/24', hostpci0='0000:01:00.0')
    rows = [agent_row('enp1s0', 'aa:bb:cc:00:00:01', '10.9.0.10/24'), agent_row('lo', None, '127.0.0.1/8')]
    if with_nic:
        rows.append(agent_row('ens18', 210, '10.0.0.10/24'))
    else:
        pve.delete_config(210, 'net0')
    report(pve, 210, *rows)
    run = sync(endpoint)
    assert held_by(210) == (['10.0.0.10/24'] if with_nic else [])
    assert IPAddress.objects.count() == with_nic
    (shown,) = endpoint.guests.get(vmid=210).details['guest_only']
    assert (shown['name'], shown['mac']) == ('enp1s0', 'AA:BB:CC:00:00:01')
    assert [address['address'] for address in shown['addresses']] == ['10.9.0.10/24']
    assert 'no network device' in shown['reason']
    assert [warning['subject'] for warning in run.messages if 'network device' in warning['message']] == ['qemu/210']


def test_interfaces_of_container_hosts_and_tunnels_are_listed_without_a_notice(pve, endpoint, sync):
    make_vm(pve, 210)
    report(
        pve, 210, agent_row('ens18', 210, '10.0.0.10/24'), agent_row('docker0', 99, '172.17.0.1/16'),
        agent_row('wg0', None, '10.8.0.1/24'),
    )  # fmt: skip
    run = sync(endpoint)
    shown = {entry['name']: entry for entry in endpoint.guests.get(vmid=210).details['guest_only']}
    assert set(shown) == {'docker0', 'wg0'}
    assert 'network device' not in notices(run)


# Finding M7: a guest that reports thousands of addresses


def test_ten_thousand_addresses_of_one_guest_do_not_fill_netbox(pve, endpoint, sync):
    make_vm(pve, 220, **SECOND)
    many = [f'10.{number // 250}.{number % 250 + 1}.1/32' for number in range(10_000)]
    report(pve, 220, agent_row('ens18', 220, *many), agent_row('ens19', 2, '192.168.1.1/24'))
    run = sync(endpoint)
    held = held_by(220)
    assert len(held) == 256
    assert '192.168.1.1/24' in held
    assert '10001 addresses' in notices(run)
    assert 'qemu/220' in notices(run)
    details = endpoint.guests.get(vmid=220).details
    assert len(str(details)) < 200_000
    assert written(sync(endpoint)) == []
    # In another order, and with others, nothing changes that is still there.
    report(pve, 220, agent_row('ens18', 220, '9.9.9.9/32', *reversed(many)), agent_row('ens19', 2, '192.168.1.1/24'))
    assert written(sync(endpoint)) == []
    assert held_by(220) == held


def test_the_address_limit_is_a_setting_and_removes_no_address(pve, endpoint, sync):
    make_vm(pve, 220, *(f'10.0.0.{number}/24' for number in range(1, 21)))
    sync(endpoint)
    assert len(held_by(220)) == 20
    ProxmoxEndpoint.objects.filter(pk=endpoint.pk).update(address_limit=8)
    reports(pve, 220, *(f'10.0.0.{number}/24' for number in range(1, 31)))
    for _run in range(3):
        assert written(sync(endpoint)) == []
    assert len(held_by(220)) == 20
    reports(pve, 220, *(f'10.0.0.{number}/24' for number in range(15, 31)))
    for _run in range(3):
        sync(endpoint)
    assert len(held_by(220)) == 8
