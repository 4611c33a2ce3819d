"""A cluster, its endpoint, and branches to sync it into."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Self
from uuid import uuid4

from dcim.models import Site
from django.apps import apps
from django.contrib.contenttypes.models import ContentType
from django.db import connections, models, transaction
from extras.models import CachedValue
from netbox_branching.models import Branch
from netbox_branching.utilities import activate_branch
from users.models import User
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.fields import read_all
from netbox_proxsync.ledger.tracking import tracked_transaction
from netbox_proxsync.models import Binding, ProxmoxEndpoint, SyncRun
from netbox_proxsync.sync.kinds import KINDS
from tests.pve import ClusterSpec, StandIn
from tests.scenarios.synced import APPS, pin, run_job

SPEC = {'nodes': 1, 'vms': 2, 'containers': 1, 'templates': 0, 'multi_nic': 1, 'vlan': 1, 'ipv6': 1, 'running': 1}
LITTLE = {'vms': 1, 'containers': 0, 'multi_nic': 0, 'ipv6': 0}
# Of an endpoint's row, what tells how main stands. What was read of Proxmox VE is true whoever has asked.
OF_MAIN = ('status', 'last_run', 'guests_read', 'cluster', 'cluster_identity', 'next_sync')


class Lab:
    """
    Args:
        little: Nothing but one virtual machine.

    Attributes:
        admin: Who syncs and merges.
    """

    def __init__(self, little: bool = False):
        self.little = little

    def __enter__(self) -> Self:
        self.pve = StandIn(ClusterSpec(**(SPEC | LITTLE if self.little else SPEC)))
        self.pve.__enter__()
        self.admin = User.objects.create_superuser('admin', password='admin')
        site = Site.objects.create(name='Linz', slug='linz')
        self.endpoint = pin(self.pve, site=site, create_vlans=True, sync_nodes=not self.little)
        return self

    def __exit__(self, *exc_info: object):
        self.pve.__exit__(None, None, None)
        for branch in Branch.objects.all():
            Branch.objects.filter(pk=branch.pk).update(status='ready')
            connections[branch.connection_name].close()
            branch.refresh_from_db()
            branch.delete()
        # As if nothing had been there: the next test begins with an empty NetBox.
        with connections['default'].cursor() as cursor:
            tables = [model._meta.db_table for model in written_models()]
            cursor.execute(f'TRUNCATE {", ".join(tables)}, users_user CASCADE')
        ContentType.objects.clear_cache()

    def branch(self, name: str = 'Review', **values: Any) -> Branch:
        branch = Branch(name=name, **values)
        branch.save(provision=False)
        branch.provision(self.admin)
        branch.refresh_from_db()
        return branch

    def sync(self, branch: Branch | None = None, mode: str = 'sync', **values: Any) -> SyncRun:
        """By the real job, in this process."""
        with activate_branch(branch):
            return run_job(self.endpoint, mode, self.admin, **values)

    def preview(self, branch: Branch | None = None) -> SyncRun:
        return self.sync(branch, 'preview')

    def assert_nothing_left(self, branch: Branch | None = None):
        preview = self.preview(branch)
        assert (preview.status, preview.counts, preview.error) == ('completed', {}, '')

    def content(self, branch: Branch | None = None) -> dict[tuple[str, str], dict[str, Any]]:
        """The bound objects by kind and key, with all managed values and the values of the bindings."""
        with activate_branch(branch):
            return {
                (row.kind, row.key): {
                    **shown(row.object, row.kind), 'remembered': without_pks(row.values), 'made': row.created_by_sync,
                }
                for row in Binding.objects.filter(endpoint_id=self.endpoint.pk)
            }  # fmt: skip

    def guests(self) -> dict[str, tuple]:
        """What is shown of the guests in main."""
        return {row.key: (row.name, row.state, row.reason, str(row.virtual_machine)) for row in self.guest_rows()}

    def guest_rows(self):
        return self.endpoint.guests.select_related('virtual_machine').order_by('vmid')

    def unit(self, vmid: int) -> str:
        return next(guest.key for guest in self.guest_rows() if guest.vmid == vmid)

    def machine(self, vmid: int) -> VirtualMachine:
        """The virtual machine of a guest, in the active branch or main."""
        return Binding.objects.get(endpoint_id=self.endpoint.pk, kind='vm', key=self.unit(vmid)).object

    @staticmethod
    def active(branch: Branch | None):
        return activate_branch(branch)

    @contextmanager
    def tried(self) -> Iterator[None]:
        """What is done in main within is taken back."""
        with transaction.atomic():
            yield
            transaction.set_rollback(True)
        self.endpoint.refresh_from_db()


def edit(user: User, instance: models.Model, **values: Any):
    """As a user does it in a form."""
    with tracked_transaction(user, uuid4()):
        instance.snapshot()
        for name, value in values.items():
            setattr(instance, name, value)
        instance.full_clean()
        instance.save()


def written_models() -> Iterator[type[models.Model]]:
    for app in (*APPS, 'netbox_proxsync'):
        for model in apps.get_app_config(app).get_models():
            if model._meta.managed and model._meta.model_name != 'managedcustomfield':
                yield model
    for label in ('extras.tag', 'extras.taggeditem', 'core.objectchange', 'extras.cachedvalue', 'core.job'):
        yield apps.get_model(label)


def rows() -> dict[str, list[tuple]]:
    """Every row of main that a sync might write, but for its own record."""
    found = {}
    for model in written_models():
        if model._meta.label_lower not in RECORD:
            names = OF_MAIN if model is ProxmoxEndpoint else [field.attname for field in model._meta.concrete_fields]
            stored = model._base_manager.using('default').values_list(*names)
            # Branches are searched for, too.
            stored = stored.exclude(object_type__model='branch') if model is CachedValue else stored
            found[model._meta.db_table] = sorted(stored, key=str)
    return found


def shown(instance: models.Model | None, kind: str) -> dict[str, Any]:
    assert instance is not None, f'a {kind} is gone'
    names = [spec.name for spec in KINDS[kind].fields]
    return {name: without_pks(value) for name, value in read_all(instance, names).items() if name not in STAMPS}


RECORD = (
    'core.job', 'netbox_proxsync.syncrun', 'netbox_proxsync.syncchange', 'netbox_proxsync.plannedbinding',
    'netbox_proxsync.branchstate',
)  # fmt: skip
STAMPS = ('cf_proxmox_last_sync',)


def without_pks(value: Any) -> Any:
    """By what users call it: another object that is like it is as good."""
    match value:
        case dict():
            return {name: without_pks(part) for name, part in value.items() if name not in ('pk', 'label')}
        case frozenset() | list():
            return sorted(str(without_pks(part)) for part in value)
        case models.Model():
            return str(value)
    model = getattr(value, 'model', None)
    if model and hasattr(value, 'pk'):
        found = apps.get_model(model).objects.filter(pk=value.pk).first()
        return f'{model} {found}'
    return value
