import pytest

from .certificates import Certificate, make_ca, make_leaf


@pytest.fixture(scope='session')
def ca() -> Certificate:
    return make_ca()


@pytest.fixture(scope='session')
def leaf(ca) -> Certificate:
    """A node's certificate, good for 127.0.0.1 and localhost."""
    return make_leaf(ca, '127.0.0.1', 'localhost')


@pytest.fixture(scope='session')
def context(leaf, tmp_path_factory):
    return leaf.server_context(tmp_path_factory.mktemp('tls'))
