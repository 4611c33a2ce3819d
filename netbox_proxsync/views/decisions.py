"""Decisions that answer what a run could not decide: made on the page that raises the question, listed, and revoked."""

from typing import Any

from django import forms as django_forms
from django.contrib import messages
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest, HttpResponse, QueryDict
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import ngettext, pgettext
from netbox.object_actions import BulkExport
from netbox.ui.layout import SimpleLayout
from netbox.views import generic
from netbox.views.generic.base import BaseMultiObjectView, BaseObjectView
from utilities.forms import restrict_form_fields
from utilities.views import GetReturnURLMixin, get_action_url, register_model_view
from virtualization.models import VirtualMachine

from .. import decisions, filtersets, forms, tables
from ..branching import InBranchError
from ..choices import DecisionChoices
from ..models import Decision, ProxmoxEndpoint, ProxmoxGuest, SyncChange
from ..object_actions import SYNC_ENDPOINT, BulkRevokeDecisions, RevokeDecision
from ..sync.kind_names import ADDRESS, DEVICE, GUEST
from ..ui import panels
from ..ui.resolutions import IGNORE_GUEST
from ..wording import worded
from .guest_actions import BulkGuestActionView

__all__ = (
    'DecisionBulkRevokeView',
    'DecisionListView',
    'DecisionRevokeView',
    'DecisionView',
    'ProxmoxGuestBulkLinkView',
    'ProxmoxGuestLinkView',
    'SyncChangeResolveView',
)

REFUSALS = (decisions.DecisionError, decisions.SyncInProgressError, InBranchError)
MAX_DIGITS = 18
# By choice and kind: the form that asks for the object or the name.
CHOOSING = {
    (DecisionChoices.LINK, GUEST): forms.LinkMachineForm,
    (DecisionChoices.LINK, DEVICE): forms.LinkDeviceForm,
    (DecisionChoices.RENAME, GUEST): forms.ChooseNameForm,
    (DecisionChoices.RENAME, DEVICE): forms.ChooseNameForm,
    (DecisionChoices.VRF, ADDRESS): forms.ChooseVRFForm,
}


class DecisionFormMixin(GetReturnURLMixin):
    """Mixin for views with a form that asks for the object of a decision."""

    def form_of(
        self, request: HttpRequest, form_class: type[django_forms.Form], *args: Any, **kwargs: Any
    ) -> django_forms.Form:
        """A form that offers only objects which the user may view."""
        form = form_class(*args, **kwargs)
        restrict_form_fields(form, request.user)
        return form

    def ask(
        self, request: HttpRequest, form: django_forms.Form, title: str, explanation: str, button: str, **context: Any
    ) -> HttpResponse:
        context = {'form': form, 'title': title, 'explanation': explanation, 'button': button, **context}
        return render(request, 'netbox_proxsync/decision_form.html', context)


def explanation_of_link() -> str:
    return _(
        'The next run adopts the object: it updates the values that Proxmox VE knows, keeps texts that were entered in '
        'NetBox, and never deletes the object.'
    )


def texts_of(choice: str) -> tuple[str, str, str]:
    """The title, in which the name of the object is inserted, the explanation and the button of a form."""
    if choice == DecisionChoices.RENAME:
        explanation = _(
            'The next run creates a new object with this name and leaves objects with the name of Proxmox VE unchanged.'
        )
        return _('Create {name} Under Another Name'), explanation, _('Save')
    if choice == DecisionChoices.VRF:
        return _('VRF of {name}'), _('The next run creates the IP address in this VRF.'), _('Save')
    return _('Link {name}'), explanation_of_link(), pgettext('verb', 'Link')


