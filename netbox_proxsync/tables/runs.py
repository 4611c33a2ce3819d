from datetime import timedelta
from typing import Any

import django_tables2 as tables
from django.utils.translation import gettext_lazy as _
from netbox.tables import NetBoxTable, columns

from ..models import SyncRun
from ..ui.durations import shown_duration
from .columns import NumberColumn

__all__ = ('SyncRunTable',)


class SyncRunTable(NetBoxTable):
    created = columns.DateTimeColumn(
        verbose_name=_('Created'),
        linkify=True,
    )
    endpoint = tables.Column(
        verbose_name=_('Endpoint'),
        linkify=True,
    )
    mode = columns.ChoiceFieldColumn(
        verbose_name=_('Mode'),
    )
    vmids = tables.Column(
        verbose_name=_('Only these guests'),
    )
    status = columns.ChoiceFieldColumn(
        verbose_name=_('Status'),
    )
    started = columns.DateTimeColumn(
        verbose_name=_('Started'),
    )
    completed = columns.DateTimeColumn(
        verbose_name=_('Completed'),
    )
    duration = tables.Column(
        verbose_name=_('Duration'),
        orderable=False,
    )
    guests = NumberColumn(
        verbose_name=_('Guests'),
    )
    calls = NumberColumn(
        verbose_name=_('API requests'),
    )
    changes = NumberColumn(
        verbose_name=_('Changes'),
        accessor='total_changes',
        orderable=False,
    )
    conflicts = NumberColumn(
        verbose_name=_('Conflicts'),
        orderable=False,
    )
    candidates = NumberColumn(
        verbose_name=_('Candidates'),
        orderable=False,
    )
    messages = tables.Column(
        verbose_name=_('Warnings'),
        orderable=False,
        attrs={'td': {'class': 'text-end'}, 'th': {'class': 'text-end'}},
    )
    job = tables.Column(
        verbose_name=_('Job'),
        linkify=True,
    )
    actions = columns.ActionsColumn(
        actions=('delete',),
    )

    class Meta(NetBoxTable.Meta):
        model = SyncRun
        fields = (
            'pk', 'id', 'created', 'endpoint', 'branch', 'branch_id', 'mode', 'vmids', 'status', 'user', 'started',
            'completed', 'duration', 'phase', 'guests', 'calls', 'changes', 'conflicts', 'candidates', 'messages',
            'error', 'job', 'request_id',
        )  # fmt: skip
        default_columns = (
            'pk', 'created', 'endpoint', 'branch', 'mode', 'vmids', 'status', 'user', 'duration', 'guests', 'changes',
            'conflicts', 'candidates', 'messages',
        )  # fmt: skip

    def render_duration(self, value: timedelta) -> str:
        return shown_duration(value)

    def value_duration(self, value: timedelta) -> float:
        return round(value.total_seconds(), 3)

    def render_vmids(self, record: SyncRun) -> str:
        return record.shown_vmids

    def value_vmids(self, value: list[int]) -> str:
        return ', '.join(map(str, value))

    def render_error(self, record: SyncRun) -> str:
        return record.shown_error

    def render_messages(self, value: list[dict[str, Any]]) -> int:
        # Acknowledged faults are not counted.
        return sum(message.get('level') != 'info' for message in value)

    # Messages are for users who may view the machines that they are about.
    value_messages = render_messages
