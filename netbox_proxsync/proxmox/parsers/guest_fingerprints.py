"""Fingerprints of the rows of the guest list, by which a quick run recognizes the guests that have changed."""

from collections.abc import Mapping
from hashlib import blake2b
from typing import Any

__all__ = ('fingerprint_of',)

# The stable values of a row that lead to values in NetBox. Measurements (cpu, mem, uptime, ...) are not among them. Nor
# are the pool and the HA state, which disappear from all rows at once if the token loses a privilege.
COMPARED = ('type', 'vmid', 'node', 'status', 'name', 'lock', 'tags', 'maxcpu', 'maxmem')
# Rows whose node does not report the status of its guests lack them.
REPORTED = ('name', 'maxcpu', 'maxmem')


def fingerprint_of(row: Mapping[str, Any]) -> str:
    """
    The fingerprint of a row of a guest in `/cluster/resources`; '' if the row lacks values, so that it cannot be
    compared.
    """
    if row.get('status') in (None, '', 'unknown') or any(row.get(name) is None for name in REPORTED):
        return ''
    values = [row.get(name) for name in COMPARED]
    # Versions of Proxmox VE return 0, '' or nothing for false.
    values.append(row.get('template') in (1, '1', True))
    # Of a running container, it is the measured size of its root file system.
    values.append(row.get('maxdisk') if row.get('type') == 'qemu' else None)
    text = '\0'.join('' if value is None else str(value) for value in values)
    return blake2b(text.encode(errors='replace'), digest_size=16).hexdigest()
