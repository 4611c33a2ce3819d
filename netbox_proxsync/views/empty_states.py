"""Lists that have no rows yet: one sentence, and one button for the next step."""

from typing import TYPE_CHECKING, Any

from django.http import HttpRequest
from django.urls import reverse
from django.utils.translation import gettext as _

from ..models import MappingRule, ProxmoxEndpoint
from ..models.users import AnyUser

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('EmptyListMixin',)


class EmptyListMixin:
    """
    Mixin for a list, whose template shows a text and a button while there are no rows and no filter.

    Attributes:
        empty_text: The sentence.
        empty_icon: Of Material Design Icons.
    """

    template_name = 'netbox_proxsync/object_list.html'
    empty_text: 'StrOrPromise' = ''
    empty_icon = ''

    def get_extra_context(self, request: HttpRequest, *args: Any) -> dict[str, Any]:
        context = super().get_extra_context(request, *args)  # type: ignore[misc]
        # A function: only a list without rows needs it.
        empty = {'text': self.empty_text, 'icon': self.empty_icon, 'link': lambda: self.next_step(request.user)}
        return {**context, 'empty': empty}

    def next_step(self, user: AnyUser) -> tuple[str, str] | None:
        """The address and the label of the button; None if the user may not take the step."""
        if self.queryset.model is MappingRule:  # type: ignore[attr-defined]
            added = user.has_perm('netbox_proxsync.add_mappingrule')
            return (reverse('plugins:netbox_proxsync:mappingrule_add'), _('Add a Rule')) if added else None
        if ProxmoxEndpoint.objects.restrict(user, 'view').exists():
            return reverse('plugins:netbox_proxsync:proxmoxendpoint_list'), _('Show Endpoints')
        if user.has_perm('netbox_proxsync.add_proxmoxendpoint'):
            return reverse('plugins:netbox_proxsync:proxmoxendpoint_add'), _('Add an Endpoint')
        return None
