"""Makes tables of what was measured, and compares it with the targets."""

import os
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

__all__ = ('Verdict', 'comparison_of_workers', 'table', 'verdicts', 'verdicts_of_growth', 'verdicts_of_workers')

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
    rows += [(name, *(shown(value, each) for each in found)) for name, value in VALUES.items()]
    return markdown(rows)


def shown(value: Callable[[dict[str, Any]], str], found: dict[str, Any]) -> str:
    """A value; '' if it was not measured for this size."""
    try:
        return value(found)
    except StopIteration:
        return ''


class Verdict(NamedTuple):
    """
    What was measured, compared with a target.

    Attributes:
        is_met: None: this machine cannot tell.
    """

    target: str
    value: str
    is_met: bool | None

    def __str__(self) -> str:
        return f'{"?" if self.is_met is None else "pass" if self.is_met else "MISS"}: {self.target}: {self.value}'


def verdicts(found: dict[str, Any]) -> Iterator[Verdict]:
    """The measures of a cluster, compared with the targets of each size."""
    size, unchanged, quick = f'{found["guests"]:,} guests', measure(found, 'unchanged'), measure(found, 'quick run')
    number = unchanged['job_statements']
    yield Verdict(f'{size}, without changes: at most 40 SQL statements', str(number), number <= 40)
    written = writes('unchanged')(found)
    yield Verdict(f'{size}, without changes: no statement that writes objects', written, written == '0')
    each = 1000 * cpu(found, 'unchanged') / found['guests']
    if found['guests'] >= 1000:
        # Below, what a run takes in any case prevails.
        yield Verdict(f'{size}, without changes: at most 1 ms CPU for each guest', f'{each:.2f} ms', each <= 1)
    for name, unit in (('cpu', 'CPU'), ('wall', 'time')):
        took = cpu(found, 'first sync') if name == 'cpu' else wall(found, 'first sync')
        ratio = per_copied(found, name) * found['guests'] / took
        yield Verdict(
            f"{size}, first sync: at most 1/8 of the {unit} of NetBox's own path", f'1/{ratio:.1f}', ratio >= 8
        )
    jobs, at_most = measure(found, 'first sync')['jobs'], 2 + found['guests'] // 100
    yield Verdict(f'{size}, first sync: at most {at_most} background jobs', str(jobs), jobs <= at_most)
    limit, took = 1.2 * cpu(found, 'unchanged') + 0.02 * found['changed'], cpu(found, '1 % changed')
    yield Verdict(f'{size}, 1 % changed: at most {limit:.2f} s CPU', f'{took:.2f} s', took <= limit)
    for plan, direct in (('apply the preview', '1 % changed'), ('apply the first preview', 'first sync')):
        if any(each['name'] == plan for each in found['measures']):
            ratio = cpu(found, plan) / cpu(found, direct)
            yield Verdict(f'{size}, {plan}: at most 1.1 x the CPU of a direct sync', f'{ratio:.2f}', ratio <= 1.1)
    memory = found['alone']['measure']['memory'] - found['alone']['idle']
    yield Verdict(f'{size}, without changes: at most 500 MB above an idle worker', f'{memory:.0f} MB', memory <= 500)
    yield Verdict(
        f'{size}, quick run without changes: 3 calls in a second',
        f'{quick["calls"]}, {quick["wall"]:.2f} s',
        quick['calls'] == 3 and quick['wall'] <= 1,
    )


def verdicts_of_growth(found: list[dict[str, Any]]) -> Iterator[Verdict]:
    """The measures of clusters of several sizes, compared with each other."""
    if len({each['guests'] for each in found}) < 2:
        return
    numbers = {measure(each, 'unchanged')['job_statements'] for each in found}
    yield Verdict(
        'Without changes: the same number of SQL statements for all sizes',
        ', '.join(map(str, sorted(numbers))),
        len(numbers) == 1,
    )
    *_smaller, less, more = sorted(found, key=lambda each: each['guests'])
    for name in ('first sync', 'unchanged'):
        ratio = (cpu(more, name) / more['guests']) / (cpu(less, name) / less['guests'])
        text = (
            f'{name}: CPU grows at most linearly from {less["guests"]:,} to {more["guests"]:,} guests (1.15 x for each)'
        )
        yield Verdict(text, f'{ratio:.2f} x', ratio <= 1.15)


def verdicts_of_workers(found: list[dict[str, Any]]) -> Iterator[Verdict]:
    """The rounds of one and of several workers, compared with the targets."""
    cores = os.cpu_count() or 1
    few, many = found[0], found[-1]
    for name, each in many['rounds'].items():
        ratio = few['rounds'][name]['seconds'] / each['seconds']
        target = f'{name}: {many["workers"]} workers at least 3 x as fast as {few["workers"]} ({cores} cores)'
        # PostgreSQL, the stand-ins and the workers share the cores.
        yield Verdict(target, f'{ratio:.2f} x', ratio >= 3 if ratio >= 3 or cores > many['workers'] else None)
        pause = max(one['rounds'][name]['pause'] for one in found)
        yield Verdict(f'{name}: the next run starts within a second', f'{pause:.2f} s', pause <= 1)


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
    'First sync: CPU for each object': lambda found: f'{1000 * cpu(found, "first sync") / found["objects"]:.2f} ms',
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
    'Without changes: SQL statements of the job': lambda found: str(measure(found, 'unchanged')['job_statements']),
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
    'Without changes, in a process of its own: memory above the start': lambda found: (
        f'{found["alone"]["measure"]["memory"] - found["alone"]["idle"]:.0f} MB'
    ),
    'Applying the preview of a first sync: memory above the start': memory('apply the first preview'),
}
