"""Objects shared with the rest of NetBox: looked up by name, made at need, never changed or removed."""

from collections.abc import Iterable

from dcim.models import DeviceType
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.utils.text import slugify
from ipam.models import VLAN

from ..sync.values import Pointer, Shared
from .fields import pointer_to
from .tracking import savepoint
from .validity import validate

__all__ = ('create_shared', 'find_shared')

SLUG_LENGTH = 100


def find_shared(wanted: Iterable[Shared]) -> dict[Shared, Pointer]:
    """
    The objects that exist, by one query for each model.

    A name is matched exactly; else without regard to case, unless the other spelling is itself wanted; else by slug,
    if the name is one ('tier-1' is the tag 'Tier 1').
    """
    by_model: dict[str, set[Shared]] = {}
    for shared in wanted:
        by_model.setdefault(shared.model, set()).add(shared)
    return {
        shared: pointer
        for model, group in by_model.items()
        for shared, pointer in find_of_model(apps.get_model(model), group).items()
    }


def find_of_model(model: type[models.Model], wanted: set[Shared]) -> dict[Shared, Pointer]:
    if model is DeviceType:
        return find_device_types(wanted)
    names = {shared.name for shared in wanted}
    exact, folded, slugs = {}, {}, {}
    for instance in ordered(model.objects.all()):
        pointer = pointer_to(instance)
        exact.setdefault(instance.name, pointer)
        if instance.name not in names:
            folded.setdefault(instance.name.lower(), pointer)
            slugs.setdefault(instance.slug, pointer)
    found = {}
    for shared in wanted:
        pointer = exact.get(shared.name) or folded.get(shared.name.lower()) or slugs.get(shared.name)
        if pointer:
            found[shared] = pointer
    return found


def ordered(rows: models.QuerySet) -> models.QuerySet:
    """Where a name is not unique (platforms of several manufacturers), the one without and then the oldest is meant."""
    order = ('manufacturer_id', 'pk') if hasattr(rows.model, 'manufacturer_id') else ('pk',)
    return rows.order_by(*[models.F(name).asc(nulls_first=True) for name in order])


def find_device_types(wanted: set[Shared]) -> dict[Shared, Pointer]:
    """A model's name is unique for its manufacturer only."""
    found = {
        (instance.manufacturer.name.lower(), instance.model.lower()): pointer_to(instance)
        for instance in DeviceType.objects.select_related('manufacturer').order_by('-pk')
    }
    pairs = {shared: (shared.within.lower(), shared.name.lower()) for shared in wanted}
    return {shared: found[pair] for shared, pair in pairs.items() if pair in found}


def create_shared(shared: Shared) -> Pointer:
    """
    Make the object, unless one of exactly that name has come into being since the plan was made.

    A name in another spelling is another object: it may have been made a moment ago because both are wanted.

    Raises:
        ValidationError: NetBox refuses it.
    """
    try:
        with savepoint():
            return find_or_make(shared)
    except (IntegrityError, ValidationError):
        # Another endpoint's run was making it, too, and has committed it by now.
        return find_or_make(shared)


def find_or_make(shared: Shared) -> Pointer:
    model = apps.get_model(shared.model)
    if model is DeviceType:
        found = model.objects.filter(model__iexact=shared.name, manufacturer__name__iexact=shared.within)
    elif model is VLAN:
        # A VLAN is what it is by its id and its place; its name is for people.
        found = model.objects.filter(**dict(shared.attributes)).order_by('group_id')
    else:
        found = ordered(model.objects.filter(name=shared.name))
    if instance := found.first():
        return pointer_to(instance)
    if model is DeviceType:
        manufacturer = create_shared(Shared('dcim.manufacturer', shared.within))
        instance = model(model=shared.name, manufacturer_id=manufacturer.pk)
    else:
        instance = model(name=shared.name, **dict(shared.attributes))
    if hasattr(instance, 'slug'):
        instance.slug = free_slug(model, shared.name)
    validate(instance)
    instance.save()
    return pointer_to(instance)


def free_slug(model: type[models.Model], name: str) -> str:
    """A valid slug that no other object has. Different names may have the same one: 'a.b' and 'a-b'."""
    base = slugify(name.replace('.', '-').replace('+', '-plus-').replace('/', '-')) or model._meta.model_name
    slug, number = base[:SLUG_LENGTH], 1
    while model.objects.filter(slug=slug).exists():
        number += 1
        suffix = f'-{number}'
        slug = base[: SLUG_LENGTH - len(suffix)] + suffix
    return slug
