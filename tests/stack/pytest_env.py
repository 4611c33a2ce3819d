"""
pytest plugin, named in pyproject.toml: gives each test run a NetBox of its own.

NetBox's settings are read before any conftest.py, so the environment is set when this module is imported. The database
is created when the first test requests it; tests that need none run without the stack.
"""

import os
from contextlib import ExitStack

import pytest

from . import databases, locks, loopback, netbox, services
from .paths import RUN, STACK

# Kept open: its lock is what makes the number ours, for as long as this process lives.
_SLOT, _KEPT = locks.take_slot(netbox.TESTS)
_DATABASE = f'test_proxsync_{_SLOT}'
_stack = ExitStack()

os.environ.update(netbox.variables(_DATABASE, _SLOT))
loopback.begin_report(RUN / f'contacts-{_SLOT}')
loopback.keep()
os.environ.setdefault('HYPOTHESIS_STORAGE_DIRECTORY', str(STACK / 'hypothesis'))


@pytest.hookimpl(tryfirst=True)
def pytest_fixture_setup(fixturedef):
    if fixturedef.argname == 'django_db_modify_db_settings':
        if not services.up():
            pytest.exit('These tests need PostgreSQL and Redis. Run "make test", or "make up" before pytest.', 1)
        _stack.enter_context(services.using())
        _stack.callback(databases.drop, _DATABASE)
        databases.prepare_for_tests(_DATABASE, _SLOT)


@pytest.fixture(autouse=True)
def nothing_else_is_contacted():
    """No test, and no process that it started, may have tried to contact another machine; see loopback.py."""
    yield
    assert loopback.reported() == ''


@pytest.fixture(scope='session', autouse=True)
def quick_passwords():
    """Let passwords of tests be hashed in a moment; NetBox's other processes know from the hash how it was made."""
    from django.contrib.auth.hashers import PBKDF2PasswordHasher

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(PBKDF2PasswordHasher, 'iterations', 1)
        yield


@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session: pytest.Session):
    # What processes tried after the last test.
    if late := loopback.reported():
        print(f'\nAnother machine was to be contacted:\n{late}')
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_unconfigure():
    _stack.close()
