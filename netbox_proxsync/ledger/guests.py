"""Records what Proxmox VE reports of each guest, and the state of the guest in NetBox, as rows of ProxmoxGuest."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from datetime import datetime
from itertools import batched
from typing import Any

from django.contrib.contenttypes.models import ContentType
from django.db.models import Q, QuerySet
from extras.models import CachedValue
from netbox.search.backends import search_backend
from virtualization.models import VirtualMachine

from .. import branching
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..models.branch_states import guests_read, set_guests_read
from ..models.deletion import delete_unread
from ..proxmox.inventory import Guest, GuestType, known
from ..sync.guest_details import details_of
from ..sync.guest_states import IGNORED, GuestState, GuestStates, LaterGuestStates, State
from ..wording import columns_of
from .query_cache import query_cached
from .row_fingerprints import RowFingerprints

__all__ = ('GuestRecorder', 'GuestStateRecorder')

BATCH = 1000
WRITTEN = (
    'name', 'node', 'status', 'tags', 'template', 'state', 'reason', 'reason_source', 'virtual_machine_id',
    'candidate_ids', 'details', 'seen_until', 'known_until', 'row_fingerprint',
)  # fmt: skip

# For a guest that Proxmox VE no longer has. The other values are shown with the date of the last read.
UNLISTED = {'status': ''}
# Keys of `details` that come from a guest's configuration, and keys that are read one by one.
CONFIGURED = ('nics', 'disks', 'unknown_keys')
LISTED = ('pool', 'ha_state')

# The virtual machines (pks) of bound guests by key; None: a user has deleted it.
type Machines = Mapping[str, int | None]


class GuestStateRecorder:
    """
    Records the states of guests that are in the list already, writing only what differs.

    Args:
        standings: The states of the guests; they change while a plan is applied.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, standings: GuestStates | LaterGuestStates) -> None:
        self.endpoint = endpoint
        self.standings = standings
        self.to_adopt: dict[str, int] = {}

    def find_to_adopt(self, units: Iterable[str]) -> None:
        """Look up the virtual machines that guests would adopt or get back, and that users have not deleted since."""
        wanted = {unit: pk for unit in units if (pk := self.standings.open.to_adopt(unit))}
        there = VirtualMachine.objects.filter(pk__in=wanted.values()).order_by() if wanted else None
        found = set(there.values_list('pk', flat=True)) if there is not None else set()
        self.to_adopt = {unit: pk for unit, pk in wanted.items() if pk in found}

    def record_units(self, units: Collection[str]) -> None:
        """
        Record the states of some guests. To be called within the transaction that has changed them, so that the rows
        are correct at every moment, even if the run ends there.
        """
        differing, gone = [], []
        with branching.atomic():
            rows = self.rows(units)
            machines = self.machines(rows)
            self.find_to_adopt(rows)
            for key, row in rows.items():
                before = GuestState(State(row.state), row.reason_message)
                standing = self.standings.now(key, key in machines, before, was_listed=row.seen_until is None)
                if is_obsolete(row, standing):
                    gone.append(row)
                elif assign_if_changed(row, self.state_columns(row, standing, machines)):
                    differing.append(row)
            save(differing, gone)

    def state_columns(self, row: ProxmoxGuest, standing: GuestState | None, machines: Machines) -> dict[str, Any]:
        """
        The columns of a guest's row that depend on its state.

        Args:
            standing: The state; None if the run leaves the guest out, which is recorded as ignored.
            machines: See `machines`.
        """
        if row.ignored or standing is None:
            standing = IGNORED
        # The virtual machine of an ignored guest may not be bound any more, and one to be adopted is not bound yet. It
        # is referred to anyway: users who may not view the virtual machine may not view the guest either.
        machine = machines.get(row.key)
        if machine is None:
            machine = row.virtual_machine_id if row.ignored else self.to_adopt.get(row.key)
        candidates = self.standings.open.candidates(row.key) if standing.state is State.CANDIDATE else []
        return {
            'state': str(standing.state),
            **columns_of(reason=standing.reason),
            'virtual_machine_id': machine,
            'candidate_ids': candidates,
        }

    def rows(self, keys: Collection[str] | None = None) -> dict[str, ProxmoxGuest]:
        """The rows of the endpoint, or some of them, by key; locked, since users may decide about guests meanwhile."""
        found = ProxmoxGuest.objects.filter(endpoint=self.endpoint).order_by('pk').select_for_update()
        if keys is not None:
            vmids = (key.partition('/')[2] for key in keys)
            found = found.filter(vmid__in={int(vmid) for vmid in vmids if vmid.isdecimal()})
        return {row.key: row for row in found if keys is None or row.key in keys}

    def bindings(self) -> QuerySet[Binding]:
        """The bindings of guests."""
        # 'qemu/100#1' is not a guest any more: another one has its VM ID now.
        return Binding.objects.filter(endpoint=self.endpoint, kind='vm').exclude(key__contains='#').order_by()

    def machines(self, keys: Collection[str] | None = None) -> Machines:
        """The virtual machine (pk) of every bound guest, by key; None if a user has deleted it."""
        bindings = self.bindings() if keys is None else self.bindings().filter(key__in=list(keys))
        machines = VirtualMachine.objects.filter(pk__in=bindings.values('object_id')).order_by()
        there = set(machines.values_list('pk', flat=True))
        return {key: pk if pk in there else None for key, pk in bindings.values_list('key', 'object_id')}


