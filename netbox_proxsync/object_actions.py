from typing import TYPE_CHECKING, Any, cast

from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.urls import reverse
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import CloneObject, DeleteObject, EditObject, ObjectAction

from .branching import active, active_schema, in_branch
from .choices import RunStatusChoices
from .models import Binding, ProxmoxEndpoint, ProxmoxGuest, SyncRun

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'ATTENTION_ACTIONS',
    'BULK_ENDPOINT_ACTIONS',
    'BULK_GUEST_ACTIONS',
    'ENDPOINT_ACTIONS',
    'GUEST_ACTIONS',
    'ApplyPlan',
    'BulkRevokeDecisions',
    'CancelActiveRun',
    'CancelRun',
    'DecisionAction',
    'DeleteRun',
    'EndpointHostKeys',
    'EndpointMenu',
    'ManageBindingAgain',
    'PreviewEndpoint',
    'ResumeEndpoint',
    'RevertRun',
    'RevokeDecision',
    'StopManagingBinding',
    'SyncEndpoint',
    'TestEndpoint',
)

SYNC_ENDPOINT = 'netbox_proxsync.sync_proxmoxendpoint'
ACTIVE_RUN = '_proxsync_active_run'


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


def branch_context(label: Any) -> dict[str, str]:
    """The context of a button that starts a run: the branch it will write to, and a label with it unless it is main."""
    if not in_branch():
        return {'place': active_schema()}
    return {
        'place': active_schema(),
        'label': _('{action} into branch {branch}').format(action=label, branch=active().name),
    }


def active_run_of(endpoint: ProxmoxEndpoint) -> SyncRun | None:
    """The run of an endpoint that is queued or in progress. It is loaded once for each instance, for all buttons."""
    if not hasattr(endpoint, ACTIVE_RUN):
        setattr(endpoint, ACTIVE_RUN, endpoint.runs.active().select_related('endpoint').first())
    return cast(SyncRun | None, getattr(endpoint, ACTIVE_RUN))


def obstacle_to_runs(endpoint: ProxmoxEndpoint) -> str:
    """Why no run can be started now; '' if one can."""
    if not endpoint.enabled:
        return gettext('The endpoint is disabled')
    return gettext('A run is in progress') if active_run_of(endpoint) else ''


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


class CancelRun(ObjectAction):
    """Cancels a run. Finished runs have no such button."""

    name = 'cancel'
    label = _('Cancel Run')
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/post.html'

    @classmethod
    def get_context(cls, context: Any, obj: SyncRun) -> dict[str, Any]:
        canceling = obj.status == RunStatusChoices.CANCELING
        return {
            'csrf_token': get_token(context['request']),
            'color': 'outline-danger',
            'icon': 'cancel',
            'disabled': canceling,
            **({'label': _('Canceling')} if canceling else {}),
        }

    @classmethod
    def render(cls, context: Any, obj: Any, **kwargs: Any) -> str:
        # The permission is for the endpoint of the run, so NetBox cannot check it.
        if obj.finished or not context['request'].user.has_perm(SYNC_ENDPOINT, obj.endpoint):
            return ''
        return cast(str, super().render(context, obj, **kwargs))


class ApplyPlan(ObjectAction):
    """Leads to the page on which the plan of a run is applied, as long as something of it remains."""

    name = 'apply'
    label = _('Apply Preview')
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/link.html'

    @classmethod
    def render(cls, context: Any, obj: SyncRun, **kwargs: Any) -> str:
        plan = context.get('plan')
        if plan is None or plan.obstacle or not plan.permitted:
            return ''
        values = {
            'url': plan.url,
            'label': plan.label,
            'color': 'warning' if plan.is_refused else 'primary',
            'icon': 'check-all',
        }
        return render_to_string(cls.template_name, values)


class RevertRun(ObjectAction):
    """Leads to the page on which the revert of a run is started, as long as it can be."""

    name = 'revert'
    label = _('Revert Run')
    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/link.html'

    @classmethod
    def render(cls, context: Any, obj: SyncRun, **kwargs: Any) -> str:
        if not context.get('revertible'):
            return ''
        values = {'url': cls.get_url(obj), 'label': cls.label, 'color': 'outline-secondary', 'icon': 'undo'}
        return render_to_string(cls.template_name, values)


