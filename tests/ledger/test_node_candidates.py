"""
Devices that may be a node, without proof: never a second device of the same machine.

Other inputs that were tried: another site with and without a cluster, a device that another endpoint keeps, a stored
plan, and what the reason names as the way out. Other roles and clusters at the same site:
tests/scenarios/nodes/test_nodes.py.
"""

import pytest
from dcim.models import Device, DeviceRole, DeviceType, Manufacturer, Site
from virtualization.models import Cluster, VirtualMachine

pytestmark = pytest.mark.django_db


@pytest.fixture
def sites(db) -> tuple[Site, Site]:
    east, west = (Site.objects.create(name=name, slug=name) for name in ('east', 'west'))
    return east, west


@pytest.fixture
def endpoint(standin, make_endpoint, sites):
    return make_endpoint(standin(nodes=2, vms=2, containers=0, templates=0, seed=3, name='lab'), site=sites[0])


def device(name: str, site: Site, **values) -> Device:
    maker = Manufacturer.objects.get_or_create(name='Acme', slug='acme')[0]
    kind = DeviceType.objects.get_or_create(model='X', slug='x', manufacturer=maker)[0]
    role = DeviceRole.objects.get_or_create(name='Hypervisor', slug='hypervisor')[0]
    return Device.objects.create(**{'name': name, 'site': site, 'device_type': kind, 'role': role} | values)


def reported(run, node='pve1') -> list[tuple]:
    rows = run.changes.filter(kind='device', key=f'node/{node}')
    return [(row.action, row.outcome, row.object) for row in rows]


def test_a_device_of_that_name_at_another_site_is_not_created_twice(endpoint, sites, sync):
    mine = device('PVE1', sites[1], serial='MINE')
    for mode, outcome in (('preview', 'planned'), ('sync', 'skipped')):
        run = sync(endpoint, mode=mode)
        assert reported(run) == [('candidate', outcome, mine)]
    assert sorted(Device.objects.values_list('name', flat=True)) == ['PVE1', 'pve2']
    reason = run.changes.get(kind='device', key='node/pve1').reason
    assert 'at the site "west"' in reason
    assert '"Create Separately" if it is another machine' in reason
    # Its guests are synced all the same.
    assert VirtualMachine.objects.count() == 2
    assert sync(endpoint).candidates == 1
    # What the reason says: it has moved.
    mine.site = sites[0]
    mine.full_clean()
    mine.save()
    assert reported(sync(endpoint)) == [('adopt', 'applied', mine)]
    mine.refresh_from_db()
    assert (mine.cluster.name, mine.serial) == ('lab', 'MINE')


@pytest.mark.parametrize('how', ['renamed', 'in its own cluster'])
def test_a_device_elsewhere_that_is_another_machine_holds_nothing_up(endpoint, sites, sync, how):
    other = device('pve1', sites[1])
    assert [row[0] for row in reported(sync(endpoint))] == ['candidate']
    if how == 'renamed':
        other.name = 'pve1-west'
    else:
        other.cluster = Cluster.objects.create(name='west', type=Cluster.objects.get(name='lab').type)
    other.save()
    assert [row[0] for row in reported(sync(endpoint))] == ['create']
    assert Device.objects.filter(site=sites[0]).count() == 2


def test_a_node_that_another_endpoint_keeps_at_another_site_is_no_candidate(
    endpoint, standin, make_endpoint, sites, sync
):
    sync(endpoint)
    other = standin(nodes=1, vms=1, containers=0, templates=0, seed=4, name='west')
    assert [row[0] for row in reported(sync(make_endpoint(other, name='West', site=sites[1])))] == ['create']


def test_a_device_that_a_user_has_created_since_the_preview_is_not_created_again(endpoint, sites, sync):
    from netbox_proxsync.jobs import SyncJob

    preview = sync(endpoint, mode='preview')
    device('pve1', sites[1])
    run = SyncJob.enqueue_plan(preview, None, None, immediate=True)
    assert [row[:2] for row in reported(run)] == [('create', 'outdated')]
    assert [row[:2] for row in reported(run, 'pve2')] == [('create', 'applied')]
