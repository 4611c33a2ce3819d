"""
How long syncs take, as a table for docs/performance.md: first sync, sync without changes, with a few changes, preview
and apply, for generated clusters of several sizes.

All ratios are to what was measured in the same run: to NetBox's own path, which creates the same objects one by one,
and to the sync without changes. Seconds depend on the machine and on what else it does. `--collect` reads Proxmox VE
alone.
"""

import argparse
import json
import subprocess
import sys

from tests.stack.paths import ROOT

from . import collecting
from .report import table

SIZES = (100, 1000, 10_000)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.bench', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--guests', type=int, nargs='+', default=SIZES)
    parser.add_argument('--latency', type=float, default=0.02, help='seconds that each call takes')
    parser.add_argument('--collect', action='store_true', help='only read Proxmox VE, 1,000 guests by default')
    parser.add_argument('--concurrency', type=int, default=8, help='with --collect: calls at a time')
    parser.add_argument('--rounds', type=int, default=3, help='with --collect')
    options = parser.parse_args()
    if options.collect:
        guests = options.guests[0] if options.guests is not SIZES else 1000
        return collecting.run(guests, options.latency, options.concurrency, options.rounds)
    found = []
    for guests in options.guests:
        # Each size in a process of its own, for its memory and its database.
        command = [sys.executable, '-m', 'tests.bench.syncing', str(guests), f'--latency={options.latency}']
        done = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
        found.append(json.loads(done.stdout.splitlines()[-1]))
        print(table(found), flush=True)
    return 0


if __name__ == '__main__':
    sys.exit(main())
