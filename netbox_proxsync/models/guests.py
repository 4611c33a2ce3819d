from datetime import datetime
from typing import Any, Self, cast

from django.contrib.postgres.fields import ArrayField
from django.db import models
from django.urls import reverse
from django.utils.translation import gettext_lazy as _
from virtualization.models import VirtualMachine

from ..choices import GuestStateChoices, GuestTypeChoices, color_of
from ..proxmox.messages import Message
from ..wording import worded
from .bindings import Binding
from .netbox_types import RestrictedQuerySet
from .users import AnyUser
from .visibility import hidden_machines

__all__ = ('ProxmoxGuest',)

# The common statuses. Others are shown in another color.
STATUS_COLORS = {'running': 'green', 'stopped': 'gray', 'paused': 'orange', 'suspended': 'orange'}

HIDDEN = Message('Details are hidden because you do not have permission to view all machines.')


class ProxmoxGuestQuerySet(RestrictedQuerySet):
    """Hides guests from users who may not view their virtual machines."""

    def restrict(self, user: AnyUser | None, action: str = 'view') -> Self:
        guests = super().restrict(user, action)
        hidden = {} if guests.query.is_empty() else hidden_machines(user)
        if not hidden:
            return guests
        # The reason of a conflict may contain the name of a machine that the user may not view.
        guests = guests.annotate(mentions_other_guests=models.Value(False))
        return guests.exclude(virtual_machine__in=hidden.get(VirtualMachine, ()))

    def by_attention(self) -> Self:
        """Order the guests by their states: first those that require a user, last those that are in sync."""
        ranks = [models.When(state=state, then=rank) for rank, state in enumerate(GuestStateChoices.BY_ATTENTION)]
        last = len(GuestStateChoices.BY_ATTENTION)
        return self.order_by(
            models.Case(*ranks, default=last, output_field=models.IntegerField()), 'endpoint_id', 'vmid', 'type'
        )

    @property
    def mentions_other_guests(self) -> bool:
        """Whether the reasons of conflicts, which may name other guests, are shown."""
        return 'mentions_other_guests' not in self.query.annotations


