"""Notices for the administrator: each once, however many guests it concerns."""

from netbox_proxsync.proxmox.inventory import Notice
from netbox_proxsync.proxmox.messages import Message
from netbox_proxsync.proxmox.notices import VMID, NoticeCollector, listed

LOCKED = Message('Locked ({vmid})', vmid=VMID)


def test_a_notice_is_added_once():
    notices = NoticeCollector()
    for _ in range(2):
        notices.add('cluster', 'No quorum.', 'Wait.')
    notices.add('cluster', 'No quorum.', 'Restart.')
    assert [(notice.message, notice.remedy) for notice in notices.collected()] == [
        ('No quorum.', 'Wait.'),
        ('No quorum.', 'Restart.'),
    ]


def test_guests_share_a_notice_and_count_once():
    notices = NoticeCollector()
    for key in ('qemu/101', 'lxc/200', 'qemu/99', 'qemu/101'):
        notices.add_guest(key, LOCKED, 'Unlock.')
    notices.add('token', 'Short.')
    assert notices.collected() == (
        Notice(subject='token', message='Short.'),
        Notice(
            subject='guests',
            message='Locked (VMID), in 3 guests: lxc/200, qemu/99, qemu/101.',
            remedy='Unlock.',
        ),
    )


def test_the_notice_of_one_guest_names_its_id():
    notices = NoticeCollector()
    notices.add_guest('qemu/100', LOCKED)
    notices.add_guest('qemu/100', LOCKED)
    assert notices.collected() == (Notice(subject='qemu/100', message='Locked (100).'),)


def test_long_lists_are_shortened():
    assert listed(range(20)).endswith('18, 19')
    assert listed(range(22)).endswith('18, 19 and 2 more')
