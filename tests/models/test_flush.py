"""The state after a flush of the whole database, which needs a database of its own."""

import pytest
from django.core.management import call_command

from ..conftest import own_database


@pytest.fixture
def flushed(django_db_setup, django_db_blocker):
    from django.contrib.contenttypes.models import ContentType

    with own_database('flushed', django_db_blocker):
        call_command('flush', interactive=False, verbosity=0)
        yield
    # Content types have other IDs after a flush.
    ContentType.objects.clear_cache()


def test_the_custom_fields_come_back(flushed):
    from extras.models import CustomField
    from virtualization.models import VirtualMachine

    from netbox_proxsync.custom_fields import CUSTOM_FIELDS

    assert CustomField.objects.count() == len(CUSTOM_FIELDS)
    found = {field.name for field in CustomField.objects.get_for_model(VirtualMachine)}
    assert {'vmid', 'vm_status'} <= found
