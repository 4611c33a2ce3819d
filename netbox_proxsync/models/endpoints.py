from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.utils.translation import gettext_lazy as _
from utilities.exceptions import AbortRequest

from ..choices import (
    EndpointStatusChoices,
    FieldOwnerChoices,
    TLSModeChoices,
    color_of,
)
from ..crypto import Secret
from ..proxmox.token_history import TokenHistory
from ..sync.field_policy import format_policy
from .bindings import Binding
from .changes import PlannedBinding, SyncChange
from .deletion import delete_unread
from .endpoint_fields import ConnectionSettings, PlacementSettings, SSHSettings, SyncSettings
from .endpoint_settings import Use, names_of
from .endpoint_validation import SCHEDULE_NOT_PERMITTED, may_schedule, validate
from .exporting import endpoint_as_yaml
from .former_endpoints import _store_bindings
from .guests import ProxmoxGuest
from .mixins import CensoredSecretsMixin, alters_data
from .netbox_types import JobsMixin, PrimaryModel
from .secret_destinations import DESTINATION_FIELDS, SECRET_FIELDS, changed_destinations, check_destinations

__all__ = ('ProxmoxEndpoint',)

# Written by runs, by queryset.update(): no matter for the change log.
STATE_FIELDS = (
    'status', 'last_run', 'next_sync', 'pve_version', 'guests_read', 'token_history', 'cluster_identity',
    'cluster_state', 'acknowledged_faults',
)  # fmt: skip


class ProxmoxEndpoint(
    JobsMixin,
    CensoredSecretsMixin,
    ConnectionSettings,
    SSHSettings,
    PlacementSettings,
    SyncSettings,
    PrimaryModel,
):
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
        validate(self, super().clean)
