"""Buttons of an endpoint: test, preview, sync, confirm SSH host keys."""

from abc import ABC, abstractmethod
from dataclasses import asdict
from typing import Any, cast

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import HttpRequest, HttpResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.utils.translation import gettext as _
from netbox.views.generic.base import BaseObjectView
from utilities.forms import restrict_form_fields
from utilities.views import GetReturnURLMixin, register_model_view

from ..branching import BranchUnusableError, InBranchError, check_active_schema
from ..choices import RunModeChoices, TLSModeChoices
from ..crypto import SecretError
from ..endpoints import acknowledgments, connection, host_keys
from ..forms import ProxmoxEndpointForm
from ..forms.fields import HostsField
from ..jobs import AlreadyRunningError, SyncJob
from ..models import ProxmoxEndpoint, SyncRun
from ..models.secret_destinations import check_destinations
from ..proxmox.check import Check, ConnectionReport
from ..proxmox.errors import ProxmoxError
from ..proxmox.ssh.cluster_keys import NodeKey
from ..runs.maintenance import InMaintenanceError
from ..validators import clean_fingerprint, clean_hosts
from ..wording import worded
from .runs import run_url

__all__ = (
    'ProxmoxEndpointAcknowledgeView',
    'ProxmoxEndpointFingerprintsView',
    'ProxmoxEndpointHostKeysView',
    'ProxmoxEndpointPreviewView',
    'ProxmoxEndpointSyncView',
    'ProxmoxEndpointTestFormView',
    'ProxmoxEndpointTestView',
    'ProxmoxEndpointWithdrawAcknowledgmentView',
)

# The fields that a connection needs. Errors in other fields do not prevent the test.
CONNECTION_FIELDS = (
    'hosts', 'token_id', 'token_secret', 'tls_mode', 'ca_certificate', 'fingerprint', 'timeout', 'concurrency',
    'ssh_user', 'ssh_port', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', 'ssh_host_keys',
)  # fmt: skip


