"""
Charts as data for templates, which draw them as SVG. Whatever a color says, a shape or a text says as well.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from django.contrib.humanize.templatetags.humanize import intcomma
from django.db.models import F, Window
from django.db.models.functions import RowNumber
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _

from ..choices import ChangeActionChoices, RunStatusChoices
from ..models import ProxmoxEndpoint, SyncRun
from ..models.users import AnyUser
from ..runs.progress import PHASES
from .durations import shown_duration
from .guest_counts import GuestNumbers

if TYPE_CHECKING:
    from django_stubs_ext import StrOrPromise

__all__ = ('RunChart', 'Segment', 'Tick', 'change_chart', 'duration_chart', 'guest_strip', 'last_runs', 'run_ticks')

# A segment is always wide enough to be seen and hit, and its number is displayed where there is room for it (percent).
SMALLEST = 1.5
NUMBERED, LABELLED = 6, 14
RUNS, TICKS = 20, 10
WIDTH, HEIGHT = 30, 100
# The fill of each phase: a color and a pattern.
FILLS = {'collect': 'solid', 'plan': 'lines', 'validate': 'bars', 'apply': 'dots', 'record': 'hollow'}
# The height of a tick, in percent: the worse, the shorter.
TICK_HEIGHTS = {RunStatusChoices.COMPLETED: 100, RunStatusChoices.ERRORS: 60, RunStatusChoices.REFUSED: 60}
SHORT_TICK = 30


@dataclass(frozen=True)
class Segment:
    """
    A part of a strip: the guests in one state.

    Attributes:
        x, width: In percent of the strip.
        text: What is written in it: number and label, only the number, or nothing, depending on the width.
    """

    x: float
    width: float
    color: str
    label: str
    number: str
    text: str
    url: str

    @property
    def middle(self) -> float:
        """The place of the text."""
        return round(self.x + self.width / 2, 2)


def guest_strip(endpoint: ProxmoxEndpoint, numbers: GuestNumbers) -> list[Segment]:
    """The guests of an endpoint by state, as parts of a strip."""
    if not numbers.total:
        return []
    url = reverse('plugins:netbox_proxsync:proxmoxendpoint_guests', args=[endpoint.pk])
    shares = [max(SMALLEST, 100 * number / numbers.total) for *_rest, number in numbers.labelled]
    segments, x = [], 0.0
    for (state, label, color, number), share in zip(numbers.labelled, shares, strict=True):
        width, shown = 100 * share / sum(shares), intcomma(number)
        text = f'{shown} {label}' if width >= LABELLED else shown if width >= NUMBERED else ''
        segments.append(Segment(round(x, 2), round(width, 2), color, str(label), shown, text, f'{url}?state={state}'))
        x += width
    return segments


@dataclass(frozen=True)
class Part:
    """A part of a bar."""

    y: float
    height: float
    fill: str


@dataclass(frozen=True)
class Bar:
    """A bar of a chart: one run, with its values as texts."""

    x: int
    run: SyncRun
    parts: tuple[Part, ...]
    values: tuple[str, ...]
    total: str


@dataclass(frozen=True)
class RunChart:
    """
    A bar for each run, the oldest first.

    Attributes:
        legend: The label and the fill of each part.
        highest: The value of the highest bar, as text.
    """

    title: str
    description: str
    legend: tuple[tuple['StrOrPromise', str], ...]
    bars: tuple[Bar, ...]
    highest: str

    @property
    def width(self) -> int:
        """The same for any number of runs, so that bars are not stretched."""
        return RUNS * WIDTH


def chart_of(
    title: str,
    description: str,
    legend: Sequence[tuple['StrOrPromise', str]],
    rows: list[tuple[SyncRun, list[float]]],
    shown: Callable[[float], str],
) -> RunChart:
    """
    The chart of the values of each run, one for each entry of the legend.

    Args:
        shown: The text of a value.
    """
    highest = max((sum(values) for _run, values in rows), default=0)
    bars = []
    for position, (run, values) in enumerate(rows):
        y, parts = float(HEIGHT), []
        for value, (_label, fill) in zip(values, legend, strict=True):
            height = round(HEIGHT * value / highest, 2) if highest else 0
            y = round(y - height, 2)
            if height:
                parts.append(Part(y, height, fill))
        bars.append(Bar(position * WIDTH, run, tuple(parts), tuple(map(shown, values)), shown(sum(values))))
    return RunChart(title, description, tuple(legend), tuple(bars), shown(highest))


def last_runs(endpoint: ProxmoxEndpoint, user: AnyUser) -> list[SyncRun]:
    """The last runs of an endpoint that have ended, the oldest first."""
    runs = SyncRun.objects.restrict(user, 'view').filter(endpoint=endpoint, status__in=RunStatusChoices.FINISHED)
    return list(runs.order_by('-created', '-pk')[:RUNS])[::-1]


def duration_chart(runs: Iterable[SyncRun]) -> RunChart:
    """The seconds of each run by phase."""
    legend = [(label, FILLS[phase]) for phase, label in PHASES.items()]
    rows = [(run, [float(run.timings.get(phase, 0)) for phase in PHASES]) for run in runs]
    title, description = _('Duration of the Last Runs'), _('Duration by phase, the oldest run on the left.')
    return chart_of(title, description, legend, rows, shown_duration)


def change_chart(runs: Iterable[SyncRun]) -> RunChart:
    """The changes of each run: created, updated and removed objects."""
    groups: tuple[tuple[str, str, tuple[str, ...]], ...] = (
        (_('Created'), 'solid', (ChangeActionChoices.CREATE, ChangeActionChoices.ADOPT)),
        (_('Updated'), 'lines', (ChangeActionChoices.UPDATE, ChangeActionChoices.REVIVE)),
        (
            _('Removed'),
            'dots',
            (ChangeActionChoices.RETIRE, ChangeActionChoices.RELEASE, ChangeActionChoices.DELETE),
        ),
        (_('Open'), 'hollow', ChangeActionChoices.OPEN),
    )
    rows = []
    for run in runs:
        values: list[float] = [
            sum(number for actions in run.counts.values() for action, number in actions.items() if action in wanted)
            for _label, _fill, wanted in groups
        ]
        rows.append((run, values))
    legend = [(label, fill) for label, fill, _wanted in groups]
    title, description = _('Changes of the Last Runs'), _('Planned or written changes by action.')
    return chart_of(title, description, legend, rows, lambda value: str(intcomma(int(value))))


@dataclass(frozen=True)
class Tick:
    """A mark for one run."""

    x: int
    height: int
    color: str
    label: str
    url: str

    @property
    def y(self) -> int:
        return 100 - self.height


def run_ticks(endpoints: Iterable[ProxmoxEndpoint], user: AnyUser) -> dict[int, list[Tick]]:
    """A tick for each of the last runs, the oldest first, by the ID of the endpoint; one query for all."""
    place = Window(RowNumber(), partition_by=F('endpoint'), order_by=(F('created').desc(), F('pk').desc()))
    runs = SyncRun.objects.restrict(user, 'view').filter(
        endpoint__in=[endpoint.pk for endpoint in endpoints], branch_id='', status__in=RunStatusChoices.FINISHED
    )
    newest = runs.annotate(place=place).filter(place__lte=TICKS).order_by('endpoint_id', 'created', 'pk')
    ticks: dict[int, list[Tick]] = {}
    for run in newest.only('endpoint_id', 'mode', 'status', 'created'):
        row = ticks.setdefault(run.endpoint_id, [])
        time = f'{timezone.localtime(run.created):%Y-%m-%d %H:%M}'
        label = f'{run.get_mode_display()}, {time}: {run.get_status_display()}'
        height = TICK_HEIGHTS.get(run.status, SHORT_TICK)
        row.append(Tick(len(row) * 10, height, run.get_status_color() or 'gray', label, run.get_absolute_url()))
    return ticks
