"""`make lint`: what tools can prove of the code, without a database. All of them run, whatever the first ones find."""

import os
import subprocess
import sys

from . import netbox
from .paths import ROOT, STACK

CHECKS = (
    ('ruff', 'check', '--quiet', '.'),
    ('ruff', 'format', '--check', '--quiet', '.'),
    # Which part may import which: see [tool.importlinter] in pyproject.toml.
    ('lint-imports', '--cache-dir', str(STACK / 'import-linter'), '--no-logo'),
    ('interrogate', '--config', 'pyproject.toml'),
    # Unused code. Names that are used in ways that it cannot find are in [tool.vulture] and in unused.py.
    ('vulture',),
    # mypy's plugin for Django reads NetBox's settings and models. It needs no database.
    ('mypy', '--cache-dir', str(STACK / 'mypy')),
)


def main() -> int:
    environment = {**netbox.environment(), 'RUFF_CACHE_DIR': str(STACK / 'ruff')}
    folder = os.path.dirname(sys.executable)
    failed = []
    for name, *arguments in CHECKS:
        done = subprocess.run([os.path.join(folder, name), *arguments], cwd=ROOT, env=environment, check=False)
        if done.returncode:
            failed.append(' '.join([name, *arguments]))
    for command in failed:
        print(f'Failed: {command}', file=sys.stderr)
    return bool(failed)


if __name__ == '__main__':
    sys.exit(main())
