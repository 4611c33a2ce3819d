"""The stored bindings of deleted endpoints, which a new endpoint for the same cluster restores."""

from collections.abc import Iterable, Iterator

from django.contrib.contenttypes.models import ContentType
from django.db import DEFAULT_DB_ALIAS, transaction

from ..branching import in_branch
from ..models import Binding, FormerBinding, FormerEndpoint, ProxmoxEndpoint
from ..models.former_endpoints import COLUMNS
from ..proxmox.inventory import Guest
from ..sync.cluster_identity import ClusterIdentity, is_same_cluster
from ..sync.guest_identity import identity_of_guest
from ..sync.values import Pointer
from .netbox_models import model_named

__all__ = ('take_over', 'was_created_by_sync')

BATCH = 1000


def take_over(endpoint: ProxmoxEndpoint, seen: ClusterIdentity, guests: Iterable[Guest]) -> bool:
    """
    Restore the bindings of deleted endpoints that led to the same cluster. In a branch, do nothing: the next run in
    main does it.

    Returns:
        Whether there were any.
    """
    if in_branch():
        return False
    guests, has_taken = list(guests), False
    with transaction.atomic():
        # The endpoint that was deleted last first: its bindings are the most recent.
        for former in FormerEndpoint.objects.order_by('-pk').select_for_update():
            same = is_same_cluster(ClusterIdentity.from_json(former.cluster_identity), seen)
            if same or (same is None and managed_most(former, guests)):
                restore(former, endpoint)
                former.delete()
                has_taken = True
    return has_taken


def managed_most(former: FormerEndpoint, guests: Iterable[Guest]) -> bool:
    """
    Whether at least half of the guests of a deleted endpoint are listed with the same VM IDs and UUIDs. Half of the
    listed guests is not enough: a server that lists one known guest would get all the others.
    """
    machines = {guest.key: uuid for guest in guests if (uuid := identity_of_guest(guest).get('id_uuid'))}
    rows = former.bindings.filter(kind='vm', missing_since=None).values_list('key', 'values__id_uuid')
    kept = {key: uuid for key, uuid in rows if uuid}
    return bool(kept) and 2 * sum(machines.get(key) == uuid for key, uuid in kept.items()) >= len(kept)


def restore(former: FormerEndpoint, endpoint: ProxmoxEndpoint) -> None:
    """Create the bindings of a deleted endpoint for an endpoint."""
    taken = set(Binding.objects.filter(endpoint=endpoint).order_by().values_list('kind', 'key'))
    batch = []
    for row in restorable(former):
        if (row.kind, row.key) not in taken:
            batch.append(Binding(endpoint=endpoint, **{name: getattr(row, name) for name in COLUMNS}))
    seen = [binding.first_seen for binding in batch]
    made = Binding.objects.bulk_create(batch, batch_size=BATCH)
    # Inserting the rows has set the present time, because of `auto_now_add`.
    for binding, first_seen in zip(made, seen, strict=True):
        binding.first_seen = first_seen
    Binding.objects.bulk_update(made, ['first_seen'], batch_size=BATCH)


def restorable(former: FormerEndpoint) -> Iterator[FormerBinding]:
    """
    The stored bindings whose objects exist and are not bound; and those of unmanaged objects, even of deleted ones.
    """
    for object_type in ContentType.objects.filter(pk__in=former.bindings.order_by().values('object_type')):
        model = model_named(f'{object_type.app_label}.{object_type.model}')
        rows = former.bindings.filter(object_type=object_type)
        bound = Binding.objects.filter(object_type=object_type).order_by()
        there = set(model._base_manager.filter(pk__in=rows.order_by().values('object_id')).values_list('pk', flat=True))
        for row in rows.exclude(object_id__in=bound.values('object_id')).iterator():
            if row.unmanaged or row.object_id in there:
                yield row


def was_created_by_sync(pointer: Pointer) -> bool:
    """Whether an object was created for an endpoint that was deleted since."""
    object_type = ContentType.objects.get_by_natural_key(*pointer.model.split('.'))
    kept = FormerBinding.objects.using(DEFAULT_DB_ALIAS).filter(object_type_id=object_type.pk, object_id=pointer.pk)
    return kept.filter(created_by_sync=True).exists()
