import pytest

from tests.conftest import own_database


@pytest.fixture(scope='module')
def kept(django_db_setup, django_db_blocker):
    """A database of the module's own, in which everything is committed, as branches need it."""
    with own_database('branch', django_db_blocker) as environment:
        yield environment
