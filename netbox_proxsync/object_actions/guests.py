"""Buttons of guests."""

from typing import Any

from django.utils.translation import gettext_lazy as _

from ..models import ProxmoxGuest
from .decisions import BulkDecisionAction, DecisionAction
from .endpoints import PreviewEndpoint, SyncEndpoint
from .starting import branch_context

__all__ = (
    'BULK_GUEST_ACTIONS',
    'GUEST_ACTIONS',
    'BulkIgnoreGuests',
    'BulkLinkCandidates',
    'BulkPreviewGuests',
    'BulkRun',
    'BulkStopIgnoringGuests',
    'BulkStopManagingGuests',
    'BulkSyncGuests',
    'IgnoreGuest',
    'LinkGuest',
    'PreviewGuest',
    'RunForGuest',
    'StopIgnoringGuest',
    'StopManagingGuest',
    'SyncGuest',
)


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


class BulkStopManagingGuests(BulkDecisionAction):
    name = 'bulk_stop_managing'
    label = _('Stop Managing Selected')
    color = StopManagingGuest.color
    icon = StopManagingGuest.icon
    hint = StopManagingGuest.hint


GUEST_ACTIONS = (PreviewGuest, SyncGuest, LinkGuest, IgnoreGuest, StopIgnoringGuest, StopManagingGuest)
BULK_GUEST_ACTIONS = (
    BulkPreviewGuests, BulkSyncGuests, BulkLinkCandidates, BulkIgnoreGuests, BulkStopIgnoringGuests,
    BulkStopManagingGuests,
)  # fmt: skip
