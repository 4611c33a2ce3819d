from typing import TYPE_CHECKING, Any, cast

from dcim.models import DeviceRole, DeviceType, Platform, Site
from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.core.validators import EMPTY_VALUES
from django.db.models import QuerySet
from django.utils.translation import gettext_lazy as _
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.forms import PrimaryModelImportForm
from tenancy.models import Tenant
from utilities.forms.fields import CSVChoiceField, CSVModelChoiceField, CSVModelMultipleChoiceField
from virtualization.models import Cluster, ClusterGroup, ClusterType

from ..choices import (
    GuestTypeChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    PatternTypeChoices,
    TagMatchChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from ..models import MappingRule, ProxmoxEndpoint
from ..models.endpoint_settings import Use, names_of
from .fields import FieldPolicyField, HostsField, WindowsField, WordsField, yes_or_no

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'MappingRuleImportForm',
    'ProxmoxEndpointImportForm',
)


class ForgivingImportForm(PrimaryModelImportForm):
    """
    Missing and empty values get the default, because imported tables have arbitrary columns. Boolean values must be
    explicit, because Django treats every word except "false" as true, even "no".
    """

    def clean(self) -> dict[str, Any]:
        super().clean()
        columns = {field.name: field for field in self._meta.model._meta.fields}
        for name, field in self.fields.items():
            if name not in self.cleaned_data or name not in columns:
                continue
            if isinstance(field, forms.BooleanField):
                self._clean_switch(name)
            column = columns[name]
            left_out = name not in self.data or not column.blank
            if left_out and column.has_default() and self.cleaned_data.get(name, False) in EMPTY_VALUES:
                self.cleaned_data[name] = column.get_default()
        return cast(dict[str, Any], self.cleaned_data)

    def _update_errors(self, errors: ValidationError) -> None:
        # The form of an update has only the imported fields, but the validation of the model may report others.
        if hasattr(errors, 'error_dict'):
            by_field: dict[str, list[ValidationError]] = {}
            for name, problems in errors.error_dict.items():
                by_field.setdefault(name if name in self.fields else NON_FIELD_ERRORS, []).extend(problems)
            errors = ValidationError(by_field)
        super()._update_errors(errors)

    def _clean_switch(self, name: str) -> None:
        try:
            self.cleaned_data[name] = yes_or_no(self.data.get(name))
        except ValidationError as error:
            self.add_error(name, error)


