"""Buttons of endpoints."""

from typing import TYPE_CHECKING, Any, cast

from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import CloneObject, DeleteObject, EditObject, ObjectAction

from ..models import ProxmoxEndpoint
from .decisions import BulkDecisionAction
from .runs import CancelRun
from .starting import SYNC_ENDPOINT, active_run_of, branch_context, obstacle_to_runs

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'BULK_ENDPOINT_ACTIONS',
    'ENDPOINT_ACTIONS',
    'BulkPreviewEndpoints',
    'BulkRunOfEndpoints',
    'BulkSyncEndpoints',
    'CancelActiveRun',
    'EndpointAction',
    'EndpointHostKeys',
    'EndpointMenu',
    'PreviewEndpoint',
    'ResumeEndpoint',
    'SyncEndpoint',
    'TestEndpoint',
)


class EndpointAction(ObjectAction):
    """A button for an endpoint that sends a POST request."""

    permissions_required = {'sync'}
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/post.html'
    color = 'primary'
    icon = ''
    runs = True

    @classmethod
    def get_context(cls, context: Any, obj: ProxmoxEndpoint) -> dict[str, Any]:
        obstacle = obstacle_to_runs(obj) if cls.runs else ''
        return {
            'csrf_token': get_token(context['request']),
            'color': cls.color,
            'icon': cls.icon,
            'disabled': bool(obstacle),
            'hint': obstacle,
            **(branch_context(cls.label) if cls.runs else {}),
        }

    @classmethod
    def render(cls, context: Any, obj: ProxmoxEndpoint, **kwargs: Any) -> str:
        # NetBox has only checked whether the user has the permission for any endpoint.
        if not context['request'].user.has_perm(SYNC_ENDPOINT, obj):
            return ''
        return cast(str, super().render(context, obj, **kwargs))


class TestEndpoint(EndpointAction):
    """Tests the connection of an endpoint."""

    # pytest would collect the class because of its name.
    __test__ = False

    name = 'test'
    label = _('Test Connection')
    color = 'outline-secondary'
    icon = 'lan-check'
    runs = False


class PreviewEndpoint(EndpointAction):
    """Starts a preview of a sync."""

    name = 'preview'
    label = _('Preview')
    color = 'blue'
    icon = 'file-compare'


class SyncEndpoint(EndpointAction):
    """Starts a sync with an endpoint."""

    name = 'sync'
    label = _('Sync')
    icon = 'sync'


class EndpointHostKeys(EndpointAction):
    """Shows the SSH host keys that the nodes of an endpoint offer."""

    name = 'ssh_host_keys'
    label = _('SSH Host Keys')
    color = 'outline-secondary'
    icon = 'key-chain'
    runs = False

    @classmethod
    def render(cls, context: Any, obj: ProxmoxEndpoint, **kwargs: Any) -> str:
        return super().render(context, obj, **kwargs) if obj.ssh_user else ''


class ResumeEndpoint(ObjectAction):
    """Ends the pause of an endpoint."""

    name = 'resume'
    label = _('Resume')
    url_kwargs = ['pk']
    permissions_required = {'change'}
    template_name = 'netbox_proxsync/buttons/post.html'

    @classmethod
    def get_context(cls, context: Any, obj: ProxmoxEndpoint) -> dict[str, Any]:
        return {'csrf_token': get_token(context['request']), 'color': 'outline-secondary', 'icon': 'play'}

    @classmethod
    def render(cls, context: Any, obj: ProxmoxEndpoint, **kwargs: Any) -> str:
        permitted = context['request'].user.has_perm('netbox_proxsync.change_proxmoxendpoint', obj)
        return cast(str, super().render(context, obj, **kwargs)) if permitted and obj.is_paused else ''


class CancelActiveRun(CancelRun):
    """Cancels the active run of an endpoint, on the page of the endpoint."""

    permissions_required = {'sync'}

    @classmethod
    def render(cls, context: Any, obj: Any, **kwargs: Any) -> str:
        run = active_run_of(obj)
        return super().render(context, run, **kwargs) if run else ''


class EndpointMenu(ObjectAction):
    """The actions on an endpoint that are used less often, as a menu, so that all buttons fit into one line."""

    label = _('More')
    template_name = 'netbox_proxsync/buttons/menu.html'

    @classmethod
    def get_context(cls, context: Any, obj: ProxmoxEndpoint) -> dict[str, Any]:
        user = context['request'].user
        entries = []
        if user.has_perm(SYNC_ENDPOINT, obj):
            actions = (TestEndpoint, EndpointHostKeys) if obj.ssh_user else (TestEndpoint,)
            entries += [(action.get_url(obj), action.label, action.icon) for action in actions]
        clone = CloneObject.get_url(obj) if user.has_perm('netbox_proxsync.add_proxmoxendpoint') else None
        return {'csrf_token': get_token(context['request']), 'entries': entries, 'clone': clone}

    @classmethod
    def render(cls, context: Any, obj: ProxmoxEndpoint, **kwargs: Any) -> str:
        entries = cls.get_context(context, obj)
        return cast(str, super().render(context, obj, **kwargs)) if entries['entries'] or entries['clone'] else ''


class BulkRunOfEndpoints(ObjectAction):
    """A button below a list of endpoints that starts a run of each selected one."""

    permissions_required = {'sync'}
    multi = True
    template_name = BulkDecisionAction.template_name
    color = 'primary'
    icon = ''
    hint: 'StrOrPromise' = ''

    @classmethod
    def get_context(cls, context: Any, obj: Any) -> dict[str, Any]:
        button = {'color': cls.color, 'icon': cls.icon, 'hint': cls.hint, 'name': cls.name}
        return {**button, **branch_context(cls.label)}


class BulkPreviewEndpoints(BulkRunOfEndpoints):
    name = 'bulk_preview'
    label = _('Preview Selected')
    color = PreviewEndpoint.color
    icon = PreviewEndpoint.icon
    hint = _('Preview a sync of these endpoints')


class BulkSyncEndpoints(BulkRunOfEndpoints):
    name = 'bulk_sync'
    label = _('Sync Selected')
    color = SyncEndpoint.color
    icon = SyncEndpoint.icon
    hint = _('Sync NetBox with these endpoints')


ENDPOINT_ACTIONS = (
    CancelActiveRun, PreviewEndpoint, SyncEndpoint, ResumeEndpoint, EndpointMenu, EditObject, DeleteObject,
)  # fmt: skip
BULK_ENDPOINT_ACTIONS = (BulkPreviewEndpoints, BulkSyncEndpoints)