class ProxmoxGuest(models.Model):
    """
    A guest as Proxmox VE last reported it, and its state in NetBox.

    There is one row for each guest that Proxmox VE has, or whose virtual machine an endpoint manages. Runs write rows
    only where something differs. Only users change `ignored`.
    """

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint',
        on_delete=models.CASCADE,
        related_name='guests',
        verbose_name=_('endpoint'),
    )
    type = models.CharField(
        verbose_name=_('type'),
        max_length=10,
        choices=GuestTypeChoices,
    )
    vmid = models.PositiveIntegerField(
        verbose_name=_('VM ID'),
    )
    name = models.CharField(
        verbose_name=_('name'),
        max_length=255,
        blank=True,
        help_text=_('As Proxmox VE lists it; empty if it could not be read'),
    )
    node = models.CharField(
        verbose_name=_('node'),
        max_length=255,
        blank=True,
    )
    status = models.CharField(
        verbose_name=_('status'),
        max_length=50,
        blank=True,
        help_text=_('Status reported by Proxmox VE (running, stopped, paused, ...); blank if it could not be read'),
    )
    tags = ArrayField(
        base_field=models.CharField(max_length=255),
        verbose_name=_('Proxmox VE tags'),
        default=list,
        blank=True,
    )
    template = models.BooleanField(
        verbose_name=_('template'),
        default=False,
    )
    state = models.CharField(
        verbose_name=_('sync status'),
        max_length=20,
        choices=GuestStateChoices,
    )
    reason = models.TextField(
        verbose_name=_('reason'),
        blank=True,
        help_text=_('Reason for this sync status'),
    )
    reason_source = models.JSONField(
        verbose_name=_('reason (template and parameters)'),
        blank=True,
        null=True,
        editable=False,
    )
    ignored = models.BooleanField(
        verbose_name=_('ignored'),
        default=False,
        help_text=_('Excluded from synchronization by a user'),
    )
    virtual_machine = models.ForeignKey(
        to='virtualization.VirtualMachine',
        on_delete=models.SET_NULL,
        related_name='proxsync_guests',
        verbose_name=_('virtual machine'),
        blank=True,
        null=True,
    )
    candidate_ids = ArrayField(
        base_field=models.PositiveBigIntegerField(),
        verbose_name=_('candidates (ID)'),
        default=list,
        blank=True,
        editable=False,
        help_text=_('The virtual machines that may be this guest, while it is a candidate'),
    )
    # Written only when the guest disappears or returns, so that a run without changes writes nothing.
    seen_until = models.DateTimeField(
        verbose_name=_('seen until'),
        blank=True,
        null=True,
        help_text=_('When it was last seen, if Proxmox VE did not list it when it was last read'),
    )
    # Written only when values become unreadable or readable again.
    known_until = models.DateTimeField(
        verbose_name=_('known until'),
        blank=True,
        null=True,
        help_text=_('Time at which the displayed values were last read, if some of them cannot be read now'),
    )
    details = models.JSONField(
        verbose_name=_('details'),
        default=dict,
        blank=True,
        help_text=_('NICs, addresses, disks, and what was ignored or could not be read'),
    )
    # Compared by quick runs; see `sync.quick_runs`.
    row_fingerprint = models.CharField(
        verbose_name=_('fingerprint of the row'),
        max_length=32,
        blank=True,
        editable=False,
        help_text=_('Of the row in the list of guests that was last synchronized'),
    )

    objects = ProxmoxGuestQuerySet.as_manager()

    class Meta:
        # By the columns themselves: ordering by the relation would order by the endpoint's name.
        ordering = ('endpoint_id', 'vmid', 'type')
        verbose_name = _('Proxmox VE guest')
        verbose_name_plural = _('Proxmox VE guests')
        constraints = (
            # Its index also serves the ordering of lists.
            models.UniqueConstraint(
                fields=('endpoint', 'vmid', 'type'),
                name='%(app_label)s_%(class)s_unique_guest',
            ),
        )
        indexes = (
            models.Index(fields=('endpoint', 'state')),
            models.Index(fields=('state', 'vmid')),
            models.Index(fields=('vmid',)),
            models.Index(fields=('name',)),
            models.Index(fields=('node',)),
            models.Index(fields=('status',)),
        )

    def __str__(self) -> str:
        return f'{self.name} ({self.vmid})' if self.name else self.key

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:proxmoxguest', args=[self.pk])

    @property
    def key(self) -> str:
        """Identity within its endpoint, and the unit of its bindings and changes: 'qemu/100'."""
        return f'{self.type}/{self.vmid}'

    def get_type_color(self) -> str | None:
        return color_of(GuestTypeChoices, self.type)

    def get_state_color(self) -> str | None:
        return color_of(GuestStateChoices, self.state)

    def get_status_color(self) -> str | None:
        return STATUS_COLORS.get(self.status, 'yellow')

    @property
    def last_seen(self) -> datetime | None:
        """When Proxmox VE last listed the guest. The values are from then."""
        return self.seen_until or self.endpoint.guests_shown

    @property
    def reason_message(self) -> Message:
        """The reason as it was stored."""
        return Message.restored(self.reason, self.reason_source)

    @property
    def visible_reason(self) -> Message:
        """Why the guest is in its state; hidden if it may name other guests (see `ProxmoxGuestQuerySet.restrict`)."""
        if self.state in GuestStateChoices.NAMING_OTHERS and not getattr(self, 'mentions_other_guests', True):
            return HIDDEN
        return self.reason_message

    @property
    def shown_reason(self) -> str:
        """The same in the language of the reader."""
        return worded(self.visible_reason)

    def candidates(self, user: AnyUser) -> list[VirtualMachine]:
        """The virtual machines that may be this guest and that the user may view."""
        if not self.candidate_ids:
            return []
        return list(VirtualMachine.objects.restrict(user, 'view').filter(pk__in=self.candidate_ids).order_by('name'))

    @property
    def pool(self) -> str:
        return cast(str, self.details.get('pool', ''))

    @property
    def ha_state(self) -> str:
        return cast(str, self.details.get('ha_state', ''))

    @property
    def lock(self) -> str:
        return cast(str, self.details.get('lock', ''))

    @property
    def is_bound(self) -> bool:
        """Whether a sync manages any object of the guest."""
        return Binding.objects.filter(endpoint_id=self.endpoint_id, unit=self.key, unmanaged=False).exists()

    @property
    def nics(self) -> list[dict[str, Any]]:
        return self.detail('nics')

    def detail(self, name: str) -> list[dict[str, Any]]:
        """A part of `details`: 'nics', 'guest_only', 'disks', 'unread' or 'unknown_keys'; empty if it was not read."""
        return cast(list[dict[str, Any]], self.details.get(name, []))
