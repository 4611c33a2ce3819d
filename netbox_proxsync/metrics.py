"""Metrics of the endpoints for Prometheus, read from the database at each scrape in a fixed number of queries."""

from collections.abc import Callable, Iterator
from typing import Any

from django.conf import settings
from django.core.exceptions import MiddlewareNotUsed
from django.db.models import Count, Max, QuerySet
from django.http import HttpRequest, HttpResponse
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from .choices import ChangeOutcomeChoices, RunModeChoices, RunStatusChoices
from .models import ProxmoxEndpoint, ProxmoxGuest, SyncChange, SyncRun

__all__ = ('MetricsMiddleware', 'ProxSyncCollector')

PREFIX = 'netbox_proxsync'
VIEW = 'prometheus-django-metrics'
METRICS_SETTING = 'METRICS_ENABLED'


def gauge(name: str, text: str, *labels: str) -> GaugeMetricFamily:
    """A metric with a label for the endpoint, and more labels."""
    return GaugeMetricFamily(f'{PREFIX}_{name}', text, labels=('endpoint', *labels))


class ProxSyncCollector(Collector):
    """Collects the metrics of all endpoints."""

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The metrics, as Prometheus' client calls it at each scrape."""
        # Grouped by id, since relations are sorted by name. An endpoint that is created meanwhile is missing once.
        names = dict(ProxmoxEndpoint.objects.values_list('pk', 'name'))
        yield from endpoints()
        yield sync_statuses(names)
        yield from last_runs(names)
        yield last_success(names)
        yield numbers_by('guests', 'Guests by sync status', 'state', ProxmoxGuest.objects.all(), names)
        yield numbers_by('runs', 'Stored runs by status', 'status', SyncRun.objects.all(), names)


def endpoints() -> Iterator[GaugeMetricFamily]:
    """Metrics of the settings of each endpoint."""
    enabled = gauge('endpoint_enabled', 'Whether the endpoint is synced')
    scheduled = gauge('next_sync_timestamp_seconds', 'When the schedule starts the next sync')
    for name, is_enabled, at in ProxmoxEndpoint.objects.values_list('name', 'enabled', 'next_sync'):
        enabled.add_metric([name], int(is_enabled))
        if at and is_enabled:
            scheduled.add_metric([name], at.timestamp())
    yield enabled
    yield scheduled


def sync_statuses(names: dict[int, str]) -> GaugeMetricFamily:
    """How NetBox stands to each endpoint."""
    metric = gauge('sync_status', 'How NetBox stands to Proxmox VE: 1 for that status', 'status')
    known = ProxmoxEndpoint.objects.filter(pk__in=list(names)).with_sync_status()
    for pk, status in known.values_list('pk', 'sync_status'):
        metric.add_metric([names[pk], status], 1)
    return metric


def syncs() -> QuerySet[SyncRun]:
    """The syncs of whole endpoints in main. Runs of some guests and reverts are not included."""
    whole = SyncRun.objects.filter(vmids__isnull=True, units__isnull=True, branch_id='')
    return whole.exclude(mode__in=RunModeChoices.PLANNING).exclude(applies__mode=RunModeChoices.REVERT)


def last_success(names: dict[int, str]) -> GaugeMetricFamily:
    """When the last sync of each endpoint succeeded."""
    metric = gauge('last_success_timestamp_seconds', 'When the last sync that succeeded has ended')
    done = syncs().filter(status=RunStatusChoices.COMPLETED, endpoint__in=list(names)).order_by().values('endpoint')
    for row in done.annotate(at=Max('completed')):
        metric.add_metric([names[row['endpoint']]], row['at'].timestamp())
    return metric


def last_runs(names: dict[int, str]) -> Iterator[GaugeMetricFamily]:
    """Metrics of the last sync of each endpoint that has ended, successfully or not."""
    status = gauge('last_run_status', 'How the last sync has ended: 1 for that status', 'status')
    duration = gauge('last_run_duration_seconds', 'What the last sync took, by phase', 'phase')
    conflicts = gauge('last_run_conflicts', 'Conflicts that the last sync has met')
    candidates = gauge('last_run_candidates', 'Objects in NetBox that may be a guest or node, without proof')
    calls = gauge('last_run_calls', 'API requests to Proxmox VE of the last sync')
    errors = gauge('last_run_errors', 'What the last sync could not read or write, and whether it failed')
    ended = syncs().filter(status__in=RunStatusChoices.FINISHED, endpoint__in=list(names))
    runs = list(ended.order_by('endpoint_id', '-created').distinct('endpoint_id').defer('cluster_identity'))
    failed = SyncChange.objects.filter(run__in=[run.pk for run in runs], outcome=ChangeOutcomeChoices.FAILED)
    not_written = dict(failed.order_by().values_list('run').annotate(number=Count('pk')))
    for run in runs:
        name = names[run.endpoint_id]
        status.add_metric([name, run.status], 1)
        for phase, seconds in run.timings.items():
            duration.add_metric([name, phase], seconds)
        conflicts.add_metric([name], run.conflicts)
        candidates.add_metric([name], run.candidates)
        calls.add_metric([name], run.calls)
        # Acknowledged faults and notes are no errors.
        unread = sum(message.get('level') != 'info' for message in run.messages) + (
            run.status == RunStatusChoices.FAILED
        )
        errors.add_metric([name], unread + not_written.get(run.pk, 0))
    yield from (status, duration, conflicts, candidates, calls, errors)


def numbers_by(name: str, text: str, label: str, rows: QuerySet[Any], names: dict[int, str]) -> GaugeMetricFamily:
    """The number of rows of each endpoint by the value of a column."""
    metric = gauge(name, text, label)
    known = rows.filter(endpoint__in=list(names)).order_by()
    for endpoint, value, number in known.values_list('endpoint', label).annotate(number=Count('pk')):
        metric.add_metric([names[endpoint], value], number)
    return metric


class MetricsMiddleware:
    """
    Adds the metrics to NetBox's own page of them.

    Not through the global registry: with several web processes NetBox serves what those share in files, which holds
    counters of processes and nothing that is read from the database.
    """

    def __init__(self, get_response: Callable[[HttpRequest], HttpResponse]) -> None:
        # django-stubs does not know the settings of NetBox.
        if not getattr(settings, METRICS_SETTING):
            raise MiddlewareNotUsed
        self.get_response = get_response
        self.registry = CollectorRegistry(auto_describe=False)
        self.registry.register(ProxSyncCollector())

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self.get_response(request)
        match = request.resolver_match
        if match and match.url_name == VIEW and response.status_code == 200:
            response.content += generate_latest(self.registry)
        return response
