from typing import Any, Self

from django.contrib.contenttypes.fields import GenericForeignKey
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models
from django.db.models import OuterRef
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from ..branching import link
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, color_of
from ..proxmox.messages import Message
from ..sync.kinds import KINDS
from ..sync.values import decode, show
from ..wording import worded
from .field_display import labels_of, shown_value
from .proxmox_objects import ProxmoxObjectModel
from .visibility import Hidden, MachineScopedQuerySet, machine_filter

__all__ = ('PlannedBinding', 'SyncChange')


# The keys of a field with its three values.
VALUES = ('last', 'now', 'want')


class SyncChangeQuerySet(MachineScopedQuerySet):
    endpoint_path = 'run__endpoint'

    def without(self, hidden: Hidden) -> Self:
        changes = super().without(hidden)
        # A machine whose adoption is only planned has no binding yet.
        named = SyncChange.objects.filter(run=OuterRef('run'), unit=OuterRef('unit')).order_by()
        # The reasons of these conflicts name other machines: the candidates, or the other guest that has the address.
        several = models.Q(kind__in=('vm', 'ip'), action=ChangeActionChoices.CONFLICT, object_id=None)
        return changes.exclude(models.Exists(named.filter(machine_filter(hidden)))).exclude(several)


class SyncChange(ProxmoxObjectModel):
    """
    One change that a run planned or made to one object. A conflict may have no object.
    """

    run = models.ForeignKey(
        to='netbox_proxsync.SyncRun',
        on_delete=models.CASCADE,
        related_name='changes',
        verbose_name=_('run'),
    )
    position = models.PositiveIntegerField(
        verbose_name=_('position'),
        help_text=_('Order within the run, from 0'),
    )
    unit = models.CharField(
        verbose_name=_('guest or node'),
        max_length=100,
        # Guest 99 comes before guest 100.
        db_collation='natural_sort',
        help_text=_('Guest, node or cluster of the object, for example qemu/100'),
    )
    action = models.CharField(
        verbose_name=_('action'),
        max_length=30,
        choices=ChangeActionChoices,
    )
    outcome = models.CharField(
        verbose_name=_('outcome'),
        max_length=30,
        choices=ChangeOutcomeChoices,
        default=ChangeOutcomeChoices.PLANNED,
    )
    object_type = models.ForeignKey(
        to='contenttypes.ContentType',
        on_delete=models.CASCADE,
        related_name='+',
        verbose_name=_('NetBox object type'),
        blank=True,
        null=True,
    )
    object_id = models.PositiveBigIntegerField(
        verbose_name=_('object ID'),
        blank=True,
        null=True,
    )
    object = GenericForeignKey(
        ct_field='object_type',
        fk_field='object_id',
    )
    label = models.CharField(
        verbose_name=_('label'),
        max_length=200,
        blank=True,
    )
    fields = models.JSONField(
        verbose_name=_('fields'),
        encoder=DjangoJSONEncoder,
        default=list,
        blank=True,
    )
    binding = models.JSONField(
        verbose_name=_('binding'),
        encoder=DjangoJSONEncoder,
        blank=True,
        null=True,
        editable=False,
        help_text=_('The values that the binding stores when the change is applied'),
    )
    reason = models.TextField(
        verbose_name=_('reason'),
        blank=True,
        help_text=_('Why the object changes, or why there is a conflict'),
    )
    reason_source = models.JSONField(
        verbose_name=_('reason (template and parameters)'),
        blank=True,
        null=True,
        editable=False,
    )
    message = models.TextField(
        verbose_name=_('message'),
        blank=True,
        help_text=_('The result of applying the change'),
    )
    message_source = models.JSONField(
        verbose_name=_('message (template and parameters)'),
        blank=True,
        null=True,
        editable=False,
    )

    objects = SyncChangeQuerySet.as_manager()

    class Meta:
        # By the columns themselves: ordering by the relation would use the ordering of runs.
        ordering = ('-run_id', 'position')
        verbose_name = _('sync change')
        verbose_name_plural = _('sync changes')
        constraints = (
            models.UniqueConstraint(
                fields=('run', 'position'),
                name='%(app_label)s_%(class)s_unique_position',
            ),
        )
        # A run of 10,000 guests has 70,000 changes. Pages list them in the order of the run, or guest by guest.
        indexes = (
            models.Index(fields=('run', 'kind', 'position')),
            models.Index(fields=('run', 'action', 'position')),
            models.Index(fields=('run', 'outcome', 'position')),
            models.Index(fields=('run', 'unit', 'position')),
            models.Index(fields=('object_type', 'object_id')),
        )

    def __str__(self) -> str:
        return f'{self.get_action_display()}: {self.titled(self.label or self.key)}'

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:syncchange', args=[self.pk])

    def get_action_color(self) -> str | None:
        return color_of(ChangeActionChoices, self.action)

    def get_outcome_color(self) -> str | None:
        return color_of(ChangeOutcomeChoices, self.outcome)

    @property
    def reason_message(self) -> Message:
        """The reason as it was stored."""
        return Message.restored(self.reason, self.reason_source)

    @property
    def shown_reason(self) -> str:
        """The reason in the language of the reader."""
        return worded(self.reason, self.reason_source)

    @property
    def shown_message(self) -> str:
        """The result in the language of the reader."""
        return worded(self.message, self.message_source)

    @cached_property
    def object_url(self) -> str:
        """The URL of the object in the branch of the run; '' if the object does not exist there."""
        if not self.run.branch_id:
            return link(self.object.get_absolute_url(), '') if self.object else ''
        from ..branching.links import object_urls

        return object_urls(self.run.branch_id, [self]).get(self.pk, '')

    @property
    def display_fields(self) -> list[dict[str, Any]]:
        """The fields with their values as texts for display. Guests control the values: escape them."""
        return [{**field, **{name: show(decode(field.get(name))) for name in VALUES}} for field in self.fields]

    @cached_property
    def labelled_fields(self) -> list[dict[str, Any]]:
        """The same for pages: with the label of each field, and values with their units."""
        labels = labels_of(KINDS[self.kind]) if self.kind in KINDS else {}
        return [
            {
                **field,
                'label': labels.get(field['name'], field['name']),
                **{name: shown_value(self.kind, field['name'], decode(field.get(name))) for name in VALUES},
            }
            for field in self.fields
        ]


class PlannedBinding(models.Model):
    """
    A change of a stored plan to a binding whose object does not change: new values, another key (another machine has
    the VM ID now), or its deletion.

    Attributes:
        binding_id: No relation, because a binding may be deleted before the plan.
        values: None: unchanged.
        key, unit: '': unchanged.
        forget: The binding is deleted.
    """

    _netbox_private = True

    run = models.ForeignKey(to='netbox_proxsync.SyncRun', on_delete=models.CASCADE, related_name='planned_bindings')
    binding_id = models.BigIntegerField()
    values = models.JSONField(encoder=DjangoJSONEncoder, null=True)
    key = models.CharField(max_length=200, blank=True)
    unit = models.CharField(max_length=100, blank=True)
    forget = models.BooleanField(default=False)

    class Meta:
        ordering = ('pk',)
