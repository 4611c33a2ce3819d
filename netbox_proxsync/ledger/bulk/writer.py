"""Creates guests many at a time where that is possible."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, OperationalError
from rq.timeouts import JobTimeoutException

from ... import branching
from ...sync.changes import Action, Change
from ...sync.kinds import KINDS
from ..netbox_models import model_named
from ..objects import ObjectWriter
from ..results import Result
from ..tracking import savepoint
from .assumptions import CREATED_TOGETHER, why_unusable
from .batch import Batch
from .errors import ExcludedError

__all__ = ('BulkWriter', 'creates_guest')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# The kinds whose objects are created together.
CREATED_KINDS = frozenset(name for name, kind in KINDS.items() if model_named(kind.model) in CREATED_TOGETHER)

type Unit = Sequence[Change]


def creates_guest(unit: Unit) -> bool:
    """Whether a unit is a guest of which NetBox has nothing yet."""
    root = unit[0]
    is_new = root.action is Action.CREATE and root.kind == 'vm' and root.key == root.unit
    return is_new and all(
        change.action.is_open or (change.action is Action.CREATE and change.kind in CREATED_KINDS) for change in unit
    )


class BulkWriter:
    """
    Args:
        objects: The writer of the run, whose memory of bindings is updated.
        quiet: Whether event rules are not notified.
    """

    def __init__(self, objects: ObjectWriter, quiet: bool = False) -> None:
        self.objects = objects
        self.quiet = quiet
        self._reason: str | None = None

    @property
    def is_usable(self) -> bool:
        """Whether NetBox does what this relies on."""
        if self._reason is None:
            self._reason = why_unusable()
            if self._reason:
                logger.info(f'Guests are created object by object: {self._reason}.')
        return not self._reason

    def write(self, units: Sequence[Unit]) -> dict[str, list[Result]]:
        """
        Create guests together, within the transaction of the caller.

        Args:
            units: Guests for which `creates_guest` is true.

        Returns:
            The results of the guests that were created, by unit. The others are left to be written one by one: NetBox
            refuses something about them, or might do so.
        """
        units = [unit for unit in units if self._has_shared_objects(unit)]
        while units:
            try:
                with self.objects.journal.reverting(), savepoint():
                    return Batch(self.objects, units, self.quiet).write()
            except (OperationalError, InterfaceError, JobTimeoutException, branching.BranchUnusableError):
                # These concern the whole transaction.
                raise
            except ExcludedError as error:
                units = [unit for unit in units if unit[0].unit not in error.units]
            except Exception as error:
                # Narrowed down to the guest, which is then written object by object, and reported if that fails. The
                # message of PostgreSQL quotes the row.
                is_fault = not isinstance(error, DatabaseError)
                logger.info(f'Creating {len(units)} guests together failed: {type(error).__name__}', exc_info=is_fault)
                if len(units) == 1:
                    return {}
                middle = len(units) // 2
                return self.write(units[:middle]) | self.write(units[middle:])
        return {}

    def _has_shared_objects(self, unit: Unit) -> bool:
        """Create the shared objects that a guest needs and that are missing; whether it has them all then."""
        has_all = True
        for change in unit:
            if not change.action.is_open:
                # A tag that the object may not have is reported where the guest is written object by object.
                has_all &= not self.objects.begin_change(change) and not self.objects.unassignable_tags
        return has_all