class DeleteRun(DeleteObject):
    """Deletes a run that has ended."""

    @classmethod
    def render(cls, context: Any, obj: SyncRun, **kwargs: Any) -> str:
        return cast(str, super().render(context, obj, **kwargs)) if obj.finished else ''


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


class DecisionAction(ObjectAction):
    """
    A decision about a guest or a bound object. It requires the permission to sync the endpoint, which is not a
    permission for the model of the object; so the button itself checks it.
    """

    url_kwargs = ['pk']
    template_name = 'netbox_proxsync/buttons/post.html'
    color = 'outline-secondary'
    icon = ''
    hint: 'StrOrPromise' = ''

    @classmethod
    def is_offered(cls, obj: Any) -> bool:
        """Whether the decision makes sense in the present state of the object."""
        return True

    @classmethod
    def render(cls, context: Any, obj: Any, **kwargs: Any) -> str:
        user = context['request'].user
        if cls.multi:
            return cast(str, super().render(context, obj, **kwargs))
        if not user.has_perm(SYNC_ENDPOINT, obj.endpoint) or not cls.is_offered(obj):
            return ''
        return cast(str, super().render(context, obj, **kwargs))

    @classmethod
    def get_context(cls, context: Any, obj: Any) -> dict[str, Any]:
        return {
            'csrf_token': get_token(context['request']),
            'color': cls.color,
            'icon': cls.icon,
            'hint': cls.hint,
            'name': cls.name,
        }


class RunForGuest(DecisionAction):
    @classmethod
    def get_context(cls, context: Any, obj: Any) -> dict[str, Any]:
        return {**super().get_context(context, obj), **branch_context(cls.label)}

    @classmethod
    def is_offered(cls, obj: ProxmoxGuest) -> bool:
        return obj.endpoint.enabled and not obj.ignored


class PreviewGuest(RunForGuest):
    name = 'preview'
    label = _('Preview')
    color = 'blue'
    icon = PreviewEndpoint.icon
    hint = _('Preview a sync of this guest only')


class SyncGuest(RunForGuest):
    name = 'sync'
    label = _('Sync')
    color = 'primary'
    icon = SyncEndpoint.icon
    hint = _('Sync this guest only')


class IgnoreGuest(DecisionAction):
    name = 'ignore'
    label = _('Ignore')
    icon = 'eye-off'
    hint = _('Exclude this guest from synchronization. Its NetBox objects are left unchanged')

    @classmethod
    def is_offered(cls, obj: ProxmoxGuest) -> bool:
        return not obj.ignored


class StopIgnoringGuest(DecisionAction):
    name = 'stop_ignoring'
    label = _('Stop Ignoring')
    icon = 'eye'
    hint = _('Synchronize this guest again with the next run. Existing NetBox objects are adopted')

    @classmethod
    def is_offered(cls, obj: ProxmoxGuest) -> bool:
        return obj.ignored


class LinkGuest(DecisionAction):
    """Leads to a form."""

    name = 'link'
    label = _('Link to VM')
    icon = 'link-variant'
    template_name = 'netbox_proxsync/buttons/get.html'
    hint = _('Choose the existing virtual machine that is this guest')

    @classmethod
    def is_offered(cls, obj: ProxmoxGuest) -> bool:
        return not (obj.ignored or obj.is_bound)


class StopManagingGuest(DecisionAction):
    name = 'stop_managing'
    label = _('Stop Managing')
    color = 'outline-danger'
    icon = 'link-off'
    hint = _('Stop synchronizing the virtual machine and all its parts, and ignore this guest')

    @classmethod
    def is_offered(cls, obj: ProxmoxGuest) -> bool:
        return obj.is_bound


class BulkDecisionAction(DecisionAction):
    multi = True
    url_kwargs = []
    template_name = 'netbox_proxsync/buttons/bulk_post.html'


class BulkRun(BulkDecisionAction):
    @classmethod
    def get_context(cls, context: Any, obj: Any) -> dict[str, Any]:
        return {**super().get_context(context, obj), **branch_context(cls.label)}


