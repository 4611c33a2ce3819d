from typing import Any

from django import forms

__all__ = ('FingerprintInput',)


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
