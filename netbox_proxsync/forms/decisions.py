from dcim.models import Device
from django import forms
from django.utils.translation import gettext_lazy as _
from utilities.forms.fields import DynamicModelChoiceField
from virtualization.models import VirtualMachine

__all__ = ('LinkDeviceForm', 'LinkMachineForm')


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
