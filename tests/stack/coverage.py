"""`make coverage`: all tests, and whether they take enough of the branches of each package."""

import os
import subprocess
import sys

from .__main__ import all_processes
from .paths import ROOT, STACK

DATA = STACK / 'coverage'
# Percent of branches and statements.
REQUIRED = {
    'netbox_proxsync/proxmox/*': 100,
    'netbox_proxsync/sync/*': 100,
    'netbox_proxsync/ledger/*': 100,
    'netbox_proxsync/*': 95,
}


def main() -> int:
    environment = {**os.environ, 'COVERAGE_FILE': str(DATA)}
    coverage = (sys.executable, '-m', 'coverage')
    subprocess.call([*coverage, 'erase'], cwd=ROOT, env=environment)
    tests = [
        *(sys.executable, '-m', 'tests.stack', 'test', 'tests', '--quiet', '--cov', '--cov-report='),
        *('--numprocesses', all_processes(), '--dist', 'loadfile', '--no-loadscope-reorder'),
    ]
    is_failed = subprocess.call(tests, cwd=ROOT, env=environment) != 0
    # What processes wrote that ended after the tests.
    subprocess.call([*coverage, 'combine', '--append', '--quiet'], cwd=ROOT, env=environment)
    for paths, percent in REQUIRED.items():
        report = [
            *(*coverage, 'report', '--show-missing', '--skip-covered', f'--include={paths}'),
            f'--fail-under={percent}',
        ]
        is_failed |= subprocess.call(report, cwd=ROOT, env=environment) != 0
    return int(is_failed)


if __name__ == '__main__':
    sys.exit(main())
