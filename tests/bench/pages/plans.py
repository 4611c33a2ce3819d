"""Runs and their changes."""

from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from itertools import cycle, islice
from uuid import UUID

from core.models import Job
from django.contrib.contenttypes.models import ContentType
from virtualization.models import VirtualMachine

from netbox_proxsync.models import ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

__all__ = ('changes', 'created', 'preview', 'run', 'uuid')

# The changes of one guest.
PARTS = (
    ('vm', ''), ('interface', '/net0'), ('interface', '/net1'), ('mac', '/net0/mac'), ('ip', '/net0/10.0.0.0'),
    ('disk', '/scsi0'), ('disk', '/scsi1'),
)  # fmt: skip
ACTIONS = ('update', 'create', 'update', 'adopt', 'create', 'update', 'delete')
FIELD = {'name': 'memory', 'owner': 'fact', 'last': 2048, 'now': 2048, 'want': 4096, 'kept': False, 'drift': False}


def uuid(number: int) -> UUID:
    return UUID(int=number + 1, version=4)


def created(run: SyncRun) -> datetime:
    """When it was made, which the database itself notes at first."""
    return run.started - timedelta(seconds=1)


def run(endpoint: ProxmoxEndpoint, started: datetime, job: Job, number: int) -> SyncRun:
    return SyncRun(
        endpoint=endpoint,
        job=job,
        mode=('sync', 'preview', 'sync')[number % 3],
        status=('completed', 'completed', 'completed', 'failed')[number % 4],
        started=started,
        completed=started + timedelta(seconds=20),
        timings={'collect': 12.0, 'plan': 2.0, 'apply': 5.0, 'record': 1.0},
        counts={'vm': {'update': 10, 'create': 10}},
        guests=800,
        calls=1700,
        messages=messages(5),
    )


def preview(endpoint: ProxmoxEndpoint, started: datetime, guests: list[ProxmoxGuest], number: int) -> SyncRun:
    found = Counter((kind, action) for (kind, _part), action in kinds(guests, number))
    counts: dict[str, dict[str, int]] = {}
    for (kind, action), changed in found.items():
        counts.setdefault(kind, {})[action] = changed
    return SyncRun(
        endpoint=endpoint,
        mode='preview',
        status='completed',
        started=started,
        completed=started + timedelta(seconds=90),
        timings={'collect': 60.0, 'plan': 20.0, 'record': 10.0},
        counts=counts,
        guests=len(guests),
        calls=2 * len(guests),
        messages=messages(200),
    )


def messages(number: int) -> list[dict[str, str]]:
    return [
        {'level': 'warning', 'subject': f'qemu/{vmid}', 'message': 'The guest agent did not answer.', 'remedy': ''}
        for vmid in range(100, 100 + number)
    ]


def kinds(guests: list[ProxmoxGuest], number: int) -> list[tuple[tuple[str, str], str]]:
    """((kind, rest of the key), action) of `number` changes; one guest after the other, so that each has some."""
    rounds = -(-number // max(1, len(guests)))
    each = [(PARTS[part % len(PARTS)], ACTIONS[part % len(PARTS)]) for part in range(rounds)]
    return list(islice(cycle(each), number))


def changes(run: SyncRun, guests: list[ProxmoxGuest], number: int) -> Iterator[SyncChange]:
    rounds = -(-number // max(1, len(guests)))
    of_machine = ContentType.objects.get_for_model(VirtualMachine)
    for position, ((kind, part), action) in enumerate(kinds(guests, number)):
        guest = guests[position // rounds]
        of_guest = kind == 'vm' and guest.virtual_machine_id
        yield SyncChange(
            run=run,
            position=position,
            unit=guest.key,
            kind=kind,
            key=f'{guest.key}{part}',
            action=action,
            outcome='planned' if run.mode == 'preview' else 'applied',
            object_type=of_machine if of_guest else None,
            object_id=guest.virtual_machine_id if of_guest else None,
            label=guest.name if kind == 'vm' else part.rpartition('/')[2],
            fields=[FIELD],
            reason='Proxmox VE says otherwise.',
        )
