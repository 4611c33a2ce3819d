from typing import Any

from django import forms

__all__ = ('FingerprintInput', 'TLSModeSelect')


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
