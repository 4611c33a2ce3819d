"""Loads what NetBox contains now of that which a run has written, in a number of queries that depends on the models."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any
from uuid import UUID

from core.models import ObjectChange
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from extras.models import Tag
from taggit.managers import TaggableManager

from ..models import ProxmoxEndpoint, SharedObject
from ..sync.changes import Action, Change
from ..sync.kinds import KINDS, Kind
from ..sync.reverting import Present
from ..sync.values import Pointer, Ref, Shared, Value, decimal_text, plain_lines
from .bindings import load_bindings
from .dependents import describe
from .fields import pointer_to, read_all
from .netbox_models import model_named
from .record_reader import attach_relations
from .related_objects import RelatedObjects
from .requirements import load_custom_fields

__all__ = ('Written', 'created_shared_objects', 'load_written')


@dataclass(frozen=True)
class Written:
    """
    Attributes:
        changes: The changes of a run, with pointers in place of all references.
        present: What NetBox contains now of it.
    """

    changes: Sequence[Change]
    present: Present


def load_written(endpoint: ProxmoxEndpoint, changes: Sequence[Change], request_id: UUID) -> Written:
    """
    What NetBox contains now of that which a run has written.

    Args:
        changes: Those of the run, in its order.
        request_id: Of the run, by which its entries in the change log are found.
    """
    bindings = load_bindings(endpoint)
    pointers = {identity: bound.pointer for identity, bound in bindings.items()}
    # As they were in that run: another object may be bound now.
    pointers |= {(change.kind, change.key): change.pointer for change in changes if change.pointer}
    resolver = References(pointers, shared_objects(endpoint))
    resolved = [resolver.resolved(change) for change in changes]
    deleted = {
        change.pointer: KINDS[change.kind] for change in resolved if change.action is Action.DELETE and change.pointer
    }
    lost = deleted_values(deleted, request_id)
    named = {pointer for change in resolved for each in change.writes for pointer in pointers_in(each.now)}
    named |= {pointer for values in lost.values() for value in values.values() for pointer in pointers_in(value)}
    return Written(
        changes=resolved,
        present=Present(
            bindings=bindings,
            values=present_values(resolved),
            existing=existing(named),
            deleted=lost,
        ),
    )


@dataclass(frozen=True)
class References:
    """Replaces references in values by the objects that they meant."""

    pointers: Mapping[tuple[str, str], Pointer]
    shared: Mapping[tuple[str, str, str], int]

    def resolved(self, change: Change) -> Change:
        """A change in which each reference is a pointer. One that is not known any more remains."""
        return replace(change, fields=tuple(replace(each, want=self.value(each.want)) for each in change.fields))

    def value(self, value: Value) -> Value:
        """A value, resolved."""
        match value:
            case Ref():
                return self.pointers.get((value.kind, value.key), value)
            case Shared():
                pk = self.shared.get((value.model, value.within, value.name))
                return value if pk is None else Pointer(value.model, pk, value.name)
            case frozenset():
                return frozenset(self.value(each) for each in value)
            case _:
                return value


def shared_objects(endpoint: ProxmoxEndpoint) -> dict[tuple[str, str, str], int]:
    """The shared objects (pks) of an endpoint by (model, scope, name)."""
    rows = SharedObject.objects.filter(endpoint=endpoint).order_by()
    return {
        (model, within, name): pk
        for model, within, name, pk in rows.values_list('model', 'within', 'name', 'object_id')
    }


def created_shared_objects(endpoint: ProxmoxEndpoint, request_id: UUID) -> list[str]:
    """
    The shared objects that a run has created and that still exist, as texts for display, as far as NetBox's change log
    has entries of them: 'platform "Debian"'.

    Args:
        request_id: Of the run.
    """
    by_model: dict[str, set[int]] = defaultdict(set)
    for name, pk in SharedObject.objects.filter(endpoint=endpoint).order_by().values_list('model', 'object_id'):
        by_model[name].add(pk)
    found = []
    for name, pks in sorted(by_model.items()):
        model = model_named(name)
        created = ObjectChange.objects.filter(
            request_id=request_id,
            action='create',
            changed_object_type=ContentType.objects.get_for_model(model),
            changed_object_id__in=pks,
        )
        rows = model._base_manager.filter(pk__in=created.order_by().values('changed_object_id'))
        found += sorted(describe(row) for row in rows)
    return found


def pointers_in(value: Value) -> Iterator[Pointer]:
    """The objects that a value names."""
    for each in value if isinstance(value, frozenset) else (value,):
        if isinstance(each, Pointer):
            yield each


def existing(pointers: Iterable[Pointer]) -> frozenset[Pointer]:
    """The objects that exist, by one query for each model."""
    by_model: dict[str, set[int]] = defaultdict(set)
    for pointer in pointers:
        by_model[pointer.model].add(pointer.pk)
    return frozenset(
        Pointer(name, pk)
        for name, pks in by_model.items()
        for pk in model_named(name)._base_manager.filter(pk__in=pks).values_list('pk', flat=True)
    )


def present_values(changes: Iterable[Change]) -> dict[Pointer, Mapping[str, Value]]:
    """The values of the objects of changes that exist, by a few queries for each kind."""
    wanted: dict[str, set[int]] = defaultdict(set)
    for change in changes:
        if change.pointer:
            wanted[change.kind].add(change.pointer.pk)
    related, written = RelatedObjects(), load_custom_fields().written
    found: dict[Pointer, Mapping[str, Value]] = {}
    for name, pks in wanted.items():
        kind = KINDS[name]
        rows = list(model_named(kind.model).objects.filter(pk__in=pks).order_by('pk'))
        related.add(rows)
        attach_relations(related, kind, rows)
        names = [spec.name for spec in kind.fields if is_readable(spec.name, written[kind.model])]
        found |= {pointer_to(row): read_all(row, names) for row in rows}
    return found


def is_readable(name: str, custom_fields: Collection[str]) -> bool:
    """Whether a field exists; administrators may have deleted custom fields."""
    return not name.startswith('cf_') or name[3:] in custom_fields


def deleted_values(kinds: Mapping[Pointer, Kind], request_id: UUID) -> dict[Pointer, dict[str, Value]]:
    """The values that objects held when a run deleted them, as far as NetBox's change log has them."""
    if not kinds:
        return {}
    rows = ObjectChange.objects.filter(request_id=request_id, action='delete', prechange_data__isnull=False).order_by()
    columns = rows.values_list('changed_object_type_id', 'changed_object_id', 'prechange_data')
    by_pointer: dict[Pointer, Mapping[str, Any]] = {}
    for type_id, pk, data in columns.iterator():
        object_type = ContentType.objects.get_for_id(type_id)
        pointer = Pointer(f'{object_type.app_label}.{object_type.model}', pk)
        if pointer in kinds:
            by_pointer[pointer] = data
    tags = {name for data in by_pointer.values() for name in data.get('tags') or ()}
    known = {tag.name: pointer_to(tag) for tag in Tag.objects.filter(name__in=tags)} if tags else {}
    found = {}
    for pointer, data in by_pointer.items():
        try:
            found[pointer] = {
                spec.name: logged(kinds[pointer], spec.name, data, known) for spec in kinds[pointer].fields
            }
        except LookupError:
            # A tag, or a field of another version of NetBox.
            continue
    return found


def logged(kind: Kind, name: str, data: Mapping[str, Any], tags: Mapping[str, Pointer]) -> Value:
    """
    The value of a field in an entry of the change log.

    Args:
        tags: The tags by name.

    Raises:
        LookupError: The entry has no such field, or a tag does not exist any more.
    """
    if name.startswith('cf_'):
        custom: Value = data['custom_fields'].get(name[3:])
        return custom
    field = model_named(kind.model)._meta.get_field(name)
    match field:
        case GenericForeignKey():
            type_id, pk = data[field.ct_field], data[field.fk_field]
            if type_id is None or pk is None:
                return None
            object_type = ContentType.objects.get_for_id(type_id)
            return Pointer(f'{object_type.app_label}.{object_type.model}', pk)
        case TaggableManager():
            return frozenset(tags[each] for each in data[name])
        case models.ManyToManyField():
            related = field.related_model._meta.label_lower
            return frozenset(Pointer(related, pk) for pk in data[name])
        case models.ForeignKey():
            return None if data[name] is None else Pointer(field.related_model._meta.label_lower, data[name])
        case models.DecimalField():
            return decimal_text(data[name])
        case models.TextField():
            return None if data[name] is None else plain_lines(data[name])
    value: Value = data[name]
    return value
