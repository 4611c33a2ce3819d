from typing import TYPE_CHECKING, Any, cast

from core.choices import JobIntervalChoices
from dcim.models import DeviceRole, DeviceType, Platform, Site
from django import forms
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.forms import PrimaryModelBulkEditForm
from tenancy.models import Tenant
from utilities.choices import ChoiceSet
from utilities.forms import add_blank_choice
from utilities.forms.fields import DynamicModelChoiceField, DynamicModelMultipleChoiceField
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import BulkEditNullBooleanSelect, DateTimePicker
from virtualization.models import ClusterGroup, ClusterType

from ..choices import (
    GuestTypeChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    PatternTypeChoices,
    TagMatchChoices,
    WritePolicyChoices,
)
from ..fields import SecretFormField, SecretTextarea
from ..models import MappingRule, ProxmoxEndpoint
from ..models.endpoint_settings import SWITCHES, Section, names_in
from ..models.secret_destinations import SECRET_FIELDS
from .fields import NOT_IN_BACKGROUND, BulkFieldPolicyField, WindowsField, WordsField

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'MappingRuleBulkEditForm',
    'ProxmoxEndpointBulkEditForm',
)


def switch(label: 'StrOrPromise') -> forms.NullBooleanField:
    return forms.NullBooleanField(label=label, required=False, widget=BulkEditNullBooleanSelect())


# A form field for each boolean setting.
EndpointSwitches: Any = type(
    'EndpointSwitches', (forms.Form,), {setting.name: switch(setting.label) for setting in SWITCHES}
)


