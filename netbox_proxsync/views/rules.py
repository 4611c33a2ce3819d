from functools import cached_property
from typing import Any

from django.contrib.humanize.templatetags.humanize import intcomma
from django.core.exceptions import PermissionDenied
from django.db.models import Model, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.translation import gettext, ngettext
from django.utils.translation import gettext_lazy as _
from django.views import View
from extras.ui.panels import CustomFieldsPanel, TagsPanel
from netbox.context import current_request
from netbox.object_actions import CloneObject, DeleteObject, EditObject, ObjectAction
from netbox.ui.layout import SimpleLayout
from netbox.ui.panels import CommentsPanel
from netbox.views import generic
from utilities.forms import DeleteForm, restrict_form_fields
from utilities.permissions import get_permission_for_model
from utilities.views import ConditionalLoginRequiredMixin, ViewTab, register_model_view

from .. import filtersets, forms, tables
from ..models import MappingRule, ProxmoxGuest
from ..models.users import AnyUser
from ..ui import panels
from ..ui.rule_matches import affected_guests, matches_for
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
    'MappingRuleMatchesView',
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
        return gettext('No guests are affected.')
    return ngettext(
        '{number} guest is affected. The next sync sets its values by the next matching rule or by the endpoint, and '
        'clears those that neither of them sets. Values that a user has edited are retained.',
        '{number} guests are affected. The next sync sets their values by the next matching rule or by the endpoint, '
        'and clears those that neither of them sets. Values that a user has edited are retained.',
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
    template_name = 'netbox_proxsync/mappingrule_edit.html'


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


@register_model_view(MappingRule, 'matches', detail=False)
class MappingRuleMatchesView(ConditionalLoginRequiredMixin, View):
    """The number of guests that the conditions in the form of a rule match, for the page of the form."""

    def post(self, request: HttpRequest) -> HttpResponse:
        if not any(request.user.has_perm(f'netbox_proxsync.{action}_mappingrule') for action in ('add', 'change')):
            raise PermissionDenied
        form = forms.MappingRuleForm(request.POST)
        restrict_form_fields(form, request.user)
        form.is_valid()
        if any(name in form.errors for name in MappingRule.CONDITIONS):
            return HttpResponse(gettext('The conditions are not valid.'))
        found = matches_for(request.user, form.instance)
        text = ngettext('Matches {number} guest', 'Matches {number} guests', len(found.matched))
        texts = [text.format(number=intcomma(len(found.matched)))]
        if found.unknown:
            texts.append(gettext('not known for {number}').format(number=intcomma(len(found.unknown))))
        return HttpResponse(escape(', '.join(texts)))


def number_of_matches(rule: MappingRule) -> int | None:
    """The number of guests on the tab of a rule, for the user of the request."""
    request = current_request.get()
    return len(matches_for(request.user, rule).matched) if request else None


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
        badge=number_of_matches,
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
        return guests.by_attention().prefetch_related('endpoint').defer('details')

    def get_children(self, request: HttpRequest, parent: MappingRule) -> QuerySet[ProxmoxGuest]:
        return self.guests.filter(pk__in=matches_for(request.user, parent).matched)

    def get_extra_context(self, request: HttpRequest, instance: MappingRule) -> dict[str, Any]:
        unknown = matches_for(request.user, instance).unknown
        return {
            'unknown': len(unknown),
            'unknown_guests': self.guests.filter(pk__in=unknown)[:SHOWN],
        }
