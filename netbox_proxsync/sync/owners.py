"""Who owns a field."""

from enum import StrEnum

__all__ = ('IGNORED', 'Owner')

# A policy for a field that is neither compared nor written.
IGNORED = 'ignored'


class Owner(StrEnum):
    """Who wins when NetBox and Proxmox differ and NetBox was edited since we wrote it."""

    FACT = 'fact'  # Proxmox
    EDITORIAL = 'editorial'  # the person
    SET = 'set'  # each its own elements
