"""All that a database holds, so that two of them can be compared."""

import json
import re
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from core.signals import clear_signal_history
from django.db import connection, transaction

__all__ = ('counted', 'differences', 'performed', 'tables', 'undone')

# Whose rows nothing refers to by a foreign key that both ways would have to share, or whose keys are random.
WITHOUT_KEYS = (
    'core_job', 'core_objectchange', 'dcim_interface_tagged_vlans', 'extras_cachedvalue', 'extras_notification',
    'extras_taggeditem', 'netbox_proxsync_binding', 'netbox_proxsync_proxmoxguest', 'netbox_proxsync_sharedobject',
    'netbox_proxsync_syncchange', 'virtualization_vminterface_tagged_vlans',
)  # fmt: skip
# What is different in each run, or says how long something took.
UNSTABLE = {
    'core_job': ('data', 'execution_time', 'job_id', 'log_entries'),
    'netbox_proxsync_syncrun': ('timings', 'job_id'),
}
TIME = re.compile(r'\d{4}-\d\d-\d\d[T ]\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d(:?\d\d)?)?')
UUID = re.compile(r'[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[0-9a-f]{4}-[0-9a-f]{12}')


def tables() -> dict[str, Counter[str]]:
    """The rows of all tables as text, without times, random identifiers, and keys that are not to be compared."""
    return {name: Counter(rows_of(name)) for name in connection.introspection.table_names()}


def rows_of(table: str) -> Iterator[str]:
    """The rows of a table. Those of the change log are numbered for each object."""
    left_out = {*UNSTABLE.get(table, ()), *(('id',) if table in WITHOUT_KEYS else ())}
    numbers: Counter[Any] = Counter()
    with connection.cursor() as cursor:
        cursor.execute(f'SELECT * FROM "{table}" ORDER BY 1')
        names = [column.name for column in cursor.description]
        for values in cursor.fetchall():
            row = {name: value for name, value in zip(names, values, strict=True) if name not in left_out}
            if table == 'core_objectchange':
                identity = row['changed_object_type_id'], row['changed_object_id']
                numbers[identity] += 1
                row['number'] = numbers[identity]
            text = json.dumps(row, default=str, sort_keys=True, ensure_ascii=False)
            yield UUID.sub('(uuid)', TIME.sub('(time)', text))


@contextmanager
def undone() -> Iterator[None]:
    """What is written within is undone, and new rows get the same keys the next time."""
    with connection.cursor() as cursor:
        cursor.execute("SELECT format('%I', sequencename) FROM pg_sequences WHERE schemaname = 'public'")
        sequences = [name for (name,) in cursor.fetchall()]
        states = []
        for name in sequences:
            cursor.execute(f'SELECT last_value, is_called FROM {name}')
            states.append((name, *cursor.fetchone()))
    with transaction.atomic():
        yield
        transaction.set_rollback(True)
    # NetBox remembers what was deleted within a request, and logs it once.
    clear_signal_history(sender=None)
    with connection.cursor() as cursor:
        for state in states:
            cursor.execute('SELECT setval(%s, %s, %s)', state)


@contextmanager
def counted() -> Iterator[Counter[str]]:
    """Count the statements within, by their first words."""
    found: Counter[str] = Counter()

    def count(execute: Any, sql: str, params: Any, many: bool, context: Any) -> Any:
        found[' '.join(sql.split()[:3])] += 1
        return execute(sql, params, many, context)

    with connection.execute_wrapper(count):
        yield found


@contextmanager
def performed() -> Iterator[None]:
    """Do at the end what was planned for the commit, which does not come."""
    planned = len(connection.run_on_commit)
    yield
    while len(connection.run_on_commit) > planned:
        _savepoints, function, _robust = connection.run_on_commit.pop(planned)
        function()


def differences(one: dict[str, Counter[str]], other: dict[str, Counter[str]]) -> str:
    """What only one of two databases holds; '' if they hold the same."""
    lines = []
    for table in sorted({*one, *other}):
        only_one, only_other = one[table] - other[table], other[table] - one[table]
        lines += [f'{table}: only the first: {row}' for row in sorted(only_one)[:3]]
        lines += [f'{table}: only the second: {row}' for row in sorted(only_other)[:3]]
        if only_one or only_other:
            lines.append(f'{table}: {only_one.total()} and {only_other.total()} rows differ')
    return '\n'.join(lines)