class BulkPreviewGuests(BulkRun):
    name = 'bulk_preview'
    label = _('Preview Selected')
    color = PreviewGuest.color
    icon = PreviewGuest.icon
    hint = _('Preview a sync of these guests only')


class BulkSyncGuests(BulkRun):
    name = 'bulk_sync'
    label = _('Sync Selected')
    color = SyncGuest.color
    icon = SyncGuest.icon
    hint = _('Sync these guests only')


class BulkIgnoreGuests(BulkDecisionAction):
    name = 'bulk_ignore'
    label = _('Ignore Selected')
    icon = IgnoreGuest.icon
    hint = IgnoreGuest.hint


class BulkStopIgnoringGuests(BulkDecisionAction):
    name = 'bulk_stop_ignoring'
    label = _('Stop Ignoring Selected')
    icon = StopIgnoringGuest.icon
    hint = StopIgnoringGuest.hint


class BulkLinkCandidates(BulkDecisionAction):
    name = 'bulk_link'
    label = _('Link Candidates')
    icon = 'link'
    hint = _('Link these guests to their only candidates, after a confirmation')


class RevokeDecision(DecisionAction):
    name = 'revoke'
    label = _('Revoke Decision')
    icon = 'undo'
    hint = _('The next run reports the conflict or candidate again')


class BulkRevokeDecisions(BulkDecisionAction):
    name = 'bulk_revoke'
    label = _('Revoke Selected')
    icon = RevokeDecision.icon
    hint = _('The next run reports these conflicts and candidates again')


class BulkAttentionAction(BulkDecisionAction):
    """A decision about selected rows of the page Needs Attention, after a confirmation."""

    @classmethod
    def get_url(cls, obj: Any) -> str:
        return reverse('plugins:netbox_proxsync:attention_resolve', args=[cls.name])


class LinkAttention(BulkAttentionAction):
    name = 'link'
    label = BulkLinkCandidates.label
    color = 'primary'
    icon = BulkLinkCandidates.icon
    hint = _('Link guests and nodes to their only candidates, after a confirmation')


class SeparateAttention(BulkAttentionAction):
    name = 'separate'
    label = _('Create Separately')
    icon = 'plus'
    hint = _('Create new objects and leave the candidates unchanged, after a confirmation')


class IgnoreAttention(BulkAttentionAction):
    name = 'ignore'
    label = _('Ignore')
    icon = IgnoreGuest.icon
    hint = _('Ignore these guests and addresses, after a confirmation')


class AcknowledgeAttention(BulkAttentionAction):
    name = 'acknowledge'
    label = _('Acknowledge')
    icon = 'check'
    hint = _('Acknowledge these faults of Proxmox VE until they change, after a confirmation')


class BulkStopManagingGuests(BulkDecisionAction):
    name = 'bulk_stop_managing'
    label = _('Stop Managing Selected')
    color = StopManagingGuest.color
    icon = StopManagingGuest.icon
    hint = StopManagingGuest.hint


class StopManagingBinding(DecisionAction):
    name = 'stop_managing'
    label = _('Stop Managing')
    color = 'outline-danger'
    icon = 'link-off'
    hint = _('Stop synchronizing this object. It is neither updated nor created again')

    @classmethod
    def is_offered(cls, obj: Binding) -> bool:
        return not obj.unmanaged


class ManageBindingAgain(DecisionAction):
    name = 'manage_again'
    label = _('Manage Again')
    icon = 'link'
    hint = _('Synchronize this object again with the next run')

    @classmethod
    def is_offered(cls, obj: Binding) -> bool:
        return obj.unmanaged


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
ATTENTION_ACTIONS = (LinkAttention, SeparateAttention, IgnoreAttention, AcknowledgeAttention)
BULK_ENDPOINT_ACTIONS = (BulkPreviewEndpoints, BulkSyncEndpoints)
GUEST_ACTIONS = (PreviewGuest, SyncGuest, LinkGuest, IgnoreGuest, StopIgnoringGuest, StopManagingGuest)
BULK_GUEST_ACTIONS = (
    BulkPreviewGuests, BulkSyncGuests, BulkLinkCandidates, BulkIgnoreGuests, BulkStopIgnoringGuests,
    BulkStopManagingGuests,
)  # fmt: skip
