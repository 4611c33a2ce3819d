"""NetBox's search index: one update for each transaction of a run."""

from django.db import transaction
from netbox.search import deferred

__all__ = ('merge_search_updates',)

# NetBox sets attributes on each callback that updates the index after a commit: the objects, and the database. If a
# later version does not, nothing is merged, and the index is updated by several jobs.
OBJECTS = getattr(deferred, '_FLUSH_BATCH_ATTR', '')
DATABASE = getattr(deferred, '_FLUSH_ALIAS_ATTR', '')


def merge_search_updates(using: str) -> None:
    """
    Merge the updates of the search index that a transaction has planned in its savepoints into one.

    NetBox plans one update for each savepoint, and each change of a run is written in a savepoint. After the commit,
    every update would be a job of its own. To be called within the block that commits, at its end: what savepoints have
    taken back is no longer planned then.

    Args:
        using: The database.
    """
    connection = transaction.get_connection(using)
    block = {sid for sid in connection.savepoint_ids if sid}
    planned = [
        objects
        for savepoints, callback, _robust in connection.run_on_commit
        if block <= savepoints
        and getattr(callback, DATABASE, None) == using
        and (objects := getattr(callback, OBJECTS, None))
    ]
    if len(planned) < 2:
        return
    operations = [entry for objects in planned for entry in objects.items()]
    for objects in planned:
        # An update without objects does nothing.
        objects.clear()
    for (object_type, pk), operation in operations:
        deferred.mark_for_deferred_indexing(object_type, pk, operation, using=using)
