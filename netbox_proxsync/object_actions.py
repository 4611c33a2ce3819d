from typing import Any

from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import ObjectAction

from .choices import RunStatusChoices
from .models import ProxmoxEndpoint, SyncRun
from .runs import active_runs

__all__ = ('CancelActiveRun', 'CancelRun', 'PreviewEndpoint', 'SyncEndpoint', 'TestEndpoint')


class EndpointAction(ObjectAction):
    """A button that posts."""

    permissions_required = {'sync'}
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/post.html'
    color = 'primary'
    icon = ''
    runs = True

    @classmethod
    def get_context(cls, context: Any, obj: ProxmoxEndpoint) -> dict[str, Any]:
        return {
            'csrf_token': get_token(context['request']),
            'color': cls.color,
            'icon': cls.icon,
            'disabled': cls.runs and not obj.enabled,
        }


class TestEndpoint(EndpointAction):
    """Try the connection of an endpoint."""

    # Not a test case, whatever its name says.
    __test__ = False

    name = 'test'
    label = _('Test connection')
    color = 'outline-secondary'
    icon = 'lan-check'
    runs = False


class PreviewEndpoint(EndpointAction):
    """Find out what a sync would change."""

    name = 'preview'
    label = _('Preview')
    color = 'blue'
    icon = 'file-compare'


class SyncEndpoint(EndpointAction):
    """Sync NetBox with an endpoint."""

    name = 'sync'
    label = _('Sync')
    icon = 'sync'


class CancelRun(ObjectAction):
    """Stop a run that has not ended; nothing is shown of one that has."""

    name = 'cancel'
    label = _('Cancel run')
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/post.html'

    @classmethod
    def get_context(cls, context: Any, obj: SyncRun) -> dict[str, Any]:
        cancelling = obj.status == RunStatusChoices.CANCELLING
        return {
            'csrf_token': get_token(context['request']),
            'color': 'outline-danger',
            'icon': 'cancel',
            'disabled': cancelling,
            **({'label': _('Cancelling')} if cancelling else {}),
        }

    @classmethod
    def render(cls, context: Any, obj: SyncRun, **kwargs: Any) -> str:
        # The permission is one for the endpoint, so NetBox cannot look it up for the run.
        if obj.finished or not context['request'].user.has_perm('netbox_proxsync.sync_proxmoxendpoint', obj.endpoint):
            return ''
        return super().render(context, obj, **kwargs)


class CancelActiveRun(CancelRun):
    """The same on the page of an endpoint, of the run that is going on."""

    permissions_required = {'sync'}

    @classmethod
    def render(cls, context: Any, obj: ProxmoxEndpoint, **kwargs: Any) -> str:
        run = active_runs(obj).select_related('endpoint').first()
        return super().render(context, run, **kwargs) if run else ''
