"""The same decision about many rows that require a user, with a number of queries that does not depend on theirs."""

from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import transaction

from .. import decisions
from ..branching import InBranchError
from ..choices import ChangeActionChoices, DecisionChoices
from ..decisions import LINKED_MODELS, Question, choices_for
from ..endpoints import acknowledgments
from ..models import Binding, ProxmoxEndpoint, ProxmoxGuest
from ..models.users import AnyUser
from ..sync.kind_names import GUEST
from .attention import ACKNOWLEDGE, AttentionRow, add_machines, single_candidates

__all__ = ('REFUSALS', 'Resolved', 'answerable', 'resolve')

REFUSALS = (decisions.DecisionError, decisions.SyncInProgressError, InBranchError, acknowledgments.NotAFaultError)


@dataclass
class Resolved:
    """
    Attributes:
        number: How many decisions were made.
        refused: The names of the others, and why they were refused.
    """

    number: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)


def answerable(rows: Iterable[AttentionRow], choice: str, user: AnyUser) -> list[AttentionRow]:
    """
    The rows about which a user can make a decision, one for each object.

    Args:
        choice: LINK, SEPARATE or IGNORE of `DecisionChoices`, or `ACKNOWLEDGE`.
    """
    endpoints = ProxmoxEndpoint.objects.restrict(user, 'sync').order_by()
    permitted = set(endpoints.values_list('pk', flat=True))
    rows = [row for row in rows if row.endpoint.pk in permitted]
    if choice == ACKNOWLEDGE:
        return [row for row in rows if row.message]
    questions = [row for row in rows if row.change_id]
    match choice:
        case DecisionChoices.LINK:
            return single_candidates(questions)
        case DecisionChoices.SEPARATE:
            questions = [row for row in questions if row.question == ChangeActionChoices.CANDIDATE]
        case DecisionChoices.IGNORE:
            questions = [row for row in questions if row.kind == GUEST or choice in choices_for(row.kind)]
    return list({row.identity: row for row in questions}.values())


def resolve(rows: Sequence[AttentionRow], choice: str, user: AnyUser) -> Resolved:
    """
    Make a decision about rows that are answerable.

    Raises:
        DecisionError, SyncInProgressError, InBranchError, NotAFaultError: None was made.
    """
    if choice == ACKNOWLEDGE:
        with transaction.atomic():
            for row in rows:
                acknowledgments.acknowledge(row.endpoint, row.message['subject'], row.message['message'], user)
        return Resolved(len(rows))
    if choice == DecisionChoices.IGNORE:
        return ignore(rows, user)
    instances = objects_of(rows, user) if choice == DecisionChoices.LINK else {}
    links = {Question(row.endpoint, row.kind, row.key, instances.get(row.pk)): row for row in rows}
    made, refused = decisions.decide_all(list(links), choice, user)
    return Resolved(len(made), [(links[link].label, reason) for link, reason in refused.items()])


def objects_of(rows: Iterable[AttentionRow], user: AnyUser) -> dict[str, object]:
    """The candidates by row, as far as the user may view them."""
    found: dict[str, object] = {}
    for kind, model in LINKED_MODELS.items():
        pks = {row.pk: row.object_id for row in rows if row.kind == kind}
        instances = model.objects.restrict(user, 'view').in_bulk(set(pks.values())) if pks else {}
        found |= {row: instances[pk] for row, pk in pks.items() if pk in instances}
    return found


def ignore(rows: Sequence[AttentionRow], user: AnyUser) -> Resolved:
    """Ignore guests; stop managing objects that are bound; store the decision to ignore others."""
    add_machines(rows, user)
    with transaction.atomic():
        return ignore_all(rows, user)


def ignore_all(rows: Sequence[AttentionRow], user: AnyUser) -> Resolved:
    roots = [row for row in rows if row.kind == GUEST]
    guests: Collection[ProxmoxGuest] = [row.guest for row in roots if row.guest]
    others = {row.identity: row for row in rows if row.kind != GUEST}
    endpoints = {row.endpoint.pk for row in others.values()}
    bindings = Binding.objects.filter(endpoint__in=endpoints, key__in={key for _pk, _kind, key in others})
    bound = [each for each in bindings.select_related('endpoint') if (each.endpoint_id, each.kind, each.key) in others]
    decisions.stop_managing_objects(bound)
    is_bound = {(each.endpoint_id, each.kind, each.key) for each in bound}
    links = {Question(row.endpoint, row.kind, row.key, None): row for key, row in others.items() if key not in is_bound}
    made, refused = decisions.decide_all(list(links), DecisionChoices.IGNORE, user)
    number = decisions.ignore(guests) + len(bound) + len(made)
    return Resolved(number, [(links[link].label, reason) for link, reason in refused.items()])
