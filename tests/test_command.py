import io
import json

import pytest
from django.core.management import CommandError, call_command
from virtualization.models import VirtualMachine

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(standin, make_endpoint):
    return make_endpoint(standin(nodes=1, vms=2, containers=1, seed=2))


def command(*arguments: str) -> tuple[int, str]:
    out = io.StringIO()
    try:
        call_command('proxsync_sync', *arguments, stdout=out, stderr=out)
    except SystemExit as stop:
        return stop.code, out.getvalue()
    return 0, out.getvalue()


def test_preview_tells_that_changes_are_pending_and_writes_nothing(endpoint):
    status, text = command('Lab', '--preview')
    assert status == 2
    assert 'create   vm' in text
    assert not VirtualMachine.objects.exists()


def test_sync_writes_and_then_there_is_nothing_to_do(endpoint):
    assert command('Lab')[0] == 0
    assert VirtualMachine.objects.count() == 3
    status, text = command('Lab', '--preview')
    assert status == 0
    assert ', 0 changes,' in text


def test_an_endpoint_may_be_named_by_its_id(endpoint):
    assert command(str(endpoint.pk), '--preview')[0] == 2


def test_json_holds_the_run_and_its_changes(endpoint):
    status, text = command('Lab', '--preview', '--json')
    data = json.loads(text)
    assert (status, data['status'], data['mode']) == (2, 'completed', 'preview')
    assert {change['action'] for change in data['changes']} == {'create'}
    assert data['counts']['vm'] == {'create': 3}
    assert endpoint.token_secret.reveal() not in text


def test_a_disabled_endpoint_is_not_synced(endpoint):
    endpoint.enabled = False
    endpoint.save()
    with pytest.raises(CommandError, match='disabled'):
        call_command('proxsync_sync', 'Lab')
    assert not endpoint.runs.exists()


def test_an_unknown_endpoint_is_told_with_those_that_there_are(endpoint):
    with pytest.raises(CommandError, match='There are: "Lab"') as caught:
        call_command('proxsync_sync', 'Nonsense')
    assert caught.value.returncode == 1
