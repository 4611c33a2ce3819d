from typing import Any

from django import forms

__all__ = ('FingerprintInput', 'TLSModeSelect')


class FingerprintInput(forms.TextInput):
    """
    A text input with a button that fetches the hosts' fingerprints, for who may test connections.

    Attributes:
        swapped: It takes the place of the one in the page (HTMX), and the focus.
    """

    template_name = 'netbox_proxsync/widgets/fingerprint.html'
    swapped = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        extra = {'autofocus': True} if self.swapped else {}
        context = super().get_context(name, value, {**(attrs or {}), **extra})
        return {**context, 'swapped': self.swapped}


class TLSModeSelect(forms.Select):
    """
    A plain select that a confirmed fingerprint can take the place of.

    Attributes:
        swapped: It takes the place of the one in the page (HTMX).
    """

    template_name = 'netbox_proxsync/widgets/tls_mode.html'
    swapped = False

    def get_context(self, name: str, value: Any, attrs: dict[str, Any] | None) -> dict[str, Any]:
        return {**super().get_context(name, value, attrs), 'swapped': self.swapped}
