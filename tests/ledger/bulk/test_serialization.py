"""The faster serialization of objects returns what NetBox's own returns."""

import pytest
from django.db.models import prefetch_related_objects
from extras.models import Tag
from ipam.models import VLAN
from virtualization.models import VirtualMachine, VMInterface

from netbox_proxsync.ledger.bulk.serialization import serialize

from ...cases import make_clusters

pytestmark = pytest.mark.django_db


@pytest.mark.parametrize('prefetched', [('tags',), ('tags', 'tagged_vlans')], ids='+'.join)
def test_an_interface_with_tagged_vlans(prefetched):
    (cluster,) = make_clusters('lab')
    interface = VMInterface.objects.create(
        virtual_machine=VirtualMachine.objects.create(name='web', cluster=cluster), name='net0', mode='tagged'
    )
    interface.tagged_vlans.set([VLAN.objects.create(vid=vid, name=f'VLAN {vid}') for vid in (10, 20)])
    interface.tags.add(Tag.objects.create(name='Web', slug='web'))
    prefetch_related_objects([interface], *prefetched)
    ours, theirs = serialize(interface, ('created',)), interface.serialize_object(exclude=('created',))
    # NetBox does not sort them.
    assert sorted(ours.pop('tagged_vlans')) == sorted(theirs.pop('tagged_vlans'))
    assert ours == theirs
