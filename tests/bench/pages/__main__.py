"""
Time to the first byte of every list and page of the plugin, where there are 10,000 guests.

A database is made and filled, NetBox is served from it by one process over HTTP, and each page is asked for by a
superuser and by a user who may view the machines of one tenant only. The ratio is to NetBox's own list of virtual
machines with as many rows, for the same user in the same run. Ends with 1 if a page takes longer than the bound, or
fails; those that answer with thousands of rows at once (exports, 1,000 rows a page; marked with *) are reported only.
"""

import argparse
import signal
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

from tests.stack import netbox, processes

from ..database import database

BOUND = 1.0  # seconds
# What a user without a right, or one to whom a page is not meant, gets.
FINE = (200, 403, 404)


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog='python -m tests.bench.pages', description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument('--guests', type=int, default=10_000)
    parser.add_argument('--changes', type=int, default=70_000, help='of the run that has the most')
    parser.add_argument('--times', type=int, default=5, help='that each page is asked for, after once to warm up')
    parser.add_argument('--only', default='', help='pages whose name has this text')
    return parser.parse_args()


@contextmanager
def serving(environment: dict[str, str]) -> Iterator[int]:
    """A web server with one process; yields its port."""
    port = netbox.free_port('127.0.0.1', range(8100, 8300))
    command = [sys.executable, '-m', 'gunicorn', 'tests.bench.pages.wsgi:application', '--bind', f'127.0.0.1:{port}']
    with tempfile.TemporaryDirectory() as directory:
        run, log = Path(directory) / 'run', Path(directory) / 'log'
        env = {**environment, 'PROXSYNC_STACK_METRICS': '1'}
        # One thread, so that its connection to the database is there from the second page on.
        command += ['--timeout', '300', '--no-control-socket']
        processes.start('web', command, env=env, run=run, log=log)
        try:
            processes.wait_until(partial(netbox.answers, port, '127.0.0.1'), 'web', 120, 'NetBox', run=run, log=log)
            yield port
        finally:
            processes.stop('web', signal.SIGQUIT, run=run)


def main() -> int:
    options = arguments()
    with ExitStack() as stack:
        environment = stack.enter_context(database())
        # Models can be imported from here on.
        from .catalogue import pages_of
        from .people import make_people
        from .report import Report
        from .seeding import Size, fill

        started = time.monotonic()
        estate = fill(Size(guests=options.guests, changes=options.changes))
        people = make_people(estate.tenant)
        print(f'{options.guests} guests, made in {time.monotonic() - started:.0f} s', flush=True)
        port = stack.enter_context(serving(environment))
        report = Report(bound=BOUND, fine=FINE)
        for page in pages_of(estate):
            if options.only.lower() in page.name.lower() or report.is_base(page):
                for person in people:
                    report.measure(port, page, person, options.times)
        return report.end()


if __name__ == '__main__':
    sys.exit(main())
