"""Python's search for garbage is paused while a plan is made, which must not cost memory or outlast the run."""

import gc

import pytest
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.runs import execution
from netbox_proxsync.runs.garbage import leave_out_older_objects, older_objects_left_out, paused

from ..scenarios.synced import Stage, after_first_sync


@pytest.fixture(scope='module')
def stage() -> Stage:
    return Stage({'nodes': 1, 'vms': 2, 'containers': 0, 'templates': 0})


def loaded() -> int:
    """The number of virtual machines and interfaces in memory."""
    # `isinstance` would evaluate objects that are lazy.
    return sum(issubclass(type(each), (VirtualMachine, VMInterface)) for each in gc.get_objects())


@after_first_sync
def test_loaded_data_is_freed_without_a_garbage_collection(endpoint, sync):
    sync(endpoint)
    gc.collect()
    before = loaded()
    gc.disable()
    try:
        assert sync(endpoint).counts == {}
        assert loaded() == before
    finally:
        gc.enable()


@after_first_sync
def test_garbage_collection_is_paused_while_a_plan_is_computed(endpoint, sync, monkeypatch):
    seen = []
    compare = execution.compare

    def observed(*arguments):
        seen.append((gc.isenabled(), gc.get_freeze_count() > 0))
        return compare(*arguments)

    monkeypatch.setattr(execution, 'compare', observed)
    sync(endpoint)
    assert seen == [(False, True)]
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_the_search_goes_on_after_a_failure():
    with pytest.raises(ValueError, match='broken'), older_objects_left_out(), paused():
        raise ValueError('broken')
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_a_process_with_frozen_objects_is_unchanged():
    gc.freeze()
    try:
        with older_objects_left_out():
            pass
        assert gc.get_freeze_count()
    finally:
        gc.unfreeze()
    gc.disable()
    try:
        with paused():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()


def test_the_objects_of_a_plan_are_left_out_while_it_is_applied(endpoint, sync, pve, monkeypatch):
    frozen = []
    compare, apply = execution.compare, execution.Application.apply

    def compared(*arguments):
        frozen.append(gc.get_freeze_count())
        return compare(*arguments)

    def applied(*arguments):
        frozen.append(gc.get_freeze_count())
        return apply(*arguments)

    monkeypatch.setattr(execution, 'compare', compared)
    monkeypatch.setattr(execution.Application, 'apply', applied)
    sync(endpoint)
    before, later = frozen
    assert later > before
    assert (gc.isenabled(), gc.get_freeze_count()) == (True, 0)


def test_outside_of_a_run_nothing_is_left_out():
    leave_out_older_objects()
    assert gc.get_freeze_count() == 0
