"""The tables of bindings, guests and shared objects in the schema of a branch."""

from typing import TYPE_CHECKING, Any

from django.db import connections, models

from ..branching import is_complete
from ..models import Binding, ProxmoxGuest, SharedObject
from ..models.deletion import delete_unread

if TYPE_CHECKING:
    from netbox_branching.models import Branch as BranchRow

__all__ = ('delete_endpoint_copies', 'drop_foreign_keys')

COPIED = (Binding, ProxmoxGuest)
FOREIGN_KEYS = """
    SELECT conrelid::regclass::text, quote_ident(conname) FROM pg_constraint
    WHERE contype = 'f' AND conrelid = ANY(%s::regclass[])
"""


def drop_foreign_keys(branch: 'BranchRow', **kwargs: Any) -> None:
    """
    Drop the foreign keys that migrations have created in the tables of an open branch.

    netbox-branching creates the tables of a new branch without foreign keys. They would refer to the endpoints in main,
    so that none of them could be deleted.
    """
    if not is_complete(branch):
        return
    tables = [f'{branch.schema_name}.{model._meta.db_table}' for model in (*COPIED, SharedObject)]
    with connections[branch.connection_name].cursor() as cursor:
        cursor.execute(FOREIGN_KEYS, [tables])
        for table, name in cursor.fetchall():
            cursor.execute(f'ALTER TABLE {table} DROP CONSTRAINT {name}')


def delete_endpoint_copies(endpoint_id: int) -> None:
    """Delete the rows of an endpoint in all branches, even in those that are not ready: they may become so again."""
    from netbox_branching.models import Branch

    for branch in Branch.objects.all():
        if is_complete(branch):
            for model in COPIED:
                delete_unread(model, models.Q(endpoint_id=endpoint_id), branch.connection_name)
            SharedObject.objects.using(branch.connection_name).filter(endpoint_id=endpoint_id).delete()
