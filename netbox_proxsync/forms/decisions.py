from collections.abc import Sequence
from typing import Any

from dcim.models import Device
from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from ipam.models import VRF
from utilities.forms.fields import DynamicModelChoiceField
from virtualization.models import VirtualMachine

from ..models import Decision, ProxmoxGuest

__all__ = (
    'ChooseNameForm',
    'ChooseVRFForm',
    'LinkDeviceForm',
    'LinkGuestForm',
    'LinkMachineForm',
    'LinkNodeForm',
)


class LinkMachineForm(forms.Form):
    """Asks for the virtual machine that a guest is."""

    instance = DynamicModelChoiceField(
        label=_('Virtual machine'),
        queryset=VirtualMachine.objects.all(),
        selector=True,
    )


class LinkDeviceForm(forms.Form):
    """Asks for the device that a node is."""

    instance = DynamicModelChoiceField(
        label=_('Device'),
        queryset=Device.objects.all(),
        selector=True,
    )


class ChooseVRFForm(forms.Form):
    """Asks for the VRF of an IP address."""

    instance = DynamicModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        selector=True,
    )


class ChooseNameForm(forms.Form):
    """Asks for the name of the object of a guest or node."""

    name = forms.CharField(
        label=_('Name'),
        max_length=Decision._meta.get_field('name').max_length,
        help_text=_('No other virtual machine of the cluster, and no other device of the site, may have it.'),
    )


class LinkGuestForm(forms.Form):
    """
    Asks for the guest that a virtual machine is.

    Args:
        guests: Those that can be chosen.
    """

    target = DynamicModelChoiceField(
        label=_('Guest'),
        queryset=ProxmoxGuest.objects.all(),
    )

    def __init__(self, guests: QuerySet[ProxmoxGuest], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields['target']
        field.queryset = guests.select_related('endpoint')
        endpoints = guests.order_by().values_list('endpoint', flat=True).distinct()
        field.widget.add_query_params({'endpoint_id': list(endpoints)})


class LinkNodeForm(forms.Form):
    """
    Asks for the node that a device is.

    Args:
        nodes: Those that can be chosen, each with its `value` and `label`.
    """

    target = forms.ChoiceField(label=_('Node'))

    def __init__(self, nodes: Sequence[Any], *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.nodes = {node.value: node for node in nodes}
        field: Any = self.fields['target']
        field.choices = [('', '---------'), *((node.value, node.label) for node in nodes)]

    def clean_target(self) -> Any:
        """The chosen node itself."""
        return self.nodes[self.cleaned_data['target']]
