"""
Tries a plan: writes it as a run does, and rolls all of it back, to find the changes that NetBox rejects.

NetBox's rules cannot be evaluated without a write: custom validators, protection rules, required custom fields, unique
names and the constraints of the database see the objects that were written before. So the changes are written by the
same code as in a run (`Writer`), in savepoints of one transaction, and each change sees those before it.

The locks of a transaction last until it is rolled back, and users who edit the same objects wait for that. A large plan
therefore takes several transactions. Each of them first writes the objects of earlier ones again to which its own
objects refer, such as the cluster.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from time import monotonic
from uuid import UUID

from ..models.users import AnyUser
from ..proxmox.messages import Message
from ..sync.changes import Change
from ..sync.values import Ref, as_set
from .objects import ObjectWriter
from .results import Result
from .tracking import transaction
from .writer import AnyPlan, Writer, units_of

__all__ = ('SECONDS_PER_TRANSACTION', 'Trial')

# A transaction ends with the first group of units that exceeds this. A group takes about as long in a run.
SECONDS_PER_TRANSACTION = 10.0

type Unit = list[Change]


class RolledBackError(Exception):
    """Ends a transaction whose changes are not to be kept."""


@contextmanager
def rolled_back() -> Iterator[None]:
    """A transaction that is rolled back at its end, together with its events and updates of the search index."""
    try:
        with transaction():
            yield
            raise RolledBackError
    except RolledBackError:
        pass


class Trial:
    """
    Tries the changes of a plan.

    Args:
        objects: Creates what writes single objects. It is called for each transaction, because what it remembers of
            written objects is wrong after the rollback.
        user: Returns the user, within the transaction. Custom validators see the request of that user.
        request_id: As for `Writer`.
        stopped: Whether the run was canceled.
        progress: Called with the number of changes that were tried.

    Attributes:
        results: What NetBox says to the changes. Those that could not be tried are missing.
        untried: The units that could not be tried, because the database was busy.
        is_divided: Whether the trial has taken more than one transaction.
    """

    def __init__(
        self,
        objects: Callable[[], ObjectWriter],
        user: Callable[[], AnyUser],
        request_id: UUID,
        stopped: Callable[[], bool],
        progress: Callable[[int], None],
    ) -> None:
        self.objects = objects
        self.user = user
        self.request_id = request_id
        self.stopped = stopped
        self.progress = progress
        self.results: list[Result] = []
        self.untried: set[str] = set()
        self.is_divided = False

    def run(self, plan: AnyPlan) -> None:
        """
        Try all changes, unless the run is stopped.

        Raises:
            OperationalError, InterfaceError, JobTimeoutException, BranchUnusableError, DatabaseBusyError: As
                `Writer.apply`. NetBox is not changed.
        """
        units, tried = units_of(plan), Tried()
        while units and not self.stopped():
            with rolled_back():
                writer = TrialWriter(self)
                writer.begin(plan)
                writer.write_again(tried.required_by(units))
                began = monotonic()
                while True:
                    group = list(writer.next_group(units))
                    writer.write_group(group)
                    tried.add(group)
                    self.progress(len(self.results))
                    if not units or self.stopped() or monotonic() - began > SECONDS_PER_TRANSACTION:
                        break
            self.is_divided |= bool(units)


class TrialWriter(Writer):
    """Writes units within the transaction of a trial. Event rules are not notified, and nothing is recorded."""

    def __init__(self, trial: Trial) -> None:
        self.trial = trial
        super().__init__(
            trial.objects(),
            trial.user(),
            trial.request_id,
            record=trial.results.extend,
            stopped=trial.stopped,
            quiet=True,
            reverting=self.reverting_results,
        )

    @contextmanager
    def reverting_results(self, units: list[str]) -> Iterator[None]:
        """Around a savepoint: if it fails, forget its results."""
        number = len(self.trial.results)
        try:
            yield
        except BaseException:
            del self.trial.results[number:]
            raise

    def write_again(self, units: Sequence[Unit]) -> None:
        """Write units that were tried before, so that others can refer to their objects."""
        number = len(self.trial.results)
        for unit in units:
            self.write_group([unit])
        del self.trial.results[number:]

    def give_up(self, changes: list[Change], reason: Message) -> None:
        """Note that a unit could not be tried."""
        self.trial.untried.add(changes[0].unit)


class Tried:
    """The units that were tried, by the objects that they create."""

    def __init__(self) -> None:
        self.units: list[Unit] = []
        self.creators: dict[tuple[str, str], int] = {}

    def add(self, units: Iterable[Unit]) -> None:
        """Note units that were tried."""
        for unit in units:
            self.creators |= {(change.kind, change.key): len(self.units) for change in unit if change.pointer is None}
            self.units.append(unit)

    def required_by(self, units: Iterable[Unit]) -> list[Unit]:
        """Those that create objects to which others refer, directly or not, in the order in which they were tried."""
        found: set[int] = set()
        new = self.named_in(units)
        while new := new - found:
            found |= new
            new = self.named_in(self.units[number] for number in new)
        return [self.units[number] for number in sorted(found)]

    def named_in(self, units: Iterable[Unit]) -> set[int]:
        """The numbers of the units that create objects to which some units refer."""
        values = (field.want for unit in units for change in unit for field in change.writes)
        refs = (each for value in values for each in (as_set(value) or (value,)) if isinstance(each, Ref))
        return {number for ref in refs if (number := self.creators.get((ref.kind, ref.key))) is not None}
