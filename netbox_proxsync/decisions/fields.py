"""Decisions about single fields that differ between NetBox and Proxmox VE: which value applies from now on."""

from typing import Any

from django.core.exceptions import ValidationError
from django.db import transaction
from django.utils.translation import gettext as _

from ..branching import refuse_in_branch
from ..choices import ChangeOutcomeChoices, FieldDecisionChoices
from ..ledger.fields import read
from ..ledger.results import explain
from ..models import Binding, ProxmoxEndpoint, SyncChange
from ..proxmox.messages import Message
from ..sync.field_policy import clean_policy
from ..sync.field_states import FieldState, owner_of, state_of_field
from ..sync.kinds import KINDS, Field, Owner
from ..sync.owners import IGNORED
from ..sync.values import Value, as_set, decode_all, encode
from ..wording import columns_of
from .managing import refuse_during_sync
from .questions import DecisionError

__all__ = ('decide_field', 'field_spec', 'state_of', 'values_of')


def field_spec(binding: Binding, name: str) -> Field | None:
    """The field of the kind of a binding; None if the kind does not have it."""
    fields = KINDS[binding.kind].fields if binding.kind in KINDS else ()
    return next((spec for spec in fields if spec.name == name), None)


def values_of(binding: Binding) -> tuple[dict[str, Value], dict[str, Value]]:
    """The values that were last written, and those of Proxmox VE, by field."""
    written = decode_all(binding.values)
    return written, {**written, **decode_all(binding.proxmox_values)}


def state_of(binding: Binding, spec: Field, instance: Any) -> FieldState | None:
    """
    How a field of the bound object stands to Proxmox VE; None if Proxmox VE has not reported it.

    Args:
        instance: The bound object.
    """
    written, reported = values_of(binding)
    if spec.name not in reported:
        return None
    return state_of_field(
        spec,
        owner_of(binding.kind, spec, binding.endpoint.field_policy),
        written,
        read(instance, spec.name),
        reported[spec.name],
        binding.decoded_kept_values,
    )


def decide_field(binding: Binding, name: str, choice: str) -> None:
    """
    Decide which value of a field applies. NetBox's object is not changed: the next sync does it. Changes of the object
    in stored plans that would write the field are outdated.

    The caller checks that the user may sync the endpoint (`ALWAYS`: change it).

    Args:
        choice: One of `FieldDecisionChoices`.

    Raises:
        DecisionError, SyncInProgressError, InBranchError: Nothing was done.
    """
    refuse_in_branch()
    with transaction.atomic():
        # Another decision or a run may have changed the row since it was loaded. Its values are written as a whole.
        binding = Binding.objects.select_for_update(of=('self',)).select_related('endpoint').get(pk=binding.pk)
        refuse_during_sync(binding.endpoint)
        spec, instance = field_spec(binding, name), binding.object
        state = state_of(binding, spec, instance) if spec and instance else None
        if spec is None or state is None or choice not in state.choices:
            raise DecisionError(_('This cannot be decided about the field as it is now. Load the page again.'))
        if choice == FieldDecisionChoices.PROXMOX:
            use_reported(binding, state)
        elif choice == FieldDecisionChoices.KEEP:
            keep(binding, state)
        else:
            keep_always(binding, state)
        binding.save(update_fields=['values', 'proxmox_values', 'kept_values'])
        SyncChange.objects.filter(
            run__endpoint=binding.endpoint_id,
            run__branch_id='',
            kind=binding.kind,
            key=binding.key,
            outcome=ChangeOutcomeChoices.PLANNED,
            fields__contains=[{'name': name}],
        ).update(
            outcome=ChangeOutcomeChoices.OUTDATED,
            **columns_of(
                message=Message('A user has decided about a field of this object since the plan was created.')
            ),
        )


def use_reported(binding: Binding, state: FieldState) -> None:
    """Let the next sync write the value of Proxmox VE: NetBox's value does not count as edited any more."""
    binding.kept_values.pop(state.name, None)
    if state.owner is Owner.SET:
        # What users have removed is added again.
        remember(binding, state, as_set(state.written) - (as_set(state.reported) - as_set(state.now)))
    elif state.owner is Owner.EDITORIAL:
        remember(binding, state, state.now)


def keep(binding: Binding, state: FieldState) -> None:
    """Let syncs keep NetBox's value as long as both values are as they are now."""
    if state.owner is Owner.SET:
        # As if a user had removed what NetBox lacks.
        remember(binding, state, as_set(state.written) | as_set(state.reported))
    else:
        binding.kept_values[state.name] = [encode(state.reported), encode(state.now)]


def keep_always(binding: Binding, state: FieldState) -> None:
    """Write the exception into the field policy of the endpoint, and let NetBox's value count as edited."""
    endpoint = ProxmoxEndpoint.objects.select_for_update().get(pk=binding.endpoint_id)
    endpoint.snapshot()
    owner = IGNORED if state.owner is Owner.SET else str(Owner.EDITORIAL)
    endpoint.field_policy = clean_policy({**endpoint.field_policy, f'{binding.kind}.{state.name}': owner})
    try:
        endpoint.full_clean()
    except ValidationError as error:
        raise DecisionError(_('The endpoint cannot be saved: {reason}').format(reason=explain(error))) from error
    endpoint.save()
    binding.kept_values.pop(state.name, None)
    if state.owner is not Owner.SET and state.written == state.now:
        remember(binding, state, state.reported)


def remember(binding: Binding, state: FieldState, value: Value) -> None:
    """Store a value as if it was written last. The value of Proxmox VE remains known."""
    binding.proxmox_values[state.name] = encode(state.reported)
    binding.values[state.name] = encode(value)
