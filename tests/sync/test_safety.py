from dataclasses import replace
from datetime import timedelta

from netbox_proxsync.sync.changes import Action, Change
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.safety import why_unsafe_revert

from .builders import NOW, SETTINGS, NetBox, config, disk, guest, inventory, plan

DELETING = replace(SETTINGS, missing_guests='delete')
EVERYTHING = replace(SETTINGS, change_limit=100)
LATE = NOW + timedelta(days=31)


def guests(*vmids: int, disks: tuple[str, ...] = ()):
    return [guest(vmid, f'vm{vmid}', (), config=config(disks=tuple(disk(key) for key in disks))) for vmid in vmids]


def refusal(netbox, *found, settings=SETTINGS, now=NOW) -> str:
    return plan(inventory(*found), netbox.existing, settings, now).refusal


def test_half_of_the_guests_missing_is_refused_and_a_sixth_is_not():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 112))))
    assert refusal(netbox, *guests(*range(100, 106))) == (
        'This run exceeds the change limit of 20 percent of the objects of a type. Changes beyond the limit: '
        'virtual machines: 6 retired (of 12). Nothing was written. If these objects were removed in Proxmox VE, '
        'approve this run. Otherwise, check the hosts of the endpoint and the privileges of its token, and sync '
        'again.'
    )
    assert not refusal(netbox, *guests(*range(100, 110)))


def test_four_of_four_are_too_few_to_be_refused():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 104))))
    assert not refusal(netbox)


def test_retirements_and_deletions_are_counted_apart():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 110))))
    netbox.sync(inventory(*guests(*range(104, 110))))
    made = plan(inventory(*guests(108, 109)), netbox.existing, DELETING, LATE)
    assert made.counts['vm'] == {'delete': 4, 'retire': 4}
    assert not made.refusal


def test_deletions_after_the_grace_period_are_limited_and_the_highest_limit_is_none():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 112))))
    netbox.sync(inventory(*guests(*range(105, 112))), EVERYTHING)
    remaining = guests(*range(105, 112))
    assert 'virtual machines: 5 deleted (of 12)' in refusal(netbox, *remaining, settings=DELETING, now=LATE)
    assert not refusal(netbox, *remaining, settings=replace(DELETING, change_limit=100), now=LATE)


def test_deletions_and_releases_are_counted_together():
    netbox = NetBox()
    vmids = range(100, 106)
    netbox.sync(inventory(*guests(*vmids)))
    for vmid in vmids[:3]:
        netbox.add('disk', virtual_machine=netbox.object('vm', f'qemu/{vmid}').pointer, name='scsi0')
    netbox.sync(inventory(*guests(*vmids, disks=('scsi0',))))
    assert 'virtual disks: 3 deleted, 3 released (of 6)' in refusal(netbox, *guests(*vmids))


def test_every_kind_beyond_the_limit_is_named():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 120), disks=('scsi0',))))
    left = [*guests(*range(100, 106)), *guests(*range(106, 114), disks=('scsi0',))]
    assert 'virtual machines: 6 retired (of 20); virtual disks: 6 deleted (of 20)' in refusal(netbox, *left)


def test_retired_objects_do_not_count_as_managed():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 130), disks=('scsi0',))))
    netbox.sync(inventory(*guests(*range(120, 130), disks=('scsi0',))), EVERYTHING)
    assert 'virtual machines: 5 retired (of 10)' in refusal(netbox, *guests(*range(120, 125), disks=('scsi0',)))
    half = [*guests(*range(120, 125)), *guests(*range(125, 130), disks=('scsi0',))]
    assert 'virtual disks: 5 deleted (of 10)' in refusal(netbox, *half)


def test_every_kind_has_a_name_for_users():
    assert all(kind.plural and kind.plural != kind.name for kind in KINDS.values())


def test_unmanaged_objects_do_not_loosen_the_change_limit():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 140))))
    for vmid in range(110, 140):
        bound = netbox.bindings['vm', f'qemu/{vmid}']
        netbox.bindings['vm', bound.key] = replace(bound, unmanaged=True)
    staying = [*range(105, 140)]
    assert 'virtual machines: 5 retired (of 10)' in refusal(netbox, *guests(*staying))
    assert not refusal(netbox, *guests(104, *staying))


def test_the_limit_may_be_reached_but_not_exceeded():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 125))))
    assert not refusal(netbox, *guests(*range(105, 125)))
    assert refusal(netbox, *guests(*range(106, 125)))


def test_bindings_of_a_kind_that_no_longer_exists_do_not_count():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 110))))
    bound = netbox.bindings['vm', 'qemu/100']
    netbox.bindings['former', 'qemu/100'] = replace(bound, pk=999, kind='former')
    assert 'virtual machines: 5 retired (of 10)' in refusal(netbox, *guests(*range(105, 110)))


def test_a_revert_that_deletes_many_objects_requires_approval():
    netbox = NetBox()
    netbox.sync(inventory(*guests(*range(100, 112), disks=('scsi0',))))
    removed = [f'qemu/{vmid}' for vmid in range(100, 106)]
    deletions = [
        Change(action=Action.DELETE, kind=kind, key=key, unit=unit, label=key)
        for unit in removed
        for kind, key in (('vm', unit), ('disk', f'{unit}/scsi0'))
    ]
    assert why_unsafe_revert(deletions, netbox.bindings, 20) == (
        'This revert requires approval: it exceeds the change limit of 20 percent of the objects of a type. Changes '
        'beyond the limit: virtual machines: 6 deleted (of 12); virtual disks: 6 deleted (of 12).'
    )
    assert why_unsafe_revert(deletions, netbox.bindings, 50) == ''
    assert why_unsafe_revert(deletions[:8], netbox.bindings, 20) == ''
