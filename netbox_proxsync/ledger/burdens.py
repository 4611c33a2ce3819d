"""What hangs on an object and was not made by this sync, so that deleting the object would destroy or cut it off."""

from collections.abc import Container, Iterator, Mapping

from django.apps import apps
from django.contrib.contenttypes.fields import GenericRelation
from django.db import models

from ..sync.kinds import KINDS
from ..sync.state import Bound
from ..sync.values import Pointer
from .fields import pointer_to

__all__ = ('burdens_of', 'hanging_on')

# Traces that NetBox or a reader leaves on any object, and that mean nothing once it is gone.
TRACES = {
    'core.job',
    'core.objectchange',
    'extras.bookmark',
    'extras.cachedvalue',
    'extras.notification',
    'extras.subscription',
    'extras.taggeditem',
    # What Proxmox said of the machine: ours, and nothing that the machine is needed for.
    'netbox_proxsync.proxmoxguest',
}

# What a person has noted on an interface itself.
MARKS = {'mgmt_only': 'the mark "management only"', 'mark_connected': 'the mark "connected"'}


def burdens_of(gone: list[Bound], bound_to: Mapping[Pointer, Bound]) -> dict[Pointer, tuple[str, ...]]:
    """For objects that a run may delete: what keeps it from doing so."""
    leaving = {bound.pointer for bound in gone}
    burdens = {}
    for bound in gone:
        instance = apps.get_model(bound.pointer.model).objects.filter(pk=bound.pointer.pk).first()
        if instance and (found := sorted(set(hanging_on(instance, bound_to, leaving)))):
            burdens[bound.pointer] = tuple(found)
    return burdens


def hanging_on(
    instance: models.Model, bound_to: Mapping[Pointer, Bound], leaving: Container[Pointer] = ()
) -> Iterator[str]:
    """
    Names of the objects that refer to this one, or to a part of it that would be deleted with it, and that this
    endpoint did not make.

    Args:
        leaving: What a run lets go of before it deletes, if it can be let go of (adopted addresses).
    """
    yield from (mark for name, mark in MARKS.items() if getattr(instance, name, False))
    for related, cascades in related_to(instance):
        bound = bound_to.get(pointer_to(related))
        if bound is None or bound.unmanaged:
            yield f'{related._meta.verbose_name} "{related}"'
        elif cascades and bound.created_by_sync:
            yield from hanging_on(related, bound_to, leaving)
        elif cascades and not (bound.pointer in leaving and KINDS[bound.kind].released):
            yield f'{related._meta.verbose_name} "{related}"'


def related_to(instance: models.Model) -> Iterator[tuple[models.Model, bool]]:
    """The objects that refer to one, and whether its deletion would delete them."""
    for relation in instance._meta.get_fields(include_hidden=True):
        if isinstance(relation, GenericRelation):
            model, lookup, cascades = relation.related_model, None, True
        elif relation.auto_created and (relation.one_to_many or relation.one_to_one) and not relation.concrete:
            model, lookup = relation.related_model, {relation.field.name: instance}
            cascades = relation.on_delete is models.CASCADE
        elif relation.auto_created and relation.many_to_many and not relation.concrete:
            model, lookup, cascades = relation.related_model, {relation.field.name: instance}, False
        else:
            continue
        # Through tables and other private models are a part of what they belong to.
        if model._meta.label_lower in TRACES or model._meta.auto_created or getattr(model, '_netbox_private', False):
            continue
        found = getattr(instance, relation.name).all() if lookup is None else model._default_manager.filter(**lookup)
        for related in found:
            yield related, cascades
