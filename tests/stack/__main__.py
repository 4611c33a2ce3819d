"""The stack's command line, `python -m tests.stack COMMAND`; the Makefile's targets end here."""

import argparse
import os
import signal
import subprocess
import sys

from . import paths, services
from .paths import ROOT, StackError


def up(host: str, with_demo: bool = False) -> int:
    """Start PostgreSQL, Redis, web server and worker; for the demo also a Proxmox VE whose guests are in NetBox."""
    from . import databases, demo, netbox

    netbox.check_host(host)
    proxmox = demo.real(os.environ) if with_demo else {}
    with services.using(keep=True):
        databases.ensure_main()
        own = netbox.stack_secrets()['admin_password']
        # An open door with a known key is only for whoever sits at this machine.
        password = 'admin' if netbox.loopback(host) else own
        # `make up` after a demo with a real Proxmox VE may still contact its addresses.
        for_real = bool(proxmox) if with_demo else netbox.real()
        if not netbox.serving(host, for_real):
            netbox.stop()
            seed('admin', ADMIN_PASSWORD=password, KNOWN_PASSWORDS=f'admin {own}')
            netbox.start(host, for_real)
        if with_demo:
            seed('demo', **(proxmox or demo.stand_in()))
        url = netbox.wait_for_web()
    print(f'\nNetBox: {url}   login: admin   password: {password}')
    if with_demo:
        print('Open Proxmox VE > Endpoints, and Virtualization > Virtual Machines for the synchronized guests.')
        print('Press Sync on the page of the endpoint: the run finds nothing to change.')
    print('"make stop" ends it, "make clean" removes it.')
    return 0


def seed(what: str, **values: str) -> None:
    """Run seed.py in NetBox's own environment."""
    from . import netbox

    command = [sys.executable, '-m', 'tests.stack.seed', what]
    if subprocess.call(command, env={**netbox.environment(), **values}, cwd=ROOT):
        raise StackError(f'This went wrong while the {what} was set up; "make demo" or "make up" tries again.')


def run_netbox(arguments: list[str]) -> int:
    """Run a NetBox command on the database of `make up`."""
    from . import databases, netbox

    with services.using():
        databases.ensure_main()
        return netbox.command(arguments)


def all_processes() -> str:
    """The number of processes that run all tests."""
    return str(min((os.cpu_count() or 1) + 2, 4))


def test(arguments: list[str]) -> int:
    """
    Run pytest; see pytest_env.py for its database.

    Without arguments, all tests are run, by two processes more than there are cores, because tests also wait for
    timeouts and servers. Files are not split, because their tests share data.
    Tests that need other plugins beside ours get them, and then whatever else is asked for has them as well.
    """
    environment = dict(os.environ)
    if any(argument.startswith('tests/companions') for argument in arguments):
        environment['PROXSYNC_STACK_COMPANIONS'] = '1'
    if not arguments:
        processes = all_processes()
        # In the order of tests/conftest.py.
        arguments = ['--numprocesses', processes, '--dist', 'loadfile', '--no-loadscope-reorder']
    with services.using():
        # Not only while the tests run: a template must not be built within a test's time limit.
        from . import databases

        databases.ensure_template()
        process = subprocess.Popen([sys.executable, '-m', 'pytest', *arguments], cwd=ROOT, env=environment)
        try:
            return process.wait()
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()


def stop() -> int:
    """Stop everything that runs, and return whether anything did."""
    from . import demo, netbox

    stopped = any([netbox.stop(), demo.stop(), services.stop()])
    print('Stopped.' if stopped else 'Nothing was running.')
    return 0


def clean() -> int:
    """Remove everything that the stack created, except packages of the system."""
    stop()
    paths.clean()
    return 0


def main() -> int:
    parser = argparse.ArgumentParser(prog='python -m tests.stack')
    commands = parser.add_subparsers(dest='command', required=True)
    for name in ('up', 'demo'):
        commands.add_parser(name).add_argument('--host', default='127.0.0.1', help='the address to listen on')
    for name in ('netbox', 'test'):
        commands.add_parser(name, add_help=False, prefix_chars='\0').add_argument('arguments', nargs='*')
    for name in ('stop', 'clean'):
        commands.add_parser(name)
    options = parser.parse_args()
    os.chdir(ROOT)
    # A terminal sends Ctrl-C to pytest and NetBox too; theirs is the answer, ours is to tidy up after them.
    if options.command in ('netbox', 'test'):
        signal.signal(signal.SIGINT, lambda *_: None)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    match options.command:
        case 'up':
            return up(options.host)
        case 'demo':
            return up(options.host, with_demo=True)
        case 'netbox':
            return run_netbox(options.arguments)
        case 'test':
            return test(options.arguments)
        case 'stop':
            return stop()
        case _:
            return clean()


if __name__ == '__main__':
    try:
        sys.exit(main())
    except StackError as error:
        sys.exit(f'\n{error}')
    except KeyboardInterrupt:
        sys.exit(130)
