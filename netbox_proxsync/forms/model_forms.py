from contextlib import suppress
from typing import TYPE_CHECKING, Any, cast

from dcim.models import DeviceRole, DeviceType, Platform, Site
from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError
from django.utils.translation import gettext_lazy as _
from extras.models import Tag
from ipam.models import VRF, VLANGroup
from netbox.forms import PrimaryModelForm
from tenancy.models import Tenant
from utilities.forms import BOOLEAN_WITH_BLANK_CHOICES
from utilities.forms.fields import DynamicModelChoiceField, DynamicModelMultipleChoiceField
from utilities.forms.rendering import FieldSet
from utilities.forms.widgets import DateTimePicker
from virtualization.models import Cluster, ClusterGroup, ClusterType

from ..choices import TLSModeChoices
from ..fields import SecretTextarea, column
from ..models import MappingRule, ProxmoxEndpoint
from ..models.endpoint_settings import Section, Use, names_in, names_of
from ..models.rules import NO_OUTCOME
from ..models.secret_destinations import SSH_SECRETS
from ..proxmox.hosts import Host
from ..validators import clean_hosts
from .fields import FieldPolicyField, HostsField, TokenIDField, WindowsField, WordsField
from .rendering import FoldedFieldSet
from .widgets import FieldPolicyTable, FingerprintInput, TLSModeSelect

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = (
    'MappingRuleForm',
    'NewProxmoxEndpointForm',
    'PlainProxmoxEndpointForm',
    'ProxmoxEndpointForm',
)


