"""What Proxmox said of each guest, and how NetBox stands to it -> ProxmoxGuest."""

from collections import defaultdict
from collections.abc import Iterator
from itertools import batched
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db import transaction
from django.db.models import Q
from extras.models import CachedValue
from netbox.context import query_cache
from netbox.search.backends import search_backend
from virtualization.models import VirtualMachine

from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..proxmox.inventory import Guest, known
from ..sync.guest_details import details_of, storable
from ..sync.guests import IGNORED, Standing, Standings

__all__ = ('record_guests',)

BATCH = 1000
WRITTEN = ('name', 'node', 'status', 'tags', 'template', 'state', 'reason', 'virtual_machine_id', 'details')


def record_guests(endpoint: ProxmoxEndpoint, standings: Standings):
    """
    Keep one row for every guest that Proxmox has or that is bound, writing only what differs.

    The number of queries depends on the number of rows that differ alone: a few for every thousand.
    """
    rows = {row.key: row for row in ProxmoxGuest.objects.filter(endpoint=endpoint)}
    machines = bound_machines(endpoint)
    with transaction.atomic():
        differing, gone = compare(endpoint, rows, machines, standings)
        for batch in batched(differing, BATCH):
            write(batch)
        for batch in batched(gone, BATCH):
            ProxmoxGuest.drop(Q(pk__in=[row.pk for row in batch]), ProxmoxGuest.objects.db)


def bound_machines(endpoint: ProxmoxEndpoint) -> dict[str, int | None]:
    """The virtual machine of every bound guest; None for one that a person deleted."""
    # A machine whose VM ID another one has now ('qemu/100#1') is no guest any more.
    bindings = Binding.objects.filter(endpoint=endpoint, kind='vm').exclude(key__contains='#').order_by()
    machines = VirtualMachine.objects.filter(pk__in=bindings.values('object_id')).order_by()
    there = set(machines.values_list('pk', flat=True))
    return {key: pk if pk in there else None for key, pk in bindings.values_list('key', 'object_id')}


def compare(
    endpoint: ProxmoxEndpoint,
    rows: dict[str, ProxmoxGuest],
    machines: dict[str, int | None],
    standings: Standings,
) -> tuple[list[ProxmoxGuest], list[ProxmoxGuest]]:
    """The rows that must be written, and those that must go."""
    differing, gone = [], []
    present = set()
    for guest, standing in standings.present():
        present.add(guest.key)
        row = rows.get(guest.key) or ProxmoxGuest(endpoint=endpoint, type=str(guest.type), vmid=guest.vmid)
        if take(row, {**said(guest), **standing_of(row, standing, machines)}):
            differing.append(row)
    for key in sorted({*rows, *machines} - present):
        row = rows.get(key) or unseen(endpoint, key)
        standing = standings.absent(key, key in machines)
        if standing is None and not row.ignored:
            # What a person decided about a guest stands, also for when it comes back.
            gone.append(row)
        elif take(row, standing_of(row, standing or IGNORED, machines)):
            differing.append(row)
    return differing, gone


def take(row: ProxmoxGuest, values: dict[str, Any]) -> bool:
    """Give a row its values; whether it must be written."""
    before = {name: getattr(row, name) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    return row.pk is None or before != values


def said(guest: Guest) -> dict[str, Any]:
    """What Proxmox said, cut to what the columns hold."""
    return storable({
        'name': guest.name[:255] if known(guest.name) else '',
        'node': guest.node[:255],
        'status': guest.status[:50] if known(guest.status) else '',
        'tags': [tag[:255] for tag in guest.tags] if known(guest.tags) else [],
        'template': guest.template is True,
        'details': details_of(guest),
    })


def standing_of(row: ProxmoxGuest, standing: Standing, machines: dict[str, int | None]) -> dict[str, Any]:
    if row.ignored:
        standing = IGNORED
    # The machine of an ignored guest may be bound no more; it is still what the guest was, and hides it from those who
    # may not view it.
    machine = machines.get(row.key) or (row.virtual_machine_id if row.ignored else None)
    return {'state': str(standing.state), 'reason': storable(standing.reason), 'virtual_machine_id': machine}


def unseen(endpoint: ProxmoxEndpoint, key: str) -> ProxmoxGuest:
    """A guest that is bound, though no run has recorded it."""
    guest_type, _slash, vmid = key.partition('/')
    return ProxmoxGuest(endpoint=endpoint, type=guest_type, vmid=int(vmid))


def write(rows: tuple[ProxmoxGuest, ...]):
    """Insert or update rows by one statement, `ignored` excepted, which is a person's; and let them be found."""
    before = dict(named(rows))
    ProxmoxGuest.objects.bulk_create(
        rows,
        update_conflicts=True,
        unique_fields=('endpoint', 'vmid', 'type'),
        update_fields=[name.removesuffix('_id') for name in WRITTEN],
    )
    renamed = [row for row in rows if before.get(row.pk) != (row.vmid, row.name)]
    if renamed:
        index(renamed)


def index(rows: list[ProxmoxGuest]):
    """Let NetBox's search find rows, which learns of single saves only."""
    object_type = ContentType.objects.get_for_model(ProxmoxGuest)
    stale = CachedValue.objects.filter(object_type_id=object_type.pk, object_id__in=[row.pk for row in rows])
    stale._raw_delete(stale.db)
    # Without NetBox's cache for a request, its search asks for the type and the custom fields of every row anew.
    token = query_cache.set(defaultdict(dict))
    try:
        search_backend.cache(rows, remove_existing=False)
    finally:
        query_cache.reset(token)


def named(rows: tuple[ProxmoxGuest, ...]) -> Iterator[tuple[int, tuple[int, str]]]:
    """What search knows of those rows that exist."""
    stored = ProxmoxGuest.objects.filter(pk__in=[row.pk for row in rows if row.pk]).order_by()
    return ((pk, (vmid, name)) for pk, vmid, name in stored.values_list('pk', 'vmid', 'name'))