@register_model_view(SyncChange, 'resolve')
class SyncChangeResolveView(DecisionFormMixin, BaseObjectView):
    """Makes a decision about what a run could not decide (POST), or asks for the object of the decision (GET)."""

    queryset = SyncChange.objects.select_related('run__endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_syncchange'

    def change_of(self, request: HttpRequest, pk: int) -> SyncChange:
        change: SyncChange = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm(SYNC_ENDPOINT, change.run.endpoint):
            raise PermissionDenied
        return change

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        change = self.change_of(request, pk)
        form_class = CHOOSING.get((request.GET.get('choice', ''), change.kind))
        if form_class is None:
            return redirect(change.get_absolute_url())
        initial = {'instance': change.object_id} if request.GET['choice'] == DecisionChoices.LINK else {}
        form = self.form_of(request, form_class, initial={**initial, 'name': change.label})
        return self.show(request, change, request.GET['choice'], form)

    def show(self, request: HttpRequest, change: SyncChange, choice: str, form: django_forms.Form) -> HttpResponse:
        title, explanation, button = texts_of(choice)
        return self.ask(
            request,
            form,
            title.format(name=change.label or change.key),
            explanation,
            button,
            choice=choice,
            object=change,
            return_url=self.get_return_url(request, change),
        )

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        change, choice = self.change_of(request, pk), request.POST.get('choice', '')
        # A button in the form of a table can name the object only in its address.
        data = request.GET if 'instance' in request.GET else request.POST
        instance: Any = None
        name = ''
        if form_class := CHOOSING.get((choice, change.kind)):
            form = self.form_of(request, form_class, data)
            if not form.is_valid():
                return self.show(request, change, choice, form)
            instance, name = form.cleaned_data.get('instance'), form.cleaned_data.get('name', '')
        try:
            if choice == DecisionChoices.MOVE:
                instance = decisions.named_object(change.kind, choice, pk_in(data), request.user)
            messages.success(request, self.apply_decision(request, change, choice, instance, name))
        except REFUSALS as error:
            messages.error(request, worded(error))
        return redirect(self.get_return_url(request, change))

    def apply_decision(self, request: HttpRequest, change: SyncChange, choice: str, instance: Any, name: str) -> str:
        """Make the decision, and return the message for the user."""
        endpoint = change.run.endpoint
        if choice == IGNORE_GUEST:
            guests = ProxmoxGuest.objects.restrict(request.user, 'view').filter(endpoint=endpoint)
            guest_type, _slash, vmid = change.unit.partition('/')
            decisions.ignore([get_object_or_404(guests, type=guest_type, vmid=vmid)])
            return _('{name} is ignored now.').format(name=change.label or change.key)
        if choice == DecisionChoices.IGNORE:
            bound = endpoint.bindings.filter(kind=change.kind, key=change.key).first()
            if bound is not None:
                decisions.stop_managing_object(bound)
                return _('The object is no longer managed by the Proxmox VE plugin.')
        decisions.decide(endpoint, change.kind, change.key, choice, request.user, instance, name)
        return _('The decision was stored. The next run applies it.')


def pk_in(values: QueryDict) -> int | None:
    """The primary key of the object that a button names; None if it names none."""
    text = values.get('instance', '')
    return int(text) if text.isdecimal() and len(text) <= MAX_DIGITS else None


@register_model_view(ProxmoxGuest, 'link')
class ProxmoxGuestLinkView(DecisionFormMixin, BaseObjectView):
    """Asks for the virtual machine that a guest is, and stores it."""

    queryset = ProxmoxGuest.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_proxmoxguest'

    def guest_of(self, request: HttpRequest, pk: int) -> ProxmoxGuest:
        guest: ProxmoxGuest = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm(SYNC_ENDPOINT, guest.endpoint):
            raise PermissionDenied
        return guest

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        guest = self.guest_of(request, pk)
        candidates = guest.candidates(request.user)
        return self.show(
            request,
            guest,
            self.form_of(request, forms.LinkMachineForm, initial={'instance': next(iter(candidates), None)}),
        )

    def show(self, request: HttpRequest, guest: ProxmoxGuest, form: django_forms.Form) -> HttpResponse:
        return self.ask(
            request,
            form,
            _('Link {name}').format(name=guest),
            explanation_of_link(),
            pgettext('verb', 'Link'),
            object=guest,
            return_url=self.get_return_url(request, guest),
        )

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        guest = self.guest_of(request, pk)
        form = self.form_of(request, forms.LinkMachineForm, request.POST)
        if not form.is_valid():
            return self.show(request, guest, form)
        try:
            decisions.decide(
                guest.endpoint, GUEST, guest.key, DecisionChoices.LINK, request.user, form.cleaned_data['instance']
            )
        except REFUSALS as error:
            form.add_error('instance', worded(error))
            return self.show(request, guest, form)
        messages.success(request, _('The decision was stored. The next run applies it.'))
        return redirect(self.get_return_url(request, guest))


@register_model_view(ProxmoxGuest, 'bulk_link', path='link', detail=False)
class ProxmoxGuestBulkLinkView(BulkGuestActionView):
    """Links guests to their only candidates, after a confirmation that lists the pairs."""

    def act(self, request: HttpRequest, guests: list[ProxmoxGuest], return_url: str) -> HttpResponse:
        single = {guest: guest.candidate_ids[0] for guest in guests if len(guest.candidate_ids) == 1}
        rows: Any = VirtualMachine.objects.restrict(request.user, 'view').filter(pk__in=set(single.values()))
        machines = rows.select_related('cluster').in_bulk()
        links = [
            decisions.Question(guest.endpoint, GUEST, guest.key, machines[pk])
            for guest, pk in single.items()
            if pk in machines
        ]
        if request.POST.get('_confirm'):
            self.link(request, links)
            return redirect(return_url)
        shown = {link.key: link for link in links}
        left_out = len(guests) - len(links)
        text = ngettext(
            '{number} guest without exactly one candidate is left out.',
            '{number} guests without exactly one candidate are left out.',
            left_out,
        )
        return render(
            request,
            'netbox_proxsync/confirm_decision.html',
            {
                'title': _('Link Candidates'),
                'explanation': explanation_of_link(),
                'headings': [_('Guest'), _('Virtual machine'), _('Cluster')],
                'rows': [
                    (guest, machines[pk], machines[pk].cluster or '')
                    for guest, pk in single.items()
                    if pk in machines and guest.key in shown
                ],
                'pks': [guest.pk for guest, pk in single.items() if pk in machines],
                'left_out': text.format(number=left_out) if left_out else '',
                'button': pgettext('verb', 'Link'),
                'color': 'primary',
                'return_url': return_url,
            },
        )

    def link(self, request: HttpRequest, links: list[decisions.Question]) -> None:
        """Store links, and report what was refused."""
        try:
            made, refused = decisions.link(links, request.user)
        except REFUSALS as error:
            messages.error(request, worded(error))
            return
        text = ngettext(
            '{number} guest was linked. The next run adopts its virtual machine.',
            '{number} guests were linked. The next run adopts their virtual machines.',
            len(made),
        )
        if made:
            messages.success(request, text.format(number=len(made)))
        for link, reason in refused.items():
            messages.error(request, f'{link.key}: {reason}')


@register_model_view(Decision, 'list', path='', detail=False)
class DecisionListView(generic.ObjectListView):
    queryset = Decision.objects.select_related('endpoint', 'user').prefetch_related('object')
    filterset = filtersets.DecisionFilterSet
    filterset_form = forms.DecisionFilterForm
    table = tables.DecisionTable
    actions = (BulkExport, BulkRevokeDecisions)


@register_model_view(Decision)
class DecisionView(generic.ObjectView):
    queryset = Decision.objects.select_related('endpoint', 'user')
    template_name = 'netbox_proxsync/plain_object.html'
    actions = (RevokeDecision,)
    layout = SimpleLayout(
        left_panels=[
            panels.DecisionPanel(),
        ],
    )


@register_model_view(Decision, 'revoke')
class DecisionRevokeView(GetReturnURLMixin, BaseObjectView):
    """Revokes a decision. Requires the permission to sync the endpoint, as making it does."""

    queryset = Decision.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_decision'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        decision = get_object_or_404(self.queryset, pk=pk)
        if not request.user.has_perm(SYNC_ENDPOINT, decision.endpoint):
            raise PermissionDenied
        revoke(request, [decision])
        return redirect(
            self.get_return_url(request) if 'return_url' in request.POST else get_action_url(Decision, 'list')
        )


@register_model_view(Decision, 'bulk_revoke', path='revoke', detail=False)
class DecisionBulkRevokeView(GetReturnURLMixin, BaseMultiObjectView):
    queryset = Decision.objects.select_related('endpoint')

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.view_decision'

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect(self.get_return_url(request))

    def post(self, request: HttpRequest) -> HttpResponse:
        rows = self.queryset
        if request.POST.get('_all'):
            rows = filtersets.DecisionFilterSet(request.GET, rows).qs
        else:
            rows = rows.filter(pk__in=[pk for pk in request.POST.getlist('pk') if pk.isdecimal()])
        endpoints = ProxmoxEndpoint.objects.restrict(request.user, 'sync').order_by()
        revoke(request, list(rows.filter(endpoint__in=endpoints)))
        return redirect(self.get_return_url(request))


def revoke(request: HttpRequest, found: list[Decision]) -> None:
    """Revoke decisions, and report the result."""
    try:
        decisions.revoke(found)
    except REFUSALS as error:
        messages.error(request, worded(error))
        return
    text = ngettext('{number} decision was revoked.', '{number} decisions were revoked.', len(found))
    messages.success(request, text.format(number=len(found)))
