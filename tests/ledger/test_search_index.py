"""
NetBox updates its search index by a job after a transaction. A run that left one job for every object that it wrote
would delay the next run, and everybody else's jobs, by minutes.

Tried: a first sync, a later one with changes and deletions, an object that is refused after it was saved, one whose
deletion is refused after it was deleted, shared objects that are made for a refused change, no worker at all, event
rules. In a branch: tests/companions/test_search_in_branches.py.
"""

from collections import Counter
from math import ceil

import pytest
from core.models import Job, ObjectType
from django.core.exceptions import ValidationError
from django.db.models.signals import post_delete, post_save
from django.test import Client
from django.urls import reverse
from extras.jobs import RenderConfigContextJob
from extras.models import CachedValue, EventRule, Tag, Webhook
from ipam.models import IPAddress
from netbox.search.backends import search_backend
from netbox.search.jobs import SearchCacheJob
from users.models import User
from utilities.exceptions import AbortRequest
from virtualization.models import VirtualDisk, VirtualMachine, VMInterface

from netbox_proxsync.ledger.writer import UNITS_PER_TRANSACTION
from netbox_proxsync.models import SyncRun

from ..runs.test_cancellation import Administrator, make, until
from ..scenarios.synced import pin, run_job


def finds(text: str, instance) -> bool:
    results = search_backend.search(text)
    return any(result.object == instance for result in results)


def transactions_of(run: SyncRun) -> int:
    return ceil(run.changes.order_by().values('unit').distinct().count() / UNITS_PER_TRANSACTION)


def assert_index_is_whole():
    """Everything can be found, and nothing that is not there."""
    for model, name in ((VirtualMachine, 'name'), (VMInterface, 'name'), (VirtualDisk, 'name'), (IPAddress, 'address')):
        for instance in model.objects.all():
            entries = CachedValue.objects.filter(object_type__model=model._meta.model_name, object_id=instance.pk)
            assert {str(getattr(instance, name))} & set(entries.values_list('value', flat=True)), instance
        entries = CachedValue.objects.filter(object_type__model=model._meta.model_name)
        assert not entries.exclude(object_id__in=model.objects.values('pk')).exists()


@pytest.fixture
def receivers():
    """Connects receivers of signals, as another plugin does, until the test has ended."""
    connected = []

    def connect(signal, model, receiver):
        signal.connect(receiver, sender=model, weak=False)
        connected.append((signal, model, receiver))

    yield connect
    for signal, model, receiver in connected:
        signal.disconnect(receiver, sender=model)


class TestByAWorker:
    @pytest.fixture
    def lab(self, worker, standin):
        def build(**spec):
            pve = standin(**spec)
            return pve, make(f'{pve.host}:{pve.port}', token_id=pve.token_id, token_secret=pve.token_secret)

        return build

    def test_a_sync_leaves_one_job_for_each_transaction_and_everything_is_found(self, worker, lab):
        pve, endpoint = lab(nodes=2, vms=45, containers=15, templates=0)
        administrator = Administrator()
        run = administrator.wait(administrator.sync(endpoint))
        assert (run.status, run.changes.count() > 300) == ('completed', True)
        assert transactions_of(run) == 2
        jobs = Job.objects.filter(name=SearchCacheJob.name)
        assert jobs.count() <= transactions_of(run)
        until(lambda: not jobs.exclude(status='completed').exists())
        assert_index_is_whole()
        vm = VirtualMachine.objects.last()
        answer = administrator.client.get(reverse('search'), {'q': vm.name})
        assert vm.get_absolute_url() in answer.content.decode()

        # A later run that changes, makes and deletes.
        before = jobs.count()
        first, second, third = (guest.vmid for guest in list(pve.cluster.guests.values())[:3])
        pve.rename(first, 'renamed')
        pve.delete(second)
        pve.remove_nic(third, 'net0')
        run = administrator.wait(administrator.sync(endpoint))
        assert {'update', 'delete'} <= set(run.changes.values_list('action', flat=True))
        assert jobs.count() == before + 1
        until(lambda: not jobs.exclude(status='completed').exists())
        assert_index_is_whole()
        assert finds('renamed', VirtualMachine.objects.get(name='renamed'))

        # A run that changes nothing leaves no job.
        before = jobs.count()
        run = administrator.wait(administrator.sync(endpoint))
        assert run.changes.count() == 0
        assert jobs.count() == before

    def test_a_sync_leaves_no_other_jobs_for_single_objects(self, worker, lab):
        """Webhooks aside, which a user has asked for: they are no jobs of NetBox, but tasks of the queue."""
        hook = Webhook.objects.create(name='Chat', payload_url='http://127.0.0.1:9/')
        rule = EventRule.objects.create(name='Names', event_types=['object_created'], action_object=hook)
        rule.object_types.add(ObjectType.objects.get_for_model(VirtualMachine))
        _pve, endpoint = lab(nodes=1, vms=20, containers=0, templates=0)
        administrator = Administrator()
        # Those of the event rule.
        before = list(Job.objects.values_list('pk', flat=True))
        administrator.wait(administrator.sync(endpoint))
        jobs = Counter(Job.objects.filter(interval=None).exclude(pk__in=before).values_list('name', flat=True))
        # NetBox merges these itself, unless a worker takes one while the next is being planned.
        assert jobs.pop(RenderConfigContextJob.name) < 10
        assert jobs == {'Proxmox VE sync': 1, SearchCacheJob.name: 1}


