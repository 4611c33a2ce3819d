from collections import Counter
from typing import Any

from django.http import HttpRequest
from django.template.loader import render_to_string
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from extras.dashboard.utils import register_widget
from extras.dashboard.widgets import DashboardWidget

from .models import ProxmoxEndpoint
from .ui.attention import attention
from .ui.charts import guest_strip, run_ticks
from .ui.guest_counts import GuestNumbers, guest_numbers

__all__ = ('EndpointsWidget',)

# How many endpoints the widget shows; the list has all.
SHOWN = 25


@register_widget
class EndpointsWidget(DashboardWidget):
    """The endpoints that the user may view, and what requires attention."""

    description = gettext_lazy('Sync status of the Proxmox VE endpoints, their last runs, and what requires attention.')
    template_name = 'netbox_proxsync/widgets/endpoints.html'
    width = 6
    height = 3

    def __init__(self, *args: Any, title: str | None = None, **kwargs: Any) -> None:
        # The dashboard stores the text, in the language of the user who adds the widget.
        super().__init__(*args, title=title or _('Proxmox VE endpoints'), **kwargs)

    def render(self, request: HttpRequest) -> str:
        endpoints = ProxmoxEndpoint.objects.restrict(request.user, 'view').with_sync_status().order_by('name')
        endpoints = endpoints.select_related('last_run')
        found = list(endpoints[: SHOWN + 1])
        numbers: dict[int, GuestNumbers] = {}
        if request.user.has_perm('netbox_proxsync.view_proxmoxguest'):
            numbers = guest_numbers(found, request.user)
        ticks = run_ticks(found, request.user)
        open_rows = attention(request.user, {endpoint.pk for endpoint in found}) if found else []
        attended = Counter(row.endpoint.pk for row in open_rows)
        return render_to_string(
            self.template_name,
            {
                'rows': [
                    (
                        endpoint,
                        numbers.get(endpoint.pk),
                        guest_strip(endpoint, numbers[endpoint.pk]) if endpoint.pk in numbers else [],
                        ticks.get(endpoint.pk),
                        attended[endpoint.pk],
                    )
                    for endpoint in found[:SHOWN]
                ],
                'more': len(found) > SHOWN,
                'shows_runs': request.user.has_perm('netbox_proxsync.view_syncrun'),
                'permitted': request.user.has_perm('netbox_proxsync.view_proxmoxendpoint'),
                'addable': request.user.has_perm('netbox_proxsync.add_proxmoxendpoint'),
            },
        )
