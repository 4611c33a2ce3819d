"""The settings of an endpoint as fields of the model, by subject. Where they appear is in `endpoint_settings`."""

from core.choices import JobIntervalChoices
from django.contrib.postgres.fields import ArrayField
from django.core.validators import MaxValueValidator, MinValueValidator
from django.db import models
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from ..choices import (
    InterfaceNamingChoices,
    MissingAddressesChoices,
    MissingGuestsChoices,
    ObjectEventsChoices,
    TLSModeChoices,
    WritePolicyChoices,
)
from ..fields import SecretField
from ..proxmox.parsers.address_filters import AddressFilters

__all__ = ('ConnectionSettings', 'PlacementSettings', 'SSHSettings', 'SyncSettings')


def default_ignored_interfaces() -> list[str]:
    return list(AddressFilters().interfaces)


class ConnectionSettings(models.Model):
    """How the API of Proxmox VE is reached."""

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
        help_text=_(
            'Displayed once by Proxmox VE when the token is created. Stored encrypted and never displayed again'
        ),
    )
    tls_mode = models.CharField(
        verbose_name=_('TLS verification'),
        max_length=30,
        choices=TLSModeChoices,
        default=TLSModeChoices.SYSTEM,
        help_text=_('How NetBox verifies the identity of the Proxmox VE host'),
    )
    ca_certificate = models.TextField(
        verbose_name=_('CA certificate'),
        blank=True,
        help_text=_("In PEM form; Proxmox VE's own authority is /etc/pve/pve-root-ca.pem on each node"),
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
        verbose_name=pgettext_lazy('duration', 'timeout'),
        default=30,
        validators=[MinValueValidator(1), MaxValueValidator(600)],
        help_text=_('Seconds to wait for an answer'),
    )
    concurrency = models.PositiveSmallIntegerField(
        verbose_name=_('concurrency'),
        default=8,
        validators=[MinValueValidator(1), MaxValueValidator(64)],
        help_text=_('Maximum number of concurrent API requests'),
    )

    class Meta:
        abstract = True


class SSHSettings(models.Model):
    """How the nodes are reached by SSH, which is optional, for the hardware details that the API does not provide."""

    ssh_user = models.CharField(
        verbose_name=_('SSH user'),
        max_length=100,
        blank=True,
        help_text=_(
            'User account on the nodes. If set, each run also reads hardware details over SSH: permanent MAC '
            'addresses, link speeds, vendor, product and serial number. Leave blank to disable SSH'
        ),
    )
    ssh_port = models.PositiveIntegerField(
        verbose_name=_('SSH port'),
        default=22,
        validators=[MinValueValidator(1), MaxValueValidator(65535)],
        help_text=_('SSH port of all nodes'),
    )
    ssh_password = SecretField(
        verbose_name=_('SSH password'),
        blank=True,
        help_text=_(
            'Password of the SSH user, unless a private key is set. Stored encrypted and never displayed again'
        ),
    )
    ssh_private_key = SecretField(
        verbose_name=_('SSH private key'),
        blank=True,
        help_text=_('Ed25519, ECDSA or RSA, with its BEGIN and END lines. Stored encrypted and never displayed again'),
    )
    ssh_passphrase = SecretField(
        verbose_name=_('passphrase of the key'),
        blank=True,
        help_text=_('Required if the private key is encrypted. Stored encrypted and never displayed again'),
    )
    ssh_host_keys = models.TextField(
        verbose_name=_('SSH host keys'),
        blank=True,
        help_text=_(
            'NetBox only connects to hosts that present one of these keys. One per line: "host key-type key" as '
            'ssh-keyscan prints it, or "host SHA256:..."; without a host, the key is valid for every node. The '
            'action "SSH Host Keys" of a saved endpoint displays the keys of the nodes'
        ),
    )

    class Meta:
        abstract = True


