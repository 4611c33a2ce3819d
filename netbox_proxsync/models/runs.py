import uuid
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.contenttypes.fields import GenericForeignKey
from django.contrib.postgres.fields import ArrayField
from django.core.serializers.json import DjangoJSONEncoder
from django.db import models, router, transaction
from django.db.models import OuterRef
from django.urls import reverse
from django.utils import timezone
from django.utils.functional import cached_property
from django.utils.translation import gettext_lazy as _

from ..branching import link
from ..choices import ChangeActionChoices, ChangeOutcomeChoices, KindChoices, RunModeChoices, RunStatusChoices, color_of
from ..sync.cluster_state import ClusterState, naming
from ..sync.values import decode, show
from .deletion import delete_unread
from .mixins import alters_data
from .netbox_types import RestrictedQuerySet
from .users import AnyUser
from .visibility import Hidden, HiddenUnits, OfMachineQuerySet, hidden_machines, hidden_units, machines_themselves

__all__ = (
    'PlannedBinding',
    'SyncChange',
    'SyncRun',
)


# How many guests, or parts of a plan, a run can be limited to, and how many of them a line shows.
MAX_LIMIT = 10_000
SHOWN_VMIDS = 4
# Subjects of messages: one node, by its name, and several.
NODE, SEVERAL_NODES = 'node/', 'nodes'


def queryset_only[F: Callable[..., Any]](function: F) -> F:
    """Keep a method of a queryset off the manager that is made from it."""
    function.__dict__['queryset_only'] = True
    return function


class SyncRunQuerySet(RestrictedQuerySet):
    """Runs are deleted with their changes."""

    def active(self) -> Self:
        """The runs that wait or work."""
        return self.exclude(status__in=RunStatusChoices.FINISHED)

    @queryset_only
    @alters_data
    def delete(self) -> tuple[int, dict[str, int]]:
        with transaction.atomic(using=self.db):
            delete_unread(SyncChange, models.Q(run__in=self.order_by()), self.db)
            delete_unread(PlannedBinding, models.Q(run__in=self.order_by()), self.db)
            return super().delete()


