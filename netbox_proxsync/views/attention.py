"""What requires a user, over all endpoints, and decisions about many of these rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import Http404, HttpRequest, HttpResponse, QueryDict
from django.shortcuts import redirect, render
from django.utils.text import Truncator
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from django.views import View
from netbox.views.generic.mixins import TableMixin
from utilities.forms import restrict_form_fields
from utilities.htmx import htmx_partial
from utilities.templatetags.helpers import applied_filters
from utilities.views import ConditionalLoginRequiredMixin, GetReturnURLMixin

from .. import forms, tables
from ..branching import in_branch
from ..choices import DecisionChoices
from ..models import SyncChange
from ..models.users import AnyUser
from ..object_actions import ATTENTION_ACTIONS, SYNC_ENDPOINT
from ..ui.attention import ACKNOWLEDGE, AttentionRow, attention, complete
from ..ui.bulk_resolutions import REFUSALS, Resolved, answerable, resolve
from .decisions import explanation_of_link

__all__ = ('AttentionResolveView', 'AttentionView')

VIEW_ENDPOINT = 'netbox_proxsync.view_proxmoxendpoint'
# More rows of a confirmation would not be read.
LISTED = 500
SHOWN_REFUSALS = 20
# Characters of a reason; the page of the change has all of it.
SHOWN_REASON = 160


class AttentionMixin(ConditionalLoginRequiredMixin):
    """Mixin for views of the rows that the user may view."""

    def dispatch(self, request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponse:
        if request.user.is_authenticated and not request.user.has_perm(VIEW_ENDPOINT):
            raise PermissionDenied
        return cast(HttpResponse, super().dispatch(request, *args, **kwargs))

    def filter_form(self, query: QueryDict, user: AnyUser) -> Any:
        """The filters, which offer and accept only endpoints that the user may view."""
        form = forms.AttentionFilterForm(query)
        restrict_form_fields(form, user)
        return form

    def rows(self, form: Any, user: AnyUser) -> list[AttentionRow]:
        """The rows that the filters leave; none if a filter is not valid."""
        if not form.is_valid():
            return []
        chosen = form.cleaned_data
        endpoints = {endpoint.pk for endpoint in chosen['endpoint_id']} or None
        return attention(user, endpoints, chosen['question'], chosen['q'] or '')


class AttentionView(AttentionMixin, TableMixin, View):
    """The list of what requires a user."""

    table = tables.AttentionTable

    def get(self, request: HttpRequest) -> HttpResponse:
        form = self.filter_form(request.GET, request.user)
        may_decide = request.user.has_perm(SYNC_ENDPOINT) and not in_branch()
        table = self.get_table(self.rows(form, request.user), request, may_decide)
        complete([row.record for row in table.page.object_list], request.user)
        context = {'table': table, 'model': SyncChange, 'actions': ATTENTION_ACTIONS if may_decide else ()}
        if htmx_partial(request):
            return render(request, 'htmx/table.html', context)
        # Not with the link to save the filters: NetBox stores them for models.
        applied = applied_filters({'request': request}, SyncChange, form, request.GET)['applied_filters']
        context |= {'filter_form': form, 'applied_filters': applied, 'branch': in_branch()}
        return render(request, 'netbox_proxsync/attention.html', context)


@dataclass(frozen=True)
class Text:
    """The texts of a confirmation."""

    title: str
    explanation: str
    button: str


def text_of(choice: str) -> Text:
    match choice:
        case DecisionChoices.LINK:
            return Text(_('Link Candidates'), explanation_of_link(), pgettext('verb', 'Link'))
        case DecisionChoices.SEPARATE:
            return Text(
                _('Create Separately'),
                _('The next run creates new objects. The candidates are left unchanged.'),
                _('Create Separately'),
            )
        case DecisionChoices.IGNORE:
            return Text(
                _('Ignore'),
                _('No run creates or changes these objects from now on, until the decision is revoked.'),
                _('Ignore'),
            )
    return Text(
        _('Acknowledge'),
        _('These faults in the configuration of Proxmox VE are not warnings again until they change.'),
        _('Acknowledge'),
    )


class AttentionResolveView(AttentionMixin, GetReturnURLMixin, View):
    """Makes the same decision about several rows, after a confirmation that lists them (POST)."""

    default_return_url = 'plugins:netbox_proxsync:attention'
    CHOICES = (DecisionChoices.LINK, DecisionChoices.SEPARATE, DecisionChoices.IGNORE, ACKNOWLEDGE)

    def get(self, request: HttpRequest, choice: str) -> HttpResponse:
        return redirect('plugins:netbox_proxsync:attention')

    def post(self, request: HttpRequest, choice: str) -> HttpResponse:
        if choice not in self.CHOICES:
            raise Http404
        if not request.user.has_perm(SYNC_ENDPOINT):
            raise PermissionDenied
        selected = self.selected(request)
        rows = answerable(selected, choice, request.user)
        return_url = self.get_return_url(request)
        if not selected:
            messages.warning(request, _('No row was selected.'))
            return redirect(return_url)
        if request.POST.get('_confirm') or 'only' in request.POST:
            self.resolve(request, rows, choice)
            return redirect(return_url)
        return self.ask(request, rows, choice, len(selected) - len(rows), return_url)

    def selected(self, request: HttpRequest) -> list[AttentionRow]:
        """The rows that the user has selected and may view."""
        if request.POST.get('_all'):
            return self.rows(self.filter_form(request.GET, request.user), request.user)
        pks = {request.POST['only']} if 'only' in request.POST else set(request.POST.getlist('pk'))
        return [row for row in attention(request.user) if row.pk in pks] if pks else []

    def ask(
        self, request: HttpRequest, rows: Sequence[AttentionRow], choice: str, left_out: int, return_url: str
    ) -> HttpResponse:
        """The page that lists the objects."""
        shown = rows[:LISTED]
        complete(shown, request.user)
        text = text_of(choice)
        others = ngettext(
            '{number} row is left out, because this decision is not possible about it.',
            '{number} rows are left out, because this decision is not possible about them.',
            left_out,
        )
        context = {
            'title': text.title,
            'explanation': text.explanation,
            'headings': [_('Object'), _('Endpoint'), _('NetBox object'), _('Reason')],
            'rows': [
                (
                    row.guest or row.device or row.label,
                    row.endpoint,
                    row.object or '',
                    Truncator(row.reason).chars(SHOWN_REASON),
                )
                for row in shown
            ],
            'more': len(rows) - len(shown),
            'pks': [row.pk for row in rows],
            'left_out': others.format(number=left_out) if left_out else '',
            'button': text.button,
            'color': 'primary',
            'return_url': return_url,
        }
        return render(request, 'netbox_proxsync/confirm_decision.html', context)

    def resolve(self, request: HttpRequest, rows: Sequence[AttentionRow], choice: str) -> None:
        """Make the decisions, and report the result."""
        try:
            found: Resolved = resolve(rows, choice, request.user)
        except REFUSALS as error:
            messages.error(request, str(error))
            return
        if found.number:
            text = (
                ngettext('{number} fault was acknowledged.', '{number} faults were acknowledged.', found.number)
                if choice == ACKNOWLEDGE
                else ngettext(
                    '{number} decision was stored. The next run applies it.',
                    '{number} decisions were stored. The next run applies them.',
                    found.number,
                )
            )
            messages.success(request, text.format(number=found.number))
        for name, reason in found.refused[:SHOWN_REFUSALS]:
            messages.error(request, f'{name}: {reason}')
        if (more := len(found.refused) - SHOWN_REFUSALS) > 0:
            text = ngettext('{number} more was rejected.', '{number} more were rejected.', more)
            messages.error(request, text.format(number=more))
        if not found.number and not found.refused:
            messages.warning(request, _('This decision is not possible about any of these rows.'))
