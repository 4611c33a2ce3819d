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
from .object_loading import decoded, load_objects
from .query_cache import query_cached
from .row_fingerprints import RowFingerprints

__all__ = ('GuestRecorder', 'GuestStateRecorder', 'load_rows')

BATCH = 1000
DETAILS = 'details'
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
# The rows of guests by key.
type Rows = dict[str, ProxmoxGuest]


def load_rows(endpoint: ProxmoxEndpoint) -> list[ProxmoxGuest]:
    """
    The rows of the guests of an endpoint, in any order, for reading only. Their details are JSON texts, which take a
    fraction of the memory, until `GuestRecorder` needs them: less is in memory by then.
    """
    columns = [field.attname for field in ProxmoxGuest._meta.concrete_fields]
    return load_objects(ProxmoxGuest.objects.filter(endpoint=endpoint).order_by(), columns, as_text=(DETAILS,))


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

    def rows(self, keys: Collection[str] | None = None) -> Rows:
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
        loaded: What `load_rows` returned when the plan was made. Only rows that differ from what was read,
            and those of guests that the run has written, are read again. None: all are read each time.
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
        self.loaded: Rows | None = None
        if loaded is not None:
            self.loaded = {row.key: row for row in loaded if self.is_concerned(row.key)}
            decode_details(self.loaded.values())
        self.loaded_machines = {key: pk for key, pk in (machines or {}).items() if self.is_concerned(key)}
        # Whether the loaded rows are as this run has recorded them.
        self._is_recorded = False
        # What was read of the guests, by key: a run that changes something records them twice.
        self._columns: dict[str, dict[str, Any]] = {}

    def is_concerned(self, key: str) -> bool:
        """Whether the run is for a guest."""
        return self.keys is None or key in self.keys

    def forget_loaded(self) -> None:
        """Read all rows again, because more than the guests that were written may have changed."""
        self.loaded = None

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
        keys = self.differing_keys()
        try:
            if keys is not None and not keys:
                return True
            with branching.atomic():
                rows, machines = self.record_differing(keys)
                self.set_read(read_at)
        except BaseException:
            self.endpoint.guests_read = before
            raise
        self.note_loaded(keys, rows, machines)
        return False

    def differing_keys(self) -> set[str] | None:
        """The guests whose loaded rows differ from what was read, and those that the plan changes; None: all."""
        if self.loaded is None:
            return None
        units = self.standings.open.by_unit
        # What is written in between changes the states of these units, and that of the cluster those of all guests.
        if self._is_recorded and '' not in units:
            differing = self.unsynchronized_keys(self.loaded)
        else:
            self.find_to_adopt(units)
            wanted = self.wanted(self.loaded, self.loaded_machines)
            differing = {row.key for row, columns in wanted if columns is None or is_differing(row, columns)}
        # Without nodes.
        guests = self.standings.guests.keys() | self.loaded.keys() | self.loaded_machines.keys()
        return differing | {key for key in units.keys() & guests if self.is_concerned(key)}

    def unsynchronized_keys(self, rows: Rows) -> set[str]:
        """The guests whose rows do not have the fingerprints that are to be stored now."""
        return {
            key
            for key, guest in self.standings.guests.items()
            if key not in rows or self.fingerprints.of(guest, rows[key]) != rows[key].row_fingerprint
        }

    def record_differing(self, keys: set[str] | None) -> tuple[Rows, Machines]:
        """
        Write the rows that differ, of some guests or all.

        Returns:
            The rows of these guests as they are now, and their machines.
        """
        # Reading all takes less time than selecting many.
        selected = self.keys if keys is None or len(keys) > BATCH else keys
        rows, machines = self.rows(selected), self.machines(selected)
        self.find_to_adopt(self.standings.open.by_unit)
        differing, gone = [], []
        for row, columns in self.wanted(rows, machines, selected):
            if columns is None:
                gone.append(row)
            elif assign_if_changed(row, columns):
                differing.append(row)
        save(differing, gone)
        for row in gone:
            rows.pop(row.key, None)
        return rows | {row.key: row for row in differing}, machines

    def note_loaded(self, keys: set[str] | None, rows: Rows, machines: Machines) -> None:
        """Note how rows and machines were just read or written, of some guests or all."""
        if self.loaded is None:
            return
        for key in keys or ():
            self.loaded.pop(key, None)
            self.loaded_machines.pop(key, None)
        self.loaded |= rows
        self.loaded_machines |= machines
        self._is_recorded = True

    def set_read(self, read_at: datetime) -> None:
        """Record when the guests were read. A run for some guests has not read the others."""
        if self.keys is None and guests_read(self.endpoint) != read_at:
            set_guests_read(self.endpoint, read_at)

    def wanted(
        self, rows: Rows, machines: Machines, keys: Collection[str] | None = None
    ) -> Iterator[tuple[ProxmoxGuest, dict[str, Any] | None]]:
        """
        The rows of guests with the columns that they should have; None: the guest no longer needs a row.

        Args:
            rows, machines: Those of the guests, as far as there are any.
            keys: The guests; None: all.
        """
        for key, guest in self.standings.guests.items():
            if keys is None or key in keys:
                row = rows.get(key) or ProxmoxGuest(endpoint=self.endpoint, type=str(guest.type), vmid=guest.vmid)
                yield row, self.listed_columns(row, guest, machines)
        yield from self.unlisted(rows, machines)

    def listed_columns(self, row: ProxmoxGuest, guest: Guest, machines: Machines) -> dict[str, Any]:
        """The columns of a guest that Proxmox VE has listed."""
        # Before the other columns, which state whether it could be read by the previous run.
        row_fingerprint = self.fingerprints.of(guest, row)
        if guest.key not in self._columns:
            self._columns[guest.key] = guest_columns(guest)
        return {
            **columns_with_last_known(row, guest, self._columns[guest.key], guests_read(self.endpoint)),
            'row_fingerprint': row_fingerprint,
            **self.state_columns(row, self.standings.of(guest), machines),
        }

    def unlisted(self, rows: Rows, machines: Machines) -> Iterator[tuple[ProxmoxGuest, dict[str, Any] | None]]:
        """As `wanted`, the rows of guests that Proxmox VE has not listed."""
        keys = {*rows, *machines} - {*self.standings.guests}
        first_seen, read_before = self.first_seen(keys - {*rows}), guests_read(self.endpoint)
        for key in sorted(keys):
            row = rows.get(key) or placeholder_row(self.endpoint, key)
            seen_until = row.seen_until or first_seen.get(key) or read_before
            was_missing = row.seen_until is not None and row.state in (State.MISSING, State.CONFLICT)
            standing = self.standings.absent(key, key in machines, was_missing)
            # It is not known whether the guest exists: its status remains as it was last read.
            kept = {} if standing is not None and standing.state is State.UNKNOWN else UNLISTED
            columns = {**kept, 'seen_until': seen_until, **self.state_columns(row, standing, machines)}
            yield row, None if is_obsolete(row, standing) else columns

    def first_seen(self, keys: Collection[str]) -> dict[str, datetime]:
        """When guests were bound that no run has recorded, by key."""
        if not keys:
            return {}
        return dict(self.bindings().filter(key__in=list(keys)).values_list('key', 'first_seen'))


