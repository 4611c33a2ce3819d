"""Makes a table of what was measured."""

from typing import Any

__all__ = ('table',)

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


VALUES = {
    'First sync: objects': lambda found: f'{found["objects"]:,}',
    'First sync: seconds by phase': phases('first sync'),
    'First sync: SQL statements': lambda found: f'{measure(found, "first sync")["statements"]:,}',
    'First sync: background jobs': lambda found: str(measure(found, 'first sync')['jobs']),
    'First sync: CPU for each guest, without reading': milliseconds('first sync'),
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
    'Preview: seconds by phase': phases('preview'),
    'Applying the preview: seconds by phase': phases('apply the preview'),
    'Memory above the start': lambda found: f'{found["memory"]:.0f} MB',
}
