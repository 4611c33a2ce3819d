"""
NetBox's databases. Its migrations take minutes, so each state of them is created once and then cloned.

There are layers of templates: NetBox alone, named by its version and the migrations installed with it; on top of a
clone of that the plugin's own migrations, named by their content; and on top of that the tables of its companions, the
other plugins with which it is tested, named by their versions. A database gets its name when it is complete.
"""

import hashlib
import json
import re
from collections.abc import Callable
from contextlib import suppress
from functools import cache, partial
from importlib.metadata import PackageNotFoundError, distribution, version
from pathlib import Path

from psycopg import sql

from . import netbox, postgres, redis
from .locks import lock
from .paths import ROOT

MAIN = 'netbox'
PREVIOUS = 'netbox_previous'
MIGRATIONS = ROOT / 'netbox_proxsync' / 'migrations'
CUSTOM_FIELDS = MIGRATIONS.parent / 'custom_fields'
# In pip's list of a distribution's files.
MIGRATION = re.compile(r'^((?:[^/,\n]+/){1,3}migrations/[0-9][^/,\n]*\.py),', re.MULTILINE)
BUSY = 'Another run in this checkout is at the databases; waiting for it.'


def digest(*parts: str | bytes) -> str:
    """A short hash of the parts."""
    sha = hashlib.sha256()
    for part in parts:
        content = part.encode() if isinstance(part, str) else part
        sha.update(len(content).to_bytes(8) + content)
    return sha.hexdigest()[:12]


def plugin_migrations(directory: Path = MIGRATIONS) -> dict[str, str]:
    """The digests of the plugin's migrations, by name."""
    return {path.stem: digest(path.read_bytes()) for path in sorted(directory.glob('[0-9]*.py'))}


def brought_by(name: str, known: set[str] | None = None) -> set[str]:
    """The names of an installed distribution and of its requirements, without optional extras."""
    known = set() if known is None else known
    with suppress(PackageNotFoundError):
        requirements = distribution(name).requires or ()
        known.add(name)
        for requirement in requirements:
            needed = re.sub(r'[-_.]+', '-', re.match(r'[\w.-]+', requirement)[0]).lower()
            if 'extra ==' not in requirement and needed not in known:
                brought_by(needed, known)
    return known


# Reading the lists of all files takes half a second, and many tests ask for a database.
@cache
def bare_template() -> str:
    """The name of the template that holds NetBox without any plugin, whatever plugins are installed."""
    # From the lists that pip keeps, in one go: there are fifty thousand files.
    lists = [distribution(name).read_text('RECORD') or '' for name in brought_by('netbox')]
    found = {path for text in lists for path in MIGRATION.findall(text)}
    release = version('netbox').replace('.', '_')
    return f'template_netbox_{release}_{digest(*sorted(found))}'


def plugin_template() -> str:
    """The name of the template that holds NetBox with the plugin."""
    # A migration creates the custom fields that are defined there.
    custom_fields = digest(*(path.read_bytes() for path in sorted(CUSTOM_FIELDS.glob('*.py'))))
    return f'template_proxsync_{digest(bare_template(), json.dumps(plugin_migrations()), custom_fields)}'


def companions_template() -> str:
    """The name of the template that holds NetBox with the plugin and its companions."""
    versions = {name: version(name) for name in netbox.COMPANIONS}
    return f'template_companions_{digest(plugin_template(), json.dumps(versions))}'


def _execute(statement: str, *names: str) -> None:
    with postgres.connect() as connection:
        connection.execute(sql.SQL(statement).format(*map(sql.Identifier, names)))


def names() -> set[str]:
    """The databases of the cluster."""
    with postgres.connect() as connection:
        return {row[0] for row in connection.execute('SELECT datname FROM pg_database')}


def drop(name: str) -> None:
    """Drop the database if it exists, even if there are connections to it."""
    _execute('DROP DATABASE IF EXISTS {} WITH (FORCE)', name)


