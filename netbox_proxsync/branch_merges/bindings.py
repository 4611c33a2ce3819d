"""Merges the bindings of one endpoint from a branch into main, or from main into a branch."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, models
from django.db.models import Q

from ..ledger.fields import read
from ..models import Binding, ProxmoxEndpoint
from ..models.deletion import delete_unread
from ..sync.kinds import KINDS
from ..sync.values import Value, decode
from .guests import ignored_units

__all__ = ('BindingMerger', 'WrittenUnits')

BATCH = 1000
# What a run leaves unchanged in a binding, in addition to its values.
MERGED_COLUMNS = ('unit', 'created_by_sync', 'missing_since', 'proxmox_values')

type Identity = tuple[str, str]
type ObjectKey = tuple[int, int]


@dataclass(frozen=True)
class WrittenUnits:
    """
    What runs have written in the source.

    Attributes:
        units: The units whose objects they have written.
        released: The objects that they have released, by (kind, key).
    """

    units: frozenset[str] = frozenset()
    released: frozenset[Identity] = frozenset()


@dataclass
class Outcome:
    """
    The rows of the target to write.

    Attributes:
        changed: Rows whose values differ.
        placed: Rows that are new or get another key.
        dropped: The primary keys of rows to delete.
    """

    changed: list[Binding] = field(default_factory=list)
    placed: list[Binding] = field(default_factory=list)
    dropped: set[int] = field(default_factory=set)


def object_of(row: Binding) -> ObjectKey:
    """The object of a binding, as (content type, primary key)."""
    return row.object_type_id, row.object_id


class BindingMerger:
    """
    Merges by object. If the target has the object, the values of the source are taken as far as that object holds them.
    Everything else remains as it is in the target. Decisions (unmanaged, ignored) are always those of main.

    The target must be the active branch, or main.

    Args:
        source, target: Database aliases.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, source: str, target: str, written: WrittenUnits) -> None:
        self.endpoint, self.source, self.target, self.written = endpoint, source, target, written
        self.theirs = list(self.rows(source))
        self.mine = list(self.rows(target))
        self.by_key = {(row.kind, row.key): row for row in self.mine}
        self.by_object = {object_of(row): row for row in self.mine}
        self.bound_there = {object_of(row) for row in self.theirs}
        self.there = existing((*self.theirs, *self.mine), target)
        self.foreign = self.bound_by_others()
        self.ignored = ignored_units(endpoint)
        self.outcome = Outcome()

    def rows(self, alias: str) -> models.QuerySet[Binding]:
        """The bindings of the endpoint in a database."""
        return Binding.objects.using(alias).filter(endpoint_id=self.endpoint.pk).order_by('pk')

    def bound_by_others(self) -> set[ObjectKey]:
        """Objects that are bound to another endpoint in the target."""
        others = Binding.objects.using(self.target).exclude(endpoint_id=self.endpoint.pk).order_by()
        return set(others.filter(object_id__in=[row.object_id for row in self.theirs]).values_list(
            'object_type_id', 'object_id'
        ))  # fmt: skip

    def merge(self) -> None:
        """Merge all bindings."""
        self.load_instances()
        seen = set()
        for row in self.theirs:
            if object_of(row) not in self.there or object_of(row) in self.foreign:
                continue
            if found := self.by_object.get(object_of(row)):
                seen.add(found.pk)
                self.merge_binding(row, found)
            else:
                self.insert(row)
        for row in self.mine:
            if row.pk not in seen and self.is_obsolete(row):
                self.outcome.dropped.add(row.pk)
        self.save()

    def load_instances(self) -> None:
        """Load the objects whose bindings differ, to compare their present values."""
        differing = [
            row for row in self.theirs
            if object_of(row) in self.there and self.differs(row, self.by_object.get(object_of(row)))
        ]  # fmt: skip
        self.instances = instances_of(differing, self.target)

    def differs(self, row: Binding, found: Binding | None) -> bool:
        """Whether an object has other values stored in the source than in the target."""
        return found is not None and decoded(row.values) != decoded(found.values)

    def is_written(self, *rows: Binding) -> bool:
        """Whether runs have written one of the units of bindings in the source."""
        return any(row.unit in self.written.units for row in rows)

    def merge_binding(self, row: Binding, found: Binding) -> None:
        """Merge the binding of an object that is bound in the source and in the target."""
        written = self.is_written(row, found)
        before = {name: getattr(found, name) for name in ('kind', 'key', 'values', 'unmanaged', *MERGED_COLUMNS)}
        if self.target != DEFAULT_DB_ALIAS:
            found.unmanaged = row.unmanaged
        if self.differs(row, found):
            found.values = self.merged_values(row, found, written)
        if written:
            for name in MERGED_COLUMNS:
                setattr(found, name, getattr(row, name))
            # created_by_sync is never reset by a later adoption.
            found.created_by_sync = found.created_by_sync or before['created_by_sync']
            if not found.unmanaged:
                found.kind, found.key = row.kind, row.key
        if before == {name: getattr(found, name) for name in before}:
            return
        moved = (before['kind'], before['key']) != (found.kind, found.key)
        (self.outcome.placed if moved else self.outcome.changed).append(found)

    def merged_values(self, row: Binding, found: Binding, written: bool) -> dict[str, object]:
        """The values to store in the target."""
        instance = self.instances.get(object_of(row))
        fields = {spec.name for spec in KINDS[row.kind].fields} if row.kind in KINDS else ()
        values = dict(found.values)
        for name, stored in row.values.items():
            if name in values and decode(values[name]) == decode(stored):
                continue
            if written if name not in fields else instance is not None and equals(instance, name, decode(stored)):
                values[name] = stored
        return values

    def insert(self, row: Binding) -> None:
        """Insert the binding of an object that is not bound in the target."""
        if not self.is_written(row) or row.unit in self.ignored:
            return
        holder = self.by_key.get((row.kind, row.key))
        if holder is not None and object_of(holder) in self.there and object_of(holder) not in self.bound_there:
            # Another object that still exists is bound under the same key.
            return
        if holder is not None and object_of(holder) not in self.there:
            if holder.unmanaged:
                return
            self.outcome.dropped.add(holder.pk)
        row.pk = None if Binding.objects.using(self.target).filter(pk=row.pk).exists() else row.pk
        if self.target == DEFAULT_DB_ALIAS:
            row.unmanaged = False
        self.outcome.placed.append(row)

    def is_obsolete(self, row: Binding) -> bool:
        """Whether a binding that the source does not have is deleted in the target as well."""
        if row.unit in self.ignored and self.target != DEFAULT_DB_ALIAS:
            return True
        if row.unmanaged or not self.is_written(row):
            return False
        return object_of(row) not in self.there or (row.kind, row.key) in self.written.released

    def save(self) -> None:
        """Write the outcome to the target."""
        rows = Binding.objects.using(self.target)
        dropped, placed = self.outcome.dropped, self.outcome.placed
        moving = {row.pk for row in placed} & {row.pk for row in self.mine}
        kept = {(row.kind, row.key) for row in self.mine if row.pk not in dropped and row.pk not in moving}
        # Two bindings swap keys: skip one that would collide now, the next run renames it.
        placed = [row for row in placed if (row.kind, row.key) not in kept]
        moments = [row.first_seen for row in placed]
        pks = [*dropped, *(row.pk for row in placed if row.pk in moving)]
        delete_unread(Binding, Q(pk__in=pks), self.target)
        for row in placed:
            row._state.adding, row._state.db = True, self.target
        rows.bulk_create(placed, batch_size=BATCH)
        for row, moment in zip(placed, moments, strict=True):
            row.first_seen = moment
        rows.bulk_update(placed, ['first_seen'], batch_size=BATCH)
        for row in self.outcome.changed:
            row._state.db = self.target
        rows.bulk_update(self.outcome.changed, ['values', 'unmanaged', *MERGED_COLUMNS], batch_size=BATCH)


