"""
Quick runs: one look at the list of guests, and a run for the guests whose entry has changed.

`find_changed` compares the list with what the last sync of each guest has stored, and writes nothing. `QuickExecution`
is the run that follows. It reads the changed guests in full and decides as a run that is limited to them, except that
it never decides that something is missing: guests that are not listed, and addresses that guests do not report, are
left to full runs.
"""

from dataclasses import dataclass, replace

from ..choices import EndpointStatusChoices, RunStatusChoices
from ..endpoints.connection import connection_of, secrets_hidden
from ..ledger.row_fingerprints import RETRY
from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..models.runs import MAX_LIMIT
from ..proxmox.http.client import ProxmoxClient
from ..proxmox.inventory import GuestType, Inventory, Unreadable, known
from ..proxmox.messages import EMPTY, Message
from ..proxmox.readers.guest_list import GuestList, ListedGuest, read_guest_list
from ..sync.changes import Action, Change, Plan
from ..sync.cluster_identity import ClusterIdentity, another_cluster
from ..sync.kind_names import GUEST
from ..sync.settings import Settings
from ..sync.state import AddressReading, Desired, Existing
from .endings import Ending
from .execution import Execution

__all__ = ('Changed', 'QuickExecution', 'find_changed')

NOT_DECIDED = Unreadable(Message('A quick run does not decide about missing guests.'))


@dataclass(frozen=True, slots=True, kw_only=True)
class Changed:
    """
    The result of a look at the list of guests.

    Attributes:
        vmids: The guests that have changed.
        guests: The number of guests in the list.
        calls: The number of requests to Proxmox VE.
        reason: Why the list was not compared; '' if it was.
    """

    vmids: tuple[int, ...] = ()
    guests: int = 0
    calls: int = 0
    reason: Message = EMPTY


@dataclass(frozen=True, slots=True)
class KnownGuest:
    """What the list of an endpoint's guests in NetBox holds of one."""

    node: str
    fingerprint: str
    is_listed: bool
    is_ignored: bool


# Finding the changed guests


def find_changed(endpoint: ProxmoxEndpoint) -> Changed:
    """
    Find the guests of an endpoint whose entries in the list have changed since the guests were last synchronized. The
    numbers of calls and of SQL statements do not depend on the number of guests.

    Raises:
        ProxmoxError: The list could not be read.
        SecretError: The token's secret cannot be decrypted.
    """
    if endpoint.status == EndpointStatusChoices.REFUSED:
        return Changed(reason=Message('The last run requires approval.'))
    guests = known_guests(endpoint)
    if not any(guest.fingerprint not in ('', RETRY) for guest in guests.values()):
        return Changed(reason=Message('A full sync must complete first.'))
    with secrets_hidden(endpoint), ProxmoxClient(connection_of(endpoint)) as client:
        listed = read_guest_list(client)
        calls = client.calls
    if reason := why_not_comparable(endpoint, listed):
        return Changed(guests=listed.total, calls=calls, reason=reason)
    types = {str(GuestType.QEMU): endpoint.sync_vms, str(GuestType.LXC): endpoint.sync_containers}
    vmids = sorted(
        guest.vmid for guest in listed.guests if types[guest.type] and has_changed(guest, guests.get(guest.key))
    )
    # As many as a run can be limited to; the next quick run finds the others.
    return Changed(vmids=tuple(vmids[:MAX_LIMIT]), guests=listed.total, calls=calls)


def known_guests(endpoint: ProxmoxEndpoint) -> dict[str, KnownGuest]:
    """The guests that the endpoint had when it was last read, by key."""
    rows = ProxmoxGuest.objects.filter(endpoint=endpoint).order_by()
    columns = rows.values_list('type', 'vmid', 'node', 'row_fingerprint', 'seen_until', 'ignored')
    return {
        f'{guest_type}/{vmid}': KnownGuest(node, fingerprint, seen_until is None, is_ignored)
        for guest_type, vmid, node, fingerprint, seen_until, is_ignored in columns
    }


