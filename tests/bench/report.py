"""Makes a table of what was measured."""

from typing import Any

__all__ = ('comparison_of_workers', 'table')

# Of which a run writes rows in any case: its own, its job, and the state of its endpoint.
BOOKKEEPING = {
    'core_job', 'netbox_proxsync_plannedbinding', 'netbox_proxsync_proxmoxendpoint', 'netbox_proxsync_syncchange',
    'netbox_proxsync_syncrun',
}  # fmt: skip


def table(found: list[dict[str, Any]]) -> str:
    """
    The measures of clusters of several sizes as Markdown.

    Args:
        found: As `tests.bench.syncing` prints them.
    """
    rows = [('', *(f'{each["guests"]:,} guests' for each in found)), ('---', *('---:' for _each in found))]
    rows += [(name, *(value(each) for each in found)) for name, value in VALUES.items()]
    return markdown(rows)


def comparison_of_workers(found: list[dict[str, Any]]) -> str:
    """
    The rounds of several numbers of workers as Markdown.

    Args:
        found: As `tests.bench.workers` prints them.
    """
    header = [f'{each["workers"]} {"workers" if each["workers"] > 1 else "worker"}' for each in found]
    rows = [('', *header), ('---', *('---:' for _each in found))]
    for name in found[0]['rounds']:
        rounds = [each['rounds'][name] for each in found]
        rows.append((f'{name}: seconds', *(f'{each["seconds"]:.1f}' for each in rounds)))
        ratios = [f'{rounds[0]["seconds"] / each["seconds"]:.2f}' for each in rounds]
        rows.append((f'{name}: ratio', *ratios))
        rows.append((f'{name}: from the end of a run to the next one', *(f'{each["pause"]:.2f} s' for each in rounds)))
    return markdown(rows)


def markdown(rows: list[tuple[str, ...]]) -> str:
    """Rows as a Markdown table."""
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def measure(found: dict[str, Any], name: str) -> dict[str, Any]:
    """What was measured under a name."""
    return next(each for each in found['measures'] if each['name'] == name)


def cpu(found: dict[str, Any], name: str) -> float:
    """The CPU seconds of a run without those of reading Proxmox VE, with those of its database session."""
    each = measure(found, name)
    return sum(seconds for phase, seconds in each['phases_cpu'].items() if phase != 'collect') + each['database_cpu']


def wall(found: dict[str, Any], name: str) -> float:
    """The seconds of a run without those of reading Proxmox VE."""
    phases = measure(found, name)['phases']
    return sum(seconds for phase, seconds in phases.items() if phase != 'collect')


def per_copied(found: dict[str, Any], key: str) -> float:
    """The seconds of NetBox's own path for each guest."""
    own = measure(found, "NetBox's own path")
    return ((own['cpu'] + own['database_cpu']) if key == 'cpu' else own['wall']) / found['copied']


def phases(name: str):
    """The seconds of each phase of a run."""
    return lambda found: ', '.join(f'{phase} {each:.1f}' for phase, each in measure(found, name)['phases'].items())


def writes(name: str):
    """The statements of a run that write anything but its own rows."""
    return lambda found: str(
        sum(number for rows, number in measure(found, name)['writes'].items() if rows not in BOOKKEEPING)
    )


def milliseconds(name: str):
    """CPU milliseconds for each guest."""
    return lambda found: f'{1000 * cpu(found, name) / found["guests"]:.1f} ms'


def memory(name: str):
    """The most memory of a run above that before the first one."""
    return lambda found: f'{measure(found, name)["memory"] - found["idle"]:.0f} MB'


VALUES = {
    'First sync: objects': lambda found: f'{found["objects"]:,}',
    'First sync: seconds by phase': phases('first sync'),
    'First sync: SQL statements': lambda found: f'{measure(found, "first sync")["statements"]:,}',
    'First sync: background jobs': lambda found: str(measure(found, 'first sync')['jobs']),
    'First sync: CPU for each guest, without reading': milliseconds('first sync'),
    "NetBox's own path: guests that were measured": lambda found: f'{found["copied"]:,}',
    "NetBox's own path: CPU for each guest": lambda found: f'{1000 * per_copied(found, "cpu"):.1f} ms',
    "First sync / NetBox's own path: CPU": lambda found: (
        f'1 / {per_copied(found, "cpu") * found["guests"] / cpu(found, "first sync"):.1f}'
    ),
    "First sync / NetBox's own path: time": lambda found: (
        f'1 / {per_copied(found, "wall") * found["guests"] / wall(found, "first sync"):.1f}'
    ),
    'Without changes: seconds by phase': phases('unchanged'),
    'Without changes: SQL statements': lambda found: str(measure(found, 'unchanged')['statements']),
    'Without changes: statements that write objects': writes('unchanged'),
    'Without changes: CPU for each guest, without reading': milliseconds('unchanged'),
    'Quick run without changes: calls': lambda found: str(measure(found, 'quick run')['calls']),
    'Quick run without changes: time; CPU': lambda found: (
        f'{measure(found, "quick run")["wall"]:.2f} s; '
        f'{measure(found, "quick run")["cpu"] + measure(found, "quick run")["database_cpu"]:.2f} s'
    ),
    'Quick run without changes: SQL statements': lambda found: str(measure(found, 'quick run')['statements']),
    'Quick run without changes: statements that write': lambda found: str(
        sum(measure(found, 'quick run')['writes'].values())
    ),
    '1 % of guests changed: seconds by phase': phases('1 % changed'),
    '1 % of guests changed / without changes: CPU': lambda found: (
        f'{cpu(found, "1 % changed") / cpu(found, "unchanged"):.2f}'
    ),
    '1 % of guests changed: CPU, and at most (1.2 x without changes + 20 ms for each changed guest)': lambda found: (
        f'{cpu(found, "1 % changed"):.2f} s, {1.2 * cpu(found, "unchanged") + 0.02 * found["changed"]:.2f} s'
    ),
    'Preview of these changes: seconds by phase': phases('preview'),
    'Applying it: seconds by phase': phases('apply the preview'),
    'Preview and applying it / 1 % of guests changed: CPU': lambda found: (
        f'{(cpu(found, "preview") + cpu(found, "apply the preview")) / cpu(found, "1 % changed"):.2f}'
    ),
    'Preview of a first sync: seconds by phase': phases('first preview'),
    'Applying it to NetBox: seconds by phase': phases('apply the first preview'),
    'Preview and applying it / first sync: CPU': lambda found: (
        f'{(cpu(found, "first preview") + cpu(found, "apply the first preview")) / cpu(found, "first sync"):.2f}'
    ),
    'First sync: memory above the start': memory('first sync'),
    'Without changes: memory above the start': memory('unchanged'),
    'Applying the preview of a first sync: memory above the start': memory('apply the first preview'),
}
