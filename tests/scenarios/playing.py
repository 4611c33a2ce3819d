"""Shared by hypothesis's rounds of syncs: the number of examples, the stage, and the comparison."""

import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager

from django.db import models, transaction
from hypothesis import HealthCheck, Phase, note, settings
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule
from hypothesis.strategies import SearchStrategy

from netbox_proxsync.proxmox.inventory import Inventory

from .rounds import Lab, content

PACE = {'deadline': None, 'suppress_health_check': list(HealthCheck)}
# ROUNDS=200 plays that many examples at random instead of the few that are always the same. What fails is shrunk with
# SHRINK=1 only, which takes minutes through a database.
EXAMPLES = int(os.environ.get('ROUNDS', '0'))
PHASES = (Phase.explicit, Phase.generate, *((Phase.shrink,) if os.environ.get('SHRINK') else ()))
FEW = {'derandomize': True, 'phases': PHASES, 'database': None} | PACE
MANY = {'max_examples': EXAMPLES, 'phases': PHASES, 'database': None} | PACE


def pace(examples: int, **values) -> settings:
    return settings(**(MANY if EXAMPLES else FEW | {'max_examples': examples}), **values)


class Stage(RuleBasedStateMachine):
    """
    A database that is as it was afterwards, somebody who picks what to edit, and runs.

    Attributes:
        lab: Made by the play.
        complete: What the last run read, if that was everything and nobody has edited or changed anything since.
    """

    lab: Lab
    complete: Inventory | None

    def __init__(self):
        super().__init__()
        self.transaction = transaction.atomic()
        self.transaction.__enter__()

    def teardown(self):
        transaction.set_rollback(True)
        self.transaction.__exit__(None, None, None)

    @property
    def inventory(self) -> Inventory:
        """The cluster as it is now."""
        raise NotImplementedError

    def pick(self, number: int, *wanted: type[models.Model]) -> models.Model | None:
        found = [instance for instance in self.lab.all() if isinstance(instance, wanted)]
        return found[number % len(found)] if found else None

    def edited(self):
        self.complete = None

    @rule()
    def a_run(self):
        note(str(done := self.lab.sync(inv := self.inventory)))
        self.complete = None if done.left else inv


def stage_with_faults(faults: SearchStrategy, blinded: Callable[..., Inventory]) -> type[Stage]:
    """
    A stage on which some reads fail.

    Args:
        faults: What cannot be read.
        blinded: Called with an inventory and a fault; returns the inventory of the same cluster with that fault.
    """

    class StageWithFaults(Stage):
        @rule(broken=faults)
        def a_run_that_cannot_read_everything(self, broken):
            note(str(self.lab.sync(blinded(self.inventory, broken))))
            self.complete = None

        @precondition(lambda self: self.complete)
        @rule(broken=faults)
        def nothing_changes_by_becoming_unreadable(self, broken):
            self.lab.check_blind(self.complete, blinded(self.complete, broken))

    return StageWithFaults


@contextmanager
def rolled_back() -> Iterator[None]:
    with transaction.atomic():
        yield
        transaction.set_rollback(True)


def check_nothing_is_left_of(before: Iterable[Inventory], last: Inventory, units: set[str], new_lab: Callable[[], Lab]):
    """NetBox holds the same of these units after the last round, whether it saw the rounds before or not."""
    with rolled_back():
        lab = new_lab()
        lab.sync(last)
        alone = content(lab.endpoint, units)
    with rolled_back():
        lab = new_lab()
        for inventory in before:
            note(str(lab.sync(inventory)))
        note(str(lab.sync(last)))
        found = differences(content(lab.endpoint, units), alone)
        assert not found, found


def differences(one: dict, other: dict) -> dict:
    """By object and field: both values, where they differ."""
    return {
        (key, name): (one.get(key, {}).get(name), other.get(key, {}).get(name))
        for key in one.keys() | other.keys()
        for name in one.get(key, {}).keys() | other.get(key, {}).keys()
        if one.get(key, {}).get(name) != other.get(key, {}).get(name)
    }
