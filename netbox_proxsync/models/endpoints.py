from collections.abc import Callable, Iterable, Mapping
from datetime import datetime
from typing import Any

from core.choices import JobIntervalChoices
from django.contrib.postgres.fields import ArrayField
from django.core.exceptions import ValidationError
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _
from utilities.exceptions import AbortRequest

from ..branching import clean_in_main
from ..choices import (
    EndpointStatusChoices,
    FieldOwnerChoices,
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    TLSModeChoices,
    color_of,
)
from ..crypto import Secret, SecretError
from ..fields import SecretField
from ..proxmox.parsers.address_filters import AddressFilters
from ..proxmox.token_history import TokenHistory
from ..sync.field_policy import format_policy
from ..validators import (
    clean_ca_certificate,
    clean_field_policy,
    clean_fingerprint,
    clean_guest_terms,
    clean_hosts,
    clean_patterns,
    clean_prefixes,
    clean_ssh_host_keys,
    clean_ssh_private_key,
    clean_ssh_user,
    clean_token_id,
    clean_token_secret,
)
from .bindings import Binding
from .deletion import delete_unread
from .endpoint_settings import Use, names_of
from .exporting import endpoint_as_yaml
from .former_endpoints import _store_bindings
from .guests import ProxmoxGuest
from .mixins import CensoredSecretsMixin, alters_data
from .netbox_types import JobsMixin, PrimaryModel
from .runs import PlannedBinding, SyncChange
from .secret_destinations import DESTINATION_FIELDS, SECRET_FIELDS, changed_destinations, check_destinations
from .users import current_user

__all__ = ('ProxmoxEndpoint',)

# Written by runs, by queryset.update(): no matter for the change log.
STATE_FIELDS = (
    'status', 'last_run', 'next_sync', 'pve_version', 'guests_read', 'token_history', 'cluster_identity',
    'cluster_state', 'acknowledged_faults',
)  # fmt: skip

SYNC_PERMISSION = 'netbox_proxsync.sync_proxmoxendpoint'
SCHEDULE_NOT_PERMITTED = _(
    'An endpoint with a sync interval is synchronized automatically. To set an interval, to enable an endpoint that '
    'has one, or to change where it connects to, you need the permission to sync this endpoint.'
)


def default_ignored_interfaces() -> list[str]:
    return list(AddressFilters().interfaces)


