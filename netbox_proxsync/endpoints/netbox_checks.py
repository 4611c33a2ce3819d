"""Checks of this NetBox for what keeps runs from writing, for the connection report and the check command."""

from collections.abc import Iterator

from .. import custom_fields
from ..ledger.requirements import load_custom_fields
from ..proxmox.check import Check
from ..proxmox.messages import Message, joined

__all__ = ('LABEL', 'demand_checks', 'field_checks')

LABEL = Message('custom fields')
REPAIR = Message('Run "proxsync_check --repair".')


def field_checks(required: bool = False, repair: Message = REPAIR) -> Iterator[Check]:
    """The custom fields of the plugin that are not as runs need them."""
    for problem in custom_fields.problems():
        yield Check(
            label=LABEL,
            ok=False,
            detail=problem.message,
            remedy=repair if problem.repairable else problem.remedy,
            required=required,
        )


def demand_checks() -> Iterator[Check]:
    """Custom fields for which NetBox refuses new objects, because runs have no value for them."""
    for demands in load_custom_fields().demands.values():
        for demand in demands:
            yield Check(
                label=LABEL,
                ok=False,
                detail=joined((demand.reason, Message('Runs do not create these objects.'))),
                remedy=Message(
                    'Give the custom field "{field}" a valid default, or do not require it.', field=demand.field
                ),
                required=False,
            )
