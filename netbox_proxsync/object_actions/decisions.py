"""Buttons by which users decide, and those of stored decisions."""

from typing import TYPE_CHECKING, Any, cast

from django.middleware.csrf import get_token
from django.utils.translation import gettext_lazy as _
from netbox.object_actions import ObjectAction

from .starting import SYNC_ENDPOINT

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'BulkDecisionAction',
    'BulkRevokeDecisions',
    'DecisionAction',
    'RevokeDecision',
)


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


class BulkDecisionAction(DecisionAction):
    multi = True
    url_kwargs = []
    template_name = 'netbox_proxsync/buttons/bulk_post.html'


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