class ProxmoxEndpointForm(PrimaryModelForm):
    hosts = HostsField(
        label=_('Hosts'),
        help_text=ProxmoxEndpoint._meta.get_field('hosts').help_text,
    )
    cluster = DynamicModelChoiceField(
        label=_('Cluster'),
        queryset=Cluster.objects.all(),
        required=False,
        selector=True,
        help_text=ProxmoxEndpoint._meta.get_field('cluster').help_text,
    )
    cluster_type = DynamicModelChoiceField(
        label=_('Cluster type'),
        queryset=ClusterType.objects.all(),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('cluster_type').help_text,
    )
    cluster_group = DynamicModelChoiceField(
        label=_('Cluster group'),
        queryset=ClusterGroup.objects.all(),
        required=False,
    )
    site = DynamicModelChoiceField(
        label=_('Site (recommended)'),
        queryset=Site.objects.all(),
        required=False,
        help_text=_('Site of the cluster and its nodes. Nodes are only synchronized as devices if a site is set'),
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
        help_text=ProxmoxEndpoint._meta.get_field('guest_role').help_text,
    )
    node_role = DynamicModelChoiceField(
        label=_('Node role'),
        queryset=DeviceRole.objects.all(),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('node_role').help_text,
    )
    node_device_type = DynamicModelChoiceField(
        label=_('Node device type'),
        queryset=DeviceType.objects.all(),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('node_device_type').help_text,
    )
    vrf = DynamicModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('vrf').help_text,
    )
    vlan_group = DynamicModelChoiceField(
        label=_('VLAN group'),
        queryset=VLANGroup.objects.all(),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('vlan_group').help_text,
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

    sync_windows = WindowsField(
        label=_('Sync windows'),
        required=False,
        help_text=ProxmoxEndpoint._meta.get_field('sync_windows').help_text,
    )

    field_policy = FieldPolicyField(
        widget=FieldPolicyTable(),
        help_text=_('Source of truth of single fields. All other fields have the default'),
    )

    # The required settings come first; all others have suitable defaults and are folded.
    fieldsets = (
        FieldSet(*names_in(Section.CONNECTION), name=_('Proxmox VE')),
        FieldSet(
            'name', 'site', 'enabled', 'sync_interval', 'description', 'tags', name=_('In NetBox')
        ),
        FoldedFieldSet(
            *names_in(Section.PLACEMENT, without=('site',)),
            name=_('Placement'),
            hint=_('cluster, tenant, roles, VRF and VLAN group of new objects'),
        ),
        FoldedFieldSet(
            *names_in(Section.GUESTS),
            name=_('Guests'),
            hint=_('all virtual machines and containers, no templates'),
        ),
        FoldedFieldSet(
            *names_in(Section.NODES),
            name=_('Nodes and networks'),
            hint=_('nodes become devices if a site is set; VLANs are not created'),
        ),
        FoldedFieldSet(
            *names_in(Section.BEHAVIOR),
            *names_in(Section.EVENTS),
            name=_('Behavior'),
            hint=_('missing objects, sources of truth of fields, change limit, webhooks'),
        ),
        FoldedFieldSet(
            *names_in(Section.SCHEDULE, without=('sync_interval',)),
            name=_('Schedule'),
            hint=_('automatic syncs start at any time'),
        ),
        FoldedFieldSet(
            *names_in(Section.CONNECTION_DETAILS),
            name=_('Advanced connection settings'),
            hint=_('custom CA certificate, timeout, concurrency'),
        ),
        FoldedFieldSet(
            *names_in(Section.SSH),
            name=_('SSH (optional)'),
            hint=_("hardware details that the API does not provide"),
        ),
    )  # fmt: skip

    class Meta:
        model = ProxmoxEndpoint
        fields = (*names_of(Use.FORM), 'owner', 'comments', 'tags')
        field_classes = {'token_id': TokenIDField}
        widgets = {
            'paused_until': DateTimePicker(),
            'tls_mode': TLSModeSelect(attrs={'class': 'no-ts'}),
            'fingerprint': FingerprintInput(attrs={'class': 'font-monospace'}),
            'ca_certificate': forms.Textarea(
                attrs={'rows': 5, 'class': 'font-monospace', 'placeholder': '-----BEGIN CERTIFICATE-----'}
            ),
            'ssh_private_key': SecretTextarea(
                attrs={
                    'rows': 4, 'class': 'font-monospace', 'autocomplete': 'off', 'spellcheck': 'false',
                    'placeholder': '-----BEGIN OPENSSH PRIVATE KEY-----',
                }
            ),
            'ssh_host_keys': forms.Textarea(
                attrs={'rows': 3, 'class': 'font-monospace', 'placeholder': '10.0.0.11 ssh-ed25519 AAAAC3Nza...'}
            ),
        }  # fmt: skip

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk and self.instance.token_secret:
            self.fields['token_secret'].required = False
            self.fields['token_secret'].help_text = _('Leave it empty to keep the stored secret.')
        self.fields['name'].required = False
        self.fields['name'].help_text = _('Display name of the cluster or host. Defaults to the first host')
        for name in ('ssh_port', 'object_events', 'write_policy'):
            self.fields[name].required = False
        for name in SSH_SECRETS:
            if self.instance.pk and getattr(self.instance, name):
                self.fields[name].widget.removable = True
                self.fields[name].help_text = _('Leave it empty to keep the stored one.')

    def clean_ssh_port(self) -> int:
        return cast(int, self.cleaned_data['ssh_port'] or ProxmoxEndpoint._meta.get_field('ssh_port').default)

    def clean_write_policy(self) -> str:
        return cast(str, self.cleaned_data['write_policy'] or ProxmoxEndpoint._meta.get_field('write_policy').default)

    def clean_object_events(self) -> str:
        return cast(str, self.cleaned_data['object_events'] or ProxmoxEndpoint._meta.get_field('object_events').default)

    def clean(self) -> dict[str, Any]:
        super().clean()
        hosts = self.cleaned_data.get('hosts')
        if hosts and not self.cleaned_data.get('name') and 'name' not in self.errors:
            # The validation of the field reports invalid hosts.
            with suppress(ValidationError):
                self.cleaned_data['name'] = Host.parse(clean_hosts(hosts)[0]).name
        return cast(dict[str, Any], self.cleaned_data)

    @property
    def groups(self) -> list[tuple[FieldSet, bool]]:
        """The fieldsets, each with whether it is open: because it does not fold, or has changed values or errors."""
        return [
            (fieldset, not isinstance(fieldset, FoldedFieldSet) or self.has_changes(fieldset))
            for fieldset in self.fieldsets
        ]

    def has_changes(self, fieldset: FieldSet) -> bool:
        names = [name for name in fieldset.items if name in self.fields]
        if self.is_bound:
            return any(name in self.errors or name in self.changed_data for name in names)
        defaults = {name: column(ProxmoxEndpoint, name).get_default() for name in names}
        given = {name: self.get_initial_for_field(self.fields[name], name) for name in names}
        return any((given[name] or None) != (defaults[name] or None) for name in names)


class NewProxmoxEndpointForm(ProxmoxEndpointForm):
    """
    The form for a new endpoint. Certificates of a stock Proxmox VE are signed by no known authority, so pinning the
    fingerprint is proposed, which the form fetches from the hosts.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if 'tls_mode' not in (kwargs.get('initial') or {}):
            self.initial['tls_mode'] = TLSModeChoices.FINGERPRINT
        self.fields['tls_mode'].help_text = _(
            'A stock Proxmox VE has certificates of its own: fetch the fingerprint from the hosts, and compare it. If '
            'the hosts have certificates of a known authority, choose "{system}"'
        ).format(system=dict(TLSModeChoices)[TLSModeChoices.SYSTEM])


class PlainProxmoxEndpointForm(ProxmoxEndpointForm):
    """The form for users who may not let NetBox contact the hosts."""

    class Meta(ProxmoxEndpointForm.Meta):
        widgets = {
            **ProxmoxEndpointForm.Meta.widgets,
            'fingerprint': forms.TextInput(attrs={'class': 'font-monospace'}),
        }

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if not self.instance.pk:
            # The initial values come from the cloned endpoint.
            for name in names_in(Section.SCHEDULE):
                self.initial.pop(name, None)
        for name in names_in(Section.SCHEDULE):
            self.fields[name].help_text = _('Changing this setting requires the permission to sync the endpoint.')


def words(name: str, label: 'StrOrPromise') -> WordsField:
    return WordsField(label=label, required=False, help_text=column(MappingRule, name).help_text)


class MappingRuleForm(PrimaryModelForm):
    endpoint = DynamicModelChoiceField(
        label=_('Endpoint'),
        queryset=ProxmoxEndpoint.objects.all(),
        required=False,
        help_text=MappingRule._meta.get_field('endpoint').help_text,
    )
    guest_tags = words('guest_tags', _('Guest tags'))
    pools = words('pools', _('Pools'))
    nodes = words('nodes', _('Nodes'))
    template = forms.NullBooleanField(
        label=_('Template'),
        required=False,
        widget=forms.Select(choices=BOOLEAN_WITH_BLANK_CHOICES),
        help_text=MappingRule._meta.get_field('template').help_text,
    )
    role = DynamicModelChoiceField(
        label=_('Role'),
        queryset=DeviceRole.objects.filter(vm_role=True),
        required=False,
        query_params={'vm_role': 'true'},
    )
    tenant = DynamicModelChoiceField(
        label=_('Tenant'),
        queryset=Tenant.objects.all(),
        required=False,
    )
    platform = DynamicModelChoiceField(
        label=_('Platform'),
        queryset=Platform.objects.all(),
        required=False,
        help_text=MappingRule._meta.get_field('platform').help_text,
    )
    vrf = DynamicModelChoiceField(
        label=_('VRF'),
        queryset=VRF.objects.all(),
        required=False,
        help_text=MappingRule._meta.get_field('vrf').help_text,
    )
    vlan_group = DynamicModelChoiceField(
        label=_('VLAN group'),
        queryset=VLANGroup.objects.all(),
        required=False,
        help_text=MappingRule._meta.get_field('vlan_group').help_text,
    )
    extra_tags = DynamicModelMultipleChoiceField(
        label=_('Extra tags'),
        queryset=Tag.objects.all(),
        required=False,
        help_text=MappingRule._meta.get_field('extra_tags').help_text,
    )

    fieldsets = (
        FieldSet('name', 'weight', 'enabled', 'description', 'tags', name=_('Mapping Rule')),
        FieldSet(
            'endpoint', 'guest_type', 'pattern_type', 'name_pattern', 'tag_match', 'guest_tags', 'pools', 'nodes',
            'vmid_min', 'vmid_max', 'template',
            name=_('Conditions (all must match)'),
        ),
        FieldSet(
            'skip', 'role', 'tenant', 'platform', 'vrf', 'vlan_group', 'extra_tags',
            name=_('Actions (blank fields are left to the next rule)'),
        ),
    )  # fmt: skip

    class Meta:
        model = MappingRule
        fields = (
            'name', 'weight', 'enabled', 'description', 'endpoint', 'guest_type', 'name_pattern', 'pattern_type',
            'guest_tags', 'tag_match', 'pools', 'nodes', 'vmid_min', 'vmid_max', 'template', 'skip', 'role', 'tenant',
            'platform', 'vrf', 'vlan_group', 'extra_tags', 'owner', 'comments', 'tags',
        )  # fmt: skip
        widgets = {
            'name_pattern': forms.TextInput(attrs={'class': 'font-monospace', 'placeholder': 'web-*'}),
        }

    def _post_clean(self) -> None:
        super()._post_clean()
        # NetBox displays errors that belong to no field only as a message that disappears.
        found = self.errors.pop(NON_FIELD_ERRORS, self.error_class()).as_data()
        for error in found:
            self.add_error('skip' if error.code == NO_OUTCOME else None, error)