class ProxmoxEndpointBulkEditForm(EndpointSwitches, PrimaryModelBulkEditForm):
    enabled = switch(_('Enabled'))
    timeout = forms.IntegerField(
        label=_('Timeout'),
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
    node_role = DynamicModelChoiceField(
        label=_('Node role'),
        queryset=DeviceRole.objects.all(),
        required=False,
    )
    node_device_type = DynamicModelChoiceField(
        label=_('Node device type'),
        queryset=DeviceType.objects.all(),
        required=False,
    )
    vrf = DynamicModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
    )
    vlan_group = DynamicModelChoiceField(
        label=_('VLAN group'),
        queryset=VLANGroup.objects.all(),
        required=False,
    )
    include_guests = WordsField(
        label=_('Only these guests'),
        required=False,
    )
    exclude_guests = WordsField(
        label=_('Except these guests'),
        required=False,
    )
    ignored_interfaces = WordsField(
        label=_('Ignored interfaces'),
        required=False,
    )
    ignored_prefixes = WordsField(
        label=_('Ignored prefixes'),
        required=False,
    )
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
    missing_address_reads = forms.IntegerField(
        label=_('Reads until an address is missing'),
        required=False,
        min_value=1,
        max_value=100,
    )
    address_limit = forms.IntegerField(
        label=_('Address limit'),
        required=False,
        min_value=1,
        max_value=10000,
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

    write_policy = forms.ChoiceField(
        label=_('Write policy'),
        choices=add_blank_choice(WritePolicyChoices),
        required=False,
    )
    sync_interval = forms.TypedChoiceField(
        label=_('Sync interval'),
        choices=add_blank_choice(JobIntervalChoices),
        coerce=int,
        empty_value=None,
        required=False,
    )
    quick_interval = forms.IntegerField(
        label=_('Quick interval (minutes)'),
        required=False,
        min_value=1,
        max_value=1440,
    )
    sync_windows = WindowsField(
        label=_('Sync windows'),
        required=False,
    )
    paused_until = forms.DateTimeField(
        label=_('Paused until'),
        required=False,
        widget=DateTimePicker(),
    )
    object_events = forms.ChoiceField(
        label=_('Object events'),
        choices=add_blank_choice(ObjectEventsChoices),
        required=False,
    )

    model = ProxmoxEndpoint
    fieldsets = (
        FieldSet('enabled', 'description', name=_('Endpoint')),
        FieldSet(*names_in(Section.CONNECTION_DETAILS, without=('ca_certificate',)), name=_('Connection')),
        FieldSet(*names_in(Section.SSH, without=('ssh_host_keys',)), name=_('SSH')),
        FieldSet(*names_in(Section.PLACEMENT, without=('cluster',)), name=_('Placement')),
        FieldSet(*names_in(Section.GUESTS), name=_('Guests')),
        FieldSet(*names_in(Section.NODES), name=_('Nodes and networks')),
        FieldSet(*names_in(Section.BEHAVIOR), name=_('Behavior')),
        FieldSet(*names_in(Section.SCHEDULE), *names_in(Section.EVENTS), name=_('Schedule and events')),
    )  # fmt: skip
    nullable_fields = (
        'description', 'ssh_user', 'ssh_password', 'ssh_private_key', 'ssh_passphrase', 'cluster_type', 'cluster_group',
        'site', 'tenant', 'guest_role', 'node_role', 'node_device_type', 'vrf', 'vlan_group', 'include_guests',
        'exclude_guests', 'ignored_interfaces', 'ignored_prefixes', 'field_policy', 'sync_interval',
        'quick_interval', 'sync_windows', 'paused_until', 'comments',
    )  # fmt: skip

    def clean(self) -> dict[str, Any]:
        super().clean()
        given = [name for name in SECRET_FIELDS if self.cleaned_data.get(name)]
        if given and self.cleaned_data.get('background_job'):
            self.add_error('background_job', NOT_IN_BACKGROUND)
        return cast(dict[str, Any], self.cleaned_data)


def choice(label: 'StrOrPromise', choices: type[ChoiceSet]) -> forms.ChoiceField:
    return forms.ChoiceField(label=label, choices=add_blank_choice(choices), required=False)


def related(label: 'StrOrPromise', queryset: QuerySet[Any], **kwargs: Any) -> DynamicModelChoiceField:
    return DynamicModelChoiceField(label=label, queryset=queryset, required=False, **kwargs)


class MappingRuleBulkEditForm(PrimaryModelBulkEditForm):
    enabled = switch(_('Enabled'))
    weight = forms.IntegerField(
        label=_('Weight'),
        required=False,
        min_value=0,
        max_value=32767,
    )
    endpoint = related(_('Endpoint'), ProxmoxEndpoint.objects.all())
    guest_type = choice(_('Guest type'), GuestTypeChoices)
    name_pattern = forms.CharField(
        label=_('Name pattern'),
        max_length=255,
        required=False,
    )
    pattern_type = choice(_('Pattern type'), PatternTypeChoices)
    guest_tags = WordsField(label=_('Guest tags'), required=False)
    tag_match = choice(_('Tag match'), TagMatchChoices)
    pools = WordsField(label=_('Pools'), required=False)
    nodes = WordsField(label=_('Nodes'), required=False)
    vmid_min = forms.IntegerField(label=_('VM ID from'), required=False, min_value=100)
    vmid_max = forms.IntegerField(label=_('VM ID to'), required=False, min_value=100)
    template = switch(_('Template'))
    skip = switch(_('Skip the guest'))
    role = related(_('Role'), DeviceRole.objects.filter(vm_role=True), query_params={'vm_role': 'true'})
    tenant = related(_('Tenant'), Tenant.objects.all())
    platform = related(_('Platform'), Platform.objects.all())
    vrf = related(_('VRF'), VRF.objects.all())
    vlan_group = related(_('VLAN group'), VLANGroup.objects.all())
    extra_tags = DynamicModelMultipleChoiceField(
        label=_('Extra tags'),
        queryset=Tag.objects.all(),
        required=False,
    )

    model = MappingRule
    fieldsets = (
        FieldSet('enabled', 'weight', 'description', name=_('Mapping Rule')),
        FieldSet(
            'endpoint', 'guest_type', 'pattern_type', 'name_pattern', 'tag_match', 'guest_tags', 'pools', 'nodes',
            'vmid_min', 'vmid_max', 'template',
            name=pgettext_lazy('mapping rule', 'Conditions'),
        ),
        FieldSet('skip', 'role', 'tenant', 'platform', 'vrf', 'vlan_group', 'extra_tags', name=_('Outcome')),
    )  # fmt: skip
    nullable_fields = (
        'description', 'endpoint', 'guest_type', 'name_pattern', 'guest_tags', 'pools', 'nodes', 'vmid_min', 'vmid_max',
        'template', 'role', 'tenant', 'platform', 'vrf', 'vlan_group', 'extra_tags', 'comments',
    )  # fmt: skip
