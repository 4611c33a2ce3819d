"""Decisions that answer what a run could not decide: which object a guest or node is, and who has an address."""

from collections.abc import Sequence
from typing import Any

from django.db import transaction
from django.db.models import Model
from django.utils.translation import gettext as _
from ipam.models import VRF, IPAddress

from ..branching import refuse_in_branch
from ..choices import DecisionChoices
from ..models import Binding, Decision, ProxmoxEndpoint
from ..models.users import AnyUser
from ..sync.guest_states import SEPARATE
from ..sync.kind_names import GUEST
from .linking import already_bound, link
from .moving import holder_of
from .permitted import viewed_vrf
from .questions import LINKED_MODELS, DecisionError, Question, choices_for
from .reported import bound_keys, known_keys
from .storing import delete_earlier, lock, new_decision, show_state

__all__ = (
    'decide',
    'decide_all',
    'named_model',
    'named_object',
    'not_possible',
)


def decide(
    endpoint: ProxmoxEndpoint,
    kind: str,
    key: str,
    choice: str,
    user: AnyUser,
    instance: Any = None,
    name: str = '',
) -> Decision:
    """
    Make a decision. It replaces an earlier one about the same object.

    Args:
        user: Must have the permission to sync the endpoint, which the caller checks.
        instance: The object to link, the VRF, or the IP address to move (None: the only one that is assigned).
        name: The name of the object that is created under another name.

    Raises:
        DecisionError: It cannot be made, or the user may not view or change the object.
    """
    made, refused = decide_all([Question(endpoint, kind, key, instance, name)], choice, user)
    for reason in refused.values():
        raise DecisionError(reason)
    return made[0]


def decide_all(questions: Sequence[Question], choice: str, user: AnyUser) -> tuple[list[Decision], dict[Question, str]]:
    """
    Make the same decision about several objects, each of which is given once. Except for addresses that are moved, the
    number of statements does not depend on their number.

    Args:
        user: As for `decide`.

    Returns:
        The decisions, and why the others are refused.
    """
    refuse_in_branch()
    refused = {each: not_possible() for each in questions if choice not in choices_for(each.kind)}
    possible = [each for each in questions if each not in refused]
    if choice == DecisionChoices.LINK:
        made, reasons = link(possible, user)
        return made, refused | reasons
    targets: dict[Question, Model | None] = {}
    with transaction.atomic():
        lock({each.endpoint for each in possible})
        for kind in {each.kind for each in possible}:
            of_kind = [each for each in possible if each.kind == kind]
            refused |= obstacles_to(choice, kind, of_kind)
        for each in possible:
            if each in refused:
                continue
            try:
                if choice == DecisionChoices.MOVE:
                    targets[each] = holder_of(each.endpoint, each.key, each.instance, user)
                elif choice == DecisionChoices.VRF:
                    targets[each] = viewed_vrf(each.instance, user)
                elif choice == DecisionChoices.RENAME:
                    check_name(each)
            except DecisionError as error:
                refused[each] = str(error)
        accepted = [each for each in possible if each not in refused]
        delete_earlier(accepted)
        made = Decision.objects.bulk_create(new_decision(each, choice, user, targets.get(each)) for each in accepted)
        if choice in (DecisionChoices.SEPARATE, DecisionChoices.RENAME):
            show_state([each for each in accepted if each.kind == GUEST], SEPARATE)
    return made, refused


def not_possible() -> str:
    """Why a choice that a kind does not have is refused."""
    return _('This decision is not possible for an object of this type.')


def obstacles_to(choice: str, kind: str, questions: Sequence[Question]) -> dict[Question, str]:
    """Why a decision about objects of one kind is not possible, other than a link; without those about which it is."""
    endpoints, keys = {each.endpoint.pk for each in questions}, {each.key for each in questions}
    known = known_keys(kind, questions)
    bound: set[tuple[int, str]] = set()
    if choice in (DecisionChoices.SEPARATE, DecisionChoices.RENAME):
        bound = {(pk, key) for pk, found in bound_keys(kind, endpoints, keys).items() for key in found}
    elif choice in (DecisionChoices.IGNORE, DecisionChoices.VRF):
        rows = Binding.objects.filter(endpoint__in=endpoints, kind=kind, key__in=keys).order_by()
        bound = set(rows.values_list('endpoint', 'key'))
    reasons = {}
    for each in questions:
        identity = (each.endpoint.pk, each.key)
        if identity not in known:
            reasons[each] = _('No run of {endpoint} has reported {key}.').format(endpoint=each.endpoint, key=each.key)
        elif identity in bound:
            reasons[each] = (
                already_bound(each.key)
                if kind in LINKED_MODELS
                else _('{key} is bound to a NetBox object. Stop managing that instead.').format(key=each.key)
            )
    return reasons


def named_object(kind: str, choice: str, pk: int | None, user: AnyUser) -> Any:
    """
    The object of a decision by its primary key, for `decide`; None if the decision needs none.

    Raises:
        DecisionError: The object does not exist, or the user may not view it.
    """
    found: Any = named_model(kind, choice)
    if found is None or (pk is None and choice == DecisionChoices.MOVE):
        return None
    instance = found.objects.restrict(user, 'view').filter(pk=pk).first()
    if instance is None:
        raise DecisionError(
            _('No {type} that you have permission to view has the ID {pk}.').format(
                type=found._meta.verbose_name, pk=pk
            )
        )
    return instance


def named_model(kind: str, choice: str) -> Any:
    """The model of the object that a decision needs; None: it needs none."""
    models = {
        DecisionChoices.LINK: LINKED_MODELS.get(kind),
        DecisionChoices.MOVE: IPAddress,
        DecisionChoices.VRF: VRF,
    }
    return models.get(choice)


def check_name(question: Question) -> None:
    """
    Check the name of an object that is to be created under another name.

    Raises:
        DecisionError: It is no name, or another object has it.
    """
    name = question.name.strip()
    length = LINKED_MODELS[question.kind]._meta.get_field('name').max_length
    if not name or name != question.name or len(name) > length:
        raise DecisionError(_('Enter a name of at most {length} characters.').format(length=length))
    endpoint = question.endpoint
    scope = {'cluster': endpoint.cluster_id} if question.kind == GUEST else {'site': endpoint.site_id}
    rows = LINKED_MODELS[question.kind].objects.filter(**scope, name__iexact=name)
    chosen = Decision.objects.filter(endpoint=endpoint, kind=question.kind, name__iexact=name).exclude(key=question.key)
    if (None not in scope.values() and rows.exists()) or chosen.exists():
        raise DecisionError(_('NetBox has another object with this name already.'))
