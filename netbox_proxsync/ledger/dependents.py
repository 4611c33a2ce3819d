"""What hangs on an object and was not made by this sync, so that deleting the object would destroy or cut it off."""

from collections.abc import Container, Iterator, Mapping

from dcim.models import CableTermination
from django.apps import apps
from django.contrib.contenttypes.fields import GenericRelation
from django.db import models
from extras.models import CustomField

from ..sync.kinds import KINDS, Owner, Removal
from ..sync.state import Bound
from ..sync.values import Pointer
from .fields import pointer_to, read

__all__ = ('burdens_of', 'hanging_on')

# What people enter where this plugin writes nothing, or has not written anything.
ENTERED = (
    'description', 'comments', 'owner', 'tenant', 'role', 'platform', 'serial', 'dns_name', 'nat_inside',
    'local_context_data', 'config_template',
)  # fmt: skip

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


def burdens_of(
    gone: list[Bound],
    bound_to: Mapping[Pointer, Bound],
    moving: Container[Pointer] = (),
    left: Container[Pointer] = (),
) -> dict[Pointer, tuple[str, ...]]:
    """
    For objects that a run may delete: what keeps it from doing so.

    Args:
        moving: What something else wants, so that it will have left before anything is deleted.
        left: The parts that the endpoint leaves where they are though they are gone.
    """
    leaving = {bound.pointer for bound in gone}
    burdens = {}
    for bound in gone:
        instance = apps.get_model(bound.pointer.model).objects.filter(pk=bound.pointer.pk).first()
        # A guest whose time is over takes along all that the endpoint made of it.
        parts = left if KINDS[bound.kind].removal is Removal.DELETE else ()
        if instance and (found := sorted(set(hanging_on(instance, bound_to, leaving, moving, parts)))):
            burdens[bound.pointer] = tuple(found)
    return burdens


def hanging_on(
    instance: models.Model,
    bound_to: Mapping[Pointer, Bound],
    leaving: Container[Pointer] = (),
    moving: Container[Pointer] = (),
    left: Container[Pointer] = (),
) -> Iterator[str]:
    """
    Names of the objects that refer to this one, or to a part of it that would be deleted with it, and that this
    endpoint did not make; and of what was entered in one of these.

    Args:
        leaving: What a run lets go of before it deletes, if it can be let go of (adopted addresses).
        moving: What a run gives to something else before it deletes.
        left: What stays though it is gone.
    """
    if own := bound_to.get(pointer_to(instance)):
        yield from entered_in(instance, own)
    yield from (mark for name, mark in MARKS.items() if getattr(instance, name, False))
    for related, cascades, name in related_to(instance):
        bound = bound_to.get(pointer_to(related))
        if bound is None or bound.unmanaged:
            yield called(related)
        elif not cascades and is_chosen(bound, name, instance):
            # By what it is in Proxmox: its name in NetBox may change in the same run.
            yield f'"{name}" of {related._meta.verbose_name} {bound.key}'
        elif cascades and bound.pointer in moving:
            continue
        elif cascades and bound.pointer in left:
            yield called(related)
        elif cascades and bound.created_by_sync:
            yield from hanging_on(related, bound_to, leaving, moving, left)
        elif cascades and not (bound.pointer in leaving and KINDS[bound.kind].released):
            yield called(related)


def called(instance: models.Model) -> str:
    """What people call an object."""
    # The end of a cable is an object of its own, of which nobody knows.
    if isinstance(instance, CableTermination):
        instance = instance.cable
    return f'{instance._meta.verbose_name} "{instance}"'


def is_chosen(bound: Bound, name: str, instance: models.Model) -> bool:
    """Whether an object of ours refers to this one by a person's choice: not as we wrote it, nor to be set back."""
    owner = next((spec.owner for spec in KINDS[bound.kind].fields if spec.name == name), None)
    return owner is not Owner.FACT and bound.last.get(name) != pointer_to(instance)


def entered_in(instance: models.Model, bound: Bound) -> Iterator[str]:
    """Names of the fields that someone else has filled, or edited since this endpoint wrote them."""
    kind = KINDS[bound.kind]
    ours = {spec.name: spec.owner for spec in kind.fields}
    names = [
        name
        for name, owner in ours.items()
        if owner is Owner.EDITORIAL and name in bound.last and read(instance, name) != bound.last[name]
    ]
    present = {field.name for field in instance._meta.get_fields()}
    names += [name for name in ENTERED if name in present and name not in bound.last and getattr(instance, name)]
    if 'tags' in present and read(instance, 'tags') - (bound.last.get('tags') or frozenset()):
        names.append('tags')
    written = {*ours, f'cf_{kind.stamp}'}
    for field in CustomField.objects.get_for_model(type(instance)):
        value = instance.custom_field_data.get(field.name)
        if f'cf_{field.name}' not in written and value not in (None, '', [], field.default):
            names.append(field.name)
    for name in names:
        yield f'"{name}" of {called(instance)}'


def related_to(instance: models.Model) -> Iterator[tuple[models.Model, bool, str]]:
    """The objects that refer to one, whether its deletion would delete them, and by which field they do."""
    for relation in instance._meta.get_fields(include_hidden=True):
        if isinstance(relation, GenericRelation):
            model, lookup, cascades, name = relation.related_model, None, True, ''
        elif relation.auto_created and (relation.one_to_many or relation.one_to_one) and not relation.concrete:
            model, name = relation.related_model, relation.field.name
            lookup = {name: instance}
            cascades = relation.on_delete is models.CASCADE
        elif relation.auto_created and relation.many_to_many and not relation.concrete:
            model, name = relation.related_model, relation.field.name
            lookup, cascades = {name: instance}, False
        else:
            continue
        # Through tables and other private models are a part of what they belong to.
        if model._meta.label_lower in TRACES or model._meta.auto_created or getattr(model, '_netbox_private', False):
            continue
        found = getattr(instance, relation.name).all() if lookup is None else model._default_manager.filter(**lookup)
        for related in found:
            yield related, cascades, name