class PlacementSettings(models.Model):
    """
    The NetBox objects to which new objects are assigned.

    PROTECT, as for the same relations of NetBox: deleting a site or a role must not silently change where the next sync
    creates objects.
    """

    cluster = models.ForeignKey(
        to='virtualization.Cluster',
        on_delete=models.PROTECT,
        related_name='proxsync_endpoints',
        verbose_name=_('cluster'),
        blank=True,
        null=True,
        help_text=_('Leave blank to find the cluster by its name during the first sync, or to create it'),
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
        help_text=_('If empty, the type that the node reports over SSH, otherwise "Proxmox VE node"'),
    )
    vrf = models.ForeignKey(
        to='ipam.VRF',
        on_delete=models.PROTECT,
        related_name='+',
        verbose_name=_('VRF'),
        blank=True,
        null=True,
        help_text=_(
            'VRF of the addresses of guests and nodes. Leave blank to use that of the prefix around each address'
        ),
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

    class Meta:
        abstract = True


class SyncSettings(models.Model):
    """What is synced, how, and when."""

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
            'Only guests that match one of these are synchronized: a name, or tag:, pool: or node: with a name, '
            'separated by commas; * matches any text. For example: web-*, tag:prod. Leave blank for all guests.'
        ),
    )
    exclude_guests = ArrayField(
        verbose_name=_('except these guests'),
        base_field=models.CharField(max_length=200),
        default=list,
        blank=True,
        help_text=_(
            'Guests that match one of these, in the same form, are excluded. Their NetBox objects are left unchanged.'
        ),
    )
    adopt_by_name = models.BooleanField(
        verbose_name=_('adopt by name'),
        default=False,
        help_text=_(
            'A guest adopts the only virtual machine of the cluster that has its name, without a matching VM ID, '
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
        help_text=_('Create VLANs that NetBox does not have, in the VLAN group or otherwise in the site'),
    )
    read_os_info = models.BooleanField(
        verbose_name=_('read operating systems'),
        default=False,
        help_text=_('Ask the guest agent for the platform: one more API request for each running virtual machine'),
    )
    read_host_names = models.BooleanField(
        verbose_name=_('read hostnames'),
        default=False,
        help_text=_(
            'Ask the guest agent for the hostname, which becomes the DNS name: one more API request for '
            'each running virtual machine'
        ),
    )
    ignored_interfaces = ArrayField(
        verbose_name=_('ignored interfaces'),
        base_field=models.CharField(max_length=64),
        default=default_ignored_interfaces,
        blank=True,
        help_text=_('Addresses on interfaces with these names inside a guest are excluded; * matches any text'),
    )
    ignored_prefixes = ArrayField(
        verbose_name=_('ignored prefixes'),
        base_field=models.CharField(max_length=50),
        default=list,
        blank=True,
        help_text=_('Addresses of guests in these prefixes are excluded, for example 172.17.0.0/16'),
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
        help_text=_('How to handle guests that are no longer in Proxmox VE'),
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
        help_text=_('How to handle addresses that a guest no longer reports although its addresses could be read'),
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
        help_text=_('Maximum number of addresses that are synchronized for one guest'),
    )
    field_policy = models.JSONField(
        verbose_name=_('field policy'),
        default=dict,
        blank=True,
        help_text=_('Exceptions from the source of truth of a field, such as {"vm.name": "ignored"}'),
    )
    change_limit = models.PositiveSmallIntegerField(
        verbose_name=_('change limit'),
        default=20,
        validators=[MaxValueValidator(100)],
        help_text=_('Maximum percentage of the objects of each type that one run may retire, delete or release'),
    )

    write_policy = models.CharField(
        verbose_name=_('write policy'),
        max_length=30,
        choices=WritePolicyChoices,
        default=WritePolicyChoices.EVERYTHING,
        help_text=_('Which changes runs may write to NetBox. All others are planned, and shown as withheld'),
    )

    sync_interval = models.PositiveIntegerField(
        verbose_name=_('sync interval'),
        choices=JobIntervalChoices,
        blank=True,
        null=True,
        help_text=_('Interval of automatic syncs. Leave blank to sync manually only'),
    )
    quick_interval = models.PositiveSmallIntegerField(
        verbose_name=_('quick interval'),
        blank=True,
        null=True,
        validators=[MinValueValidator(1), MaxValueValidator(1440)],
        help_text=_(
            'Minutes between quick runs, which read the list of guests and synchronize those whose entry has changed. '
            'Leave blank for no quick runs'
        ),
    )

    sync_windows = ArrayField(
        verbose_name=_('sync windows'),
        base_field=models.CharField(max_length=100),
        default=list,
        blank=True,
        help_text=_(
            'Times in which automatic syncs start, separated by semicolons, for example: Mon-Fri 22:00-06:00; Sat, Sun '
            '00:00-24:00. Leave blank for all times'
        ),
    )
    paused_until = models.DateTimeField(
        verbose_name=_('paused until'),
        blank=True,
        null=True,
        help_text=_('No automatic sync starts before this time'),
    )

    object_events = models.CharField(
        verbose_name=_('object events'),
        max_length=30,
        choices=ObjectEventsChoices,
        default=ObjectEventsChoices.ALWAYS,
        help_text=_(
            'Whether a sync triggers event rules, such as webhooks, for each object that it writes. The first sync of '
            'a cluster may create thousands of objects. They are recorded in the change log in any case'
        ),
    )

    class Meta:
        abstract = True
