"""The summary on the page of an endpoint, and its nodes."""

from typing import Any

from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from netbox.ui import panels

from ..choices import RunStatusChoices
from ..custom_fields import FieldProblem, problems
from ..proxmox.inventory import Notice
from ..sync.cluster_state import ClusterState
from ..wording import shown_subject, worded
from .bound_objects import web_url
from .charts import guest_strip
from .cluster_state import state_visible_to
from .guest_counts import GuestNumbers, guest_numbers, last_read

__all__ = ('EndpointStatePanel',)

SOON = 30  # days before a certificate expires


class EndpointStatePanel(panels.ObjectPanel):
    """The connection of the endpoint, the state of its cluster, and the numbers of guests by state."""

    title = _('At a Glance')
    template_name = 'netbox_proxsync/panels/endpoint_state.html'

    def get_context(self, context: Any) -> dict[str, Any]:
        context = super().get_context(context)
        endpoint, user = context['object'], context['request'].user
        state = ClusterState.parse(endpoint.cluster_state)
        seen = state_visible_to(user, endpoint, state)
        read = last_read(endpoint)
        guests = None
        if user.has_perm('netbox_proxsync.view_proxmoxguest'):
            guests = guest_numbers([endpoint], user).get(endpoint.pk, GuestNumbers())
        first = seen.first_expiry
        may_change = user.has_perm('netbox_proxsync.change_proxmoxendpoint', endpoint)
        return {
            **context,
            # The numbers count all nodes, also hidden ones.
            'state': state,
            'notices': [shown_notice(notice) for notice in seen.notices],
            'read': read,
            # The run may have ended before Proxmox VE listed the guests.
            'unreachable': read is not None and read.status == RunStatusChoices.FAILED and read.guests is None,
            'shows_runs': user.has_perm('netbox_proxsync.view_syncrun'),
            'guests': guests,
            'may_schedule': may_change and user.has_perm('netbox_proxsync.sync_proxmoxendpoint', endpoint),
            'may_pause': may_change and endpoint.enabled and endpoint.sync_interval and not endpoint.is_paused,
            'web_url': web_url(endpoint),
            'strip': guest_strip(endpoint, guests) if guests else [],
            'first_expiry': first,
            'days_left': (first.expires - timezone.now()).days if first else None,
            'soon': SOON,
            'field_problems': [shown_problem(problem) for problem in problems() if not problem.is_missing],
        }


def shown_notice(notice: Notice) -> dict[str, str]:
    """A notice about the cluster in the language of the reader."""
    return {
        'subject': shown_subject(notice.subject),
        'message': worded(notice.message),
        'remedy': worded(notice.remedy),
    }


def shown_problem(problem: FieldProblem) -> dict[str, str]:
    """A problem of a custom field in the language of the reader."""
    return {'name': problem.name, 'message': worded(problem.message), 'remedy': worded(problem.remedy)}
