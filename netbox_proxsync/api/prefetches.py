"""What is loaded together with the objects that a response nests."""

from collections.abc import Iterator
from typing import Any

from django.apps import apps
from django.contrib.contenttypes.prefetch import GenericPrefetch
from django.db.models import ForeignKey, QuerySet
from utilities.api import get_serializer_for_model

from ..sync.kinds import KINDS

__all__ = ('BOUND_OBJECTS',)


def nested_querysets() -> Iterator[QuerySet[Any]]:
    """The objects of each kind, with the objects that NetBox's brief serializer nests in them."""
    for kind in KINDS.values():
        model = apps.get_model(kind.model)
        names = get_serializer_for_model(model).Meta.brief_fields
        fields = {field.name for field in model._meta.get_fields() if isinstance(field, ForeignKey)}
        if nested := [name for name in names if name in fields]:
            yield model._default_manager.select_related(*nested)


BOUND_OBJECTS = {('object',): (GenericPrefetch('object', list(nested_querysets())),)}