def clone(source: str, name: str) -> None:
    """Create the database `name` from `source`. It replaces one that a killed run may have left."""
    drop(name)
    _execute('CREATE DATABASE {} TEMPLATE {}', name, source)


def ensure_template(companions: bool | None = None) -> str:
    """
    The name of the template with the plugin. It is created if it does not exist.

    Args:
        companions: Whether its companions are to be in it; None: as this process is to have them.
    """
    bare, own, all_of_them = bare_template(), plugin_template(), companions_template()
    companions = netbox.with_companions() if companions is None else companions
    wanted = all_of_them if companions else own
    if wanted not in names():
        with lock('databases', waiting=BUSY):
            if bare not in names():
                print("Running NetBox's own migrations: once per NetBox version, about four minutes.", flush=True)
                _build(bare, 'template1', partial(netbox.migrate, plugins=()))
            if own not in names():
                print("Running the plugin's migrations.", flush=True)
                _build(own, bare, netbox.migrate)
            if wanted not in names():
                print('Creating the tables of the plugins with which it is tested.', flush=True)
                _build(wanted, own, netbox.create_companion_tables)
            for other in names() - {bare, own, all_of_them}:
                if other.startswith(('template_netbox_', 'template_proxsync_', 'template_companions_')):
                    drop(other)
    return wanted


def _build(name: str, source: str, create_tables: Callable[..., None]) -> None:
    unfinished = 'building_template'
    clone(source, unfinished)
    create_tables(unfinished, slot=netbox.TEMPLATES)
    _execute('ALTER DATABASE {} RENAME TO {}', unfinished, name)


def ensure_main() -> None:
    """
    The database of `make up`, `make demo` and `make netbox`, with the plugin's present migrations.

    Its content stays: new migrations are run on it. Only when one that it has had was changed or removed, which no
    migration can repair, it is set aside under the name netbox_previous and created again.
    """
    want = {'netbox': bare_template(), 'migrations': plugin_migrations()}
    if _note(MAIN) == want:
        return
    template = ensure_template(companions=False)
    with lock('databases', waiting=BUSY):
        have = _note(MAIN)
        if have == want:
            return
        netbox.stop()
        if have and have['migrations'].items() <= want['migrations'].items():
            print('Migrating the database.', flush=True)
            netbox.migrate(MAIN)
            _write_note(MAIN, want)
            return
        unfinished = 'building_main'
        clone(template, unfinished)
        _write_note(unfinished, want)
        if MAIN in names():
            print(f'A migration of the plugin was changed: beginning a new database. The old one is {PREVIOUS} now.')
            drop(PREVIOUS)
            _execute('ALTER DATABASE {} RENAME TO {}', MAIN, PREVIOUS)
        empty_redis(netbox.DEMO)
        _execute('ALTER DATABASE {} RENAME TO {}', unfinished, MAIN)


def _note(name: str) -> dict:
    """The stack's notes about the database, stored as its comment; empty if there is no such database."""
    statement = "SELECT shobj_description(oid, 'pg_database') FROM pg_database WHERE datname = %s"
    with postgres.connect() as connection:
        row = connection.execute(statement, [name]).fetchone()
    return json.loads(row[0]) if row and row[0] else {}


def _write_note(name: str, note: dict) -> None:
    with postgres.connect() as connection:
        statement = sql.SQL('COMMENT ON DATABASE {} IS {}')
        connection.execute(statement.format(sql.Identifier(name), sql.Literal(json.dumps(note))))


def prepare_for_tests(name: str, slot: int) -> None:
    """Create a new database of that name, and empty the Redis databases."""
    clone(ensure_template(), name)
    empty_redis(slot)


def empty_redis(slot: int) -> None:
    """Remove the tasks and the cache of a database that no longer exists."""
    for number in netbox.redis_databases(slot):
        with redis.connect(number) as client:
            client.flushdb()