class ProxmoxEndpointImportForm(ForgivingImportForm):
    hosts = HostsField(
        label=_('Hosts'),
        help_text=_('As host or host:port, separated by commas, in quotes'),
    )
    tls_mode = CSVChoiceField(
        label=_('TLS verification'),
        choices=TLSModeChoices,
        required=False,
        help_text=_('How NetBox verifies the identity of the Proxmox VE host'),
    )
    cluster = CSVModelChoiceField(
        label=_('Cluster'),
        queryset=Cluster.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the cluster'),
    )
    cluster_type = CSVModelChoiceField(
        label=_('Cluster type'),
        queryset=ClusterType.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the cluster type'),
    )
    cluster_group = CSVModelChoiceField(
        label=_('Cluster group'),
        queryset=ClusterGroup.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the cluster group'),
    )
    site = CSVModelChoiceField(
        label=_('Site'),
        queryset=Site.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the site'),
    )
    tenant = CSVModelChoiceField(
        label=_('Tenant'),
        queryset=Tenant.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the tenant'),
    )
    guest_role = CSVModelChoiceField(
        label=_('Guest role'),
        queryset=DeviceRole.objects.filter(vm_role=True),
        required=False,
        to_field_name='name',
        help_text=_('Name of a role that virtual machines can have'),
    )
    vrf = CSVModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
        to_field_name='rd',
        help_text=_('Route distinguisher of the VRF'),
    )
    node_role = CSVModelChoiceField(
        label=_('Node role'),
        queryset=DeviceRole.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the role of new devices'),
    )
    node_device_type = CSVModelChoiceField(
        label=_('Node device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        to_field_name='model',
        help_text=_('Model of the device type'),
    )
    vlan_group = CSVModelChoiceField(
        label=_('VLAN group'),
        queryset=VLANGroup.objects.all(),
        required=False,
        to_field_name='name',
        help_text=_('Name of the VLAN group'),
    )
    include_guests = WordsField(
        label=_('Only these guests'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('include_guests').help_text,
    )
    exclude_guests = WordsField(
        label=_('Except these guests'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('exclude_guests').help_text,
    )
    ignored_interfaces = WordsField(
        label=_('Ignored interfaces'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('ignored_interfaces').help_text,
    )
    ignored_prefixes = WordsField(
        label=_('Ignored prefixes'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('ignored_prefixes').help_text,
    )
    interface_naming = CSVChoiceField(
        label=_('Interface names'),
        choices=InterfaceNamingChoices,
        required=False,
    )
    missing_guests = CSVChoiceField(
        label=_('Missing guests'),
        choices=MissingGuestsChoices,
        required=False,
        help_text=_('How to handle guests that are no longer in Proxmox VE'),
    )

    missing_addresses = CSVChoiceField(
        label=_('Missing addresses'),
        choices=MissingAddressesChoices,
        required=False,
        help_text=_('How to handle addresses that a guest no longer has'),
    )
    write_policy = CSVChoiceField(
        label=_('Write policy'),
        choices=WritePolicyChoices,
        required=False,
        help_text=_('Which changes runs may write to NetBox'),
    )
    sync_windows = WindowsField(
        label=_('Sync windows'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('sync_windows').help_text,
    )
    object_events = CSVChoiceField(
        label=_('Object events'),
        choices=ObjectEventsChoices,
        required=False,
        help_text=_('Whether a sync triggers event rules for each object that it writes'),
    )
    field_policy = FieldPolicyField()

    class Meta:
        model = ProxmoxEndpoint
        fields = (*names_of(Use.FORM), 'owner', 'comments', 'tags')

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A name, a host and a token are enough; all other fields have defaults.
        for name in (
            'timeout', 'concurrency', 'ssh_port', 'grace_days', 'missing_address_reads', 'address_limit',
            'change_limit',
        ):  # fmt: skip
            self.fields[name].required = False


def by_name(label: 'StrOrPromise', queryset: QuerySet[Any], help_text: 'StrOrPromise') -> CSVModelChoiceField:
    return CSVModelChoiceField(
        label=label, queryset=queryset, required=False, to_field_name='name', help_text=help_text
    )


def words(label: 'StrOrPromise', help_text: 'StrOrPromise') -> WordsField:
    return WordsField(label=label, required=False, help_text=help_text)


class MappingRuleImportForm(ForgivingImportForm):
    endpoint = by_name(_('Endpoint'), ProxmoxEndpoint.objects.all(), _('Name of the endpoint; all if empty'))
    guest_type = CSVChoiceField(
        label=_('Guest type'),
        choices=GuestTypeChoices,
        required=False,
        help_text=_('Type of the guests; both if empty'),
    )
    pattern_type = CSVChoiceField(
        label=_('Pattern type'),
        choices=PatternTypeChoices,
        required=False,
        help_text=_('Type of the name pattern'),
    )
    guest_tags = words(_('Guest tags'), _("Proxmox VE's tags, separated by commas, in quotes"))
    tag_match = CSVChoiceField(
        label=_('Tag match'),
        choices=TagMatchChoices,
        required=False,
        help_text=_('Whether the guest must have one or all of the tags'),
    )
    pools = words(_('Pools'), _('Pools, separated by commas, in quotes'))
    nodes = words(_('Nodes'), _('Nodes, separated by commas, in quotes'))
    template = forms.NullBooleanField(
        label=_('Template'),
        required=False,
        # The default widget, a select, treats unknown words as empty.
        widget=forms.TextInput,
        help_text=_('true, false, or empty for both'),
    )
    role = by_name(
        _('Role'), DeviceRole.objects.filter(vm_role=True), _('Name of a role that virtual machines can have')
    )
    tenant = by_name(_('Tenant'), Tenant.objects.all(), _('Name of the tenant'))
    platform = by_name(_('Platform'), Platform.objects.all(), _('Name of the platform'))
    vrf = by_name(_('VRF'), VRF.objects.all(), _('Name of the VRF'))
    vlan_group = by_name(_('VLAN group'), VLANGroup.objects.all(), _('Name of the VLAN group'))
    extra_tags = CSVModelMultipleChoiceField(
        label=_('Extra tags'),
        queryset=Tag.objects.all(),
        required=False,
        to_field_name='slug',
        help_text=_('Slugs of NetBox tags, separated by commas, in quotes'),
    )

    class Meta:
        model = MappingRule
        fields = (
            'name', 'weight', 'enabled', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type', 'guest_tags',
            'tag_match', 'pools', 'nodes', 'vmid_min', 'vmid_max', 'template', 'skip', 'role', 'tenant', 'platform',
            'vrf', 'vlan_group', 'extra_tags', 'description', 'owner', 'comments', 'tags',
        )  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A name and an outcome are enough; all other fields have defaults.
        self.fields['weight'].required = False
