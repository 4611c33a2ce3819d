"""The owners of fields."""

from enum import StrEnum

__all__ = ('IGNORED', 'Owner')

# A policy for a field that is neither compared nor written.
IGNORED = 'ignored'


class Owner(StrEnum):
    """Which value wins if NetBox and Proxmox VE differ and NetBox was edited since the last write."""

    FACT = 'fact'  # the value of Proxmox VE
    EDITORIAL = 'editorial'  # the value of the user
    SET = 'set'  # both: each side owns its own elements
