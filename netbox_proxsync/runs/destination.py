"""Where a run writes: main, or a branch of netbox-branching."""

from collections.abc import Collection
from datetime import datetime
from functools import partial

from ..branch_merges.decisions import copy_decisions_from_main
from ..branch_merges.merging import assign_cluster, restore_endpoint_cluster
from ..ledger.clusters import KnownCluster, check_not_shared, clusters_of_others, remember_cluster
from ..ledger.database import retried
from ..ledger.former_endpoints import take_over
from ..models import SyncRun
from ..models.branch_states import begin_writing, guests_read, known_identity
from ..proxmox.inventory import Guest
from ..proxmox.messages import Message
from ..sync.cluster_identity import ClusterIdentity
from .recorder import RunRecorder

__all__ = ('Destination',)


class Destination:
    """
    Where a run writes, which must be the active branch, or main if none is active.

    The row of an endpoint describes main. A branch has a state of its own: which Proxmox VE cluster was synced into it,
    when its guests were read, which cluster of NetBox belongs to the endpoint. A run asks this object instead of
    looking at the endpoint, so that its steps are the same in main and in a branch.

    Every method raises DatabaseBusyError if the database does not allow it at present, unless it says otherwise.
    """

    def __init__(self, run: SyncRun, recorder: RunRecorder) -> None:
        self.run = run
        self.endpoint = run.endpoint
        self.recorder = recorder
        self.others: list[KnownCluster] = []

    def prepare(self, writes: bool) -> None:
        """
        Get ready for a run: decisions that users have made in main apply in the branch as well.

        Args:
            writes: Whether the run writes objects, which follow into main when the branch is merged.
        """
        retried(partial(copy_decisions_from_main, self.endpoint), Message('reading decisions'))
        if writes:
            retried(partial(begin_writing, self.endpoint), Message('reading the endpoint'))

    def check_not_shared(self, identity: ClusterIdentity, guests: Collection[Guest]) -> None:
        """
        Raises:
            SharedClusterError: Another endpoint leads to the same Proxmox VE cluster.
        """
        self.others = retried(partial(clusters_of_others, self.endpoint), Message('reading endpoints'))
        retried(partial(check_not_shared, self.others, identity, guests), Message('reading bindings'))

    def known_cluster(self) -> ClusterIdentity:
        """The identity of the Proxmox VE cluster that was synced before; an empty one if there was none."""
        return ClusterIdentity.from_json(
            retried(partial(known_identity, self.endpoint), Message('reading the endpoint'))
        )

    def take_over_former_endpoints(self, identity: ClusterIdentity, guests: Collection[Guest]) -> None:
        """
        Restore the bindings of deleted endpoints that led to the same cluster, and the cluster in NetBox. To be called
        after `check_not_shared`.
        """
        if not any(other.is_former for other in self.others):
            return
        if retried(partial(take_over, self.endpoint, identity, guests), Message('reading bindings')):
            runs = SyncRun.objects.filter(pk=self.run.pk)
            self.recorder.attempt(partial(assign_cluster, self.endpoint, runs), Message('updating the endpoint'))
            self.endpoint.refresh_from_db(fields=['cluster'])

    def remember_cluster(self, source: SyncRun) -> None:
        """Remember the identity of the cluster that a run has read, before its changes are written."""
        retried(partial(remember_cluster, self.endpoint, source.cluster_identity), Message('updating the endpoint'))

    def restore_endpoint_cluster(self) -> None:
        """
        Give the endpoint back a cluster that it has lost to a revert of a branch that was only tried, or has failed.

        The next run does it if the database does not allow it now.
        """
        self.recorder.attempt(partial(restore_endpoint_cluster, self.run), Message('updating the endpoint'))

    def guests_read(self) -> datetime | None:
        """When the guests were last read; None: never. It is not repeated if the database does not allow it."""
        return guests_read(self.endpoint)
