"""The custom fields in which a sync keeps what NetBox's own fields have no place for."""

from typing import Any

from django.apps import apps
from django.db import connections, transaction

from .migrations import _custom_fields_v1, _custom_fields_v2

__all__ = ('CUSTOM_FIELDS', 'ensure_custom_fields')

# Object, name, type, label.
CUSTOM_FIELDS = _custom_fields_v1.FIELDS + _custom_fields_v2.FIELDS


def ensure_custom_fields(using: str = 'default', **kwargs: Any):
    """
    Make the custom fields anew after the database was emptied: the handler of `post_migrate`, which Django also sends
    after a flush.

    In a database with any trace of them it does nothing. The fields are the migrations' business, and one that an
    administrator has removed stays removed.
    """
    from .models import ManagedCustomField

    connection = connections[using]
    if ManagedCustomField._meta.db_table not in connection.introspection.table_names():
        # The migrations have been taken back.
        return
    if ManagedCustomField.objects.using(using).exists():
        return
    with transaction.atomic(using=using):
        _custom_fields_v1.install(apps, using)
        _custom_fields_v2.install(apps, using)
