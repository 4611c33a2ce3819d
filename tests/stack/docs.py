"""
`make docs`: the pages of docs/ as a website in .stack/site.

Broken links, and pages that are missing from the navigation, are errors.
"""

import os
import subprocess
import sys

from .paths import ROOT, STACK
from .release import address

SITE = STACK / 'site'


def build(site: str = str(SITE)) -> subprocess.CompletedProcess[str]:
    """Build the website; the result has the warnings that mkdocs printed."""
    variables = {**os.environ, 'REPOSITORY_URL': address(), 'NO_MKDOCS_2_WARNING': '1'}
    command = [sys.executable, '-m', 'mkdocs', 'build', '--strict', '--site-dir', site]
    done = subprocess.run(command, cwd=ROOT, env=variables, capture_output=True, text=True, check=False)
    # Not by --quiet, which also lets --strict pass.
    done.stderr = ''.join(line for line in done.stderr.splitlines(keepends=True) if not line.startswith('INFO'))
    return done


if __name__ == '__main__':
    done = build()
    print(done.stdout + done.stderr or f'Built {SITE}/index.html', file=sys.stderr)
    sys.exit(done.returncode)