def why_not_comparable(endpoint: ProxmoxEndpoint, listed: GuestList) -> Message:
    """Why the list says nothing about the guests of the endpoint; '' if it does."""
    if not known(listed.quorate):
        return listed.quorate.reason
    if not listed.quorate:
        return Message('The cluster is not quorate.')
    name = listed.cluster_name if known(listed.cluster_name) else None
    seen = ClusterIdentity(name=name, nodes=listed.nodes)
    if another_cluster(ClusterIdentity.from_json(endpoint.cluster_identity), seen):
        return Message('The endpoint leads to another Proxmox VE cluster. The next sync reports it.')
    return EMPTY


def has_changed(guest: ListedGuest, before: KnownGuest | None) -> bool:
    """Whether a listed guest must be read."""
    if before is None:
        return True
    # A guest without a fingerprint was shown by a preview, but not synchronized: that is left to a full run.
    if before.is_ignored or not before.fingerprint:
        return False
    if not before.is_listed or before.fingerprint == RETRY:
        return True
    return guest.fingerprint != before.fingerprint if guest.fingerprint else guest.node != before.node


# The run for the changed guests


class NothingLeftError(Exception):
    """None of the changed guests is listed any more."""


class QuickExecution(Execution):
    """The steps of a quick run: those of a limited run, without decisions about missing guests and addresses."""

    def compare_and_apply(self) -> Ending:
        """As for other runs. If none of the guests is listed any more, there is nothing to do."""
        try:
            return super().compare_and_apply()
        except NothingLeftError:
            return Ending(RunStatusChoices.COMPLETED)

    def collect(self) -> Inventory:
        """Read Proxmox VE; guests that are not listed any more are left out of the run."""
        inventory = self.inventory = super().collect()
        listed = {guest.vmid for guest in inventory.guests}
        if not listed.intersection(self.run.vmids or ()):
            raise NothingLeftError
        self.leave_out(set(self.run.vmids or ()) - listed)
        return replace(inventory, guests_incomplete=NOT_DECIDED)

    def map(self, inventory: Inventory, settings: Settings) -> Desired:
        """What NetBox should contain. Guests that the settings exclude are not reported: no user has asked for them."""
        desired = super().map(inventory, settings)
        readings = {unit: without_absence(reading) for unit, reading in desired.readings.items()}
        return replace(desired, notices=(), readings=readings)

    def compare(self, desired: Desired, loaded: Existing, settings: Settings) -> Plan:
        """What has to change; without guests that replace another one, which the next full run retires."""
        plan = super().compare(desired, loaded, settings)
        replaced = {change.unit.partition('#')[0] for change in plan.changes if takes_guest_away(change)}
        guests = [guest for guest in self.inventory.guests if guest.key in replaced]
        if not guests:
            return plan
        self.leave_out({guest.vmid for guest in guests})
        for guest in guests:
            # Otherwise every quick run until then would read them in vain.
            rows = ProxmoxGuest.objects.filter(endpoint=self.endpoint, type=str(guest.type), vmid=guest.vmid)
            rows.update(row_fingerprint=guest.row_fingerprint or RETRY)
        assert desired.only is not None, 'A quick run is limited to some guests.'
        return super().compare(replace(desired, only=desired.only - replaced), loaded, settings)

    def leave_out(self, vmids: set[int]) -> None:
        """Leave guests to the next full run."""
        if vmids:
            self.recorder.save(vmids=[vmid for vmid in self.run.vmids or () if vmid not in vmids])


def without_absence(reading: AddressReading) -> AddressReading:
    """The reading of a guest's addresses, which does not count as one that has not found an address."""
    return replace(reading, nics={key: replace(nic, is_read=False) for key, nic in reading.nics.items()})


def takes_guest_away(change: Change) -> bool:
    """Whether a change retires, releases or deletes the virtual machine of a guest."""
    return change.kind == GUEST and (change.action is Action.RETIRE or change.action.removes_object)
