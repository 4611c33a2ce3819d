"""Why a run was not simply successful, in a few sentences: for notifications and events, which have no page."""

from collections.abc import Callable, Iterator
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ..choices import ChangeActionChoices, ChangeOutcomeChoices
from ..sync.kinds import KINDS
from ..wording import worded
from .changes import SyncChange
from .runs import SyncRun

__all__ = ('reason_of',)

Counted = Callable[[int], str]

OPEN: dict[str, Counted] = {
    ChangeActionChoices.CONFLICT: lambda n: ngettext('{number} conflict: {kinds}.', '{number} conflicts: {kinds}.', n),
    ChangeActionChoices.CANDIDATE: lambda n: ngettext(
        '{number} candidate: {kinds}.', '{number} candidates: {kinds}.', n
    ),
}


def reason_of(run: SyncRun, changes: QuerySet[SyncChange]) -> str:
    """
    Why a run failed, was refused or canceled, could not write changes, or has conflicts, in the active language; '' if
    none of these.

    Args:
        changes: The changes of the run that the reader may view. The first one that was rejected or is in conflict is
            named.
    """
    sentences = [worded(run.error, run.error_source)] if run.error else []
    if run.total_changes:
        sentences += [*open_counts(run), *first_problem(changes)]
    return ' '.join(sentences)


def open_counts(run: SyncRun) -> Iterator[str]:
    """The numbers of conflicts and candidates, by kind: '2 conflicts: IP address 2.'."""
    for action, text in OPEN.items():
        by_kind = {kind: actions[action] for kind, actions in run.counts.items() if actions.get(action)}
        if number := sum(by_kind.values()):
            kinds = ', '.join(f'{kind_label(kind)} {count}' for kind, count in by_kind.items())
            yield text(number).format(number=number, kinds=kinds)


def kind_label(kind: str) -> Any:
    """The name of a kind; of one that this version no longer has, as it was stored."""
    return _(KINDS[kind].label) if kind in KINDS else kind


def first_problem(changes: QuerySet[SyncChange]) -> Iterator[str]:
    """The first change that NetBox rejected, otherwise the first conflict: 'web: The name is taken.'."""
    rejected = changes.filter(outcome=ChangeOutcomeChoices.FAILED)
    for rows in (rejected, changes.filter(action=ChangeActionChoices.CONFLICT)):
        if change := rows.order_by('position').first():
            text = change.message if change.outcome == ChangeOutcomeChoices.FAILED else change.reason
            source = change.message_source if change.outcome == ChangeOutcomeChoices.FAILED else change.reason_source
            yield f'{change.label}: {worded(text, source)}'
            return
