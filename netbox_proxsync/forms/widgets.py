from collections.abc import Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext as _

from ..choices import FieldOwnerChoices, KindChoices, choices_of
from ..models.field_display import labels_of
from ..sync.field_policy import InvalidPolicyError, choices_for, configurable, parse_policy
from ..sync.kinds import KINDS

__all__ = ('FieldPolicyTable', 'FingerprintInput', 'TLSModeSelect')


class FingerprintInput(forms.TextInput):
    """
    A text input with a button that fetches the fingerprints of the hosts, for users who may test connections.

    Attributes:
        swapped: The input replaces the one in the page (HTMX out-of-band swap) and gets the focus.
    """

    template_name = 'netbox_proxsync/widgets/fingerprint.html'
    swapped = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        extra = {'autofocus': True} if self.swapped else {}
        context = super().get_context(name, value, {**(attrs or {}), **extra})
        return {**context, 'swapped': self.swapped}


class TLSModeSelect(forms.Select):
    """
    A plain select, which is replaced when a fingerprint is confirmed.

    Attributes:
        swapped: The select replaces the one in the page (HTMX out-of-band swap).
    """

    template_name = 'netbox_proxsync/widgets/tls_mode.html'
    swapped = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return {**super().get_context(name, value, attrs), 'swapped': self.swapped}


class FieldPolicyTable(forms.Widget):
    """
    The field policy of an endpoint as a table with a select for each field, by object type.

    The value is a policy, or its text form, which the clone of an endpoint and scripts that post the form use.
    """

    template_name = 'netbox_proxsync/widgets/field_policy.html'

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        context, unreadable, policy = super().get_context(name, None, attrs), '', value
        if not isinstance(value, Mapping):
            try:
                policy = parse_policy(value or '')
            except InvalidPolicyError:
                policy, unreadable = {}, value
        fields: dict[str, list[dict[str, Any]]] = {}
        owners = {str(owner): str(label) for owner, label in choices_of(FieldOwnerChoices)}
        labels = {kind: labels_of(KINDS[kind]) for kind in {each.partition('.')[0] for each in configurable()}}
        for each, spec in configurable().items():
            kind, _dot, field = each.partition('.')
            default = owners.get(str(spec.owner)) or _('Merged: each side owns its own elements')
            choices = [('', _('Default ({owner})').format(owner=default))]
            choices += [(owner, owners[owner]) for owner in choices_for(spec) if owner != spec.owner]
            fields.setdefault(kind, []).append(
                {
                    'name': each,
                    'label': labels[kind].get(field, field),
                    'choices': choices,
                    'chosen': policy.get(each, ''),
                }
            )
        groups = [
            {
                'label': KindChoices.label(kind),
                'fields': found,
                'exceptions': sum(bool(field['chosen']) for field in found),
            }
            for kind, found in fields.items()
        ]
        return {**context, 'groups': groups, 'unreadable': unreadable}

    def value_from_datadict(self, data: Any, files: Any, name: str) -> Any:
        """The chosen owners by field, or the text form if that was sent."""
        if data.get(name):
            return data[name]
        found = {field: data.get(f'{name}-{field}') for field in configurable()}
        return {field: owner for field, owner in found.items() if owner}

    def value_omitted_from_data(self, data: Any, files: Any, name: str) -> bool:
        """No: selects that were not sent have no exceptions."""
        return False
