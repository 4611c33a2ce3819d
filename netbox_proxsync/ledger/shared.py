"""
Objects shared with the rest of NetBox (tags, platforms, roles, types, VLANs): looked up by name once, created if
missing, and from then on known by id. So a rename in NetBox is an edit by a user and is not reverted.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from dcim.models import DeviceType
from django.apps import apps
from django.core.exceptions import ValidationError
from django.db import IntegrityError, models
from django.utils.text import slugify
from extras.models import Tag
from ipam.models import VLAN

from ..models import ProxmoxEndpoint, SharedObject
from ..sync.mapping.vlans import vlan_name
from ..sync.values import Pointer, Shared
from .fields import pointer_to
from .related_objects import RelatedObjects
from .requirements import tags_with_limits
from .tracking import savepoint
from .validation import validate

__all__ = ('FoundShared', 'SharedObjects')

SLUG_LENGTH = 100

# Any: tags, platforms, roles, types and VLANs have no common base class with a name.
type Instances = Mapping[int, Any]


@dataclass(frozen=True, slots=True)
class FoundShared:
    """
    Attributes:
        pointers: The objects that exist.
        new: Those of them that were found by name and are not remembered yet.
    """

    pointers: Mapping[Shared, Pointer]
    new: Mapping[Shared, Pointer]


class SharedObjects:
    """
    Finds the objects for the shared values of one endpoint, in the active branch.

    Each endpoint remembers its own objects. For a value that it has never used, those of other endpoints are used.

    Args:
        related: Remembers the objects that are loaded, so that they are not loaded again for those that refer to them.

    Attributes:
        created_vlans: The remembered VLANs of the endpoint as (value, pk), after `find`.
        tags: All tags, as `tags_with_limits` returns them, if `find` has loaded them.
    """

    def __init__(self, endpoint: ProxmoxEndpoint, related: RelatedObjects | None = None) -> None:
        self.endpoint = endpoint
        self.related = RelatedObjects() if related is None else related
        self.created_vlans: list[tuple[Shared, int]] = []
        self.tags: list[Tag] | None = None

    def find(self, wanted: Iterable[Shared]) -> FoundShared:
        """The objects that exist, by one query for each model, and one for the remembered objects."""
        # A device type belongs to a manufacturer, and both may be renamed.
        by_model: dict[str, set[Shared]] = {}
        for shared in wanted:
            by_model.setdefault(shared.model, set()).add(shared)
            if shared.model == 'dcim.devicetype':
                by_model.setdefault('dcim.manufacturer', set()).add(manufacturer_of(shared))
        remembered = self.remembered((shared for group in by_model.values() for shared in group), with_vlans=True)
        pointers: dict[Shared, Pointer] = {}
        new: dict[Shared, Pointer] = {}
        loaded: dict[str, Instances] = {}
        if types := by_model.get('dcim.devicetype'):
            loaded['dcim.devicetype'] = self.load('dcim.devicetype')
            if all(first_there(remembered.get(each, ()), loaded['dcim.devicetype']) for each in types):
                del by_model['dcim.manufacturer']
        # Manufacturers before the device types that are looked up by them.
        for model, group in sorted(by_model.items(), key=lambda entry: entry[0] != 'dcim.manufacturer'):
            instances = loaded.get(model) or self.load(model)
            known = {shared: pk for shared in group if (pk := first_there(remembered.get(shared, ()), instances))}
            pointers |= {shared: pointer_to(instances[pk]) for shared, pk in known.items()}
            named = find_by_name(group, instances, pointers)
            pointers |= {shared: pointer for shared, pointer in named.items() if shared not in known}
            own = self.own(remembered, group)
            found = {shared: pointers[shared] for shared in group & {*pointers}}
            new |= {shared: pointer for shared, pointer in found.items() if own.get(shared) != pointer.pk}
        return FoundShared(pointers, new)

    def load(self, name: str) -> Instances:
        """All objects of a model by pk, in order of preference. They are remembered for objects that refer to them."""
        model = shared_model(name)
        rows = tags_with_limits() if model is Tag else model.objects.all()
        if model is DeviceType:
            rows = rows.select_related('manufacturer')
        instances = {instance.pk: instance for instance in ordered(rows)}
        self.related.add(instances.values())
        if model is Tag:
            self.tags = list(instances.values())
        elif model is DeviceType:
            self.related.add(each.manufacturer for each in instances.values())
        return instances

    def create(self, shared: Shared) -> Pointer:
        """
        Create an object, unless it is remembered, or one of exactly that name was created since the plan was created.

        A name in another spelling is another object: it may have been created a moment ago, because both are needed.

        Raises:
            ValidationError: NetBox refuses it.
        """
        if pointer := self.remembered_object(shared):
            return pointer
        try:
            with savepoint():
                pointer = self.find_or_create(shared)
        except (IntegrityError, ValidationError):
            # The run of another endpoint has created it at the same time.
            pointer = self.find_or_create(shared)
        self.remember({shared: pointer})
        return pointer

    def remember(self, pointers: Mapping[Shared, Pointer]) -> None:
        """Store the ids of objects."""
        rows = [
            SharedObject(
                endpoint=self.endpoint,
                model=shared.model,
                within=shared.within,
                name=shared.name,
                object_id=pointer.pk,
            )
            for shared, pointer in pointers.items()
        ]
        SharedObject.objects.bulk_create(
            rows,
            update_conflicts=True,
            unique_fields=('endpoint', 'model', 'within', 'name'),
            update_fields=('object_id',),
        )

    # Parts of the above

    def remembered(self, wanted: Iterable[Shared], with_vlans: bool = False) -> dict[Shared, list[tuple[int, int]]]:
        """
        The remembered objects, as (endpoint's pk, object's pk): those of this endpoint first, then the oldest.

        Args:
            with_vlans: Set `created_vlans` as well.
        """
        wanted = {*wanted}
        searched = models.Q(model__in={shared.model for shared in wanted}, name__in={shared.name for shared in wanted})
        if with_vlans:
            searched |= models.Q(model=VLAN._meta.label_lower, endpoint=self.endpoint)
        found: dict[Shared, list[tuple[int, int]]] = {}
        rows = SharedObject.objects.filter(searched).order_by('pk')
        for row in sorted(rows, key=lambda row: row.endpoint_id != self.endpoint.pk):
            value = Shared(row.model, row.name, within=row.within)
            found.setdefault(value, []).append((row.endpoint_id, row.object_id))
            if with_vlans and row.model == VLAN._meta.label_lower and row.endpoint_id == self.endpoint.pk:
                self.created_vlans.append((value, row.object_id))
        return {shared: ids for shared, ids in found.items() if shared in wanted}

    def own(self, remembered: Mapping[Shared, list[tuple[int, int]]], group: Iterable[Shared]) -> dict[Shared, int]:
        """The remembered objects (pks) of this endpoint."""
        entries = ((shared, remembered[shared][0]) for shared in group if shared in remembered)
        return {shared: pk for shared, (endpoint_id, pk) in entries if endpoint_id == self.endpoint.pk}

    def remembered_object(self, shared: Shared) -> Pointer | None:
        """The remembered object of a value, if it still exists."""
        model = shared_model(shared.model)
        ids = self.remembered([shared]).get(shared, ())
        instances = model.objects.in_bulk([pk for _endpoint, pk in ids])
        if model is VLAN:
            # A VLAN may be renamed and moved. If its VLAN ID was changed, it is another VLAN.
            instances = {pk: vlan for pk, vlan in instances.items() if vlan_name(vlan.vid) == shared.name}
        pk = first_there(ids, instances)
        return pointer_to(instances[pk]) if pk else None

    def find_or_create(self, shared: Shared) -> Pointer:
        """The object of exactly that name, created if missing."""
        model = shared_model(shared.model)
        manufacturer = self.create(manufacturer_of(shared)) if model is DeviceType else None
        if manufacturer:
            found = model.objects.filter(model__iexact=shared.name, manufacturer=manufacturer.pk)
        elif model is VLAN:
            # A VLAN is identified by its VLAN ID and its group or site, not by its name.
            found = model.objects.filter(**dict(shared.attributes)).order_by('group_id')
        else:
            found = ordered(model.objects.filter(name=shared.name))
        if instance := found.first():
            return pointer_to(instance)
        if manufacturer:
            instance = model(model=shared.name, manufacturer_id=manufacturer.pk)
        else:
            instance = model(name=shared.name, **dict(shared.attributes))
        if hasattr(instance, 'slug'):
            instance.slug = free_slug(model, shared.name)
        validate(instance)
        instance.save()
        return pointer_to(instance)


def shared_model(name: str) -> Any:
    """The model of shared objects, given as 'app_label.model_name'."""
    return apps.get_model(name)


def manufacturer_of(device_type: Shared) -> Shared:
    """The manufacturer of a device type."""
    return Shared('dcim.manufacturer', device_type.within)


def first_there(ids: Iterable[tuple[int, int]], instances: Instances) -> int | None:
    """The first of remembered objects (endpoint's pk, object's pk) that exists."""
    return next((pk for _endpoint, pk in ids if pk in instances), None)


def find_by_name(wanted: set[Shared], instances: Instances, found: Mapping[Shared, Pointer]) -> dict[Shared, Pointer]:
    """
    The objects by their natural keys.

    A name is matched exactly; otherwise case-insensitively, unless the other spelling is needed as well; otherwise by
    slug, if the name is one ('tier-1' is the tag 'Tier 1').

    Args:
        instances: All objects of the model, in the order in which they are preferred.
        found: The objects that were found before; device types are looked up by their manufacturers.
    """
    if any(shared.model == 'dcim.devicetype' for shared in wanted):
        return find_device_types(wanted, instances, found)
    names = {shared.name for shared in wanted}
    exact: dict[str, Pointer] = {}
    folded: dict[str, Pointer] = {}
    slugs: dict[str, Pointer] = {}
    for instance in instances.values():
        pointer = pointer_to(instance)
        exact.setdefault(instance.name, pointer)
        if instance.name not in names:
            folded.setdefault(instance.name.lower(), pointer)
            slugs.setdefault(instance.slug, pointer)
    named = {
        shared: exact.get(shared.name) or folded.get(shared.name.lower()) or slugs.get(shared.name) for shared in wanted
    }
    return {shared: pointer for shared, pointer in named.items() if pointer}


def find_device_types(
    wanted: set[Shared], instances: Instances, found: Mapping[Shared, Pointer]
) -> dict[Shared, Pointer]:
    """The device types by manufacturer and model: the name of a model is unique for its manufacturer only."""
    by_model: dict[tuple[int, str], Pointer] = {}
    for instance in instances.values():
        by_model.setdefault((instance.manufacturer_id, instance.model.lower()), pointer_to(instance))
    makers = {shared: found.get(manufacturer_of(shared)) for shared in wanted}
    pairs = {shared: (maker.pk, shared.name.lower()) for shared, maker in makers.items() if maker}
    return {shared: by_model[pair] for shared, pair in pairs.items() if pair in by_model}


def ordered[M: models.Model](rows: models.QuerySet[M]) -> models.QuerySet[M]:
    """In order of preference, if names are not unique: platforms without a manufacturer first, then by age."""
    is_of_manufacturer = hasattr(rows.model, 'manufacturer_id') and rows.model is not DeviceType
    order = ('manufacturer_id', 'pk') if is_of_manufacturer else ('pk',)
    return rows.order_by(*[models.F(name).asc(nulls_first=True) for name in order])


def free_slug(model: Any, name: str) -> str:
    """A valid slug that no other object has. Different names may have the same slug: 'a.b' and 'a-b'."""
    base = slugify(name.replace('.', '-').replace('+', '-plus-').replace('/', '-')) or str(model._meta.model_name)
    slug, number = base[:SLUG_LENGTH], 1
    while model.objects.filter(slug=slug).exists():
        number += 1
        suffix = f'-{number}'
        slug = base[: SLUG_LENGTH - len(suffix)] + suffix
    return slug