class TestRefused:
    """Without a worker, NetBox updates the index itself after the commit."""

    @pytest.fixture
    def endpoint(self, committed, standin):
        self.pve = standin(nodes=1, vms=3, containers=0, templates=0, running=3)
        return pin(self.pve)

    def test_an_object_rejected_after_saving_is_not_in_the_search_index(self, endpoint, receivers):
        guests = list(self.pve.cluster.guests.values())
        self.pve.rename(guests[0].vmid, 'refused')
        seen = []

        def refuse(instance, **kwargs):
            if instance.name == 'refused':
                seen.append(instance.pk)
                raise ValidationError('Not this one')

        receivers(post_save, VirtualMachine, refuse)
        run = run_job(endpoint)
        assert run.changes.filter(kind='vm', outcome='failed').count() == 1
        assert (len(seen), VirtualMachine.objects.count()) == (1, 2)
        assert not CachedValue.objects.filter(object_id__in=seen, object_type__model='virtualmachine').exists()
        assert_index_is_whole()

    def test_an_object_that_could_not_be_deleted_is_in_the_search_index(self, endpoint, receivers):
        run_job(endpoint)
        guest = next(iter(self.pve.cluster.guests.values()))

        def refuse(instance, **kwargs):
            raise AbortRequest('It stays')

        receivers(post_delete, VMInterface, refuse)
        self.pve.remove_nic(guest.vmid, 'net0')
        run = run_job(endpoint)
        assert run.changes.filter(kind='interface', action='delete', outcome='failed').count() == 1
        assert VMInterface.objects.filter(virtual_machine__name=guest.name, name='net0').exists()
        assert_index_is_whole()

    def test_a_tag_that_was_created_for_a_refused_machine_is_found(self, endpoint, receivers):
        guest = next(iter(self.pve.cluster.guests.values()))
        self.pve.set_tags(guest.vmid, 'onlyhere')

        def refuse(instance, **kwargs):
            if instance.name == guest.name:
                raise ValidationError('Not this one')

        receivers(post_save, VirtualMachine, refuse)
        run_job(endpoint)
        assert finds('onlyhere', Tag.objects.get(name='onlyhere'))
        assert not VirtualMachine.objects.filter(name=guest.name).exists()

    def test_the_search_page_finds_a_machine(self, endpoint):
        run_job(endpoint)
        client = Client()
        client.force_login(User.objects.create_superuser('alice'))
        vm = VirtualMachine.objects.first()
        assert vm.get_absolute_url() in client.get(reverse('search'), {'q': vm.name}).content.decode()
