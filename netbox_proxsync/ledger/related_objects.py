"""The objects to which others refer, each loaded once, and put where Django and NetBox look before they query."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator
from functools import cache
from typing import Any, cast

from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.contenttypes.models import ContentType
from django.db import models
from extras.models import Tag, TaggedItem

from ..sync.values import Pointer
from .fields import label_of
from .netbox_models import model_named
from .sql_arrays import elements

__all__ = ('RelatedObjects', 'keep_prefetched')

TAGS = 'tags'


class RelatedObjects:
    """
    Objects by their primary keys. Those that are not known yet are loaded, by one query for each model.

    That takes less time than `select_related`, which creates an object for each reference, and than prefetching, which
    builds a query for each object.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[str, int], models.Model] = {}

    def add(self, instances: Iterable[models.Model]) -> None:
        """Remember objects that were created or loaded."""
        for instance in instances:
            self._known[label_of(type(instance)), instance.pk] = instance

    def __iter__(self) -> Iterator[models.Model]:
        return iter(self._known.values())

    def get(self, pointer: Pointer) -> models.Model:
        """
        A remembered object.

        Raises:
            KeyError: It does not exist.
        """
        return self._known[pointer.model, pointer.pk]

    def load(self, wanted: Iterable[tuple[str, int]]) -> list[models.Model]:
        """Load the objects, given as ('app_label.model_name', pk), that are not remembered; returns these."""
        missing: dict[str, set[int]] = defaultdict(set)
        for model, pk in wanted:
            if (model, pk) not in self._known:
                missing[model].add(pk)
        loaded: list[models.Model] = [
            instance for name, pks in missing.items() for instance in model_named(name)._base_manager.filter(pk__in=pks)
        ]
        self.add(loaded)
        return loaded

    def attach[M: models.Model](self, instances: Collection[M], names: Collection[str] | None = None) -> list[M]:
        """
        Give objects of one model the objects of their foreign keys.

        Args:
            names: The foreign keys; None: all.

        Returns:
            Those of which one does not exist.
        """
        if not instances:
            return []
        keys = [
            (field, field.related_model._meta.label_lower)
            for field in next(iter(instances))._meta.concrete_fields
            if isinstance(field, models.ForeignKey) and (names is None or field.name in names)
        ]
        wanted = [
            (instance, field, (label, pk))
            for field, label in keys
            for instance in instances
            if (pk := getattr(instance, field.attname)) is not None
        ]
        self.load(identity for _instance, _field, identity in wanted)
        lacking: list[M] = []
        for instance, field, identity in wanted:
            if related := self._known.get(identity):
                field.set_cached_value(instance, related)
            else:
                lacking.append(instance)
        return lacking

    def attach_generic(self, instances: Collection[models.Model], name: str) -> list[models.Model]:
        """Give objects of one model the objects of a generic foreign key; returns those that were loaded for it."""
        if not instances:
            return []
        field = cast('GenericForeignKey', next(iter(instances))._meta.get_field(name))
        wanted: list[tuple[models.Model, tuple[str, int]]] = []
        for instance in instances:
            pk, object_type_id = getattr(instance, field.fk_field), getattr(instance, f'{field.ct_field}_id')
            if pk is not None and object_type_id is not None:
                object_type = ContentType.objects.get_for_id(object_type_id)
                wanted.append((instance, (f'{object_type.app_label}.{object_type.model}', pk)))
        loaded = self.load(identity for _instance, identity in wanted)
        for instance, identity in wanted:
            field.set_cached_value(instance, self._known.get(identity))
        return loaded

    def attach_set(self, instances: Collection[models.Model], name: str) -> None:
        """Give objects of one model the elements of a set: its tags, or those of a many-to-many field."""
        if not instances:
            return
        model = type(next(iter(instances)))
        element_model = Tag if name == TAGS else cast('type[models.Model]', model._meta.get_field(name).related_model)
        pairs = list(pairs_of(model, name, [instance.pk for instance in instances]))
        label = element_model._meta.label_lower
        self.load((label, element) for _pk, element in pairs)
        elements: dict[int, list[models.Model]] = defaultdict(list)
        # One may have been deleted a moment ago.
        for pk, found in [(pk, self._known.get((label, element))) for pk, element in pairs]:
            elements[pk] += filter(None, [found])
        for instance in instances:
            keep_prefetched(instance, name, element_model, elements.get(instance.pk, []))


def pairs_of(model: type[models.Model], name: str, pks: Collection[int]) -> Iterator[tuple[int, int]]:
    """The elements of the sets of some objects, as pairs of primary keys."""
    if name == TAGS:
        object_type = ContentType.objects.get_for_model(model)
        rows = TaggedItem.objects.filter(content_type=object_type, object_id__in=elements(pks, 'bigint'))
        yield from rows.order_by('pk').values_list('object_id', 'tag_id')
        return
    field: Any = model._meta.get_field(name)
    through = field.remote_field.through
    own, other = f'{field.m2m_field_name()}_id', f'{field.m2m_reverse_field_name()}_id'
    rows = through._default_manager.filter(**{f'{own}__in': elements(pks, 'bigint')}).order_by('pk')
    yield from rows.values_list(own, other)


def keep_prefetched(
    instance: models.Model, name: str, model: type[models.Model], elements: Collection[models.Model]
) -> None:
    """Put the elements of a set of an object where Django puts what it has prefetched."""
    prefetched: dict[str, Any] = instance.__dict__.setdefault('_prefetched_objects_cache', {})
    prefetched[name] = loaded_queryset(model, elements) if elements else empty_queryset(model)


def loaded_queryset(model: type[models.Model], elements: Collection[models.Model]) -> Any:
    """A queryset that has these objects and does not query."""
    queryset: Any = model._default_manager.all()
    queryset._result_cache, queryset._prefetch_done = list(elements), True
    return queryset


@cache
def empty_queryset(model: type[models.Model]) -> Any:
    """A queryset that has no objects and does not query. Most sets are empty."""
    return loaded_queryset(model, [])
