"""The state of a cluster, as far as a user may view it."""

from ..models import ProxmoxEndpoint
from ..models.users import AnyUser
from ..models.visibility import hidden_units
from ..sync.cluster_state import ClusterState
from ..sync.mapping.nodes import node_key

__all__ = ('state_visible_to',)


def state_visible_to(user: AnyUser, endpoint: ProxmoxEndpoint, state: ClusterState) -> ClusterState:
    """The state of a cluster without the nodes whose devices the user may not view."""
    hidden = hidden_units(user, endpoint.pk, [node_key(node.name) for node in state.nodes])
    names = [node.name for node in state.nodes if node_key(node.name) in hidden]
    return state.without(names) if names else state
