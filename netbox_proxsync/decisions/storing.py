"""Stores decisions, and shows their effect on guests until the next run."""

from collections.abc import Collection, Iterable, Sequence
from typing import Any

from django.contrib.contenttypes.models import ContentType

from ..choices import DecisionChoices
from ..models import Decision, ProxmoxEndpoint, ProxmoxGuest
from ..models.users import AnyUser
from ..sync.guest_states import GuestState
from ..wording import columns_of
from .questions import Question, unit_of
from .reported import guests_of

__all__ = (
    'delete_earlier',
    'lock',
    'new_decision',
    'show_state',
)


def lock(endpoints: Iterable[ProxmoxEndpoint]) -> None:
    """Make other decisions about these endpoints wait for the end of the transaction."""
    pks = [endpoint.pk for endpoint in endpoints]
    list(ProxmoxEndpoint.objects.filter(pk__in=pks).select_for_update().order_by('pk').values_list('pk'))


def new_decision(question: Question, choice: str, user: AnyUser, target: Any) -> Decision:
    return Decision(
        endpoint=question.endpoint,
        kind=question.kind,
        key=question.key,
        unit=unit_of(question.key),
        choice=choice,
        name=question.name if choice == DecisionChoices.RENAME else '',
        object_type=ContentType.objects.get_for_model(target) if target is not None else None,
        object_id=target.pk if target is not None else None,
        user=user if user.is_authenticated else None,
    )


def delete_earlier(questions: Collection[Question]) -> None:
    """Delete earlier decisions about the same objects."""
    identities = {(each.endpoint.pk, each.kind, each.key) for each in questions}
    if not identities:
        return
    endpoints, keys = {pk for pk, _kind, _key in identities}, {key for _pk, _kind, key in identities}
    found = Decision.objects.filter(endpoint__in=endpoints, key__in=keys).order_by()
    rows = found.values_list('pk', 'endpoint_id', 'kind', 'key')
    Decision.objects.filter(pk__in=[pk for pk, *identity in rows if (*identity,) in identities]).delete()


def show_state(questions: Sequence[Question], standing: GuestState) -> None:
    """Show the effect of a decision on guests until the next run."""
    pks = [guest.pk for guest in guests_of(questions).values()]
    ProxmoxGuest.objects.filter(pk__in=pks, ignored=False).update(
        state=str(standing.state), candidate_ids=[], **columns_of(reason=standing.reason)
    )
