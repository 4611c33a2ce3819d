"""NetBox itself: its commands, its web server and its worker."""

import http.client
import os
import secrets
import signal
import socket
import subprocess
import sys
from contextlib import suppress
from functools import partial
from pathlib import Path

from . import processes
from .loopback import SWITCH
from .paths import LOG, NETBOX_ROOT, ROOT, RUN, STACK, StackError, read_json, write_json

MAIN = 'netbox'
FIRST_PORT, LAST_PORT = 8000, 8099
WEB = RUN / 'web.json'
# Slots of Redis databases: the demo's, the test runs', and that of templates in the making. Nobody works for the last:
# the worker of the demo would take a template's jobs for its own.
DEMO, TESTS, TEMPLATES = 0, range(1, 31), 31
PLUGINS = ('netbox_proxsync',)
# The other plugins with which it is tested, and by what names they are installed. Branching must be the last.
COMPANIONS = {
    'netbox-topology-views': 'netbox_topology_views',
    'netbox-plugin-dns': 'netbox_dns',
    'netboxlabs-netbox-branching': 'netbox_branching',
}
LOOPBACK = ('127.0.0.1', 'localhost', '::1')


def stack_secrets(path: Path = STACK / 'secrets.json') -> dict[str, str]:
    """The secrets of this checkout: NetBox's secret key and pepper, and an admin password. Private to this user."""
    if not (content := read_json(path)):
        draft = path.with_name(f'{path.name}.{os.getpid()}')
        names = {'secret_key': 60, 'pepper': 60, 'admin_password': 15}
        write_json(draft, {name: secrets.token_urlsafe(length) for name, length in names.items()})
        with suppress(FileExistsError):  # another run may have been first; its values count
            os.link(draft, path)
        draft.unlink()
        content = read_json(path)
    return content


def redis_databases(slot: int) -> tuple[int, int]:
    """The Redis databases for tasks and for caching."""
    return 2 * slot, 2 * slot + 1


def with_companions() -> bool:
    """Whether this process, and those that it starts, use the companion plugins."""
    return os.environ.get('PROXSYNC_STACK_COMPANIONS') == '1'


def variables(database: str = MAIN, slot: int = DEMO, plugins: tuple[str, ...] | None = None) -> dict[str, str]:
    """The environment variables that configuration.py reads."""
    for directory in ('media', 'reports', 'scripts'):
        (NETBOX_ROOT / directory).mkdir(parents=True, exist_ok=True)
    if plugins is None:
        plugins = (*PLUGINS, *COMPANIONS.values()) if with_companions() else PLUGINS
    return {
        'NETBOX_ROOT': str(NETBOX_ROOT),
        'NETBOX_CONFIGURATION': 'tests.stack.configuration',
        'DJANGO_SETTINGS_MODULE': 'netbox.settings',
        'PROXSYNC_STACK_DATABASE': database,
        'PROXSYNC_STACK_SLOT': str(slot),
        'PROXSYNC_STACK_PLUGINS': ' '.join(plugins),
        SWITCH: '0' if database == MAIN and real() else '1',
    }


def real() -> bool:
    """Whether the main NetBox was started for a real Proxmox VE. Otherwise it may contact this machine only."""
    return bool(read_json(WEB).get('real'))


def environment(**options) -> dict[str, str]:
    """The environment of a NetBox process: ours, without make's own variables and the real Proxmox VE's token."""
    inherited = {
        key: value for key, value in os.environ.items() if not key.startswith(('PVE_', 'MAKE', 'MFLAGS', 'GUNICORN_'))
    }
    return {**inherited, 'PYTHONPATH': str(ROOT), 'PYTHONUNBUFFERED': '1', **variables(**options)}


def command(arguments: list[str]) -> int:
    """Run a NetBox command on the main database, in the user's terminal. Returns its exit code."""
    return subprocess.call([sys.executable, '-m', 'netbox', *arguments], env=environment())


def migrate(database: str, slot: int = DEMO, plugins: tuple[str, ...] = PLUGINS) -> None:
    """Run all migrations on the database; raises StackError with the end of their output."""
    _change_database(['netbox', 'migrate', '--no-input'], database, slot, plugins)


