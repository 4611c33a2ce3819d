"""What requires a user about endpoints: failed runs, plans that wait, and faults of Proxmox VE."""

import hashlib
from collections.abc import Iterable
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from ...choices import AttentionChoices, RunStatusChoices, SyncStatusChoices
from ...models.users import AnyUser
from ...models.visibility import hidden_units_of
from ...proxmox.messages import from_json, joined
from ...wording import worded
from .rows import AttentionRow

__all__ = ('failures', 'faults', 'plans')

# The endings of a last run that require attention by themselves.
FAILED = (RunStatusChoices.FAILED, RunStatusChoices.ERRORS)


def failures(endpoints: dict[int, Any], runs: dict[int, Any]) -> Iterable[AttentionRow]:
    """The endpoints whose last run has failed or could not write everything. Disabled endpoints are left out."""
    for endpoint in endpoints.values():
        run = runs.get(endpoint.last_run_id)
        status = run.status if run and not run.branch_id else ''
        # A run that was stopped without a plan: there is nothing to approve.
        is_stopped = status == RunStatusChoices.REFUSED and endpoint.plan != endpoint.last_run_id
        is_unreachable = endpoint.sync_status == SyncStatusChoices.UNREACHABLE
        if not endpoint.enabled or not (is_unreachable or is_stopped or status in FAILED):
            continue
        yield AttentionRow(
            f'endpoint-{endpoint.pk}',
            AttentionChoices.ENDPOINT,
            endpoint,
            endpoint.name,
            (run.shown_error if run else '') or _('The last run could not read Proxmox VE.'),
            run.completed if run else None,
            run=run,
        )


def plans(endpoints: dict[int, Any], runs: dict[int, Any]) -> Iterable[AttentionRow]:
    """The plans that wait to be approved or applied."""
    for endpoint in endpoints.values():
        if run := runs.get(endpoint.plan):
            is_blocked = bool(run.refusal)
            yield AttentionRow(
                f'run-{run.pk}',
                AttentionChoices.BLOCKED if is_blocked else AttentionChoices.PREVIEW,
                endpoint,
                str(run),
                run.shown_refusal if is_blocked else size_of(run),
                run.completed or run.created,
                run=run,
            )


def size_of(run: Any) -> str:
    """What of a plan waits, in words."""
    if run.is_applied:
        return _('A part of its changes waits to be applied.')
    number = run.total_changes - run.conflicts - run.candidates
    return ngettext('{number} change waits to be applied.', '{number} changes wait to be applied.', number).format(
        number=number
    )


def faults(endpoints: dict[int, Any], runs: dict[int, Any], user: AnyUser) -> Iterable[AttentionRow]:
    """The faults that the last full runs have reported and that no user has acknowledged."""
    latest = [runs[each.latest] for each in endpoints.values() if each.latest in runs]
    reporting = [run for run in latest if any(message.get('fault') for message in run.messages)]
    hidden = hidden_units_of(user, {run.endpoint_id: run.subjects for run in reporting})
    for run in reporting:
        for message in run.messages_without(hidden[run.endpoint_id]):
            if message.get('fault') and not message['acknowledged']:
                yield AttentionRow(
                    fault_pk(run.endpoint_id, message['subject'], message['message']),
                    AttentionChoices.FAULT,
                    run.endpoint,
                    message['subject'],
                    worded(joined((from_json(message, 'message'), from_json(message, 'remedy')))),
                    run.completed or run.created,
                    unit=message['subject'],
                    run=run,
                    message=message,
                )


def fault_pk(endpoint: int, subject: str, message: str) -> str:
    digest = hashlib.sha256(f'{subject}\0{message}'.encode()).hexdigest()[:16]
    return f'fault-{endpoint}-{digest}'
