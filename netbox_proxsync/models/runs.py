import re
import uuid
from collections.abc import Callable, Collection
from datetime import datetime, timedelta
from typing import Any, Self

from django.conf import settings
from django.contrib.postgres.fields import ArrayField
from django.db import models, router, transaction
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from ..choices import ChangeActionChoices, RunModeChoices, RunStatusChoices, color_of
from ..proxmox.messages import Message
from ..sync.cluster_state import ClusterState, naming
from ..wording import shown_subject, worded, worded_entry
from .changes import PlannedBinding, SyncChange
from .deletion import delete_unread
from .mixins import alters_data
from .netbox_types import RestrictedQuerySet
from .users import AnyUser
from .visibility import HiddenUnits, hidden_machines, hidden_units, machine_filter

__all__ = ('SyncRun',)


# How many guests, or units of a plan, a run can be limited to, and how many of them are shown in one line.
MAX_LIMIT = 10_000
SHOWN_VMIDS = 4
DIGITS = re.compile(r'([0-9]+)')
# The subjects of messages about one node (before its name) and about several nodes.
NODE, SEVERAL_NODES = 'node/', 'nodes'


def unit_key(unit: str) -> list[tuple[int, str]]:
    """The key by which units are sorted: guest 99 comes before guest 100."""
    return [(int(part), '') if part.isdecimal() else (-1, part) for part in DIGITS.split(unit) if part]


def queryset_only[F: Callable[..., Any]](function: F) -> F:
    """Keep a method of a queryset off the manager that is made from it."""
    function.__dict__['queryset_only'] = True
    return function