def decode_details(rows: Iterable[ProxmoxGuest]) -> None:
    """Decode the details of rows, which are JSON texts."""
    for batch in batched(rows, BATCH):
        for row, details in zip(batch, decoded([vars(row)[DETAILS] for row in batch]), strict=True):
            row.details = details


def save(differing: list[ProxmoxGuest], gone: list[ProxmoxGuest]) -> None:
    """Write rows, and delete those of guests that are gone."""
    for batch in batched(differing, BATCH):
        write(batch)
    for batch in batched(gone, BATCH):
        delete_unread(ProxmoxGuest, Q(pk__in=[row.pk for row in batch]), ProxmoxGuest.objects.db)


def is_obsolete(row: ProxmoxGuest, standing: GuestState | None) -> bool:
    """Whether a row is not needed any more. That of an ignored guest is: the decision also applies if it returns."""
    return standing is None and not row.ignored


def is_differing(row: ProxmoxGuest, values: Mapping[str, Any]) -> bool:
    """Whether a row does not exist, or does not hold these values."""
    # Its attributes, because that takes a fraction of the time: all columns are loaded.
    return row._state.adding or not values.items() <= vars(row).items()


def assign_if_changed(row: ProxmoxGuest, values: Mapping[str, Any]) -> bool:
    """Assign values to a row; whether it must be written."""
    if not is_differing(row, values):
        return False
    for name, value in values.items():
        setattr(row, name, value)
    return True


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
