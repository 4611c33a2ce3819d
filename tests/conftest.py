"""What most tests need: a stand-in Proxmox, an endpoint for it, and a run of the real job."""

import pytest

from tests.pve import ClusterSpec, StandIn


@pytest.fixture
def standin():
    """Starts a stand-in for a recorded cluster (by name) or a generated one (by `ClusterSpec` or its values)."""
    running = []

    def start(cluster: str | ClusterSpec | None = None, **spec) -> StandIn:
        pve = StandIn(cluster or ClusterSpec(**spec))
        pve.__enter__()
        running.append(pve)
        return pve

    yield start
    for pve in running:
        pve.__exit__(None, None, None)


@pytest.fixture
def make_endpoint(db):
    """Makes an endpoint for a stand-in, its certificate pinned."""

    def make(pve: StandIn, **values):
        from netbox_proxsync.models import ProxmoxEndpoint

        defaults = {
            'name': 'Lab',
            'hosts': [f'{pve.host}:{pve.port}'],
            'token_id': pve.token_id,
            'token_secret': pve.token_secret,
            'tls_mode': 'fingerprint',
            'fingerprint': pve.fingerprint,
            'timeout': 5,
        }
        endpoint = ProxmoxEndpoint(**(defaults | values))
        endpoint.full_clean()
        endpoint.save()
        return endpoint

    return make


@pytest.fixture
def sync(db):
    """Carries out a run by the real job, in this process, and returns it."""

    def run(endpoint, mode: str = 'sync', user=None):
        from netbox_proxsync.jobs import SyncJob

        endpoint.refresh_from_db()
        return SyncJob.enqueue_run(endpoint, user, mode=mode, immediate=True)

    return run