class ProxmoxEndpoint(JobsMixin, CensoredSecretsMixin, PrimaryModel):
    """
    One Proxmox VE cluster, or one stand-alone host, reached with one API token.
    """

    name = models.CharField(
        verbose_name=_('name'),
        max_length=100,
        unique=True,
        help_text=_('What you call this Proxmox cluster or host'),
    )
    enabled = models.BooleanField(
        verbose_name=_('enabled'),
        default=True,
        help_text=_('A disabled endpoint is not synced'),
    )

    # Connection
    hosts = ArrayField(
        verbose_name=_('hosts'),
        base_field=models.CharField(max_length=255),
        help_text=_(
            'Nodes of the cluster as host or host:port (8006 if not given), separated by commas. The next one is tried '
            'when one is down.'
        ),
    )
    token_id = models.CharField(
        verbose_name=_('token ID'),
        max_length=200,
        help_text=_('API token as user@realm!name, for example netbox@pve!proxsync'),
    )
    token_secret = SecretField(
        verbose_name=_('token secret'),
        help_text=_('Shown once by Proxmox when the token is made. Stored encrypted, never shown again'),
    )
    tls_mode = models.CharField(
        verbose_name=_('TLS verification'),
        max_length=30,
        choices=TLSModeChoices,
        default=TLSModeChoices.SYSTEM,
        help_text=_('How a host proves that it is the one that may see the token'),
    )
    ca_certificate = models.TextField(
        verbose_name=_('CA certificate'),
        blank=True,
        help_text=_("In PEM form; Proxmox's own authority is /etc/pve/pve-root-ca.pem on each node"),
    )
    fingerprint = models.CharField(
        verbose_name=_('fingerprint'),
        max_length=2000,
        blank=True,
        help_text=_(
            'SHA-256 fingerprint of the certificate, as under node > System > Certificates: one for all hosts, or one '
            'for each in their order, separated by commas'
        ),
    )
    timeout = models.PositiveSmallIntegerField(
        verbose_name=_('time-out'),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text=_('Seconds to wait for an answer'),
    )
    concurrency = models.PositiveSmallIntegerField(
        verbose_name=_('concurrency'),
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text=_('Calls to Proxmox at the same time'),
    )

    # SSH, optional: what the API does not tell of the nodes' hardware
    ssh_user = models.CharField(
        verbose_name=_('SSH user'),
        max_length=100,
        blank=True,
        help_text=_(
            'A user of the nodes. With it, runs also read what only the nodes themselves know of their hardware: '
            'permanent MACs, link speeds, vendor, product, serial number. Without it, SSH is not used'
        ),
    )
    ssh_port = models.PositiveIntegerField(
        verbose_name=_('SSH port'),
        default=22,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_('Of all nodes'),
    )
    ssh_password = SecretField(
        verbose_name=_('SSH password'),
        blank=True,
        help_text=_('Of the user; or give a private key. Stored encrypted, never shown again'),
    )
    ssh_private_key = SecretField(
        verbose_name=_('SSH private key'),
        blank=True,
        help_text=_('Ed25519, ECDSA or RSA, with its BEGIN and END lines. Stored encrypted, never shown again'),
    )
    ssh_passphrase = SecretField(
        verbose_name=_('passphrase of the key'),
        blank=True,
        help_text=_('If the private key is encrypted. Stored encrypted, never shown again'),
    )
    ssh_host_keys = models.TextField(
        verbose_name=_('SSH host keys'),
        blank=True,
        help_text=_(
            'Only hosts that prove to hold one of these keys are logged in to. One per line: "host key-type key" as '
            'ssh-keyscan prints it, or "host SHA256:..."; without a host, the key is good for every node. The action '
            '"SSH host keys" of a saved endpoint shows what the nodes have'
        ),
    )

    # Placement. PROTECT, as NetBox does for the same relations of its own: deleting a site or a role must not silently
    # change where the next sync puts what it makes.
    cluster = models.ForeignKey(
        to='virtualization.Cluster',
        on_delete=models.PROTECT,
        related_name='proxsync_endpoints',
        verbose_name=_('cluster'),
        blank=True,
        null=True,
        help_text=_('Left empty, the first sync finds the cluster by its name in Proxmox, or makes it'),
    )
    cluster_type = models.ForeignKey(
        to='virtualization.ClusterType',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('cluster type'),
        blank=True,
        null=True,
        help_text=_('"Proxmox VE" if empty'),
    )
    cluster_group = models.ForeignKey(
        to='virtualization.ClusterGroup',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('cluster group'),
        blank=True,
        null=True,
    )
    site = models.ForeignKey(
        to='dcim.Site',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('site'),
        blank=True,
        null=True,
    )
    tenant = models.ForeignKey(
        to='tenancy.Tenant',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('tenant'),
        blank=True,
        null=True,
    )
    guest_role = models.ForeignKey(
        to='dcim.DeviceRole',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('guest role'),
        blank=True,
        null=True,
        help_text=_('Role of new virtual machines'),
    )
    node_role = models.ForeignKey(
        to='dcim.DeviceRole',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('node role'),
        blank=True,
        null=True,
        help_text=_('Role of new devices; "Hypervisor" if empty'),
    )
    node_device_type = models.ForeignKey(
        to='dcim.DeviceType',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('node device type'),
        blank=True,
        null=True,
        help_text=_('Left empty, it is what the node tells over SSH, else "Proxmox VE node"'),
    )
    vrf = models.ForeignKey(
        to='ipam.VRF',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('VRF'),
        blank=True,
        null=True,
        help_text=_('VRF of the addresses of guests and nodes; left empty, that of the prefix around each address'),
    )
    vlan_group = models.ForeignKey(
        to='ipam.VLANGroup',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('VLAN group'),
        blank=True,
        null=True,
        help_text=_('Where VLANs are looked up first: then among those of the site, then among global ones'),
    )

    # Behaviour
    sync_vms = models.BooleanField(
        verbose_name=_('sync virtual machines'),
        default=True,
        help_text=_('QEMU guests'),
    )
    sync_containers = models.BooleanField(
        verbose_name=_('sync containers'),
        default=True,
        help_text=_('LXC guests'),
    )
    sync_templates = models.BooleanField(
        verbose_name=_('sync templates'),
        default=False,
    )
    include_guests = ArrayField(
        verbose_name=_('only these guests'),
        base_field=models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text=_(
            'Guests that match one of these: a name, or tag:, pool: or node: with one, separated by commas; * stands '
            'for anything. For example: web-*, tag:prod. All guests if empty.'
        ),
    )
    exclude_guests = ArrayField(
        verbose_name=_('except these guests'),
        base_field=models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text=_(
            'Guests that match one of these, in the same form, are left out: what NetBox has of them stays as it is.'
        ),
    )
    adopt_by_name = models.BooleanField(
        verbose_name=_('adopt by name'),
        default=False,
        help_text=_(
            'A guest takes over the only virtual machine of the cluster that has its name, without a matching VM ID, '
            'serial number or MAC address. Otherwise that machine is only a candidate'
        ),
    )
    sync_nodes = models.BooleanField(
        verbose_name=_('sync nodes'),
        default=True,
        help_text=_('Nodes as devices with their interfaces and addresses. They need a site'),
    )
    create_vlans = models.BooleanField(
        verbose_name=_('create VLANs'),
        default=False,
        help_text=_('Make VLANs that NetBox does not have, in the VLAN group, else in the site'),
    )
    read_os_info = models.BooleanField(
        verbose_name=_('read operating systems'),
        default=False,
        help_text=_('Ask the guest agent for the platform: one more call for each running virtual machine'),
    )
    read_host_names = models.BooleanField(
        verbose_name=_('read host names'),
        default=False,
        help_text=_('Ask the guest agent for the DNS name: one more call for each running virtual machine'),
    )
    ignored_interfaces = ArrayField(
        verbose_name=_('ignored interfaces'),
        base_field=models.CharField(max_length=64),
        default=default_ignored_interfaces,
        blank=True,
        help_text=_('Addresses on interfaces of such names inside a guest are left out; * stands for anything'),
    )
    ignored_prefixes = ArrayField(
        verbose_name=_('ignored prefixes'),
        base_field=models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_("Guests' addresses in these are left out, for example 172.17.0.0/16"),
    )
    interface_naming = models.CharField(
        verbose_name=_('interface names'),
        max_length=30,
        choices=InterfaceNamingChoices,
        default=InterfaceNamingChoices.PROXMOX,
    )
    missing_guests = models.CharField(
        verbose_name=_('missing guests'),
        max_length=30,
        choices=MissingGuestsChoices,
        default=MissingGuestsChoices.RETIRE,
        help_text=_('What happens to guests that are gone from Proxmox'),
    )
    grace_days = models.PositiveSmallIntegerField(
        verbose_name=_('grace period'),
        default=30,
        help_text=_('Days between retirement and deletion'),
    )
    missing_addresses = models.CharField(
        verbose_name=_('missing addresses'),
        max_length=30,
        choices=MissingAddressesChoices,
        default=MissingAddressesChoices.DELETE,
        help_text=_('What happens to addresses that a guest no longer has, though it could be asked'),
    )
    missing_address_reads = models.PositiveSmallIntegerField(
        verbose_name=_('reads until an address is missing'),
        default=2,
        validators=[MinValueValidator(1), MaxValueValidator(100)],
        help_text=_(
            'How many complete reads in a row must not find an address that only the running guest reported. 1: the '
            'first one is enough'
        ),
    )
    address_limit = models.PositiveSmallIntegerField(
        verbose_name=_('address limit'),
        default=256,
        validators=[MinValueValidator(1), MaxValueValidator(10000)],
        help_text=_('How many addresses of one guest are synced at most'),
    )
    field_policy = models.JSONField(
        verbose_name=_('field policy'),
        default=dict,
        blank=True,
        help_text=_('Exceptions from who decides about a field, such as {"vm.name": "ignored"}'),
    )
    change_limit = models.PositiveSmallIntegerField(
        verbose_name=_('change limit'),
        default=20,
        validators=[MaxValueValidator(100)],
        help_text=_('Percent of the objects of a kind that one run may retire, delete or release'),
    )

    sync_interval = models.PositiveIntegerField(
        verbose_name=_('sync interval'),
        choices=JobIntervalChoices,
        blank=True,
        null=True,
        help_text=_('How often it is synced by itself; left empty, only when somebody asks for it'),
    )

    object_events = models.CharField(
        verbose_name=_('object events'),
        max_length=30,
        choices=ObjectEventsChoices,
        default=ObjectEventsChoices.ALWAYS,
        help_text=_(
            'Whether what a sync writes sets off event rules, such as webhooks, object by object. The first sync of a '
            'cluster makes thousands of objects. The change log has them all the same'
        ),
    )

    # State
    status = models.CharField(
        verbose_name=_('status'),
        max_length=30,
        choices=EndpointStatusChoices,
        default=EndpointStatusChoices.NEW,
        editable=False,
    )
    last_run = models.ForeignKey(
        to='netbox_proxsync.SyncRun',
        on_delete=models.SET_NULL,
        related_name='+',
        verbose_name=_('last run'),
        blank=True,
        null=True,
        editable=False,
    )
    pve_version = models.CharField(
        verbose_name=_('Proxmox VE version'),
        max_length=50,
        blank=True,
        editable=False,
    )

    guests_read = models.DateTimeField(
        verbose_name=_('guests read'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('When Proxmox was read for what its guests are shown to be'),
    )

    cluster_identity = models.JSONField(
        verbose_name=_('cluster identity'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('By which the Proxmox cluster is known again'),
    )

    next_sync = models.DateTimeField(
        verbose_name=_('next sync'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('When the schedule starts the next sync'),
    )

    token_history = models.JSONField(
        verbose_name=_('seen'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('What the token could see in the last complete run'),
    )

    cluster_state = models.JSONField(
        verbose_name=_('cluster state'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('What the last read told of the cluster and its nodes'),
    )

    acknowledged_faults = models.JSONField(
        verbose_name=_('acknowledged faults'),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Faults of Proxmox VE's configuration that users have acknowledged until they change"),
    )

    clone_fields = names_of(Use.CLONE)
    prerequisite_models = ()

    class Meta:
        ordering = ('name',)
        verbose_name = _('Proxmox endpoint')
        verbose_name_plural = _('Proxmox endpoints')
        permissions = [
            ('sync', 'Test the connection, preview and sync'),
            ('accept', 'Let refused runs through'),
        ]
        constraints = (
            models.UniqueConstraint(
                fields=('cluster',),
                condition=models.Q(enabled=True),
                name='%(app_label)s_%(class)s_unique_enabled_cluster',
                violation_error_message=_('Another enabled endpoint is synced with this cluster.'),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def docs_url(self) -> None:
        # NetBox's default points into its own documentation, which knows nothing of plugins.
        return None

    @property
    def guests_shown(self) -> datetime | None:
        """When Proxmox was read for what its guests are shown to be, in main or in the active branch."""
        from .branch_states import guests_read

        return guests_read(self)

    def get_status_color(self) -> str | None:
        return color_of(EndpointStatusChoices, self.status)

    def get_tls_mode_color(self) -> str | None:
        return color_of(TLSModeChoices, self.tls_mode)

    @property
    def display_field_policy(self) -> list[tuple[str, str, str]]:
        """(field, what the policy says in words, colour)"""
        words = dict(FieldOwnerChoices)
        return [
            (name, words.get(choice, choice), color_of(FieldOwnerChoices, choice) or 'gray')
            for name, choice in self.field_policy.items()
        ]

    @property
    def valid_token_history(self) -> TokenHistory:
        """What the token could see the last time; nothing if it is another token now, saved or not."""
        return TokenHistory() if self.has_new_token() else TokenHistory.parse(self.token_history)

    @alters_data
    def save(self, *args: Any, keep_secrets: bool = False, **kwargs: Any) -> None:
        """
        Args:
            keep_secrets: The stored secrets may be sent to where this endpoint now leads. Only for changes that
                somebody with the permission to sync has confirmed.

        Raises:
            AbortRequest: It would be synced by itself, and the person may not sync it.
            ValidationError: A stored secret would be sent somewhere else; see `destinations`.
        """
        stored = self._stored()
        if stored and not keep_secrets and (errors := check_destinations(self, stored, kwargs.get('update_fields'))):
            raise ValidationError(errors)
        if self.token_history and self._differs_in_token(stored):
            self.token_history = {}
        # What the schedule says stands, unless what it was made from changes; then the schedule makes it anew. Read
        # from the database: the schedule may have moved on since this instance was loaded.
        same = stored and (stored.enabled, stored.sync_interval) == (self.enabled, self.sync_interval)
        self.next_sync = stored.next_sync if stored and same else None
        scheduled = self._is_newly_scheduled(stored)
        super().save(*args, **kwargs)
        for name, secret in self.secrets.items():
            # They are stored now, so they do not count as entered for the next change.
            setattr(self, name, Secret(secret.encrypted()))
        # Only now can a permission with constraints be checked. Every caller that has a request is in a transaction.
        if scheduled and not may_schedule(self):
            raise AbortRequest(str(SCHEDULE_NOT_PERMITTED))

    def _stored(self) -> 'ProxmoxEndpoint | None':
        """What the database holds of what decides how this endpoint may be saved."""
        fields = (*DESTINATION_FIELDS, *SECRET_FIELDS, 'token_id', 'enabled', 'sync_interval', 'next_sync')
        return ProxmoxEndpoint.objects.filter(pk=self.pk).only(*fields).first() if self.pk else None

    def has_new_token(self) -> bool:
        """Whether it is another than the one that is stored."""
        return self._differs_in_token(self._stored())

    def _differs_in_token(self, stored: 'ProxmoxEndpoint | None') -> bool:
        return stored is not None and (
            stored.token_id != self.token_id or not stored.token_secret.has_same_text_as(self.token_secret)
        )

    def _is_newly_scheduled(self, stored: 'ProxmoxEndpoint | None') -> bool:
        """Whether saving it lets NetBox sync it automatically, at other times than before, or from other hosts."""
        if self.sync_interval is None:
            return False
        if stored is None or stored.sync_interval != self.sync_interval:
            return True
        return self.enabled and (not stored.enabled or bool(changed_destinations(self, stored)))

    @alters_data
    def delete(self, using: str | None = None, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        using = using or router.db_for_write(ProxmoxEndpoint, instance=self)
        with transaction.atomic(using=using):
            # NetBox deletes the rows of the jobs and leaves their tasks in the queue: a worker that came to one would
            # bring its row back. When this is called the row is gone, and what is left to do is to cancel the task.
            for job in self.jobs.filter(completed=None):
                transaction.on_commit(job.delete, using=using)
            _store_bindings(self, using)
            delete_unread(SyncChange, models.Q(run__endpoint=self), using)
            delete_unread(PlannedBinding, models.Q(run__endpoint=self), using)
            delete_unread(Binding, models.Q(endpoint=self), using)
            delete_unread(ProxmoxGuest, models.Q(endpoint=self), using)
            return super().delete(using, *args, **kwargs)

    def clone(self) -> dict[str, Any]:
        # As the form reads it.
        return {**super().clone(), 'field_policy': format_policy(self.field_policy)}

    def to_yaml(self) -> str:
        """The endpoint as the import takes it, without its secrets."""
        return endpoint_as_yaml(self)

    def acknowledgment_of(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """The entry of a fault that a user has acknowledged; None if nobody has."""
        identity = message['subject'], message['message']
        entries = (entry for entry in self.acknowledged_faults if (entry['subject'], entry['message']) == identity)
        return next(entries, None)

    def serialize_object(self, exclude: Iterable[str] | None = None) -> dict[str, Any]:
        return super().serialize_object(exclude=[*(exclude or ()), *STATE_FIELDS])

    def clean(self) -> None:
        errors: dict[str, Any] = {}
        try:
            clean_in_main()
            super().clean()
        except ValidationError as error:
            # Whatever else is wrong, where the secrets would be sent is checked: the form's connection test sends them.
            errors = error.update_error_dict({})
        self._clean_with(errors, 'hosts', clean_hosts)
        self._clean_with(errors, 'token_id', clean_token_id)
        self._clean_with(errors, 'ca_certificate', clean_ca_certificate)
        self._clean_with(errors, 'fingerprint', clean_fingerprint)
        self.field_policy = self.field_policy or {}
        self._clean_with(errors, 'field_policy', clean_field_policy)
        self._clean_with(errors, 'include_guests', clean_guest_terms)
        self._clean_with(errors, 'exclude_guests', clean_guest_terms)
        self._clean_with(errors, 'ignored_interfaces', clean_patterns)
        self._clean_with(errors, 'ignored_prefixes', clean_prefixes)
        self._clean_token_secret(errors)
        self._clean_tls_mode(errors)
        self._clean_with(errors, 'ssh_user', clean_ssh_user)
        self._clean_with(errors, 'ssh_host_keys', clean_ssh_host_keys)
        self._clean_ssh_login(errors)
        self._clean_cluster(errors)
        stored = self._stored()
        if stored and not errors.keys() & set(DESTINATION_FIELDS):
            # Another error of the same secret says more.
            errors = {**check_destinations(self, stored), **errors}
        if self._is_newly_scheduled(stored) and not may_schedule(stored):
            errors['sync_interval'] = SCHEDULE_NOT_PERMITTED
        if errors:
            raise ValidationError(errors)

    def _clean_with(self, errors: dict[str, Any], name: str, clean: Callable[[Any], Any]) -> None:
        # Whether it may be empty, the field itself says.
        if not (value := getattr(self, name)):
            return
        try:
            setattr(self, name, clean(value))
        except ValidationError as error:
            errors[name] = error

    def _clean_token_secret(self, errors: dict[str, Any]) -> None:
        if not self.token_secret:
            return
        try:
            plain = self.token_secret.reveal()
            cleaned = clean_token_secret(plain)
        except SecretError:
            # The other settings stay editable; the next run says what is wrong.
            return
        except ValidationError as error:
            errors['token_secret'] = error
            return
        if cleaned != plain:
            self.token_secret = cleaned

    def _clean_tls_mode(self, errors: dict[str, Any]) -> None:
        needed = {TLSModeChoices.CA: 'ca_certificate', TLSModeChoices.FINGERPRINT: 'fingerprint'}.get(self.tls_mode)
        if needed and not getattr(self, needed) and needed not in errors:
            messages = {
                'ca_certificate': _('Enter the certificate of the authority that is to be trusted.'),
                'fingerprint': _('Enter the fingerprint that is to be trusted.'),
            }
            errors[needed] = messages[needed]
        pins = self.fingerprint.count(',') + 1
        if 'hosts' not in errors and 'fingerprint' not in errors and pins not in (1, len(self.hosts or ())):
            errors['fingerprint'] = _(
                '{pins} fingerprints are given for {hosts} hosts. Give one for all, or one for each host.'
            ).format(pins=pins, hosts=len(self.hosts or ()))

    def _clean_ssh_login(self, errors: dict[str, Any]) -> None:
        if not self.ssh_private_key:
            self.ssh_passphrase = ''  # of no use to anybody
        if self.ssh_password and self.ssh_private_key:
            errors['ssh_private_key'] = _(
                'There is an SSH password, too. Give one of them; a stored one can be removed.'
            )
        elif self.ssh_user and not self.ssh_password and not self.ssh_private_key:
            errors['ssh_password'] = _('SSH needs a password or a private key for its user.')
        if not self.ssh_private_key or not self._secrets_changed('ssh_private_key', 'ssh_passphrase'):
            return
        try:
            clean_ssh_private_key(self.ssh_private_key.reveal(), self.ssh_passphrase.reveal())
        except SecretError:
            return  # as for the token's secret
        except ValidationError as error:
            # A wrong key, or a wrong passphrase for it.
            for name, problems in error.error_dict.items():
                errors.setdefault(name, problems)

    def _clean_cluster(self, errors: dict[str, Any]) -> None:
        """As the constraint demands, but told at the field, and with the other endpoint's name."""
        if not self.enabled or self.cluster_id is None:
            return
        others = ProxmoxEndpoint.objects.filter(enabled=True, cluster=self.cluster_id).exclude(pk=self.pk)
        if not others.exists():
            return
        user = current_user()
        if other := (others.restrict(user, 'view') if user else others).first():
            errors['cluster'] = _(
                'The endpoint "{endpoint}" is synced with this cluster already. Two endpoints cannot share one: choose '
                'another cluster, or disable one of the endpoints.'
            ).format(endpoint=other)
        else:
            errors['cluster'] = _(
                'Another endpoint, which you may not view, is synced with this cluster already. Choose another '
                'cluster, or disable this endpoint.'
            )


def may_schedule(endpoint: ProxmoxEndpoint | None) -> bool:
    """
    Whether the person whose request is answered may let NetBox sync an endpoint by itself; None: a new one. Without a
    request, whoever runs the code may.
    """
    user = current_user()
    return user is None or user.has_perm(SYNC_PERMISSION, endpoint)