class GuestRecorder(GuestStateRecorder):
    """
    Records every guest that Proxmox VE has or that is bound, writing only what differs.

    Args:
        standings: The states of the guests that were just read; they change while a plan is applied.
        vmids: The guests that the run is for; the rows of others are not changed. None: all.
        is_quick: The run is a quick run.
        loaded: The rows of the endpoint, for a run that has changed nothing since they were loaded. If no row differs
            from what was read, nothing more is queried.
        machines: As `machines` returns them, with `loaded`.

    Attributes:
        fingerprints: Decides which fingerprints of the guests' rows are stored.
    """

    standings: GuestStates

    def __init__(
        self,
        endpoint: ProxmoxEndpoint,
        standings: GuestStates,
        vmids: Collection[int] | None = None,
        is_quick: bool = False,
        loaded: Iterable[ProxmoxGuest] | None = None,
        machines: Machines | None = None,
    ) -> None:
        super().__init__(endpoint, standings)
        self.keys = None if vmids is None else {f'{guest_type}/{vmid}' for guest_type in GuestType for vmid in vmids}
        self.fingerprints = RowFingerprints(is_quick)
        self.loaded = loaded
        self.loaded_machines = machines or {}
        # What was read of the guests, by key: a run that changes something records it twice.
        self._columns: dict[str, dict[str, Any]] = {}

    def record_all(self, read_at: datetime) -> bool:
        """
        Record all that was read. The number of queries depends only on the number of rows that differ: a few for every
        thousand.

        Args:
            read_at: When the reading began.

        Returns:
            Whether `set_read` is left to the caller, because no row was written.
        """
        before = self.endpoint.guests_read
        try:
            if self.loaded is not None and not self.differs():
                return True
            with branching.atomic():
                self.record_differing(read_at)
                self.set_read(read_at)
        except BaseException:
            self.endpoint.guests_read = before
            raise
        return False

    def record_differing(self, read_at: datetime) -> None:
        """Write the rows that differ."""
        rows, machines = self.rows(self.keys), self.machines(self.keys)
        self.find_to_adopt(self.standings.open.by_unit)
        differing = [*self.listed(rows, machines)]
        unlisted, gone = self.unlisted(rows, machines)
        save(differing + unlisted, gone)

    def differs(self) -> bool:
        """Whether a loaded row differs from what was read."""
        rows = {row.key: row for row in self.loaded or () if self.keys is None or row.key in self.keys}
        machines = {key: pk for key, pk in self.loaded_machines.items() if self.keys is None or key in self.keys}
        self.find_to_adopt(self.standings.open.by_unit)
        return any(True for _row in self.listed(rows, machines)) or any(self.unlisted(rows, machines))

    def set_read(self, read_at: datetime) -> None:
        """Record when the guests were read. A run for some guests has not read the others."""
        if self.keys is None and guests_read(self.endpoint) != read_at:
            set_guests_read(self.endpoint, read_at)

    def listed(self, rows: Mapping[str, ProxmoxGuest], machines: Machines) -> Iterator[ProxmoxGuest]:
        """The rows of guests that Proxmox VE has listed, if they differ."""
        read_before = guests_read(self.endpoint)
        for key, guest in self.standings.guests.items():
            row = rows.get(key) or ProxmoxGuest(endpoint=self.endpoint, type=str(guest.type), vmid=guest.vmid)
            # Before the other columns, which state whether it could be read by the previous run.
            row_fingerprint = self.fingerprints.of(guest, row)
            if key not in self._columns:
                self._columns[key] = guest_columns(guest)
            values = {
                **columns_with_last_known(row, guest, self._columns[key], read_before),
                'row_fingerprint': row_fingerprint,
            }
            if assign_if_changed(row, {**values, **self.state_columns(row, self.standings.of(guest), machines)}):
                yield row

    def unlisted(
        self, rows: Mapping[str, ProxmoxGuest], machines: Machines
    ) -> tuple[list[ProxmoxGuest], list[ProxmoxGuest]]:
        """The rows of guests that Proxmox VE has not listed: those that differ, and those to delete."""
        differing, gone = [], []
        keys = {*rows, *machines} - {*self.standings.guests}
        first_seen, read_before = self.first_seen(keys - {*rows}), guests_read(self.endpoint)
        for key in sorted(keys):
            row = rows.get(key) or placeholder_row(self.endpoint, key)
            seen_until = row.seen_until or first_seen.get(key) or read_before
            was_missing = row.seen_until is not None and row.state in (State.MISSING, State.CONFLICT)
            standing = self.standings.absent(key, key in machines, was_missing)
            # It is not known whether the guest exists: its status remains as it was last read.
            kept = {} if standing is not None and standing.state is State.UNKNOWN else UNLISTED
            if is_obsolete(row, standing):
                gone.append(row)
            elif assign_if_changed(
                row, {**kept, 'seen_until': seen_until, **self.state_columns(row, standing, machines)}
            ):
                differing.append(row)
        return differing, gone

    def first_seen(self, keys: Collection[str]) -> dict[str, datetime]:
        """When guests were bound that no run has recorded, by key."""
        if not keys:
            return {}
        return dict(self.bindings().filter(key__in=list(keys)).values_list('key', 'first_seen'))


