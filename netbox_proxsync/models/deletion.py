"""
Deletion of many rows without loading them.

A function instead of a method, because export templates can call public methods of models.
"""

from django.contrib.contenttypes.models import ContentType
from django.db import models
from extras.models import CachedValue
from netbox.registry import registry

__all__ = ('delete_unread',)


def delete_unread(model: type[models.Model], condition: models.Q, using: str) -> None:
    """
    Delete rows of the plugin, and the entries of NetBox's search index for them.

    NetBox has signal receivers for deletions, so Django's `delete()` would load tens of thousands of rows, although no
    object refers to them and the change log does not record them.
    """
    rows = model._default_manager.using(using).filter(condition).order_by()
    if model._meta.label_lower in registry['search']:
        object_type = ContentType.objects.db_manager(using).get_for_model(model)
        entries = CachedValue.objects.using(using).filter(object_type_id=object_type.pk)
        entries.filter(object_id__in=rows.values('pk'))._raw_delete(using)
    rows._raw_delete(using)
