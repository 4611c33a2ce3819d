"""Revokes decisions."""

from collections.abc import Collection

from django.db import transaction
from django.db.models import Q

from ..branching import refuse_in_branch
from ..choices import ChangeOutcomeChoices, DecisionChoices
from ..models import Binding, Decision, ProxmoxGuest, SyncChange
from ..proxmox.messages import Message
from ..sync.guest_states import REVOKED
from ..sync.kind_names import GUEST
from ..wording import columns_of
from .questions import LINKED_MODELS
from .reported import bound_keys, guests_by

__all__ = ('revoke',)

# The field of the new object that a decision determines.
CHOSEN_FIELDS = {DecisionChoices.RENAME: 'name', DecisionChoices.VRF: 'vrf'}


def revoke(decisions: Collection[Decision]) -> None:
    """
    Revoke decisions: the next run raises the questions again. Objects that are bound already remain so. Stored plans
    are not applied as far as they rely on the decisions.
    """
    refuse_in_branch()
    with transaction.atomic():
        for decision in decisions:
            relying = Q(unit=decision.unit) if decision.key == decision.unit else Q(key=decision.key)
            if decision.kind not in LINKED_MODELS:
                relying &= Q(kind=decision.kind)
            SyncChange.objects.filter(
                relying,
                run__endpoint=decision.endpoint_id,
                run__started__gte=decision.created,
                outcome=ChangeOutcomeChoices.PLANNED,
            ).update(
                outcome=ChangeOutcomeChoices.OUTDATED,
                **columns_of(message=Message('The decision on which this change relies was revoked.')),
            )
            if decision.kind == GUEST and decision.key not in bound_keys(
                GUEST, [decision.endpoint_id], [decision.key]
            ).get(decision.endpoint_id, ()):
                ProxmoxGuest.objects.filter(
                    endpoint=decision.endpoint_id, ignored=False, **guests_by([decision.key])
                ).update(state=str(REVOKED.state), virtual_machine=None, **columns_of(reason=REVOKED.reason))
            keep_chosen(decision)
        Decision.objects.filter(pk__in=[decision.pk for decision in decisions]).delete()


def keep_chosen(decision: Decision) -> None:
    """Leave the chosen name or VRF of an object that exists already to the user, as if it was edited in NetBox."""
    if field := CHOSEN_FIELDS.get(decision.choice):
        for bound in Binding.objects.filter(endpoint=decision.endpoint_id, kind=decision.kind, key=decision.key):
            if field in bound.values:
                values = {name: value for name, value in bound.values.items() if name != field}
                Binding.objects.filter(pk=bound.pk).update(values=values)
