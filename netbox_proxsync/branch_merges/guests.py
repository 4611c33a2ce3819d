"""Merges the list of guests of one endpoint from a branch into main, or from main into a branch."""

from django.db import DEFAULT_DB_ALIAS
from django.db.models import QuerySet
from virtualization.models import VirtualMachine

from ..ledger.guests import WRITTEN, save
from ..models import ProxmoxEndpoint, ProxmoxGuest
from ..sync.guest_states import IGNORED

__all__ = ('GuestMerger', 'ignored_units')

REPORTED = tuple(name for name in WRITTEN if name != 'virtual_machine_id')


class GuestMerger:
    """
    The target must be the active branch, or main.

    Args:
        source, target: Database aliases.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, source: str, target: str) -> None:
        self.endpoint, self.source, self.target = endpoint, source, target
        self.theirs = {row.key: row for row in self.rows(source)}
        self.mine = {row.key: row for row in self.rows(target)}
        machines = [row.virtual_machine_id for row in self.theirs.values() if row.virtual_machine_id]
        self.machines = set(
            VirtualMachine.objects.using(target).filter(pk__in=machines).order_by().values_list('pk', flat=True)
        )

    def rows(self, alias: str) -> QuerySet[ProxmoxGuest]:
        """The guests of the endpoint in a database."""
        return ProxmoxGuest.objects.using(alias).filter(endpoint_id=self.endpoint.pk).order_by('pk')

    def merge(self, newer: bool) -> None:
        """
        Merge all guests.

        Args:
            newer: Whether the guests of the source were read later. If not, only their virtual machines are merged.
        """
        self.copy_decisions()
        differing = [row for key, theirs in self.theirs.items() if (row := self.merged_row(key, theirs, newer))]
        gone = [row for key, row in self.mine.items() if newer and key not in self.theirs and not row.ignored]
        save(differing, gone)

    def merged_row(self, key: str, theirs: ProxmoxGuest, newer: bool) -> ProxmoxGuest | None:
        """The merged row of a guest, if it must be written."""
        mine = self.mine.get(key)
        machine = theirs.virtual_machine_id if theirs.virtual_machine_id in self.machines else None
        if mine is None:
            if not newer:
                return None
            mine, before = self.new_row(theirs), None
        else:
            before = {name: getattr(mine, name) for name in WRITTEN}
        for name in REPORTED if newer else ():
            setattr(mine, name, getattr(theirs, name))
        if newer and mine.ignored:
            mine.state, mine.reason = str(IGNORED.state), IGNORED.reason
            mine.reason_source = IGNORED.reason.source
        if newer or mine.virtual_machine_id is None:
            mine.virtual_machine_id = machine
        return None if before == {name: getattr(mine, name) for name in WRITTEN} else mine

    def copy_decisions(self) -> None:
        """Apply decisions of users in main to the branch, also about guests that the branch does not have yet."""
        if self.target == DEFAULT_DB_ALIAS:
            return
        unseen = []
        for key, theirs in self.theirs.items():
            mine = self.mine.get(key)
            if mine is None and theirs.ignored:
                self.mine[key] = self.copy(theirs)
                unseen.append(self.mine[key])
            elif mine is not None and theirs.ignored != mine.ignored:
                mine.ignored, mine.state = theirs.ignored, theirs.state
                mine.reason, mine.reason_source = theirs.reason, theirs.reason_source
                ProxmoxGuest.objects.using(self.target).filter(pk=mine.pk).update(
                    ignored=mine.ignored, state=mine.state, reason=mine.reason, reason_source=mine.reason_source
                )
        save(unseen, [])

    def copy(self, theirs: ProxmoxGuest) -> ProxmoxGuest:
        """A copy of the guest of the source, not saved yet."""
        made = self.new_row(theirs)
        for name in (*REPORTED, 'ignored'):
            setattr(made, name, getattr(theirs, name))
        if theirs.virtual_machine_id in self.machines:
            made.virtual_machine_id = theirs.virtual_machine_id
        return made

    def new_row(self, theirs: ProxmoxGuest) -> ProxmoxGuest:
        """An empty row for the guest of the source, with the same primary key if that is free."""
        taken = ProxmoxGuest.objects.using(self.target).filter(pk=theirs.pk).exists()
        return ProxmoxGuest(pk=None if taken else theirs.pk, endpoint=self.endpoint, type=theirs.type, vmid=theirs.vmid)


def ignored_units(endpoint: ProxmoxEndpoint) -> set[str]:
    """The keys of the ignored guests. Users ignore guests in main."""
    guests = ProxmoxGuest.objects.using(DEFAULT_DB_ALIAS).filter(endpoint_id=endpoint.pk, ignored=True)
    return {guest.key for guest in guests.only('type', 'vmid').order_by()}
