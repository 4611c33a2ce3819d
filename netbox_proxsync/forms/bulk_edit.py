from dcim.models import DeviceRole, Site
from django import forms
from django.utils.translation import gettext_lazy as _
from ipam.models import VRF
from netbox.forms import PrimaryModelBulkEditForm
from tenancy.models import Tenant
from utilities.forms import add_blank_choice
from utilities.forms.fields import DynamicModelChoiceField
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import BulkEditNullBooleanSelect
from virtualization.models import ClusterGroup, ClusterType

from ..choices import InterfaceNamingChoices, MissingAddressesChoices, MissingGuestsChoices
from ..fields import SecretFormField, SecretTextarea
from ..models import ProxmoxEndpoint
from .fields import BulkFieldPolicyField

__all__ = ('ProxmoxEndpointBulkEditForm',)


def switch(label: str) -> forms.NullBooleanField:
    return forms.NullBooleanField(label=label, required=False, widget=BulkEditNullBooleanSelect())


class ProxmoxEndpointBulkEditForm(PrimaryModelBulkEditForm):
    enabled = switch(_('Enabled'))
    timeout = forms.IntegerField(
        label=_('Time-out'),
        required=False,
        min_value=1,
        max_value=600,
    )
    concurrency = forms.IntegerField(
        label=_('Concurrency'),
        required=False,
        min_value=1,
        max_value=64,
    )
    ssh_user = forms.CharField(
        label=_('SSH user'),
        max_length=100,
        required=False,
    )
    ssh_port = forms.IntegerField(
        label=_('SSH port'),
        required=False,
        min_value=1,
        max_value=65535,
    )
    ssh_password = SecretFormField(
        label=_('SSH password'),
        required=False,
    )
    ssh_private_key = SecretFormField(
        label=_('SSH private key'),
        required=False,
        widget=SecretTextarea(attrs={'rows': 4, 'class': 'font-monospace', 'autocomplete': 'off'}),
    )
    ssh_passphrase = SecretFormField(
        label=_('Passphrase of the key'),
        required=False,
    )
    cluster_type = DynamicModelChoiceField(
        label=_('Cluster type'),
        queryset=ClusterType.objects.all(),
        required=False,
    )
    cluster_group = DynamicModelChoiceField(
        label=_('Cluster group'),
        queryset=ClusterGroup.objects.all(),
        required=False,
    )
    site = DynamicModelChoiceField(
        label=_('Site'),
        queryset=Site.objects.all(),
        required=False,
    )
    tenant = DynamicModelChoiceField(
        label=_('Tenant'),
        queryset=Tenant.objects.all(),
        required=False,
    )
    guest_role = DynamicModelChoiceField(
        label=_('Guest role'),
        queryset=DeviceRole.objects.filter(vm_role=True),
        required=False,
        query_params={'vm_role': 'true'},
    )
    vrf = DynamicModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
    )
    sync_vms = switch(_('Sync virtual machines'))
    sync_containers = switch(_('Sync containers'))
    sync_templates = switch(_('Sync templates'))
    interface_naming = forms.ChoiceField(
        label=_('Interface names'),
        choices=add_blank_choice(InterfaceNamingChoices),
        required=False,
    )
    missing_guests = forms.ChoiceField(
        label=_('Missing guests'),
        choices=add_blank_choice(MissingGuestsChoices),
        required=False,
    )
    missing_addresses = forms.ChoiceField(
        label=_('Missing addresses'),
        choices=add_blank_choice(MissingAddressesChoices),
        required=False,
    )
    field_policy = BulkFieldPolicyField()
    grace_days = forms.IntegerField(
        label=_('Grace period (days)'),
        required=False,
        min_value=0,
    )
    change_limit = forms.IntegerField(
        label=_('Change limit (percent)'),
        required=False,
        min_value=0,
        max_value=100,
    )

    model = ProxmoxEndpoint
    fieldsets = (
        FieldSet('enabled', 'description', name=_('Endpoint')),
        FieldSet('timeout', 'concurrency', name=_('Connection')),
        FieldSet('ssh_user', 'ssh_port', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', name=_('SSH')),
        FieldSet('cluster_type', 'cluster_group', 'site', 'tenant', 'guest_role', 'vrf', name=_('Placement')),
        FieldSet(
            'sync_vms', 'sync_containers', 'sync_templates', 'interface_naming', 'missing_guests', 'grace_days',
            'missing_addresses', 'change_limit', 'field_policy',
            name=_('Behaviour'),
        ),
    )  # fmt: skip
    nullable_fields = (
        'description', 'ssh_user', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', 'cluster_type', 'cluster_group',
        'site', 'tenant', 'guest_role', 'vrf', 'field_policy', 'comments',
    )  # fmt: skip
