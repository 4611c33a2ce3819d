"""The runs themselves: whole, and with nothing left to do; all that they wrote is valid for NetBox."""

import pytest

from tests.scenarios.synced import everything

pytestmark = pytest.mark.django_db

SEVERAL = (
    'NetBox has several VLANs 77 that could be meant: "in-a (77)", group "a"; "in-b (77)", group "b". '
    'Choose a VLAN group on the endpoint or by a mapping rule, or give this interface the right one.'
)
# What a user has to settle, because it cannot be shown as it is.
OPEN = {
    'lab9': set(),
    'solo': set(),
    'made': {
        ('qemu/120/net12', SEVERAL),
    },
}
OFFLINE = ('node/pve4', 'Node pve4 is offline. The current status of its guests is not known.')
# Faults of the configuration are warnings.
MESSAGES = {
    'lab9': {
        ('node/pve2', 'bondovs names eno3, which does not exist on pve2.'),
        ('node/pve2', 'bondovs names eno4, which does not exist on pve2.'),
        ('node/pve2', 'vmbr2 names eno2, which does not exist on pve2.'),
    },
    'solo': set(),
    'made': {OFFLINE},
}


@pytest.fixture(params=OPEN)
def name(request) -> str:
    return request.param


@pytest.fixture
def synced(name, lab9, solo, made):
    # All three named here: what is only asked for within a test's transaction goes with its end.
    return {'lab9': lab9, 'solo': solo, 'made': made}[name]


def test_every_run_is_complete_and_reports_what_is_open(name, synced):
    for run in synced.runs:
        assert (run.status, run.error) == ('completed', '')
        found = [(message['subject'], message['message']) for message in run.messages]
        assert len(found) == len(set(found))
        assert set(found) == MESSAGES[name]
        rest = run.changes.exclude(outcome='applied')
        assert set(rest.values_list('action', flat=True)) <= {'conflict'}
        assert set(rest.values_list('key', 'reason')) == OPEN[name]


def test_the_last_run_changed_nothing(synced):
    last = synced.runs[-1]
    assert list(last.changes.exclude(action='conflict').values('kind', 'key', 'action', 'fields')) == []


def test_every_object_is_valid_for_netbox(lab9, solo, made):
    found = list(everything())
    assert len(found) > 600
    for instance in found:
        instance.full_clean()
