"""Checks the types of the package, or of the paths that are given, with mypy: `python -m tests.stack.types PATH...`."""

import os
import subprocess
import sys

from . import netbox
from .paths import ROOT, STACK


def main() -> int:
    mypy = os.path.join(os.path.dirname(sys.executable), 'mypy')
    command = [mypy, '--cache-dir', str(STACK / 'mypy'), '--no-error-summary', *sys.argv[1:]]
    # mypy's plugin for Django reads NetBox's settings and models. It needs no database.
    return subprocess.call(command, env=netbox.environment(), cwd=ROOT)


if __name__ == '__main__':
    sys.exit(main())