class SyncRun(models.Model):
    """
    One preview or sync of one endpoint.
    """

    endpoint = models.ForeignKey(
        to='netbox_proxsync.ProxmoxEndpoint',
        on_delete=models.CASCADE,
        related_name='runs',
        verbose_name=_('endpoint'),
    )
    job = models.ForeignKey(
        to='core.Job',
        on_delete=models.SET_NULL,
        related_name='+',
        verbose_name=_('job'),
        blank=True,
        null=True,
    )
    user = models.ForeignKey(
        to=settings.AUTH_USER_MODEL,
        on_delete=models.SET_NULL,
        related_name='+',
        verbose_name=_('user'),
        blank=True,
        null=True,
    )
    mode = models.CharField(
        verbose_name=_('mode'),
        max_length=30,
        choices=RunModeChoices,
    )
    status = models.CharField(
        verbose_name=_('status'),
        max_length=30,
        choices=RunStatusChoices,
        default=RunStatusChoices.QUEUED,
    )
    request_id = models.UUIDField(
        verbose_name=_('request ID'),
        default=uuid.uuid4,
        editable=False,
        help_text=_("Under which NetBox's change log keeps everything that the run wrote"),
    )
    created = models.DateTimeField(
        verbose_name=_('created'),
        auto_now_add=True,
    )
    started = models.DateTimeField(
        verbose_name=_('started'),
        blank=True,
        null=True,
    )
    completed = models.DateTimeField(
        verbose_name=_('completed'),
        blank=True,
        null=True,
    )
    phase = models.CharField(
        verbose_name=_('phase'),
        max_length=100,
        blank=True,
    )
    timings = models.JSONField(
        verbose_name=_('timings'),
        default=dict,
        blank=True,
        help_text=_('Seconds by phase'),
    )
    counts = models.JSONField(
        verbose_name=_('counts'),
        default=dict,
        blank=True,
        help_text=_('Number of changes by kind and action'),
    )
    calls = models.PositiveIntegerField(
        verbose_name=_('calls'),
        default=0,
        help_text=_('Calls made to Proxmox'),
    )
    guests = models.PositiveIntegerField(
        verbose_name=_('guests'),
        blank=True,
        null=True,
        help_text=_('Guests that Proxmox listed'),
    )
    messages = models.JSONField(
        verbose_name=_('messages'),
        default=list,
        blank=True,
    )
    error = models.TextField(
        verbose_name=_('error'),
        blank=True,
    )

    refusal = models.TextField(
        verbose_name=_('refusal'),
        blank=True,
        editable=False,
        help_text=_("Why its plan must not be carried out without a person's word"),
    )
    applies = models.ForeignKey(
        to='self',
        on_delete=models.SET_NULL,
        related_name='applied_by',
        verbose_name=_('plan of'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The earlier run whose plan this one carries out'),
    )
    units = models.JSONField(
        verbose_name=_('units'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The part of the plan that is carried out; none: all of it'),
    )
    vmids = ArrayField(
        base_field=models.PositiveIntegerField(),
        verbose_name=_('only these guests'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('VM IDs of the guests that the run is limited to; none: all guests, and the cluster'),
    )
    cluster_identity = models.JSONField(
        verbose_name=_('cluster identity'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('Of the Proxmox cluster that was read'),
    )

    shared_objects = models.JSONField(
        verbose_name=_('shared objects'),
        default=list,
        blank=True,
        editable=False,
        help_text=_('Objects that its plan found by name and that are to be remembered when it is applied'),
    )

    # Of netbox-branching. No relation: that plugin may not be there.
    branch_id = models.CharField(
        verbose_name=_('branch ID'),
        max_length=50,
        blank=True,
        editable=False,
        help_text=_('Schema ID of the branch in which it works; empty: main'),
    )
    branch = models.CharField(
        verbose_name=_('branch'),
        max_length=100,
        blank=True,
        editable=False,
        help_text=_('The branch in which it works, as it was called then; empty: main'),
    )

    objects = SyncRunQuerySet.as_manager()

    class Meta:
        ordering = ('-created', '-pk')
        verbose_name = _('sync run')
        verbose_name_plural = _('sync runs')
        indexes = (
            models.Index(fields=('-created',)),
            models.Index(fields=('endpoint', '-created')),
            models.Index(fields=('request_id',)),
        )

    def __str__(self) -> str:
        # GraphQL takes away the endpoint from who may not see it.
        endpoint = getattr(self, 'endpoint', _('an endpoint'))
        if self.branch_id:
            endpoint = _('{endpoint} in branch {branch}').format(endpoint=endpoint, branch=self.branch)
        created: datetime | None = self.created
        text = _('{mode} of {endpoint} ({guests}), {time}') if self.vmids else _('{mode} of {endpoint}, {time}')
        return text.format(
            mode=self.get_mode_display(),
            endpoint=endpoint,
            guests=self.shown_vmids,
            time=f'{timezone.localtime(created):%Y-%m-%d %H:%M:%S}' if created else _('not saved'),
        )

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:syncrun', args=[self.pk])

    @alters_data
    def delete(self, using: str | None = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        using = using or router.db_for_write(SyncRun, instance=self)
        with transaction.atomic(using=using):
            delete_unread(SyncChange, models.Q(run=self), using)
            delete_unread(PlannedBinding, models.Q(run=self), using)
            return super().delete(using=using, keep_parents=keep_parents)

    def get_mode_color(self) -> str | None:
        return color_of(RunModeChoices, self.mode)

    def get_status_color(self) -> str | None:
        return color_of(RunStatusChoices, self.status)

    @property
    def shown_vmids(self) -> str:
        """As many of the guests that the run is limited to as a line takes; '' if it is for all."""
        vmids = self.vmids or []
        shown, left = ', '.join(map(str, vmids[:SHOWN_VMIDS])), len(vmids) - SHOWN_VMIDS
        return _('{shown} and {left} more').format(shown=shown, left=left) if left > 0 else shown

    @property
    def finished(self) -> bool:
        return self.status in RunStatusChoices.FINISHED

    @property
    def duration(self) -> timedelta | None:
        """How long it took, or has taken so far; None before it has started."""
        if self.started is None:
            return None
        return (self.completed or timezone.now()) - self.started

    def messages_for(self, user: AnyUser | None) -> list[dict[str, str]]:
        """The messages, without those about machines that a person may not view."""
        return self.messages_without(hidden_units(user, self.endpoint_id, self.subjects))

    def messages_shown(self, hidden: HiddenUnits) -> list[dict[str, str]]:
        """The same where many runs are shown."""
        return self.messages_without(hidden.among(self.endpoint_id, self.subjects))

    def messages_without(self, hidden: Collection[str]) -> list[dict[str, str]]:
        left = [self.with_acknowledgment(message) for message in self.messages if message['subject'] not in hidden]
        nodes = {unit.removeprefix(NODE) for unit in hidden if unit.startswith(NODE)}
        if not nodes:
            return left
        named = naming(nodes)
        return [it for it in left if it['subject'] != SEVERAL_NODES or not named.search(it['message'])]

    def with_acknowledgment(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message as it is shown: of a fault, who has acknowledged it and when, or None."""
        if not message.get('fault'):
            return message
        found = self.endpoint.acknowledgment_of(message)
        shown = {name: found[name] for name in ('user', 'time')} if found else None
        return {**message, 'level': 'info' if found else 'warning', 'acknowledged': shown}

    @property
    def subjects(self) -> set[str]:
        """What its messages are about; of those about several nodes, every node of the cluster."""
        subjects = {message['subject'] for message in self.messages}
        if SEVERAL_NODES in subjects:
            subjects |= {f'{NODE}{node.name}' for node in ClusterState.parse(self.endpoint.cluster_state).nodes}
        return subjects

    def hidden_units(self, user: AnyUser | None, units: Collection[str]) -> set[str]:
        """Those of the units of its plan that belong to machines which a person may not view."""
        hidden = hidden_machines(user)
        if not hidden or not units:
            return set()
        # A machine that is only planned to be adopted is bound by nothing yet.
        named = self.changes.filter(machines_themselves(hidden)).order_by().values_list('unit', flat=True)
        return hidden_units(user, self.endpoint_id, units) | set(named).intersection(units)

    def units_for(self, user: AnyUser | None) -> list[str] | None:
        """The part of the plan that it carries out, as far as a person may know; None: all of it."""
        if self.units is None:
            return None
        hidden = self.hidden_units(user, self.units)
        return [unit for unit in self.units if unit not in hidden]

    @property
    def total_changes(self) -> int:
        """The number of changes, conflicts included."""
        return sum(number for actions in self.counts.values() for number in actions.values())

    @property
    def conflicts(self) -> int:
        return self._number_of(ChangeActionChoices.CONFLICT)

    @property
    def candidates(self) -> int:
        """The number of objects that may be a guest or node, without proof."""
        return self._number_of(ChangeActionChoices.CANDIDATE)

    def _number_of(self, action: str) -> int:
        return sum(actions.get(action, 0) for actions in self.counts.values())


class SyncChangeQuerySet(OfMachineQuerySet):
    endpoint_path = 'run__endpoint'

    def without(self, hidden: Hidden) -> Self:
        changes = super().without(hidden)
        # A machine that is only planned to be adopted is bound by nothing yet.
        named = SyncChange.objects.filter(run=OuterRef('run'), unit=OuterRef('unit')).order_by()
        # These reasons name other machines: which of several is meant, or which other guest claims an address.
        several = models.Q(kind__in=('vm', 'ip'), action=ChangeActionChoices.CONFLICT, object_id=None)
        return changes.exclude(models.Exists(named.filter(machines_themselves(hidden)))).exclude(several)


class SyncChange(models.Model):
    """
    One change that a run planned or made: to one object, or to none because of a conflict.
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
        verbose_name=_('unit'),
        max_length=100,
        # Guest 99 comes before guest 100.
        db_collation='natural_sort',
        help_text=_('The guest or cluster that it belongs to, for example qemu/100'),
    )
    kind = models.CharField(
        verbose_name=_('kind'),
        max_length=30,
    )
    key = models.CharField(
        verbose_name=_('key'),
        max_length=200,
        help_text=_('What it is in Proxmox, for example qemu/100/net0'),
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
        verbose_name=_('object type'),
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
        help_text=_('The values that its binding is to hold, while it is only planned'),
    )
    reason = models.TextField(
        verbose_name=_('reason'),
        blank=True,
        help_text=_('Why the change is made, or why it is a conflict'),
    )
    message = models.TextField(
        verbose_name=_('message'),
        blank=True,
        help_text=_('What happened when it was made'),
    )

    objects = SyncChangeQuerySet.as_manager()

    class Meta:
        # By the columns themselves: through the relation, it would be sorted by what runs are sorted by.
        ordering = ('-run_id', 'position')
        verbose_name = _('sync change')
        verbose_name_plural = _('sync changes')
        constraints = (
            models.UniqueConstraint(
                fields=('run', 'position'),
                name='%(app_label)s_%(class)s_unique_position',
            ),
        )
        # A run of 10,000 guests has 70,000 of them, listed by one of these in the order of the run, or guest by guest.
        indexes = (
            models.Index(fields=('run', 'kind', 'position')),
            models.Index(fields=('run', 'action', 'position')),
            models.Index(fields=('run', 'outcome', 'position')),
            models.Index(fields=('run', 'unit', 'position')),
            models.Index(fields=('object_type', 'object_id')),
        )

    def __str__(self) -> str:
        return f'{self.get_action_display()} {self.kind_label} {self.label or self.key}'

    def get_absolute_url(self) -> str:
        return reverse('plugins:netbox_proxsync:syncchange', args=[self.pk])

    @property
    def kind_label(self) -> str:
        return KindChoices.label(self.kind)

    def get_action_color(self) -> str | None:
        return color_of(ChangeActionChoices, self.action)

    def get_outcome_color(self) -> str | None:
        return color_of(ChangeOutcomeChoices, self.outcome)

    @cached_property
    def object_url(self) -> str:
        """The address of the object, in the branch in which the run has worked; '' if it is not there (any more)."""
        if not self.run.branch_id:
            return link(self.object.get_absolute_url(), '') if self.object else ''
        from ..branching.links import object_urls

        return object_urls(self.run.branch_id, [self]).get(self.pk, '')

    @property
    def display_fields(self) -> list[dict[str, Any]]:
        """The fields with their values as people read them. They hold what guests say: escape them."""
        return [
            {**field, **{name: show(decode(field.get(name))) for name in ('last', 'now', 'want')}}
            for field in self.fields
        ]


class PlannedBinding(models.Model):
    """
    What a stored plan does to a binding whose object it leaves as it is: new values to remember, another key (its
    machine was replaced by another one of the same VM ID), or nothing left to bind.

    Attributes:
        binding_id: No relation: a binding may go before the plan does.
        values: None: they stay.
        key, unit: '': they stay.
        forget: The binding goes.
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
