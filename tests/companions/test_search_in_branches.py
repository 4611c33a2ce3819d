"""NetBox's search index in a branch, which has its own."""

import django_rq
import pytest
from core.models import Job
from extras.models import CachedValue
from netbox.search.jobs import SearchCacheJob
from netbox_branching.utilities import activate_branch
from rq import SimpleWorker, Worker
from virtualization.models import VirtualMachine

from .lab import Lab


@pytest.fixture
def queue(kept):
    """The queue, with a worker that is registered, or NetBox would update the index without jobs."""
    queue = django_rq.get_queue('default')
    queue.empty()
    worker = Worker([queue], connection=queue.connection)
    worker.register_birth()
    yield queue
    worker.register_death()
    queue.empty()


def test_a_sync_into_a_branch_leaves_one_job_and_is_found_there(lab: Lab, queue):
    branch = lab.branch()
    # The branch itself can be found, too.
    before = set(Job.objects.values_list('pk', flat=True))
    lab.sync(branch)
    jobs = Job.objects.filter(name=SearchCacheJob.name).exclude(pk__in=before)
    assert jobs.count() == 1
    SimpleWorker([queue], connection=queue.connection).work(burst=True)
    assert jobs.get().status == 'completed'
    with activate_branch(branch):
        found = CachedValue.objects.filter(object_type__model='virtualmachine', field='name')
        machines = VirtualMachine.objects.values_list('name', flat=True)
        assert sorted(found.values_list('value', flat=True)) == sorted(machines) != []
    assert not VirtualMachine.objects.exists()
    assert not CachedValue.objects.filter(object_type__model='virtualmachine').exists()
