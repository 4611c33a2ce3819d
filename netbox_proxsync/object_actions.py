from typing import Any

from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import ObjectAction

from .models import ProxmoxEndpoint

__all__ = ('EndpointHostKeys', 'PreviewEndpoint', 'SyncEndpoint', 'TestEndpoint')


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


class EndpointHostKeys(ObjectAction):
    """Look at the SSH host keys of an endpoint's nodes."""

    name = 'ssh_host_keys'
    label = _('SSH host keys')
    permissions_required = {'change'}
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/host_keys.html'