def create_companion_tables(database: str, slot: int) -> None:
    """Create the tables of the companions in a database with the plugin; raises StackError as `migrate` does."""
    _change_database(['tests.stack.companion_tables'], database, slot, (*PLUGINS, *COMPANIONS.values()))


def _change_database(arguments: list[str], database: str, slot: int, plugins: tuple[str, ...]) -> None:
    LOG.mkdir(parents=True, exist_ok=True)
    with (LOG / 'migrate.log').open('wb') as log:
        env = environment(database=database, slot=slot, plugins=plugins)
        command = [sys.executable, '-m', *arguments]
        code = subprocess.call(command, env=env, cwd=ROOT, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
    if code:
        raise StackError(f'The migrations failed.\n{processes.log_tail("migrate")}')


def check_host(host: str) -> None:
    """Raises StackError when the host is not an address of this machine, so that nothing can listen on it."""
    with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
        try:
            socket.getaddrinfo(host, 0)
            probe.bind((host, 0))
        except OSError as error:
            raise StackError(f'HOST={host} is not an address of this machine.') from error


def _family(host: str) -> socket.AddressFamily:
    return socket.AF_INET6 if ':' in host else socket.AF_INET


def free_port(host: str, ports: range = range(FIRST_PORT, LAST_PORT + 1)) -> int:
    """The first of the ports that nobody listens on."""
    for port in ports:
        with socket.socket(_family(host), socket.SOCK_STREAM) as probe:
            # A port that is only waiting out its last connections is free, as it is for the web server itself.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            with suppress(OSError):
                probe.bind((host, port))
                return port
    raise StackError(f'None of the ports {ports.start} to {ports.stop - 1} is free on {host}.')


def loopback(host: str) -> bool:
    return host in LOOPBACK


def outdated() -> bool:
    """Whether the code has changed since the web server was started."""
    started = RUN / 'web.pid'
    files = [*(ROOT / 'netbox_proxsync').rglob('*.py'), *(ROOT / 'netbox_proxsync').rglob('*.html')]
    files += [ROOT / 'tests' / 'stack' / 'configuration.py', STACK / 'venv.json']
    return not started.exists() or max(path.stat().st_mtime for path in files) > started.stat().st_mtime


def serving(host: str, for_real: bool) -> bool:
    """Whether web server and worker run at that address with the current code, for a real Proxmox VE or not."""
    up = all(processes.running(name) for name in ('web', 'worker'))
    return up and read_json(WEB).get('host') == host and real() == for_real and not outdated()


def start(host: str, for_real: bool) -> None:
    """
    Start the web server and the worker; wait_for_web() afterwards.

    Args:
        for_real: They may contact other machines than this one: a real Proxmox VE.
    """
    stop()
    port = free_port(host)
    write_json(WEB, {'host': host, 'port': port, 'real': for_real})
    bind = f'[{host}]:{port}' if ':' in host else f'{host}:{port}'
    gunicorn = [sys.executable, '-m', 'gunicorn', 'tests.stack.wsgi:application', '--bind', bind, '--threads', '8']
    processes.start('web', [*gunicorn, '--timeout', '120', '--no-control-socket'], env=environment())
    worker = [sys.executable, '-m', 'netbox', 'rqworker', 'high', 'default', 'low']
    processes.start('worker', worker, env=environment())


def answers(port: int, host: str) -> bool:
    """Whether the login page is served."""
    connection = http.client.HTTPConnection(host, port, timeout=30)
    try:
        connection.request('GET', '/login/')
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def wait_for_web() -> str:
    """Wait until the login page is served and the worker has started. Returns NetBox's URL."""
    web = read_json(WEB)
    near = {'0.0.0.0': '127.0.0.1', '::': '::1'}.get(web['host'], web['host'])
    processes.wait_until(partial(answers, web['port'], near), 'web', 120, "NetBox's web server")
    if not processes.running('worker'):
        raise StackError(f"NetBox's worker ended.\n{processes.log_tail('worker')}")
    shown = socket.gethostname() if web['host'] in ('0.0.0.0', '::') else web['host']
    return f'http://[{shown}]:{web["port"]}/' if ':' in shown else f'http://{shown}:{web["port"]}/'


def stop() -> bool:
    """Stop the web server and the worker, if they run."""
    return any([processes.stop('web', signal.SIGQUIT), processes.stop('worker', patience=5)])
