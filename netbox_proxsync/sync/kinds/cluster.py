"""The endpoint's Proxmox VE cluster, or stand-alone host -> virtualization.Cluster."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from ...proxmox.inventory import Inventory, known
from ...proxmox.messages import Message, gettext_noop
from ..kind import Conflict, Field, Kind, Owner, ResolvedObjects
from ..kind_names import CLUSTER
from ..settings import Settings
from ..state import Existing, Item, Record
from ..values import Ref, Shared, Value

__all__ = ('CLUSTER_KEY', 'ClusterKind', 'cluster_ref')

CLUSTER_KEY = 'cluster'
DEFAULT_TYPE = Shared('virtualization.clustertype', 'Proxmox VE')


def cluster_ref(inventory: Inventory, settings: Settings) -> Ref:
    """The reference to the cluster of the endpoint, under any name."""
    return Ref(CLUSTER, CLUSTER_KEY, cluster_label(inventory, settings))


def cluster_label(inventory: Inventory, settings: Settings) -> str:
    """The display name of the cluster."""
    if settings.cluster:
        return settings.cluster.label
    return cluster_name(inventory) or settings.endpoint.label


class ClusterKind(Kind):
    """The cluster of the endpoint."""

    name = CLUSTER
    label = gettext_noop('Cluster')
    plural = Message('clusters')
    model = 'virtualization.cluster'
    fields = (
        Field('name', Owner.EDITORIAL, needed=True),
        Field('type', Owner.EDITORIAL, needed=True),
        Field('group', Owner.EDITORIAL),
        Field('tenant', Owner.EDITORIAL),
        Field('scope', Owner.EDITORIAL),
    )

    def build(self, inventory: Inventory, settings: Settings) -> Iterable[Item]:
        """Yield the one cluster. It has no name if that could not be read."""
        name = cluster_name(inventory)
        values: dict[str, Value] = {'type': settings.cluster_type or DEFAULT_TYPE}
        if name:
            values['name'] = name
        if settings.cluster_group:
            values['group'] = settings.cluster_group
        if settings.tenant:
            values['tenant'] = settings.tenant
        if settings.site:
            values['scope'] = settings.site
        label = cluster_label(inventory, settings)
        yield Item(kind=self.name, key=CLUSTER_KEY, unit='', label=label, values=values)

    def resolve_values(self, items: Sequence[Item], existing: Existing, settings: Settings) -> Sequence[Item]:
        """Name a new cluster after the endpoint if its own name could not be read."""
        # Without Sys.Audit, a token cannot read the name of the cluster. The name of the endpoint is used until it can.
        if settings.cluster or any(existing.bound_record(item) for item in items):
            return items
        return [replace(item, values={'name': settings.endpoint.label, **item.values}) for item in items]

    def adopt(
        self, item: Item, existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Record | Conflict | None:
        """The cluster that is chosen on the endpoint, otherwise the only one with the name, at the endpoint's site."""
        if settings.cluster:
            return existing.by_pointer.get(settings.cluster)
        found = existing.find(self.name, 'name', str(item.values['name']).lower())
        if settings.site and len(found) > 1:
            found = [record for record in found if record.values['scope'] == settings.site]
        if len(found) > 1:
            return Conflict(
                Message(
                    'NetBox has {number} clusters named "{name}". Choose the right one on the endpoint.',
                    number=len(found),
                    name=item.label,
                )
            )
        return found[0] if found else None

    def adjust_values(
        self, items: Sequence[Item], existing: Existing, resolved: ResolvedObjects, settings: Settings
    ) -> Sequence[Item]:
        """Leave out the site unless the cluster was created by a run, or is created by this one."""
        # NetBox moves every virtual machine of a cluster to the site of the cluster (virtualization.signals). In a
        # cluster that a user created, that would overwrite the sites that the user chose.
        bound = existing.bindings.get((self.name, CLUSTER_KEY))
        made = resolved.get(self.name, CLUSTER_KEY) is None or (bound is not None and bound.created_by_sync)
        return [item if made else replace(item, values=without(item.values, 'scope')) for item in items]

    def verify_binding(
        self, item: Item, record: Record, existing: Existing, resolved: ResolvedObjects
    ) -> Conflict | None:
        """Refuse a cluster that another endpoint manages."""
        if owner := existing.foreign.get(record.pointer):
            return Conflict(
                Message(
                    'The cluster "{name}" is managed by another endpoint (ID {owner}). Two endpoints '
                    'must not share a cluster: if both point to the same Proxmox VE, delete one; '
                    'otherwise choose another cluster.',
                    name=record.pointer.label,
                    owner=owner,
                ),
                record,
            )
        return None


def without(values: Mapping[str, Value], name: str) -> Mapping[str, Value]:
    """The values except one."""
    return {key: value for key, value in values.items() if key != name}


def cluster_name(inventory: Inventory) -> str | None:
    """The name of the cluster, or that of a stand-alone host; None if it was not read."""
    if not known(inventory.cluster_name):
        return None
    if inventory.cluster_name:
        return inventory.cluster_name
    return inventory.nodes[0].name if len(inventory.nodes) == 1 else None
