"""Shared objects that users rename while branches are open: main and each branch have their own memory of them."""

from dcim.models import Platform
from extras.models import Tag
from virtualization.models import ClusterType, VirtualMachineType

from netbox_proxsync.models import FormerEndpoint, SharedObject
from tests.scenarios.synced import pin

from .lab import Lab, edit, rows

MODELS = (ClusterType, Platform, Tag, VirtualMachineType)


def rename_all(lab: Lab) -> dict[str, int]:
    for model in MODELS:
        for instance in model.objects.all():
            edit(lab.admin, instance, name=f'Renamed {instance.pk}', slug=f'renamed-{instance.pk}')
    return numbers()


def numbers() -> dict[str, int]:
    return {model.__name__: model.objects.count() for model in MODELS}


def new_guest(lab: Lab):
    old = next(iter(lab.pve.cluster.guests.values()))
    lab.pve.create(990, name='another', config={'ostype': old.config['ostype'], 'tags': old.config.get('tags')})


def test_a_run_in_a_branch_writes_nothing_into_mains_memory(little: Lab):
    lab = little
    branch, before = lab.branch(), rows()
    lab.sync(branch)
    assert rows() == before
    assert not SharedObject.objects.exists()
    with lab.active(branch):
        assert SharedObject.objects.exists()


def test_an_object_renamed_in_a_merged_branch_is_known_in_main(little: Lab):
    lab = little
    branch = lab.branch()
    lab.sync(branch)
    with lab.active(branch):
        before = rename_all(lab)
    branch.merge(lab.admin)
    assert numbers() == before
    lab.assert_nothing_left()
    new_guest(lab)
    assert lab.sync().status == 'completed'
    assert numbers() == before


def test_an_object_renamed_in_main_is_known_in_a_branch_created_before_the_first_sync(little: Lab):
    lab = little
    branch = lab.branch()
    lab.sync()
    before = rename_all(lab)
    branch.sync(lab.admin)
    lab.assert_nothing_left(branch)
    new_guest(lab)
    assert lab.sync(branch).status == 'completed'
    with lab.active(branch):
        assert numbers() == before


def test_after_a_reverted_merge_they_are_created_again_and_after_another_merge_known_again(little: Lab):
    lab = little
    branch = lab.branch()
    lab.sync(branch)
    branch.merge(lab.admin)
    branch.refresh_from_db()
    branch.revert(lab.admin)
    with lab.tried():
        assert lab.sync().status == 'completed'
        assert VirtualMachineType.objects.get().name == 'Proxmox VM'
    branch.refresh_from_db()
    branch.merge(lab.admin)
    before = rename_all(lab)
    lab.assert_nothing_left()
    assert numbers() == before


def test_an_endpoint_that_is_deleted_leaves_nothing_in_branches(little: Lab):
    lab = little
    branch = lab.branch()
    lab.sync(branch)
    lab.endpoint.delete()
    with lab.active(branch):
        assert not SharedObject.objects.exists()


def test_a_run_in_a_branch_leaves_what_a_deleted_endpoint_had_bound_to_the_next_run_in_main(little: Lab):
    little.sync()
    little.endpoint.delete()
    little.endpoint = pin(little.pve)
    little.sync(little.branch())
    assert FormerEndpoint.objects.exists()
    little.sync()
    assert not FormerEndpoint.objects.exists()
    little.assert_nothing_left()
