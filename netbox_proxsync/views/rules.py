from functools import cached_property
from typing import Any

from django.db.models import Model, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.object_actions import CloneObject, DeleteObject, EditObject, ObjectAction
from netbox.ui.layout import SimpleLayout
from netbox.ui.panels import CommentsPanel
from netbox.views import generic
from utilities.forms import DeleteForm
from utilities.permissions import get_permission_for_model
from utilities.views import ViewTab, register_model_view

from .. import filtersets, forms, tables
from ..models import MappingRule, ProxmoxGuest
from ..models.users import AnyUser
from ..ui import panels
from ..ui.rule_matches import Matching, affected_guests, matching_guests
from .empty_states import EmptyListMixin

__all__ = (
    'MappingRuleBulkDeleteView',
    'MappingRuleBulkEditView',
    'MappingRuleBulkImportView',
    'MappingRuleBulkRenameView',
    'MappingRuleDeleteView',
    'MappingRuleEditView',
    'MappingRuleGuestsView',
    'MappingRuleListView',
    'MappingRuleView',
)

# Each requires one permission.
RULE_ACTIONS = (CloneObject, EditObject, DeleteObject)
# How many guests are listed for which it is not known whether a rule matches them.
SHOWN = 20


def effect_of_deletion(user: AnyUser, rules: list[MappingRule]) -> str:
    """The effect of a deletion of rules on the guests that a user may view, as text."""
    number = affected_guests(rules, ProxmoxGuest.objects.restrict(user, 'view'))
    if not number:
        return gettext('No guest is affected: nothing that a guest has is decided by this.')
    return ngettext(
        '{number} guest is affected. At the next sync, what was set by this follows the next rule that matches, else '
        'the endpoint; where neither says anything, it is emptied. What a user has edited stays.',
        '{number} guests are affected. At the next sync, what was set by this follows the next rule that matches, else '
        'the endpoint; where neither says anything, it is emptied. What a user has edited stays.',
        number,
    ).format(number=number)


@register_model_view(MappingRule, 'list', path='', detail=False)
class MappingRuleListView(EmptyListMixin, generic.ObjectListView):
    empty_text = _('A mapping rule sets the role, tenant, platform or tags of the guests that match it, or skips them.')
    empty_icon = 'filter-cog-outline'
    queryset = MappingRule.objects.all()
    filterset = filtersets.MappingRuleFilterSet
    filterset_form = forms.MappingRuleFilterForm
    table = tables.MappingRuleTable


@register_model_view(MappingRule)
class MappingRuleView(generic.ObjectView):
    queryset = MappingRule.objects.all()
    template_name = 'generic/object.html'
    layout = SimpleLayout(
        left_panels=[
            panels.MappingRulePanel(),
            panels.RuleConditionsPanel(),
            CommentsPanel(),
        ],
        right_panels=[
            panels.RuleOutcomePanel(),
            TagsPanel(),
            CustomFieldsPanel(),
        ],
    )


@register_model_view(MappingRule, 'add', detail=False)
@register_model_view(MappingRule, 'edit')
class MappingRuleEditView(generic.ObjectEditView):
    queryset = MappingRule.objects.all()
    form = forms.MappingRuleForm


@register_model_view(MappingRule, 'delete')
class MappingRuleDeleteView(generic.ObjectDeleteView):
    queryset = MappingRule.objects.all()

    def get_extra_context(self, request: HttpRequest, instance: MappingRule) -> dict[str, Any]:
        # NetBox shows the form as a page or as a dialog. Both contain the help text.
        form = DeleteForm(instance=instance, initial=request.GET)
        form.fields['changelog_message'].help_text = effect_of_deletion(request.user, [instance])
        return {'form': form}


@register_model_view(MappingRule, 'bulk_import', path='import', detail=False)
class MappingRuleBulkImportView(generic.BulkImportView):
    queryset = MappingRule.objects.all()
    model_form = forms.MappingRuleImportForm


@register_model_view(MappingRule, 'bulk_edit', path='edit', detail=False)
class MappingRuleBulkEditView(generic.BulkEditView):
    queryset = MappingRule.objects.all()
    filterset = filtersets.MappingRuleFilterSet
    table = tables.MappingRuleTable
    form = forms.MappingRuleBulkEditForm


@register_model_view(MappingRule, 'bulk_rename', path='rename', detail=False)
class MappingRuleBulkRenameView(generic.BulkRenameView):
    queryset = MappingRule.objects.all()
    filterset = filtersets.MappingRuleFilterSet


@register_model_view(MappingRule, 'bulk_delete', path='delete', detail=False)
class MappingRuleBulkDeleteView(generic.BulkDeleteView):
    queryset = MappingRule.objects.all()
    filterset = filtersets.MappingRuleFilterSet
    table = tables.MappingRuleTable
    template_name = 'netbox_proxsync/mappingrule_bulk_delete.html'

    def get_extra_context(self, request: HttpRequest) -> dict[str, Any]:
        if request.POST.get('_all'):
            rules = self.filterset(request.GET, self.queryset, request=request).qs
        else:
            rules = self.queryset.filter(pk__in=request.POST.getlist('pk'))
        return {'effect': effect_of_deletion(request.user, list(rules))}


@register_model_view(MappingRule, 'guests')
class MappingRuleGuestsView(generic.ObjectChildrenView):
    """The guests that a rule matches, according to their stored details."""

    queryset = MappingRule.objects.all()
    child_model = ProxmoxGuest
    table = tables.ProxmoxGuestTable
    filterset = filtersets.ProxmoxGuestFilterSet
    filterset_form = forms.ProxmoxGuestFilterForm
    actions = ()
    template_name = 'netbox_proxsync/mappingrule_guests.html'
    tab = ViewTab(
        label=_('Matching Guests'),
        permission='netbox_proxsync.view_proxmoxguest',
        weight=500,
    )

    def get_permitted_actions(self, user: AnyUser, model: type[Model] | None = None) -> list[type[ObjectAction]]:
        # The buttons of the rule. The table has none.
        names = {action: get_permission_for_model(MappingRule, *action.permissions_required) for action in RULE_ACTIONS}
        return [action for action, name in names.items() if user.has_perm(name)]

    @cached_property
    def guests(self) -> QuerySet[ProxmoxGuest]:
        guests = ProxmoxGuest.objects.restrict(self.request.user, 'view')
        return guests.prefetch_related('endpoint').defer('details')

    def get_children(self, request: HttpRequest, parent: MappingRule) -> QuerySet[ProxmoxGuest]:
        self.matching: Matching = matching_guests(parent, self.guests)
        return self.guests.filter(pk__in=self.matching.matched)

    def get_extra_context(self, request: HttpRequest, instance: MappingRule) -> dict[str, Any]:
        unknown = self.matching.unknown
        return {
            'unknown': len(unknown),
            'unknown_guests': self.guests.filter(pk__in=unknown)[:SHOWN],
        }
