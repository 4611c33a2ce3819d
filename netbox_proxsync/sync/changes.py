"""A plan as plain data: it can be printed, stored, shown, and applied hours later."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from ..proxmox.inventory import Notice
from .kinds import Owner
from .values import Pointer, Shared, Value

__all__ = ('Action', 'Change', 'FieldChange', 'Plan')


class Action(StrEnum):
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
        """Whether the object is not kept afterwards."""
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
        last: What this endpoint wrote last, if it ever did.
        now: What NetBox holds.
        want: What Proxmox says.
        kept: NetBox was edited and keeps its value; nothing is written.
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
        """Whether NetBox was edited since we wrote it, and is set back."""
        return self.has_last and not self.kept and self.owner is Owner.FACT and self.now != self.last


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """
    What happens to one object.

    Attributes:
        unit: The root object with which it is written.
        pointer: The object; None if it is to be created.
        fields: What changes, and the edits that are kept.
        binding: What the binding holds afterwards, by field; None if there is no binding afterwards.
        reason: Why, for people, where it is not plain.
    """

    action: Action
    kind: str
    key: str
    unit: str
    label: str
    pointer: Pointer | None = None
    fields: tuple[FieldChange, ...] = ()
    binding: Mapping[str, Value] | None = None
    reason: str = ''

    @property
    def writes(self) -> tuple[FieldChange, ...]:
        return tuple(change for change in self.fields if not change.kept)


@dataclass(frozen=True, kw_only=True)
class Plan:
    """
    Attributes:
        changes: In the order in which they are applied; those of a unit stand together, what goes at the end.
        refreshed: Bindings whose remembered values change though NetBox does not: {binding's pk: values}.
        forgotten: Bindings (pks) whose object is gone from NetBox and whose thing is gone from Proxmox.
        rekeyed: Bindings of a machine whose VM ID another one has now, or that has returned under another VM ID or from
            another endpoint: {binding's pk: (key, unit)}. They come first.
        shared: Shared objects that were found by name and are to be remembered, so that a rename changes nothing.
        seen: By (kind, key), for everything that was compared: what Proxmox says, where that is not what is remembered
            as written once the plan is applied (edits that stay, fields that are ignored).
        notices: What was left out or could not be found, beyond single objects.
        refusal: Why this plan must not be applied without a person's word; '' if it may.
    """

    changes: tuple[Change, ...]
    refreshed: Mapping[int, Mapping[str, Value]] = field(default_factory=dict)
    forgotten: tuple[int, ...] = ()
    rekeyed: Mapping[int, tuple[str, str]] = field(default_factory=dict)
    shared: Mapping[Shared, Pointer] = field(default_factory=dict)
    proxmox_values: Mapping[tuple[str, str], Mapping[str, Value]] = field(default_factory=dict)
    notices: tuple[Notice, ...] = ()
    refusal: str = ''

    @property
    def counts(self) -> dict[str, dict[str, int]]:
        """{kind: {action: number}}"""
        counts: dict[str, Counter[str]] = {}
        for change in self.changes:
            counts.setdefault(change.kind, Counter())[str(change.action)] += 1
        return {kind: dict(counter) for kind, counter in counts.items()}
