"""A plan as plain data: it can be printed, stored, displayed, and applied later."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..proxmox.inventory import Notice
from ..proxmox.messages import EMPTY, Message
from .kinds import Owner
from .values import Pointer, Shared, Value

__all__ = ('Action', 'Change', 'FieldChange', 'Plan')


class Action(StrEnum):
    """What happens to an object."""

    CREATE = 'create'
    ADOPT = 'adopt'
    UPDATE = 'update'
    RETIRE = 'retire'
    REVIVE = 'revive'
    RELEASE = 'release'
    DELETE = 'delete'
    CONFLICT = 'conflict'
    CANDIDATE = 'candidate'

    @property
    def removes_object(self) -> bool:
        """Whether the object is no longer managed afterwards: it is released or deleted."""
        return self in (Action.RELEASE, Action.DELETE)

    @property
    def is_open(self) -> bool:
        """Whether nothing is written, because a user has to decide."""
        return self in (Action.CONFLICT, Action.CANDIDATE)


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldChange:
    """
    A field with its three values.

    Attributes:
        last: The value that this endpoint wrote last, if it ever did (`has_last`).
        now: The value in NetBox.
        want: The value in Proxmox VE.
        kept: NetBox was edited and keeps its value; nothing is written.
        deferred: The field is written after the other objects of the unit.
    """

    name: str
    owner: Owner
    last: Value
    now: Value
    want: Value
    has_last: bool
    kept: bool = False
    deferred: bool = False

    @property
    def is_drift(self) -> bool:
        """Whether NetBox was edited since the last write, and is reset."""
        return self.has_last and not self.kept and self.owner is Owner.FACT and self.now != self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    What happens to one object.

    Attributes:
        unit: The root object with which it is written.
        pointer: The object; None if it is to be created.
        fields: The fields that change, and the edits that are kept.
        binding: The values that the binding stores afterwards, by field; None if there is no binding afterwards.
        reason: Why, for the user, where it is not obvious.
    """

    action: Action
    kind: str
    key: str
    unit: str
    label: str
    pointer: Pointer | None = None
    fields: tuple[FieldChange, ...] = ()
    binding: Mapping[str, Value] | None = None
    reason: Message = EMPTY

    @property
    def writes(self) -> tuple[FieldChange, ...]:
        """The fields that are written."""
        return tuple(change for change in self.fields if not change.kept)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    The changes of a run.

    Attributes:
        changes: In the order in which they are applied: grouped by unit, with releases and deletions at the end.
        refreshed: Bindings whose stored values change although NetBox does not: {binding's pk: values}.
        forgotten: Bindings (pks) whose object is gone from NetBox and whose counterpart is gone from Proxmox VE.
        rekeyed: Bindings of machines whose VM ID now belongs to another one, or that have returned under another VM ID
            or from another endpoint: {binding's pk: (key, unit)}. They are applied first.
        shared: Shared objects that were found by name and are to be stored, so that a later rename has no effect.
        proxmox_values: By (kind, key), for every compared object: the values of Proxmox VE that differ from those that
            the binding stores once the plan is applied (kept edits, ignored fields).
        withheld: Changes that the write policy of the endpoint does not permit. They are recorded, not written.
        notices: What was left out or could not be found, in addition to single objects.
        refusal: Why this plan must not be applied without the approval of a user; '' if it may.
    """

    changes: tuple[Change, ...]
    refreshed: Mapping[int, Mapping[str, Value]] = field(default_factory=dict)
    forgotten: tuple[int, ...] = ()
    rekeyed: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    shared: Mapping[Shared, Pointer] = field(default_factory=dict)
    proxmox_values: Mapping[tuple[str, str], Mapping[str, Value]] = field(default_factory=dict)
    withheld: tuple[Change, ...] = ()
    notices: tuple[Notice, ...] = ()
    refusal: Message = EMPTY

    @property
    def is_empty(self) -> bool:
        """Whether applying the plan writes nothing."""
        return not (self.changes or self.refreshed or self.forgotten or self.rekeyed or self.shared)

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """{kind: {action: number}}"""
        counts: dict[str, Counter[str]] = {}
        for change in self.changes:
            counts.setdefault(change.kind, Counter())[str(change.action)] += 1
        return {kind: dict(counter) for kind, counter in counts.items()}
