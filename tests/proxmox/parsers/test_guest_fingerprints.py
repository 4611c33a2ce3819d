"""By which values of a row of the guest list a quick run recognizes that a guest has changed."""

import pytest

from netbox_proxsync.proxmox.parsers.guest_fingerprints import fingerprint_of

ROW = {
    'id': 'qemu/100', 'type': 'qemu', 'vmid': 100, 'node': 'pve1', 'status': 'running', 'name': 'web', 'tags': 'a;b',
    'template': 0, 'maxcpu': 2, 'maxmem': 1 << 30, 'maxdisk': 8 << 30, 'cpu': 0.5, 'mem': 1, 'disk': 0, 'uptime': 60,
    'netin': 1, 'netout': 1, 'diskread': 1, 'diskwrite': 1, 'pool': 'lab', 'hastate': 'started', 'memhost': 5,
}  # fmt: skip


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('status', 'stopped'), ('name', 'db'), ('node', 'pve2'), ('lock', 'backup'), ('tags', 'a'), ('template', 1),
        ('maxcpu', 4), ('maxmem', 2 << 30), ('maxdisk', 9 << 30),
    ],
)  # fmt: skip
def test_changes_that_change_the_fingerprint(name, value):
    assert fingerprint_of({**ROW, name: value}) not in ('', fingerprint_of(ROW))


@pytest.mark.parametrize(
    'name', ['cpu', 'mem', 'disk', 'uptime', 'netin', 'netout', 'diskread', 'diskwrite', 'pool', 'hastate', 'memhost']
)
def test_changes_that_do_not_change_the_fingerprint(name):
    assert fingerprint_of({**ROW, name: 7}) == fingerprint_of(ROW)
    assert fingerprint_of({key: value for key, value in ROW.items() if key != name}) == fingerprint_of(ROW)


def test_the_same_values_of_other_versions_are_the_same():
    for value in ('', None, '0', 0):
        assert fingerprint_of({**ROW, 'template': value}) == fingerprint_of({**ROW, 'template': 0})
    assert fingerprint_of({**ROW, 'maxmem': str(1 << 30)}) == fingerprint_of(ROW)


def test_the_root_file_system_of_a_container_is_measured():
    row = {**ROW, 'type': 'lxc'}
    assert fingerprint_of({**row, 'maxdisk': 9 << 30}) == fingerprint_of(row) != fingerprint_of(ROW)


@pytest.mark.parametrize('change', [{'status': 'unknown'}, {'status': None}, {'name': None}, {'maxmem': None}])
def test_a_row_without_its_values_cannot_be_compared(change):
    assert fingerprint_of({**ROW, **change}) == ''
