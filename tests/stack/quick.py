"""
`make quick`: the tests of the pure packages, `proxmox/` and `sync/`, without NetBox, PostgreSQL and Redis.

Tests that talk to servers over sockets wait more than they work; `make test` runs them.
"""

import os
import subprocess
import sys

from .paths import ROOT

WITH_SERVERS = (
    'http/test_client.py', 'http/test_limits.py', 'http/test_tls.py', 'readers/test_collector.py',
    'readers/test_guest_list.py', 'readers/test_infrastructure.py', 'ssh/test_hardware.py', 'test_check.py',
    'test_connections.py', 'test_token_history.py',
)  # fmt: skip


def main() -> int:
    processes = str(min(os.cpu_count() or 1, 4))
    command = [
        *(sys.executable, '-m', 'pytest', 'tests/proxmox', 'tests/sync', '--quiet'),
        *(f'--ignore=tests/proxmox/{name}' for name in WITH_SERVERS),
        # Instead of the options in pyproject.toml, which prepare a database.
        *('--override-ini=addopts=', '--import-mode=importlib', '-p', 'no:django', '-p', 'tests.stack.pure'),
        *('-W', 'ignore:Unknown config option', '--numprocesses', processes, '--dist', 'worksteal'),
        *sys.argv[1:],
    ]
    return subprocess.call(command, cwd=ROOT)


if __name__ == '__main__':
    sys.exit(main())
