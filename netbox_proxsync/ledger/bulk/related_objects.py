"""The objects to which new objects refer, each loaded once, so that NetBox's code finds them without a query."""

from collections.abc import Iterable

from django.db import models
from netbox.models import NetBoxModel

from ...sync.values import Pointer
from ..fields import pointer_to
from ..netbox_models import model_named

__all__ = ('RelatedObjects',)


class RelatedObjects:
    """Loads objects by their primary keys, and remembers those that were created in the same batch."""

    def __init__(self) -> None:
        self._known: dict[Pointer, models.Model] = {}

    def add(self, instances: Iterable[models.Model]) -> None:
        """Remember objects that were created or loaded."""
        self._known.update((pointer_to(instance), instance) for instance in instances)

    def get(self, pointer: Pointer) -> models.Model:
        """
        A remembered object.

        Raises:
            KeyError: It does not exist.
        """
        return self._known[pointer]

    def load(self, pointers: Iterable[Pointer]) -> None:
        """Load the objects that are not remembered yet, by one query for each model."""
        missing: dict[str, set[int]] = {}
        for pointer in pointers:
            if pointer not in self._known:
                missing.setdefault(pointer.model, set()).add(pointer.pk)
        for name, pks in missing.items():
            self.add(model_named(name).objects.filter(pk__in=pks))

    def attach(self, instances: Iterable[NetBoxModel]) -> list[NetBoxModel]:
        """
        Give objects the objects to which their foreign keys point.

        Returns:
            Those of which one does not exist.
        """
        instances = list(instances)
        if not instances:
            return []
        keys = [field for field in instances[0]._meta.concrete_fields if isinstance(field, models.ForeignKey)]
        labels = {field: field.related_model._meta.label_lower for field in keys}
        wanted = [
            (instance, field, Pointer(labels[field], pk))
            for instance in instances
            for field in keys
            if (pk := getattr(instance, field.attname)) is not None
        ]
        self.load(pointer for _instance, _field, pointer in wanted)
        lacking = []
        for instance, field, pointer in wanted:
            if related := self._known.get(pointer):
                field.set_cached_value(instance, related)
            else:
                lacking.append(instance)
        return lacking
