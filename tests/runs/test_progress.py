"""The progress of a run, as its row has it."""

from datetime import timedelta

import pytest
from django.utils import timezone

from netbox_proxsync.models import SyncRun
from netbox_proxsync.runs.progress import Progress

NOW = timezone.now()


def progress(seconds: float = 10, **values: object) -> Progress:
    run = SyncRun(**{'status': 'running', 'started': NOW - timedelta(seconds=seconds), **values})
    return Progress.of(run, NOW)


def test_a_counted_phase_has_a_bar_and_an_estimate():
    far = progress(phase='collect 25/100')
    assert (far.done, far.total, far.percent) == (25, 100, 25)
    assert far.remaining == timedelta(seconds=30)
    assert far.text == 'Reading Proxmox VE: 20%'


def test_the_pace_is_that_of_the_present_phase():
    assert progress(30, phase='apply 10/20', timings={'collect': 20, 'plan': 5}).remaining == timedelta(seconds=5)


@pytest.mark.parametrize(('seconds', 'phase'), [(1, 'collect 5/10'), (60, 'collect 0/10')])
def test_no_time_is_promised_before_there_is_a_pace(seconds, phase):
    assert progress(seconds, phase=phase).remaining is None


@pytest.mark.parametrize('phase', ['', 'plan', 'collect 0/0', 'something else entirely'])
def test_phases_without_a_total_have_no_numbers(phase):
    far = progress(phase=phase)
    assert (far.done, far.total, far.percent, far.remaining) == (None, None, None, None)


def test_queued_and_stopping_runs_display_their_status():
    assert progress(status='queued', started=None).text == 'Waiting for a worker'
    assert progress(status='canceling', phase='apply 1/2').text == 'Stopping: 50%'
