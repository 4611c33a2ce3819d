"""Objects that are loaded for reading only hold what NetBox's own objects hold."""

import pytest
from dcim.models import Site
from virtualization.models import VirtualMachine

from netbox_proxsync.ledger.bindings import load_bindings
from netbox_proxsync.ledger.fields import is_set, read_all
from netbox_proxsync.ledger.netbox_models import model_named
from netbox_proxsync.ledger.object_loading import load_objects, rows_of
from netbox_proxsync.models import Binding
from netbox_proxsync.sync.kinds import KINDS
from netbox_proxsync.sync.values import decode_all

pytestmark = pytest.mark.django_db


@pytest.fixture
def endpoint(standin, make_endpoint, sync):
    site = Site.objects.create(name='Site', slug='site')
    endpoint = make_endpoint(standin(nodes=2, vms=4, containers=2, seed=3), site=site, create_vlans=True)
    assert sync(endpoint).status == 'completed'
    return endpoint


def test_objects_have_the_same_values_and_names(endpoint):
    for kind in KINDS.values():
        rows = model_named(kind.model).objects.order_by('pk')
        names = [spec.name for spec in kind.fields if not is_set(model_named(kind.model), spec.name)]
        loaded = load_objects(rows)
        assert [read_all(each, names) for each in loaded] == [read_all(each, names) for each in rows] != []
        assert [(each.pk, str(each)) for each in loaded] == [(each.pk, str(each)) for each in rows]


def test_a_column_that_is_left_out_is_loaded_when_it_is_read(endpoint):
    machine = VirtualMachine.objects.first()
    loaded = next(each for each in load_objects(VirtualMachine.objects.all()) if each.pk == machine.pk)
    assert 'last_updated' not in loaded.__dict__
    assert (loaded.last_updated, loaded.interface_count) == (machine.last_updated, machine.interface_count)
    assert machine.interface_count


def test_rows_with_and_without_json(endpoint):
    first = VirtualMachine.objects.order_by('pk').first()
    VirtualMachine.objects.filter(pk=first.pk).update(local_context_data={'name': ['größe', None, {'a "b"': 1.5}]})
    columns = ('id', 'local_context_data', 'name', 'custom_field_data')
    rows = VirtualMachine.objects.order_by('pk')
    assert list(rows_of(rows, columns)) == list(rows.values_list(*columns))
    assert list(rows_of(rows.none(), columns)) == []


def test_bindings_are_loaded_in_their_order(endpoint):
    found = load_bindings(endpoint)
    assert [*found] == sorted(found)
    rows = Binding.objects.filter(endpoint=endpoint)
    assert {identity: (bound.pk, bound.last) for identity, bound in found.items()} == {
        (row.kind, row.key): (row.pk, decode_all(row.values)) for row in rows
    }
