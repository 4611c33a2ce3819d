"""Other plugins beside ours: which there are, NetBox reads once for a process, so their tests have one of their own."""

import os
import subprocess
import sys

import pytest

from tests.stack.paths import ROOT


# A whole run of its own, with a database that is built for it.
@pytest.mark.timeout(2400)
def test_everything_works_with_other_plugins_and_in_branches(django_db_setup):
    """`django_db_setup` is for PostgreSQL and Redis to be there."""
    # Without what tells a test process which part of the whole it is.
    inherited = {name: value for name, value in os.environ.items() if not name.startswith('PYTEST_')}
    tests = subprocess.run(
        [sys.executable, '-m', 'pytest', 'tests/companions', '-q', '--durations=5', '-p', 'no:cacheprovider'],
        cwd=ROOT,
        env={**inherited, 'PROXSYNC_STACK_COMPANIONS': '1'},
        check=False,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    assert tests.returncode == 0, tests.stdout
