"""Creates guests and nodes many at a time where that is possible."""

import logging
from collections.abc import Sequence

from django.db import DatabaseError, InterfaceError, OperationalError
from rq.timeouts import JobTimeoutException

from ... import branching
from ...sync.changes import Action, Change
from ...sync.kind_names import DEVICE, GUEST
from ...sync.kinds import KINDS
from ..netbox_models import model_named
from ..objects import ObjectWriter
from ..results import Result
from ..tracking import savepoint
from .assumptions import MODELS_OF_GUESTS, MODELS_OF_NODES, why_unusable
from .batch import Batch
from .errors import ExcludedError

__all__ = ('BulkWriter', 'kind_of_created')

logger = logging.getLogger('netbox.plugins.netbox_proxsync')

# By kind of the root: the models of the objects of its units.
MODELS = {GUEST: MODELS_OF_GUESTS, DEVICE: MODELS_OF_NODES}
CREATED_KINDS = {
    root: frozenset(name for name, kind in KINDS.items() if model_named(kind.model) in models)
    for root, models in MODELS.items()
}

type Unit = Sequence[Change]


def kind_of_created(unit: Unit) -> str:
    """The kind of the root of a unit that is a guest or node of which NetBox has nothing yet; '' for other units."""
    root = unit[0]
    if root.action is not Action.CREATE or root.kind not in MODELS or root.key != root.unit:
        return ''
    created = CREATED_KINDS[root.kind]
    is_new = all(
        change.action.is_open or (change.action is Action.CREATE and change.kind in created) for change in unit
    )
    return root.kind if is_new else ''


class BulkWriter:
    """
    Args:
        objects: The writer of the run, whose memory of bindings is updated.
        quiet: Whether event rules are not notified.
    """

    def __init__(self, objects: ObjectWriter, quiet: bool = False) -> None:
        self.objects = objects
        self.quiet = quiet
        # By kind of the root.
        self._reasons: dict[str, str] = {}

    def is_usable(self, kind: str) -> bool:
        """
        Whether NetBox does what this relies on.

        Args:
            kind: The kind of the roots of the units.
        """
        if kind not in self._reasons:
            self._reasons[kind] = why_unusable(MODELS[kind])
            if self._reasons[kind]:
                logger.info(f'{KINDS[kind].plural} are created object by object: {self._reasons[kind]}.')
        return not self._reasons[kind]

    def write(self, units: Sequence[Unit]) -> dict[str, list[Result]]:
        """
        Create guests or nodes together, within the transaction of the caller.

        Args:
            units: Units for which `kind_of_created` returns the same kind.

        Returns:
            The results of the units that were created. The others are left to be written one by one: NetBox refuses
            something about them, or might do so.
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
                # Narrowed down to the unit, which is then written object by object, and reported if that fails. The
                # message of PostgreSQL quotes the row.
                is_fault = not isinstance(error, DatabaseError)
                logger.info(f'Creating {len(units)} units together failed: {type(error).__name__}', exc_info=is_fault)
                if len(units) == 1:
                    return {}
                middle = len(units) // 2
                return self.write(units[:middle]) | self.write(units[middle:])
        return {}

    def _has_shared_objects(self, unit: Unit) -> bool:
        """Create the shared objects that a unit needs and that are missing; whether it has them all then."""
        has_all = True
        for change in unit:
            if not change.action.is_open:
                # A tag that the object may not have is reported where the unit is written object by object.
                has_all &= not self.objects.begin_change(change) and not self.objects.unassignable_tags
        return has_all
