"""
The dependents of an object: what refers to it and was not created by this sync, so that deleting the object would
destroy it or clear the reference.
"""

from collections.abc import Collection, Container, Iterator, Mapping
from dataclasses import dataclass
from typing import cast

from dcim.models import CableTermination
from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from netbox.models import NetBoxModel

from ..sync.kinds import KINDS, Owner, Removal
from ..sync.state import Bound
from ..sync.values import Pointer
from .entered import entered_fields
from .fields import pointer_to
from .netbox_models import find

__all__ = ('DependentFinder', 'blocking_dependents', 'dependents_of', 'describe')

# Rows that NetBox or a reader adds to any object, and that mean nothing once it is deleted.
TRACES = {
    'core.job',
    'core.objectchange',
    'extras.bookmark',
    'extras.cachedvalue',
    'extras.notification',
    'extras.subscription',
    'extras.taggeditem',
    # What Proxmox VE reports of the guest: this plugin's own, and it does not need the virtual machine.
    'netbox_proxsync.proxmoxguest',
}


@dataclass(frozen=True, slots=True)
class Relation:
    """
    An object that refers to another one.

    Attributes:
        related: The object that refers.
        cascades: Whether it is deleted along with the other one.
        field: The field by which it refers; '' for a generic relation.
    """

    related: NetBoxModel
    cascades: bool
    field: str


def blocking_dependents(
    gone: Collection[Bound],
    bound_to: Mapping[Pointer, Bound],
    moving: Container[Pointer] = (),
    kept: Container[Pointer] = (),
) -> dict[Pointer, tuple[str, ...]]:
    """
    The dependents that prevent the deletion of objects, as texts for display, by object.

    Args:
        gone: The bindings of the objects that a run may delete.
        bound_to: All bindings of the endpoint by their objects.
        moving: Objects that a run moves to another guest before it deletes anything.
        kept: Parts that the endpoint's settings keep though they are gone from Proxmox VE.
    """
    leaving = {bound.pointer for bound in gone}
    blocking: dict[Pointer, tuple[str, ...]] = {}
    for bound in gone:
        instance = find(bound.pointer)
        # A guest that is deleted after its grace period takes along all that the endpoint has created for it.
        parts: Container[Pointer] = kept if KINDS[bound.kind].removal is Removal.DELETE else ()
        finder = DependentFinder(bound_to, leaving, moving, parts)
        if instance is not None and (found := sorted(set(finder.find(instance)))):
            blocking[bound.pointer] = tuple(found)
    return blocking


def dependents_of(instance: NetBoxModel, bound_to: Mapping[Pointer, Bound]) -> Iterator[str]:
    """
    The dependents of an object that is about to be deleted, as texts for display.

    Args:
        bound_to: The bindings of the endpoint by their objects.
    """
    return DependentFinder(bound_to).find(instance)


class DependentFinder:
    """
    Args:
        bound_to: The bindings of the endpoint by their objects.
        leaving: Objects that a run releases before it deletes, if their kind can be released (adopted addresses).
        moving: Objects that a run moves elsewhere before it deletes.
        kept: Objects that are not deleted though they are gone from Proxmox VE.
    """

    def __init__(
        self,
        bound_to: Mapping[Pointer, Bound],
        leaving: Container[Pointer] = (),
        moving: Container[Pointer] = (),
        kept: Container[Pointer] = (),
    ) -> None:
        self.bound_to = bound_to
        self.leaving = leaving
        self.moving = moving
        self.kept = kept

    def find(self, instance: NetBoxModel) -> Iterator[str]:
        """
        Texts that name what users have entered in an object, and the objects that refer to it, or to a part that would
        be deleted with it, and that this endpoint has not created.
        """
        if own := self.bound_to.get(pointer_to(instance)):
            yield from (f'"{name}" of {describe(instance)}' for name in entered_fields(instance, own))
        for relation in relations_to(instance):
            bound = self.bound_to.get(pointer_to(relation.related))
            if bound is None or bound.unmanaged:
                yield describe(relation.related)
            elif relation.cascades:
                yield from self._find_in_part(relation.related, bound)
            elif is_chosen(bound, relation.field, instance):
                # By its key in Proxmox VE: its name in NetBox may change in the same run.
                yield f'"{relation.field}" of {relation.related._meta.verbose_name} {bound.key}'

    def _find_in_part(self, part: NetBoxModel, bound: Bound) -> Iterator[str]:
        """The same for a managed object that would be deleted along with the one it belongs to."""
        if bound.pointer in self.moving:
            return
        if bound.pointer in self.kept:
            yield describe(part)
        elif bound.created_by_sync:
            yield from self.find(part)
        elif not (bound.pointer in self.leaving and KINDS[bound.kind].released):
            yield describe(part)


def describe(instance: NetBoxModel) -> str:
    """The display name of an object: 'cable "#5"'."""
    # NetBox does not show the end of a cable as an object of its own.
    if isinstance(instance, CableTermination):
        instance = instance.cable
    return f'{instance._meta.verbose_name} "{instance}"'


def is_chosen(bound: Bound, name: str, instance: NetBoxModel) -> bool:
    """Whether a user made a managed object refer to this one: the field is not a fact, nor as the sync wrote it."""
    owner = next((spec.owner for spec in KINDS[bound.kind].fields if spec.name == name), None)
    return owner is not Owner.FACT and bound.last.get(name) != pointer_to(instance)


def relations_to(instance: NetBoxModel) -> Iterator[Relation]:
    """The objects that refer to one, but for traces and the rows of private models."""
    for relation in instance._meta.get_fields(include_hidden=True):
        if isinstance(relation, GenericRelation):
            if not is_trace(relation.related_model):
                yield from (Relation(related, True, '') for related in getattr(instance, relation.name).all())
        elif isinstance(relation, models.ForeignObjectRel) and not is_trace(relation.related_model):
            yield from relations_by_column(instance, relation)


def relations_by_column(instance: NetBoxModel, relation: models.ForeignObjectRel) -> Iterator[Relation]:
    """The objects that refer to one by a foreign key, a one-to-one or a many-to-many field."""
    if not (relation.one_to_many or relation.one_to_one or relation.many_to_many):
        # The other end of a generic relation.
        return
    name = relation.field.name
    # An object that is deleted is only removed from many-to-many relations.
    cascades = not relation.many_to_many and relation.on_delete is models.CASCADE
    for related in cast('type[NetBoxModel]', relation.related_model)._default_manager.filter(**{name: instance}):
        yield Relation(related, cascades, name)


def is_trace(model: type[models.Model]) -> bool:
    """Whether the rows of a model are no dependents. Through tables and private models are parts of other objects."""
    meta = model._meta
    return meta.label_lower in TRACES or bool(meta.auto_created) or getattr(model, '_netbox_private', False)