class SyncRunQuerySet(RestrictedQuerySet):
    """Deletes runs together with their changes."""

    def active(self) -> Self:
        """The runs that are queued or in progress."""
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
        help_text=_('Request ID of the change log entries that the run wrote'),
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
        help_text=_('Number of changes by object type and action'),
    )
    calls = models.PositiveIntegerField(
        verbose_name=_('API requests'),
        default=0,
        help_text=_('Number of API requests to Proxmox VE'),
    )
    guests = models.PositiveIntegerField(
        verbose_name=_('guests'),
        blank=True,
        null=True,
        help_text=_('Guests that Proxmox VE listed'),
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
    error_source = models.JSONField(
        verbose_name=_('error (template and parameters)'),
        blank=True,
        null=True,
        editable=False,
    )

    refusal = models.TextField(
        verbose_name=_('refusal'),
        blank=True,
        editable=False,
        help_text=_('Why the plan requires approval'),
    )
    refusal_source = models.JSONField(
        verbose_name=_('refusal (template and parameters)'),
        blank=True,
        null=True,
        editable=False,
    )
    applies = models.ForeignKey(
        to='self',
        on_delete=models.SET_NULL,
        related_name='applied_by',
        verbose_name=_('plan of'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The earlier run whose plan this run applies'),
    )
    reverts = models.ForeignKey(
        to='self',
        on_delete=models.SET_NULL,
        related_name='reverted_by',
        verbose_name=_('revert of'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The earlier run that the plan of this one undoes'),
    )
    units = models.JSONField(
        verbose_name=_('guests and nodes'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The part of the plan that this run applies. Blank: the whole plan'),
    )
    actions = ArrayField(
        base_field=models.CharField(max_length=30, choices=ChangeActionChoices),
        verbose_name=_('only these actions'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('The actions of the plan that this run applies. Blank: all actions'),
    )
    vmids = ArrayField(
        base_field=models.PositiveIntegerField(),
        verbose_name=_('only these guests'),
        blank=True,
        null=True,
        editable=False,
        help_text=_('VM IDs of the guests to which the run is limited. Blank: all guests, and the cluster'),
    )
    cluster_identity = models.JSONField(
        verbose_name=_('cluster identity'),
        default=dict,
        blank=True,
        editable=False,
        help_text=_('Of the Proxmox VE cluster that was read'),
    )

    shared_objects = models.JSONField(
        verbose_name=_('shared objects'),
        default=list,
        blank=True,
        editable=False,
        help_text=_('Objects that its plan found by name and that are to be remembered when it is applied'),
    )

    # The branch of netbox-branching. No relation, because that plugin may not be installed.
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
        # GraphQL removes the attribute if the user may not view the endpoint.
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
    def error_message(self) -> Message:
        """The error as it was stored."""
        return Message.restored(self.error, self.error_source)

    @property
    def shown_error(self) -> str:
        """The error in the language of the reader."""
        return worded(self.error, self.error_source)

    @property
    def shown_refusal(self) -> str:
        """Why the plan requires approval, in the language of the reader."""
        return worded(self.refusal, self.refusal_source)

    @property
    def shown_vmids(self) -> str:
        """The VM IDs that the run is limited to, shortened to one line; '' if it is for all guests."""
        vmids = self.vmids or []
        shown, left = ', '.join(map(str, vmids[:SHOWN_VMIDS])), len(vmids) - SHOWN_VMIDS
        return _('{shown} and {left} more').format(shown=shown, left=left) if left > 0 else shown

    @property
    def finished(self) -> bool:
        return self.status in RunStatusChoices.FINISHED

    @property
    def wrote(self) -> bool:
        """Whether the run has changed NetBox, or has tried to."""
        return self.mode not in RunModeChoices.PLANNING and self.status != RunStatusChoices.REFUSED

    @property
    def duration(self) -> timedelta | None:
        """The duration of the run, so far if it is in progress; None before it has started."""
        if self.started is None:
            return None
        return (self.completed or timezone.now()) - self.started

    def messages_for(self, user: AnyUser | None) -> list[dict[str, Any]]:
        """The messages without those about machines that the user may not view."""
        return self.messages_without(hidden_units(user, self.endpoint_id, self.subjects))

    def messages_shown(self, hidden: HiddenUnits) -> list[dict[str, Any]]:
        """The same for pages with many runs, which look up hidden units once."""
        return self.messages_without(hidden.among(self.endpoint_id, self.subjects))

    def messages_without(self, hidden: Collection[str]) -> list[dict[str, Any]]:
        left = [self.with_acknowledgment(message) for message in self.messages if message['subject'] not in hidden]
        nodes = {unit.removeprefix(NODE) for unit in hidden if unit.startswith(NODE)}
        if not nodes:
            return left
        named = naming(nodes)
        return [it for it in left if it['subject'] != SEVERAL_NODES or not named.search(it['message'])]

    def with_acknowledgment(self, message: dict[str, Any]) -> dict[str, Any]:
        """A message for display; a fault has the user and time of its acknowledgment, or None."""
        if not message.get('fault'):
            return message
        found = self.endpoint.acknowledgment_of(message)
        shown = {name: found[name] for name in ('user', 'time')} if found else None
        return {**message, 'level': 'info' if found else 'warning', 'acknowledged': shown}

    def notices_for(self, user: AnyUser | None) -> list[dict[str, Any]]:
        """The messages for a page: those of `messages_for`, with their texts in the language of the reader."""
        return [
            {**worded_entry(message, 'message', 'remedy'), 'shown_subject': shown_subject(message['subject'])}
            for message in self.messages_for(user)
        ]

    @property
    def subjects(self) -> set[str]:
        """The subjects of the messages. A message about several nodes counts for every node of the cluster."""
        subjects = {message['subject'] for message in self.messages}
        if SEVERAL_NODES in subjects:
            subjects |= {f'{NODE}{node.name}' for node in ClusterState.parse(self.endpoint.cluster_state).nodes}
        return subjects

    def hidden_units(self, user: AnyUser | None, units: Collection[str]) -> set[str]:
        """The units among the given ones that belong to machines which the user may not view."""
        hidden = hidden_machines(user)
        if not hidden or not units:
            return set()
        # A machine whose adoption is only planned has no binding yet.
        named = self.changes.filter(machine_filter(hidden)).order_by().values_list('unit', flat=True)
        return hidden_units(user, self.endpoint_id, units) | set(named).intersection(units)

    def units_for(self, user: AnyUser | None) -> list[str] | None:
        """The units of the plan that the run applies, without those hidden from the user; None: all units."""
        if self.units is None:
            return None
        hidden = self.hidden_units(user, self.units)
        return [unit for unit in self.units if unit not in hidden]

    @property
    def shown_units(self) -> str:
        """The number of guests and nodes that the run is limited to; '' if it is for all of its plan."""
        if self.units is None:
            return ''
        number = len(self.units)
        return ngettext('{number} guest or node', '{number} guests and nodes', number).format(number=number)

    @property
    def shown_actions(self) -> list[str]:
        """The labels of the actions that the run is limited to."""
        labels = dict(ChangeActionChoices)
        return [str(labels.get(action, action)) for action in self.actions or ()]

    @property
    def total_changes(self) -> int:
        """The number of changes, including conflicts."""
        return sum(number for actions in self.counts.values() for number in actions.values())

    @property
    def conflicts(self) -> int:
        return self._number_of(ChangeActionChoices.CONFLICT)

    @property
    def candidates(self) -> int:
        """The number of objects that may be a guest or node but are not proven to be."""
        return self._number_of(ChangeActionChoices.CANDIDATE)

    def _number_of(self, action: str) -> int:
        return sum(actions.get(action, 0) for actions in self.counts.values())
