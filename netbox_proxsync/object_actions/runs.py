"""Buttons of runs."""

from typing import Any, cast

from django.middleware.csrf import get_token
from django.template.loader import render_to_string
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import DeleteObject, ObjectAction

from ..choices import RunStatusChoices
from ..models import SyncRun
from .starting import SYNC_ENDPOINT

__all__ = (
    'ApplyPlan',
    'CancelRun',
    'DeleteRun',
    'RevertRun',
)


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