def decoded(values: Mapping[str, object]) -> dict[str, Value]:
    """The stored values of a binding."""
    return {name: decode(value) for name, value in values.items()}


def equals(instance: models.Model, name: str, value: Value) -> bool:
    """Whether a field of an object has a value; a set need only contain it."""
    now = read(instance, name)
    return value <= now if isinstance(now, frozenset) and isinstance(value, frozenset) else now == value


def by_type(rows: Iterable[Binding]) -> Mapping[int, set[int]]:
    """The primary keys of bound objects by content type."""
    found: dict[int, set[int]] = {}
    for row in rows:
        found.setdefault(row.object_type_id, set()).add(row.object_id)
    return found


def existing(rows: Iterable[Binding], alias: str) -> set[ObjectKey]:
    """Those of the bound objects that exist."""
    found = set()
    for type_id, pks in by_type(rows).items():
        if model := ContentType.objects.get_for_id(type_id).model_class():
            there = model._base_manager.using(alias).filter(pk__in=pks).order_by()
            found |= {(type_id, pk) for pk in there.values_list('pk', flat=True)}
    return found


def instances_of(rows: Iterable[Binding], alias: str) -> dict[ObjectKey, models.Model]:
    """The bound objects that exist."""
    found: dict[ObjectKey, models.Model] = {}
    for type_id, pks in by_type(rows).items():
        if model := ContentType.objects.get_for_id(type_id).model_class():
            found |= {(type_id, pk): each for pk, each in model._base_manager.using(alias).in_bulk(pks).items()}
    return found
