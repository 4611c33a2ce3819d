"""What was synced once by the real job and is looked at by many tests."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from types import MappingProxyType

import pytest
from dcim.models import Device, Interface
from django.apps import apps
from django.db import models, transaction
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint, SyncRun
from tests.pve import ClusterSpec, StandIn

__all__ = ('FirstSync', 'Stage', 'Synced', 'after_first_sync', 'everything', 'kept_database', 'pin', 'run_job')

# For a test that begins with the first sync of its module's stage, which is made once for all of them.
after_first_sync = pytest.mark.usefixtures('first_sync')

# Whose objects a sync may write.
APPS = ('dcim', 'ipam', 'tenancy', 'virtualization')


@contextmanager
def kept_database(blocker) -> Iterator[None]:
    """
    The database for more than one test; what is written is undone at the end. Tests in between that are marked with
    `django_db` each begin with what is there and leave it so.
    """
    with blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


def pin(pve: StandIn, **values) -> ProxmoxEndpoint:
    """An endpoint for a stand-in, its certificate pinned."""
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


def run_job(endpoint: ProxmoxEndpoint, mode: str = 'sync', user=None, vmids: Collection[int] | None = None) -> SyncRun:
    """A run by the real job, in this process."""
    endpoint.refresh_from_db()
    return SyncJob.enqueue_run(endpoint, user, mode=mode, immediate=True, vmids=vmids)


@dataclass(frozen=True)
class Stage:
    """
    The cluster of a module's tests, and the endpoint that they sync.

    Attributes:
        spec: What is generated.
        values: Of the endpoint, or what creates the objects that they refer to and returns the values.
        prepare: Changes the cluster before anything is synced.
        proceed: What happens after the first sync, before the tests that begin with it.
    """

    spec: Mapping[str, object]
    values: Mapping[str, object] | Callable[[], Mapping[str, object]] = MappingProxyType({})
    prepare: Callable[[StandIn], object] | None = None
    proceed: Callable[[StandIn, ProxmoxEndpoint], object] | None = None

    def standin(self) -> StandIn:
        """The stand-in, not yet serving."""
        pve = StandIn(ClusterSpec(**self.spec))
        if self.prepare:
            self.prepare(pve)
        return pve

    def endpoint(self, pve: StandIn) -> ProxmoxEndpoint:
        """The endpoint in NetBox."""
        return pin(pve, **(self.values() if callable(self.values) else self.values))


class FirstSync:
    """
    A stage after the first sync, for many tests: each begins with this cluster and this NetBox.

    Attributes:
        pve: Serves.
    """

    def __init__(self, stage: Stage, pve: StandIn):
        self.pve = pve
        self._endpoint = stage.endpoint(pve)
        run = run_job(self._endpoint)
        assert run.status == 'completed', run.messages
        if stage.proceed:
            stage.proceed(pve, self._endpoint)
            pve.heal()
        self._cluster = pve.cluster.copy()

    def reset(self) -> None:
        """Let the stand-in serve the cluster as it was then. The database is reset by the transactions of tests."""
        self.pve.serve(self._cluster.copy())

    @property
    def endpoint(self) -> ProxmoxEndpoint:
        """The endpoint, as it is in the database."""
        return ProxmoxEndpoint.objects.get(pk=self._endpoint.pk)


@dataclass(frozen=True)
class Synced:
    """
    Attributes:
        runs: In their order.
    """

    pve: StandIn
    endpoint: ProxmoxEndpoint
    runs: tuple[SyncRun, ...]

    def vm(self, vmid: int) -> VirtualMachine:
        """The virtual machine of a guest."""
        rows = self.endpoint.bindings.filter(kind='vm')
        return next(row.object for row in rows if row.key.partition('/')[2] == str(vmid))

    def nic(self, vmid: int, key: str) -> VMInterface:
        """The interface of a NIC: `nic(100, 'net0')`."""
        rows = self.endpoint.bindings.filter(kind='interface')
        return next(row.object for row in rows if row.key.partition('/')[2] == f'{vmid}/{key}')

    def device(self, node: str) -> Device:
        """The device of a node."""
        return self.endpoint.bindings.get(kind='device', key=f'node/{node}').object

    def port(self, node: str, name: str) -> Interface:
        """An interface of a node."""
        return self.endpoint.bindings.get(kind='node_interface', key=f'node/{node}/{name}').object


def everything() -> Iterator[models.Model]:
    """All objects in NetBox of the kinds that a sync may write."""
    for app in APPS:
        for model in apps.get_app_config(app).get_models():
            yield from model._default_manager.all() if model._meta.managed else ()
    yield from apps.get_model('extras.tag').objects.all()