class EndpointActionView(GetReturnURLMixin, BaseObjectView, ABC):
    """An action on one endpoint. Accepts POST only; GET redirects to the endpoint."""

    queryset = ProxmoxEndpoint.objects.all()

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.sync_proxmoxendpoint'

    def get(self, request: HttpRequest, pk: int) -> HttpResponse:
        return redirect(get_object_or_404(self.queryset, pk=pk).get_absolute_url())

    def post(self, request: HttpRequest, pk: int) -> HttpResponse:
        return self.act(request, get_object_or_404(self.queryset, pk=pk))

    @abstractmethod
    def act(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> HttpResponse:
        """Act on what the request names, and respond."""


class StartRunView(EndpointActionView):
    """Starts a run and redirects to it."""

    mode = ''

    def act(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> HttpResponse:
        if not endpoint.enabled:
            messages.error(request, _('{endpoint} is disabled. Enable it first.').format(endpoint=endpoint))
            return redirect(endpoint.get_absolute_url())
        try:
            check_active_schema(request.POST.get('place'))
            run = SyncJob.enqueue_run(endpoint, user=request.user, mode=self.mode)
        except (BranchUnusableError, InMaintenanceError) as error:
            messages.error(request, worded(error))
            return redirect(endpoint.get_absolute_url())
        except AlreadyRunningError as error:
            messages.warning(request, worded(error))
            run = error.run
        else:
            messages.success(request, queued_message(run))
        return redirect(run_url(request.user, run))


def queued_message(run: SyncRun) -> str:
    text = (
        _('{mode} of {endpoint} into branch {branch} is queued.')
        if run.branch_id
        else (_('{mode} of {endpoint} is queued.'))
    )
    return text.format(mode=run.get_mode_display(), endpoint=run.endpoint, branch=run.branch)


@register_model_view(ProxmoxEndpoint, 'preview')
class ProxmoxEndpointPreviewView(StartRunView):
    mode = RunModeChoices.PREVIEW


@register_model_view(ProxmoxEndpoint, 'sync')
class ProxmoxEndpointSyncView(StartRunView):
    mode = RunModeChoices.SYNC


@register_model_view(ProxmoxEndpoint, 'test')
class ProxmoxEndpointTestView(EndpointActionView):
    """Tests the connection of a stored endpoint."""

    def act(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> HttpResponse:
        return render(
            request,
            'netbox_proxsync/endpoint_test.html',
            report_context(endpoint, connection.test(endpoint)),
        )


def report_context(endpoint: ProxmoxEndpoint, report: ConnectionReport) -> dict[str, Any]:
    """The context of `inc/connection_report.html`. A fingerprint that is pinned already need not be pinned again."""
    is_pinned = endpoint.tls_mode == TLSModeChoices.FINGERPRINT and report.connected
    # What the alert says is not repeated in the table.
    checks = [check for check in report.checks if not report.error or check.detail != report.error]
    return {
        'object': endpoint,
        'report': report,
        'error': worded(report.error),
        'remedy': worded(report.remedy),
        'checks': [shown_check(check) for check in checks],
        'is_pinned': is_pinned,
    }


def shown_check(check: Check) -> dict[str, Any]:
    """A check with its texts in the language of the reader."""
    texts = {name: worded(getattr(check, name)) for name in ('label', 'detail', 'remedy')}
    return {'ok': check.ok, 'required': check.required, **texts}


class FaultView(EndpointActionView):
    """Applies a decision about one fault that a run has reported."""

    def act(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> HttpResponse:
        fault = request.POST.get('subject', ''), request.POST.get('message', '')
        try:
            messages.success(request, self.apply_decision(request, endpoint, *fault))
        except (acknowledgments.NotAFaultError, InBranchError) as error:
            messages.error(request, worded(error))
        return redirect(self.get_return_url(request, endpoint))

    @abstractmethod
    def apply_decision(self, request: HttpRequest, endpoint: ProxmoxEndpoint, subject: str, message: str) -> str:
        """Apply the decision, and return the message for the user."""


@register_model_view(ProxmoxEndpoint, 'acknowledge')
class ProxmoxEndpointAcknowledgeView(FaultView):
    def apply_decision(self, request: HttpRequest, endpoint: ProxmoxEndpoint, subject: str, message: str) -> str:
        acknowledgments.acknowledge(endpoint, subject, message, request.user)
        return _('The fault is acknowledged until it changes.')


@register_model_view(ProxmoxEndpoint, 'withdraw_acknowledgment', path='withdraw-acknowledgment')
class ProxmoxEndpointWithdrawAcknowledgmentView(FaultView):
    def apply_decision(self, request: HttpRequest, endpoint: ProxmoxEndpoint, subject: str, message: str) -> str:
        acknowledgments.withdraw(endpoint, subject, message)
        return _('The fault is a warning again.')


@register_model_view(ProxmoxEndpoint, 'ssh_host_keys', path='ssh-host-keys')
class ProxmoxEndpointHostKeysView(EndpointActionView):
    """
    Shows the SSH host keys of the nodes, and pins those that the user confirms, as they were displayed. Confirming also
    requires the permission to change the endpoint.
    """

    def act(self, request: HttpRequest, endpoint: ProxmoxEndpoint) -> HttpResponse:
        may_confirm = request.user.has_perm('netbox_proxsync.change_proxmoxendpoint', endpoint)
        if '_confirm' not in request.POST:
            return self.show(request, endpoint, may_confirm)
        if not may_confirm:
            raise PermissionDenied
        lines = request.POST.getlist('key')
        if not lines:
            messages.warning(request, _('No keys were selected.'))
            return redirect(endpoint.get_absolute_url())
        try:
            host_keys.confirm(endpoint, lines)
        except InBranchError as error:
            messages.error(request, worded(error))
        except ValidationError as error:
            messages.error(request, ' '.join(error.messages))
        else:
            messages.success(request, _('Pinned SSH host keys: {number}').format(number=len(lines)))
        return redirect(endpoint.get_absolute_url())

    def show(self, request: HttpRequest, endpoint: ProxmoxEndpoint, may_confirm: bool) -> HttpResponse:
        context: dict[str, Any] = {'object': endpoint, 'may_confirm': may_confirm}
        try:
            keys = host_keys.offered_keys(endpoint)
            context['keys'] = [shown_key(key) for key in keys]
            context['any_new'] = any(key.status in ('new', 'changed') for key in keys)
        except (ProxmoxError, SecretError) as error:
            context['error'] = worded(error)
        return render(request, 'netbox_proxsync/endpoint_host_keys.html', context)


def shown_key(key: NodeKey) -> dict[str, Any]:
    """A host key with its texts in the language of the reader."""
    return {**asdict(key), 'error': worded(key.error), 'remedy': worded(key.remedy)}


class EndpointFormView(BaseObjectView):
    """
    Tests values in the form of an endpoint without saving them. The response is a fragment for the page, so that the
    form keeps the entered values, including the secret.
    """

    queryset = ProxmoxEndpoint.objects.all()

    def get_required_permission(self) -> str:
        return 'netbox_proxsync.sync_proxmoxendpoint'

    def get(self, request: HttpRequest) -> HttpResponse:
        return redirect('plugins:netbox_proxsync:proxmoxendpoint_list')

    def endpoint_of(self, request: HttpRequest) -> ProxmoxEndpoint:
        if pk := request.POST.get('_endpoint'):
            # An empty secret stands for the stored one, so the test requires the permission to save the form.
            changeable = self.queryset.restrict(request.user, 'change')
            return cast(ProxmoxEndpoint, get_object_or_404(changeable, pk=int(pk) if pk.isdecimal() else 0))
        if not request.user.has_perm('netbox_proxsync.add_proxmoxendpoint'):
            raise PermissionDenied
        return ProxmoxEndpoint()


@register_model_view(ProxmoxEndpoint, 'test_form', path='test-form', detail=False)
class ProxmoxEndpointTestFormView(EndpointFormView):
    """Tests the connection."""

    def post(self, request: HttpRequest) -> HttpResponse:
        endpoint = self.endpoint_of(request)
        form = ProxmoxEndpointForm(data=request.POST, instance=endpoint)
        restrict_form_fields(form, request.user)
        form.is_valid()
        if self.needs_fingerprint(form):
            return render(request, 'netbox_proxsync/inc/connection_report.html', self.offered(form.instance))
        errors = [(form.fields[name].label, error) for name in CONNECTION_FIELDS for error in form.errors.get(name, ())]
        if endpoint.pk:
            # Check again: the validation of the form skips this check after some errors that do not prevent the test.
            stored = ProxmoxEndpoint.objects.get(pk=endpoint.pk)
            errors += [
                (form.fields[name].label, text)
                for name, error in check_destinations(form.instance, stored).items()
                if name not in form.errors
                for text in error.messages
            ]
        context: dict[str, Any] = {'errors': errors}
        if not errors:
            # A fingerprint that the user copies would apply to all hosts.
            report = report_context(form.instance, connection.test(form.instance))
            context |= {**report, 'object': None, 'takes_over': len(form.instance.hosts) == 1}
        return render(request, 'netbox_proxsync/inc/connection_report.html', context)

    @staticmethod
    def needs_fingerprint(form: ProxmoxEndpointForm) -> bool:
        """Whether nothing but the fingerprint is missing for the test."""
        wrong = [name for name in CONNECTION_FIELDS if name in form.errors]
        is_pinned = form.instance.tls_mode == TLSModeChoices.FINGERPRINT
        return wrong == ['fingerprint'] and is_pinned and not form.instance.fingerprint

    @staticmethod
    def offered(endpoint: ProxmoxEndpoint) -> dict[str, Any]:
        """The fingerprints of the hosts, for comparison. The token is not sent."""
        seen = connection.fetch_fingerprints(endpoint.hosts, endpoint.timeout)
        return {'seen': shown_certificates(seen), 'usable': fingerprints_to_pin(seen)}


@register_model_view(ProxmoxEndpoint, 'fingerprints', detail=False)
class ProxmoxEndpointFingerprintsView(EndpointFormView):
    """
    Shows the fingerprints of the hosts for comparison, and fills in the field with those that the user confirms.

    The request contains no token, so no unverified host can receive it.
    """

    template_name = 'netbox_proxsync/inc/fingerprints.html'

    def post(self, request: HttpRequest) -> HttpResponse:
        self.endpoint_of(request)
        try:
            context = self.use(request) if '_use' in request.POST else self.fetch(request)
        except ValidationError as error:
            context = {'errors': error.messages}
        return render(request, self.template_name, context)

    def fetch(self, request: HttpRequest) -> dict[str, Any]:
        hosts = clean_hosts(HostsField().to_python(request.POST.get('hosts', '')))
        timeout = request.POST.get('timeout', '')
        seen = connection.fetch_fingerprints(hosts, int(timeout) if timeout.isdecimal() and int(timeout) else 10)
        return {'seen': shown_certificates(seen), 'usable': fingerprints_to_pin(seen)}

    def use(self, request: HttpRequest) -> dict[str, Any]:
        # A confirmed fingerprint also selects the matching TLS mode.
        chosen = {'fingerprint': clean_fingerprint(request.POST['_use']), 'tls_mode': TLSModeChoices.FINGERPRINT}
        form = ProxmoxEndpointForm(initial=chosen)
        for name in chosen:
            form.fields[name].widget.swapped = True
        return {'field': form['fingerprint'], 'tls_mode': form['tls_mode']}


def shown_certificates(seen: list[connection.OfferedCertificate]) -> list[dict[str, Any]]:
    """Certificates with their errors in the language of the reader."""
    return [{**asdict(certificate), 'error': worded(certificate.error)} for certificate in seen]


def fingerprints_to_pin(seen: list[connection.OfferedCertificate]) -> str:
    """The fingerprints to pin, one for all hosts or one for each; '' if a host did not respond."""
    fingerprints = [certificate.fingerprint for certificate in seen]
    return clean_fingerprint(', '.join(fingerprints)) if all(fingerprints) else ''
