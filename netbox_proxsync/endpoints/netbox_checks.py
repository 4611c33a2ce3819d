"""Checks of this NetBox for what keeps runs from writing, for the connection report and the check command."""

from collections.abc import Iterator

from .. import custom_fields
from ..ledger.requirements import load_custom_fields
from ..proxmox.check import Check

__all__ = ('demand_checks', 'field_checks')

REPAIR = 'Run "proxsync_check --repair".'


def field_checks(required: bool = False, repair: str = REPAIR) -> Iterator[Check]:
    """The custom fields of the plugin that are not as runs need them."""
    for problem in custom_fields.problems():
        yield Check(
            label='custom fields',
            ok=False,
            detail=f'{problem.name} {problem.message}',
            remedy=repair if problem.repairable else problem.remedy,
            required=required,
        )


def demand_checks() -> Iterator[Check]:
    """Custom fields for which NetBox refuses new objects, because runs have no value for them."""
    for demands in load_custom_fields().demands.values():
        for demand in demands:
            yield Check(
                label='custom fields',
                ok=False,
                detail=f'{demand.field} of {demand.plural} {demand.reason}, so runs create no {demand.plural}',
                remedy=f'Give the custom field "{demand.field}" a valid default, or make it optional.',
                required=False,
            )
