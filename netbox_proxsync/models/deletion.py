"""
Deleting many rows without reading them.

Functions, not methods: whoever may write an export template can call public methods of models, but no functions.
"""

from django.contrib.contenttypes.models import ContentType
from django.db import models
from extras.models import CachedValue
from netbox.registry import registry

__all__ = ('delete_unread',)


def delete_unread(model: type[models.Model], condition: models.Q, using: str) -> None:
    """
    Delete rows of the plugin, and the entries of NetBox's search index for them.

    NetBox listens to every deletion, so Django's own way would load tens of thousands of rows for nothing: no object
    refers to them, and they have no change log.
    """
    rows = model._default_manager.using(using).filter(condition).order_by()
    if model._meta.label_lower in registry['search']:
        object_type = ContentType.objects.db_manager(using).get_for_model(model)
        entries = CachedValue.objects.using(using).filter(object_type_id=object_type.pk)
        entries.filter(object_id__in=rows.values('pk'))._raw_delete(using)
    rows._raw_delete(using)
