"""A NetBox that has netbox-branching, netbox-topology-views and netbox-plugin-dns in it, too."""

from collections.abc import Iterator

import pytest

from tests.conftest import own_database

from .lab import Lab


@pytest.fixture(scope='module')
def kept(django_db_setup, django_db_blocker) -> Iterator[dict[str, str]]:
    """A database of the module's own. Branches are schemas, so changes must be committed to reach them."""
    with own_database('branch', django_db_blocker) as environment:
        yield environment


@pytest.fixture
def lab(kept) -> Iterator[Lab]:
    """An empty NetBox but for an endpoint with a stand-in."""
    with Lab() as made:
        yield made


@pytest.fixture
def little(kept) -> Iterator[Lab]:
    """The same with one virtual machine alone: a first sync of it takes a moment."""
    with Lab(little=True) as made:
        yield made


@pytest.fixture(scope='module')
def synced(kept) -> Iterator[Lab]:
    """The same, synced into main. Changes of a test remain, so each test starts from the current state."""
    with Lab() as made:
        made.sync()
        yield made
