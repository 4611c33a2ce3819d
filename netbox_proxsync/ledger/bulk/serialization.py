"""The values of objects for the change log, as NetBox serializes them, in less time."""

import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any, cast

from dcim.models import Device
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from netbox.models import NetBoxModel
from utilities.serializers.json import Serializer
from virtualization.models import VirtualMachine

__all__ = ('serialized_in_less_time',)

# What `serialize_object` of a model leaves out.
CONFIG_CONTEXTS = ('_config_context_data', '_config_context_generation')
LEFT_OUT: dict[type[models.Model], tuple[str, ...]] = {VirtualMachine: CONFIG_CONTEXTS, Device: CONFIG_CONTEXTS}


class FieldSerializer(Serializer):
    """NetBox's serializer, which keeps the values of the object instead of writing them as text."""

    def end_object(self, obj: models.Model) -> None:
        """Keep the values."""
        self.values: dict[str, Any] = self._current

    def handle_m2m_field(self, obj: models.Model, field: Any) -> None:
        """Read a set from the prefetch cache. Django would build a query for it, without executing it."""
        loaded = getattr(obj, '_prefetched_objects_cache', {}).get(field.name)
        if loaded is None or not field.remote_field.through._meta.auto_created:
            super().handle_m2m_field(obj, field)
        else:
            self._current[field.name] = [self._value_from_field(each, each._meta.pk) for each in loaded]


def serialize(instance: NetBoxModel, exclude: Iterable[str]) -> dict[str, Any]:
    """
    What `serialize_object` of an object returns, whose tags are in its prefetch cache.

    Django writes each object in its slow, streaming form of JSON.
    """
    serializer = FieldSerializer()
    serializer.serialize([instance])
    data: dict[str, Any] = json.loads(json.dumps(serializer.values, cls=DjangoJSONEncoder))
    data['custom_fields'] = data.pop('custom_field_data')
    data['tags'] = sorted(tag.name for tag in cast('Any', instance)._prefetched_objects_cache['tags'])
    for name in (*exclude, *LEFT_OUT.get(type(instance), ())):
        data.pop(name, None)
    return data


@contextmanager
def serialized_in_less_time(instance: NetBoxModel) -> Iterator[None]:
    """Let NetBox call `serialize` within, when it notes the values of the object."""
    cast('Any', instance).serialize_object = lambda exclude=(): serialize(instance, exclude)
    try:
        yield
    finally:
        del cast('Any', instance).serialize_object
