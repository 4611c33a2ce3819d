"""
The custom fields that came with the whole estate.

Frozen: migrations depend on it. What a later release adds goes to a module of its own.
"""

from typing import Any

from . import _custom_fields_v1

__all__ = ('FIELDS', 'install', 'uninstall')

# Object, name, type, label: in the order of display, after those of the first release.
FIELDS = ((_custom_fields_v1.VM, 'proxmox_backed_up', 'boolean', 'Backed Up'),)
WEIGHT = 200


def install(apps: Any, using: str):
    """
    Create the fields that are missing and adopt those that exist.

    Raises:
        CommandError: Fields of that name exist that cannot be adopted. Nothing is written then.
    """
    _custom_fields_v1.install(apps, using, FIELDS, WEIGHT)


def uninstall(apps: Any, using: str):
    """Remove the fields that `install` created, with their data, and the assignments that it added to others."""
    _custom_fields_v1.uninstall(apps, using, FIELDS)
