from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import Any, Self, cast

from django.core.exceptions import ValidationError
from django.db import models, router, transaction
from django.db.models.functions import Coalesce
from django.utils import timezone
from django.utils.dates import WEEKDAYS
from django.utils.functional import cached_property
from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _
from utilities.exceptions import AbortRequest

from ..choices import (
    EndpointStatusChoices,
    FieldOwnerChoices,
    GuestStateChoices,
    SyncStatusChoices,
    TLSModeChoices,
    WritePolicyChoices,
    color_of,
)
from ..crypto import Secret
from ..documentation import help_url
from ..proxmox.token_history import TokenHistory
from ..sync.field_policy import format_policy
from ..sync.sync_windows import SyncWindow, is_open, next_opening
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
from .netbox_types import JobsMixin, PrimaryModel, RestrictedQuerySet
from .secret_destinations import DESTINATION_FIELDS, SECRET_FIELDS, changed_destinations, check_destinations
from .sync_status import last_sync, sync_status
from .users import AnyUser

__all__ = ('ProxmoxEndpoint',)

# Runs write these fields with queryset.update(). The change log does not record them.
STATE_FIELDS = (
    'status', 'last_run', 'next_sync', 'next_quick', 'pve_version', 'guests_read', 'token_history',
    'cluster_identity', 'cluster_state', 'acknowledged_faults',
)  # fmt: skip


# The settings from which the time of the next sync is computed.
TIMES_FIELDS = ('enabled', 'sync_windows', 'paused_until')


class ProxmoxEndpointQuerySet(RestrictedQuerySet):
    """Adds what is computed from the runs and guests of endpoints."""

    def with_sync_status(self) -> Self:
        """With `sync_status` of each endpoint, without further queries."""
        return self.annotate(sync_status=sync_status())

    def with_last_sync(self) -> Self:
        """With `last_sync`: when NetBox was synced last, by a run for all guests."""
        return self.annotate(last_sync=last_sync())

    def with_guest_counts(self, user: AnyUser | None = None) -> Self:
        """
        With the numbers of guests that a user may view: `guest_count`, `pending_guests` and `attention_guests`; None if
        the user may not view guests.
        """
        if user is None or not user.has_perm('netbox_proxsync.view_proxmoxguest'):
            unknown = models.Value(None, output_field=models.IntegerField())
            return self.annotate(guest_count=unknown, pending_guests=unknown, attention_guests=unknown)
        guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint=models.OuterRef('pk')).order_by()
        return self.annotate(
            guest_count=number_of(guests),
            pending_guests=number_of(guests.filter(state__in=GuestStateChoices.PENDING)),
            attention_guests=number_of(guests.filter(state__in=GuestStateChoices.NAMING_OTHERS)),
        )


def in_words(window: SyncWindow) -> str:
    """A sync window for users, such as "Monday, Tuesday: 22:00 to 06:00 of the next day"."""
    start, end = str(window).rpartition(' ')[2].split('-')
    days = gettext('Every day')
    if len(window.days) < len(WEEKDAYS):
        days = ', '.join(str(WEEKDAYS[day]) for day in sorted(window.days))
    text = (
        gettext('{days}: {start} to {end} of the next day')
        if window.is_overnight
        else gettext('{days}: {start} to {end}')
    )
    return text.format(days=days, start=start, end=end)


