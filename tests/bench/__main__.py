"""
How long syncs take, as a table for docs/performance.md: first sync, sync without changes, with a few changes, preview
and apply, for generated clusters of several sizes.

All ratios are to what was measured in the same run: to NetBox's own path, which creates the same objects one by one,
and to the sync without changes. Seconds depend on the machine and on what else it does. `--collect` reads Proxmox VE
alone. `--workers` compares several workers with one.
"""

import argparse
import json
import subprocess
import sys
from typing import Any

from tests.stack.paths import ROOT

from . import collecting
from .report import comparison_of_workers, table

SIZES = (100, 1000, 10_000)
WORKERS = (1, 4)


def main() -> int:
    parser = argparse.ArgumentParser(
        prog='python -m tests.bench', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--guests', type=int, nargs='+', default=SIZES)
    parser.add_argument('--latency', type=float, default=0.02, help='seconds that each call takes')
    parser.add_argument('--collect', action='store_true', help='only read Proxmox VE, 1,000 guests by default')
    parser.add_argument('--concurrency', type=int, default=8, help='with --collect: calls at a time')
    parser.add_argument('--rounds', type=int, default=3, help='with --collect')
    parser.add_argument('--workers', type=int, nargs='*', help='compare these numbers of workers; 1 and 4 by default')
    parser.add_argument('--endpoints', type=int, default=10, help='with --workers, of 1,000 guests by default')
    options = parser.parse_args()
    guests = options.guests[0] if options.guests is not SIZES else 1000
    if options.collect:
        return collecting.run(guests, options.latency, options.concurrency, options.rounds)
    latency = f'--latency={options.latency}'
    found = []
    if options.workers is not None:
        for number in options.workers or WORKERS:
            arguments = [str(number), f'--guests={guests}', f'--endpoints={options.endpoints}', latency]
            found.append(measured('workers', arguments))
        print(comparison_of_workers(found), flush=True)
        return 0
    for guests in options.guests:
        found.append(measured('syncing', [str(guests), latency]))
        print(table(found), flush=True)
    return 0


def measured(module: str, arguments: list[str]) -> dict[str, Any]:
    """What a module of the benchmark measures in a process of its own, for its memory and its database."""
    command = [sys.executable, '-m', f'tests.bench.{module}', *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == '__main__':
    sys.exit(main())
