"""Decides which fingerprint of a guest's row in the list of guests is stored; quick runs compare with it."""

from ..models import ProxmoxGuest
from ..proxmox.inventory import Guest, known

__all__ = ('RETRY', 'RowFingerprints')

# Stored for a guest that could not be read: it differs from every fingerprint, so the next quick run reads the guest.
RETRY = 'retry'


class RowFingerprints:
    """
    The fingerprints that a run stores. '' means that no sync has read the guest.

    Args:
        is_quick: A quick run has read the guests. A guest that it could not read again is not read by the next one,
            until its row changes or a full run finds that it cannot be read any more.

    Attributes:
        are_synchronized: The plan was applied. Until then, fingerprints are not stored: the next quick run must read
            guests with changes that were only planned.
    """

    def __init__(self, is_quick: bool = False) -> None:
        self.is_quick = is_quick
        self.are_synchronized = False
        self._failed: set[str] = set()

    def of(self, guest: Guest, row: ProxmoxGuest) -> str:
        """
        The fingerprint to store for a guest.

        Args:
            row: As the previous run has left it.
        """
        is_read = known(guest.config)
        if not is_read and not was_unread(row):
            self._failed.add(guest.key)
        if guest.key in self._failed:
            return RETRY
        if self.are_synchronized and (is_read or self.is_quick):
            return guest.row_fingerprint or row.row_fingerprint
        return row.row_fingerprint


def was_unread(row: ProxmoxGuest) -> bool:
    """Whether the configuration of a guest could not be read by the previous run."""
    return any(entry['part'] == 'config' for entry in row.detail('unread'))
