"""What Proxmox said of each guest, and how NetBox stands to it -> ProxmoxGuest."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import batched
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from extras.models import CachedValue
from netbox.context import query_cache
from netbox.search.backends import search_backend
from virtualization.models import VirtualMachine

from .. import branching
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..models.branch_states import guests_read, set_guests_read
from ..models.deletion import delete_unread
from ..proxmox.inventory import Guest, GuestType, known
from ..sync.guest_details import details_of
from ..sync.guest_states import IGNORED, GuestState, GuestStates, LaterGuestStates, State

__all__ = ('GuestRecorder',)

BATCH = 1000
WRITTEN = (
    'name', 'node', 'status', 'tags', 'template', 'state', 'reason', 'virtual_machine_id', 'candidate_ids', 'details',
    'seen_until', 'known_until',
)  # fmt: skip

# Of a guest that Proxmox VE no longer has. The rest is shown with the date of the last read.
UNLISTED = {'status': ''}
# Parts of `details` that come from a guest's configuration, and single readings among them.
CONFIGURED = ('nics', 'disks', 'unknown_keys')
LISTED = ('pool', 'ha_state')

# Of bound guests; None: a person deleted it.
type Machines = Mapping[str, int | None]


class GuestRecorder:
    """
    Keeps a row for every guest that Proxmox has or that is bound, writing only what differs.

    Args:
        standings: How NetBox stands to the guests; it changes while a plan is applied.
        vmids: The guests that the run is for; the rows of others stay as they are. None: all.
    """

    def __init__(
        self,
        endpoint: ProxmoxEndpoint,
        standings: GuestStates | LaterGuestStates,
        vmids: Collection[int] | None = None,
    ) -> None:
        self.endpoint = endpoint
        self.standings = standings
        self.to_adopt: dict[str, int] = {}
        self.meant = None if vmids is None else {f'{guest_type}/{vmid}' for guest_type in GuestType for vmid in vmids}

    def find_to_adopt(self, units: Iterable[str]) -> None:
        """The virtual machines that guests would adopt, or have again, and that users have not deleted since."""
        wanted = {unit: pk for unit in units if (pk := self.standings.open.to_adopt(unit))}
        there = VirtualMachine.objects.filter(pk__in=wanted.values()).order_by() if wanted else None
        found = set(there.values_list('pk', flat=True)) if there is not None else set()
        self.to_adopt = {unit: pk for unit, pk in wanted.items() if pk in found}

    def record_all(self, read_at: datetime) -> None:
        """
        Take over all that was read. The number of queries depends on the number of rows that differ alone: a few for
        every thousand.

        Args:
            read_at: When the reading began.
        """
        before = self.endpoint.guests_read
        try:
            with branching.atomic():
                self.record_differing(read_at)
        except BaseException:
            self.endpoint.guests_read = before
            raise

    def record_differing(self, read_at: datetime) -> None:
        rows, machines = self.rows(self.meant), self.machines(self.meant)
        self.find_to_adopt(self.standings.open.by_unit)
        differing = [*self.listed(rows, machines)]
        unlisted, gone = self.unlisted(rows, machines)
        save(differing + unlisted, gone)
        # Of the others, nothing was looked at that would be true since this run.
        if self.meant is None and guests_read(self.endpoint) != read_at:
            set_guests_read(self.endpoint, read_at)

    def listed(self, rows: Mapping[str, ProxmoxGuest], machines: Machines) -> Iterator[ProxmoxGuest]:
        """The rows that differ of guests that Proxmox listed."""
        read_before = guests_read(self.endpoint)
        for key, guest in self.standings.guests.items():
            row = rows.get(key) or ProxmoxGuest(endpoint=self.endpoint, type=str(guest.type), vmid=guest.vmid)
            values = with_known(row, guest, read_before)
            if take(row, {**values, **self.standing_of(row, self.standings.of(guest), machines)}):
                yield row

    def unlisted(
        self, rows: Mapping[str, ProxmoxGuest], machines: Machines
    ) -> tuple[list[ProxmoxGuest], list[ProxmoxGuest]]:
        """The rows that differ of guests that Proxmox did not list, and those that must go."""
        differing, gone = [], []
        keys = {*rows, *machines} - {*self.standings.guests}
        first_seen, read_before = self.first_seen(keys - {*rows}), guests_read(self.endpoint)
        for key in sorted(keys):
            row = rows.get(key) or unseen(self.endpoint, key)
            seen_until = row.seen_until or first_seen.get(key) or read_before
            was_missing = row.seen_until is not None and row.state in (State.MISSING, State.CONFLICT)
            standing = self.standings.absent(key, key in machines, was_missing)
            # Whether the guest exists is not known: its status stays as it was read last.
            kept = {} if standing is not None and standing.state is State.UNKNOWN else UNLISTED
            if is_over(row, standing):
                gone.append(row)
            elif take(row, {**kept, 'seen_until': seen_until, **self.standing_of(row, standing, machines)}):
                differing.append(row)
        return differing, gone

    def record_units(self, units: Collection[str]) -> None:
        """
        Note how NetBox stands to some guests now. To be called within the transaction that has changed that, so that
        what the rows say is true at every moment, also if nothing comes after it.
        """
        differing, gone = [], []
        with branching.atomic():
            rows = self.rows(units)
            machines = self.machines(rows)
            self.find_to_adopt(rows)
            for key, row in rows.items():
                before = GuestState(State(row.state), row.reason)
                standing = self.standings.now(key, key in machines, before, was_listed=row.seen_until is None)
                if is_over(row, standing):
                    gone.append(row)
                elif take(row, self.standing_of(row, standing, machines)):
                    differing.append(row)
            save(differing, gone)

    def standing_of(self, row: ProxmoxGuest, standing: GuestState | None, machines: Machines) -> dict[str, Any]:
        if row.ignored or standing is None:
            standing = IGNORED
        # The machine of an ignored guest may be bound no more, and one that is only planned to be adopted is not bound
        # yet; it is still what the guest is, and hides it from those who may not view it.
        machine = machines.get(row.key)
        if machine is None:
            machine = row.virtual_machine_id if row.ignored else self.to_adopt.get(row.key)
        candidates = self.standings.open.candidates(row.key) if standing.state is State.CANDIDATE else []
        return {
            'state': str(standing.state),
            'reason': standing.reason,
            'virtual_machine_id': machine,
            'candidate_ids': candidates,
        }

    def rows(self, keys: Collection[str] | None = None) -> dict[str, ProxmoxGuest]:
        """The rows of the endpoint, or some of them, locked: a person may decide about a guest meanwhile."""
        found = ProxmoxGuest.objects.filter(endpoint=self.endpoint).order_by('pk').select_for_update()
        if keys is not None:
            vmids = (key.partition('/')[2] for key in keys)
            found = found.filter(vmid__in={int(vmid) for vmid in vmids if vmid.isdecimal()})
        return {row.key: row for row in found if keys is None or row.key in keys}

    def bindings(self) -> QuerySet[Binding]:
        # A machine whose VM ID another one has now ('qemu/100#1') is no guest any more.
        return Binding.objects.filter(endpoint=self.endpoint, kind='vm').exclude(key__contains='#').order_by()

    def machines(self, keys: Collection[str] | None = None) -> Machines:
        """The virtual machine of every bound guest; None for one that a person deleted."""
        bindings = self.bindings() if keys is None else self.bindings().filter(key__in=list(keys))
        machines = VirtualMachine.objects.filter(pk__in=bindings.values('object_id')).order_by()
        there = set(machines.values_list('pk', flat=True))
        return {key: pk if pk in there else None for key, pk in bindings.values_list('key', 'object_id')}

    def first_seen(self, keys: Collection[str]) -> dict[str, datetime]:
        """Of bound guests that no run has recorded: when they were bound."""
        if not keys:
            return {}
        return dict(self.bindings().filter(key__in=list(keys)).values_list('key', 'first_seen'))


def save(differing: list[ProxmoxGuest], gone: list[ProxmoxGuest]) -> None:
    for batch in batched(differing, BATCH):
        write(batch)
    for batch in batched(gone, BATCH):
        delete_unread(ProxmoxGuest, Q(pk__in=[row.pk for row in batch]), ProxmoxGuest.objects.db)


def is_over(row: ProxmoxGuest, standing: GuestState | None) -> bool:
    """Whether there is nothing to say of a guest. What a person decided stands, also for when it comes back."""
    return standing is None and not row.ignored


def take(row: ProxmoxGuest, values: dict[str, Any]) -> bool:
    """Give a row its values; whether it must be written."""
    before = {name: getattr(row, name) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    return row.pk is None or before != values


def with_known(row: ProxmoxGuest, guest: Guest, read_before: datetime | None) -> dict[str, Any]:
    """
    What Proxmox VE reports of a guest; where it cannot be read (a node is offline), what the row holds from before.

    Args:
        read_before: When the guests were last read before this run.
    """
    values = said(guest)
    unread = [name for name in ('name', 'status', 'tags', 'template') if not known(getattr(guest, name))]
    kept = {name: getattr(row, name) for name in unread}
    details = {name: row.details[name] for name in LISTED if not known(getattr(guest, name)) and row.details.get(name)}
    if not known(guest.config):
        details |= {name: row.details[name] for name in CONFIGURED if row.details.get(name)}
    if row.pk is None or not any((*kept.values(), *details.values())):
        return values
    return {
        **values,
        **kept,
        'details': {**values['details'], **details},
        'known_until': row.known_until or row.seen_until or read_before,
    }


def said(guest: Guest) -> dict[str, Any]:
    """What Proxmox said, cut to what the columns hold."""
    return {
        'name': guest.name[:255] if known(guest.name) else '',
        'node': guest.node[:255],
        'status': guest.status[:50] if known(guest.status) else '',
        'tags': [tag[:255] for tag in guest.tags] if known(guest.tags) else [],
        'template': guest.template is True,
        'details': details_of(guest),
        'seen_until': None,
        'known_until': None,
    }


def unseen(endpoint: ProxmoxEndpoint, key: str) -> ProxmoxGuest:
    """A guest that is bound, though no run has recorded it."""
    guest_type, _slash, vmid = key.partition('/')
    return ProxmoxGuest(endpoint=endpoint, type=guest_type, vmid=int(vmid))


def write(rows: tuple[ProxmoxGuest, ...]) -> None:
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


def index(rows: list[ProxmoxGuest]) -> None:
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