def number_of(guests: models.QuerySet[ProxmoxGuest]) -> Coalesce:
    """The number of guests of the endpoint of the outer query."""
    grouped = guests.values('endpoint').annotate(number=models.Count('pk')).values('number')
    return Coalesce(models.Subquery(grouped), 0)


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
    One Proxmox VE cluster, or one stand-alone host, accessed with one API token.
    """

    name = models.CharField(
        verbose_name=_('name'),
        max_length=100,
        unique=True,
        help_text=_('Display name of the cluster or host'),
    )
    enabled = models.BooleanField(
        verbose_name=_('enabled'),
        default=True,
        help_text=_('A disabled endpoint is not synchronized'),
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
        help_text=_('Time at which the list of guests was last read'),
    )

    cluster_identity = models.JSONField(
        verbose_name=_('cluster identity'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('Unique identity of the Proxmox VE cluster'),
    )

    next_sync = models.DateTimeField(
        verbose_name=_('next sync'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('When the schedule starts the next sync'),
    )

    next_quick = models.DateTimeField(
        verbose_name=_('next quick run'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('When the schedule starts the next quick run'),
    )

    token_history = models.JSONField(
        verbose_name=_('token history'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('What the token could read in the last complete run'),
    )

    cluster_state = models.JSONField(
        verbose_name=_('cluster state'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('State of the cluster and its nodes at the last read'),
    )

    acknowledged_faults = models.JSONField(
        verbose_name=_('acknowledged faults'),
        default=list,
        blank=True,
        editable=False,
        help_text=_("Faults of Proxmox VE's configuration that users have acknowledged until they change"),
    )

    objects = ProxmoxEndpointQuerySet.as_manager()  # type: ignore[misc]

    clone_fields = names_of(Use.CLONE)
    prerequisite_models = ()

    class Meta:
        ordering = ('name',)
        verbose_name = _('Proxmox VE endpoint')
        verbose_name_plural = _('Proxmox VE endpoints')
        permissions = [
            ('sync', 'Test the connection, preview and sync'),
            ('accept', 'Approve refused runs'),
        ]
        constraints = (
            models.UniqueConstraint(
                fields=('cluster',),
                condition=models.Q(enabled=True),
                name='%(app_label)s_%(class)s_unique_enabled_cluster',
                violation_error_message=_('Another enabled endpoint is synchronized with this cluster.'),
            ),
        )

    def __str__(self) -> str:
        return self.name

    @property
    def docs_url(self) -> str:
        # NetBox's default is a URL in its own documentation, which does not cover plugins.
        return help_url('endpoints')

    @property
    def guests_shown(self) -> datetime | None:
        """When the displayed values of guests were read from Proxmox VE, in main or in the active branch."""
        from .branch_states import guests_read

        return guests_read(self)

    # Not properties: the query set sets the values on the instance.
    @cached_property
    def sync_status(self) -> str:
        """How NetBox stands to Proxmox VE, as one of `SyncStatusChoices`."""
        found = type(self).objects.filter(pk=self.pk).with_sync_status().values_list('sync_status', flat=True)
        return cast(str, found.first() or SyncStatusChoices.NEVER)

    @cached_property
    def last_sync(self) -> datetime | None:
        """When NetBox was synced last, by a run for all guests."""
        found = type(self).objects.filter(pk=self.pk).with_last_sync().values_list('last_sync', flat=True)
        return cast('datetime | None', found.first())

    @property
    def is_paused(self) -> bool:
        """Whether no automatic sync starts for now."""
        return self.paused_until is not None and self.paused_until > timezone.now()

    @property
    def window_texts(self) -> list[str]:
        """The sync windows in words."""
        return [in_words(SyncWindow.parse(text)) for text in self.sync_windows]

    @property
    def next_window(self) -> datetime | None:
        """When the next sync window opens; None if one is open, or there are no windows."""
        windows = [SyncWindow.parse(text) for text in self.sync_windows]
        now = timezone.localtime()
        return None if is_open(windows, now) else next_opening(windows, now)[0]

    def get_sync_status_display(self) -> str:
        return str(dict(SyncStatusChoices).get(self.sync_status, self.sync_status))

    def get_sync_status_color(self) -> str | None:
        return color_of(SyncStatusChoices, self.sync_status)

    def get_status_color(self) -> str | None:
        return color_of(EndpointStatusChoices, self.status)

    def get_write_policy_color(self) -> str | None:
        return color_of(WritePolicyChoices, self.write_policy)

    def get_tls_mode_color(self) -> str | None:
        return color_of(TLSModeChoices, self.tls_mode)

    @property
    def display_field_policy(self) -> list[tuple[str, str, str]]:
        """The policy for display: tuples of field, label of the owner, and color."""
        words = dict(FieldOwnerChoices)
        return [
            (name, words.get(choice, choice), color_of(FieldOwnerChoices, choice) or 'gray')
            for name, choice in self.field_policy.items()
        ]

    @property
    def valid_token_history(self) -> TokenHistory:
        """What the token could read in earlier runs; empty if the token was changed, saved or not."""
        return TokenHistory() if self.has_new_token() else self.known_token_history

    @property
    def known_token_history(self) -> TokenHistory:
        """What the token could read in earlier runs, for an endpoint whose token is the stored one."""
        return TokenHistory.parse(self.token_history)

    @alters_data
    def save(self, *args: Any, keep_secrets: bool = False, **kwargs: Any) -> None:
        """
        Args:
            keep_secrets: The stored secrets may be sent to the new destination. Only for changes that a user with the
                permission to sync has confirmed.

        Raises:
            AbortRequest: The endpoint would be synced automatically, and the user may not sync it.
            ValidationError: A stored secret would be sent to another destination; see `secret_destinations`.
        """
        stored = self._stored()
        if stored and not keep_secrets and (errors := check_destinations(self, stored, kwargs.get('update_fields'))):
            raise ValidationError(errors)
        if self.token_history and self._differs_in_token(stored):
            self.token_history = {}
        # Keep the scheduled times unless their settings change; then the schedule computes them again. Take them from
        # the database, because the schedule may have changed them since this instance was loaded.
        same = stored if stored and all(getattr(stored, name) == getattr(self, name) for name in TIMES_FIELDS) else None
        self.next_sync = same.next_sync if same and same.sync_interval == self.sync_interval else None
        self.next_quick = same.next_quick if same and same.quick_interval == self.quick_interval else None
        scheduled = self._is_newly_scheduled(stored)
        super().save(*args, **kwargs)
        for name, secret in self.secrets.items():
            # The secrets are stored now, so they do not count as entered for the next change.
            setattr(self, name, Secret(secret.encrypted()))
        # A permission with constraints can only be checked after saving. All callers with a request use a transaction.
        if scheduled and not may_schedule(self):
            raise AbortRequest(str(SCHEDULE_NOT_PERMITTED))

    def _stored(self) -> 'ProxmoxEndpoint | None':
        """The stored endpoint with the fields that decide whether this one may be saved; None if it is new."""
        schedule = (*TIMES_FIELDS, 'sync_interval', 'next_sync', 'quick_interval', 'next_quick')
        fields = (*DESTINATION_FIELDS, *SECRET_FIELDS, 'token_id', *schedule)
        return ProxmoxEndpoint.objects.filter(pk=self.pk).only(*fields).first() if self.pk else None

    def has_new_token(self) -> bool:
        """Whether the token differs from the stored one."""
        return self._differs_in_token(self._stored())

    def _differs_in_token(self, stored: 'ProxmoxEndpoint | None') -> bool:
        return stored is not None and (
            stored.token_id != self.token_id or not stored.token_secret.has_same_text_as(self.token_secret)
        )

    def _is_newly_scheduled(self, stored: 'ProxmoxEndpoint | None') -> bool:
        """Whether saving enables automatic syncs, changes their times, or changes the hosts that they contact."""
        if self._has_new_interval(stored, 'sync_interval') or self._has_new_interval(stored, 'quick_interval'):
            return True
        is_scheduled = self.sync_interval is not None or self.quick_interval is not None
        if is_scheduled and stored and stored.sync_windows != self.sync_windows:
            return True
        if stored is None or self.sync_interval is None is self.quick_interval:
            return False
        return self.enabled and (not stored.enabled or bool(changed_destinations(self, stored)))

    def _has_new_interval(self, stored: 'ProxmoxEndpoint | None', name: str) -> bool:
        interval = getattr(self, name)
        return interval is not None and (stored is None or getattr(stored, name) != interval)

    @alters_data
    def delete(self, using: str | None = None, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        using = using or router.db_for_write(ProxmoxEndpoint, instance=self)
        with transaction.atomic(using=using):
            # NetBox deletes the rows of the jobs but not their tasks in the queue, and a worker would create the row of
            # a task again. On commit, the rows are already deleted, so this only cancels the tasks.
            for job in self.jobs.filter(completed=None):
                transaction.on_commit(job.delete, using=using)
            _store_bindings(self, using)
            delete_unread(SyncChange, models.Q(run__endpoint=self), using)
            delete_unread(PlannedBinding, models.Q(run__endpoint=self), using)
            delete_unread(Binding, models.Q(endpoint=self), using)
            delete_unread(ProxmoxGuest, models.Q(endpoint=self), using)
            return super().delete(using, *args, **kwargs)

    def clone(self) -> dict[str, Any]:
        # The form reads the policy as text.
        return {**super().clone(), 'field_policy': format_policy(self.field_policy)}

    def to_yaml(self) -> str:
        """The endpoint as the bulk import accepts it, without its secrets."""
        return endpoint_as_yaml(self)

    def acknowledgment_of(self, message: Mapping[str, Any]) -> dict[str, Any] | None:
        """The acknowledgment of a fault; None if no user has acknowledged it."""
        identity = message['subject'], message['message']
        entries = (entry for entry in self.acknowledged_faults if (entry['subject'], entry['message']) == identity)
        return next(entries, None)

    def serialize_object(self, exclude: Iterable[str] | None = None) -> dict[str, Any]:
        return super().serialize_object(exclude=[*(exclude or ()), *STATE_FIELDS])

    def clean(self) -> None:
        validate(self, super().clean)
