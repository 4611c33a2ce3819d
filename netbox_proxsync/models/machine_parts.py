"""Which objects belong to virtual machines and devices. Derived from the kinds and from NetBox's models."""

from functools import cache
from typing import cast

from django.apps import apps
from django.contrib.contenttypes.fields import GenericForeignKey, GenericRelation
from django.db.models import Model
from netbox.models import NetBoxModel

from ..sync.kinds import KINDS, Kind, Removal

__all__ = ('holder_lookup', 'machine_models', 'part_lookups')


@cache
def machine_models() -> dict[str, type[NetBoxModel]]:
    """The models of machines, by the kind of their bindings. Only machines are retired."""
    return {kind.name: model_of(kind) for kind in KINDS.values() if kind.removal is Removal.RETIRE}


@cache
def part_lookups(machine: type[NetBoxModel]) -> tuple[tuple[type[NetBoxModel], str], ...]:
    """The models of the parts of a machine, with the lookup from each to its machine."""
    found: list[tuple[type[NetBoxModel], str]] = [(machine, '')]
    for kind in KINDS.values():
        if kind.holder is None:
            continue
        model = model_of(kind)
        found += [
            (model, f'{lookup}__{path}' if path else lookup)
            for holder, path in found
            if (lookup := holder_lookup(model, kind.holder, holder))
        ]
    return tuple(found[1:])


def model_of(kind: Kind) -> type[NetBoxModel]:
    return cast('type[NetBoxModel]', apps.get_model(kind.model))


def holder_lookup(model: type[Model], name: str, holder: type[Model]) -> str | None:
    """
    The lookup from a model to another one, through a foreign key or a generic foreign key; None if the field cannot
    point to that model.
    """
    field = model._meta.get_field(name)
    if not isinstance(field, GenericForeignKey):
        return name if field.related_model is holder else None
    for relation in holder._meta.private_fields:
        if (
            isinstance(relation, GenericRelation)
            and relation.related_model is model
            and relation.content_type_field_name == field.ct_field
        ):
            return relation.related_query_name()
    return None