def save(differing: list[ProxmoxGuest], gone: list[ProxmoxGuest]) -> None:
    """Write rows, and delete those of guests that are gone."""
    for batch in batched(differing, BATCH):
        write(batch)
    for batch in batched(gone, BATCH):
        delete_unread(ProxmoxGuest, Q(pk__in=[row.pk for row in batch]), ProxmoxGuest.objects.db)


def is_obsolete(row: ProxmoxGuest, standing: GuestState | None) -> bool:
    """Whether a row is not needed any more. That of an ignored guest is: the decision also applies if it returns."""
    return standing is None and not row.ignored


def assign_if_changed(row: ProxmoxGuest, values: dict[str, Any]) -> bool:
    """Assign values to a row; whether it must be written."""
    before = {name: getattr(row, name) for name in values}
    for name, value in values.items():
        setattr(row, name, value)
    return row._state.adding or before != values


def columns_with_last_known(
    row: ProxmoxGuest, guest: Guest, values: dict[str, Any], read_before: datetime | None
) -> dict[str, Any]:
    """
    The columns of a guest; if something could not be read (a node is offline), with the values that the row holds.

    Args:
        values: As `guest_columns` returns them.
        read_before: When the guests were last read before this run.
    """
    unread = [name for name in ('name', 'status', 'tags', 'template') if not known(getattr(guest, name))]
    kept = {name: getattr(row, name) for name in unread}
    details = {name: row.details[name] for name in LISTED if not known(getattr(guest, name)) and row.details.get(name)}
    if not known(guest.config):
        details |= {name: row.details[name] for name in CONFIGURED if row.details.get(name)}
    if row._state.adding or not any((*kept.values(), *details.values())):
        return values
    return {
        **values,
        **kept,
        'details': {**values['details'], **details},
        'known_until': row.known_until or row.seen_until or read_before,
    }


def guest_columns(guest: Guest) -> dict[str, Any]:
    """The columns of a guest as Proxmox VE reports them, cut to their lengths."""
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


def placeholder_row(endpoint: ProxmoxEndpoint, key: str) -> ProxmoxGuest:
    """A row for a guest that is bound, though no run has recorded it."""
    guest_type, _slash, vmid = key.partition('/')
    return ProxmoxGuest(endpoint=endpoint, type=guest_type, vmid=int(vmid))


def write(rows: tuple[ProxmoxGuest, ...]) -> None:
    """Insert or update rows in one statement, without `ignored`, which only users set; and update the search index."""
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
    """Update NetBox's search index, which is not updated by bulk writes."""
    object_type = ContentType.objects.get_for_model(ProxmoxGuest)
    stale = CachedValue.objects.filter(object_type_id=object_type.pk, object_id__in=[row.pk for row in rows])
    stale._raw_delete(stale.db)
    # Without NetBox's cache for a request, the search backend queries the custom fields for every row.
    with query_cached():
        search_backend.cache(rows, remove_existing=False)


def named(rows: tuple[ProxmoxGuest, ...]) -> Iterator[tuple[int, tuple[int, str]]]:
    """The values in the search index, for rows that exist: (pk, (VM ID, name))."""
    stored = ProxmoxGuest.objects.filter(pk__in=[row.pk for row in rows if row.pk]).order_by()
    return ((pk, (vmid, name)) for pk, vmid, name in stored.values_list('pk', 'vmid', 'name'))
