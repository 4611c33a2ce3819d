"""
pytest plugin, named in pyproject.toml: gives each test run a NetBox of its own.

NetBox's settings are read before any conftest.py, so the environment is set when this module is imported. The database
is made when the first test asks for it; tests that need none run without the stack.
"""
import os
from contextlib import ExitStack

import pytest

from . import databases, locks, netbox, services
from .paths import STACK

# Kept open: its lock is what makes the number ours, for as long as this process lives.
_SLOT, _KEPT = locks.take_slot(netbox.TESTS)
_DATABASE = f'test_proxsync_{_SLOT}'
_stack = ExitStack()

os.environ.update(netbox.variables(_DATABASE, _SLOT))
os.environ.setdefault('HYPOTHESIS_STORAGE_DIRECTORY', str(STACK / 'hypothesis'))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    if fixturedef.argname == 'django_db_modify_db_settings':
        if not services.up():
            pytest.exit('These tests need PostgreSQL and Redis. Run "make test", or "make up" before pytest.', 1)
        _stack.enter_context(services.using())
        _stack.callback(databases.drop, _DATABASE)
        databases.prepare_for_tests(_DATABASE, _SLOT)


def pytest_unconfigure():
    _stack.close()
