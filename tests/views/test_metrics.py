"""The metrics for Prometheus. The number of queries does not depend on the number of endpoints."""

import pytest
from django.core.exceptions import MiddlewareNotUsed
from django.db import connection
from django.test.utils import CaptureQueriesContext

from netbox_proxsync.metrics import MetricsMiddleware, ProxSyncCollector

from ..cases import make_change, make_endpoint, make_guest, make_run

pytestmark = pytest.mark.django_db


def samples() -> dict[tuple, float]:
    return {
        (sample.name.removeprefix('netbox_proxsync_'), *sample.labels.values()): sample.value
        for metric in ProxSyncCollector().collect()
        for sample in metric.samples
    }


def fill(name: str):
    endpoint = make_endpoint(name)
    make_guest(endpoint, 100)
    make_guest(endpoint, 101, state='conflict')
    make_run(endpoint, status='completed')
    failed = make_run(endpoint, status='failed', messages=[{'level': 'warning', 'subject': 'a', 'message': 'b'}])
    make_change(failed, 0, outcome='failed')
    make_run(endpoint, mode='preview', calls=99)
    make_run(endpoint, vmids=[100], calls=98)
    make_run(endpoint, status='running', completed=None)
    return endpoint


def test_the_metrics_of_an_endpoint():
    fill('Lab')
    make_endpoint('New', enabled=False)
    found = samples()
    assert found['endpoint_enabled', 'Lab'] == 1
    assert found['endpoint_enabled', 'New'] == 0
    assert found['guests', 'Lab', 'conflict'] == 1
    assert found['last_run_status', 'Lab', 'failed'] == 1
    assert found['last_run_duration_seconds', 'Lab', 'collect'] == 4.5
    assert found['last_run_conflicts', 'Lab'] == 1
    assert found['last_run_calls', 'Lab'] == 17
    # One thing unread, one not written, and the run itself.
    assert found['last_run_errors', 'Lab'] == 3
    assert found['last_success_timestamp_seconds', 'Lab'] > 0
    assert ('last_success_timestamp_seconds', 'New') not in found
    assert found['runs', 'Lab', 'running'] == 1


def test_an_endpoint_that_comes_in_the_middle_of_a_scrape_does_not_end_it():
    fill('Lab')
    metrics = ProxSyncCollector().collect()
    told = [next(metrics)]
    fill('Late')
    told += metrics
    assert {sample.labels['endpoint'] for metric in told for sample in metric.samples} == {'Lab'}


def test_the_number_of_queries_is_bounded():
    fill('One')
    with CaptureQueriesContext(connection) as few:
        samples()
    for name in ('Two', 'Three', 'Four'):
        fill(name)
    with CaptureQueriesContext(connection) as many:
        samples()
    assert len(many) == len(few) <= 8


def test_without_netboxs_metrics_there_are_none(settings):
    settings.METRICS_ENABLED = False
    with pytest.raises(MiddlewareNotUsed):
        MetricsMiddleware(lambda request: None)
