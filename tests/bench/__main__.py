"""
How long syncs take, as a table for docs/performance.md: first sync, sync without changes, with a few changes, preview
and apply, for generated clusters of several sizes.

All ratios are to what was measured in the same run: to NetBox's own path, which creates the same objects one by one,
and to the sync without changes. Seconds depend on the machine and on what else it does. All is compared with the
targets, and written to .stack/bench.md. The exit code is 1 if a target is missed.

`--guests` measures some sizes only, `--collect` reads Proxmox VE alone, and `--workers` compares several workers with
one.
"""

import argparse
import json
import subprocess
import sys
import time
from collections.abc import Iterable
from typing import Any

from tests.stack.paths import ROOT, STACK

from . import collecting
from .report import Verdict, comparison_of_workers, table, verdicts, verdicts_of_growth, verdicts_of_workers

SIZES = (100, 1000, 10_000)
WORKERS = (1, 4)
# Those of each endpoint, with all else. More take very long on few cores.
GUESTS_OF_WORKERS = 300


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
    if options.workers is not None:
        return judged(compare_workers(options, options.workers or WORKERS, guests))
    began, found = time.monotonic(), []
    judgments: list[Verdict] = []
    for size in options.guests:
        found.append(measured('syncing', [str(size), f'--latency={options.latency}']))
        judgments += verdicts(found[-1])
        print(table(found), flush=True)
    judgments += verdicts_of_growth(found)
    (STACK / 'bench.md').write_text(f'{table(found)}\n')
    if options.guests is SIZES:
        ratio = collecting.best_ratio(guests, options.latency, options.concurrency, options.rounds)
        target = f'collect: at most {collecting.BOUND} x (calls x latency / {options.concurrency})'
        judgments.append(Verdict(target, f'{ratio:.2f} x', ratio <= collecting.BOUND))
        judgments += compare_workers(options, WORKERS, GUESTS_OF_WORKERS)
    code = judged(judgments)
    print(f'All this took {(time.monotonic() - began) / 60:.1f} minutes.')
    return code


def compare_workers(options: argparse.Namespace, numbers: Iterable[int], guests: int) -> list[Verdict]:
    """Compare several numbers of workers."""
    found = []
    for number in numbers:
        arguments = [str(number), f'--guests={guests}', f'--endpoints={options.endpoints}']
        found.append(measured('workers', [*arguments, f'--latency={options.latency}']))
    print(comparison_of_workers(found), flush=True)
    return list(verdicts_of_workers(found))


def judged(judgments: Iterable[Verdict]) -> int:
    """Print whether targets are met; returns the exit code."""
    judgments = list(judgments)
    print('\n'.join(map(str, judgments)), flush=True)
    return int(any(each.is_met is False for each in judgments))


def measured(module: str, arguments: list[str]) -> dict[str, Any]:
    """What a module of the benchmark measures in a process of its own, for its memory and its database."""
    command = [sys.executable, '-m', f'tests.bench.{module}', *arguments]
    done = subprocess.run(command, cwd=ROOT, check=True, text=True, stdout=subprocess.PIPE)
    found: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return found


if __name__ == '__main__':
    sys.exit(main())
