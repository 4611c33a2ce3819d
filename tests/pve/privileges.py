"""
Who may see what, decided as Proxmox VE's AccessControl does.

An entry of the access control list at a deeper path replaces what is inherited from above; what a token holds on a pool
it also holds on the guests and storages in that pool. An effective privilege has a propagate flag, 0 or 1: the two
differ only for the paths below, both mean that the privilege is granted.
"""

import fnmatch
import hmac
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

__all__ = ('AUDITOR', 'Token', 'ancestors', 'auditor')

# The smallest roles that can read a whole inventory, by major version.
AUDITOR: Mapping[int, tuple[str, ...]] = {
    6: ('Datastore.Audit', 'Pool.Audit', 'Sys.Audit', 'VM.Audit', 'VM.Monitor'),
    7: ('Datastore.Audit', 'Pool.Audit', 'SDN.Audit', 'Sys.Audit', 'VM.Audit', 'VM.Monitor'),
    8: ('Datastore.Audit', 'Mapping.Audit', 'Pool.Audit', 'SDN.Audit', 'Sys.Audit', 'VM.Audit', 'VM.Monitor'),
    9: (
        'Datastore.Audit',
        'Mapping.Audit',
        'Pool.Audit',
        'SDN.Audit',
        'Sys.Audit',
        'VM.Audit',
        'VM.GuestAgent.Audit',
    ),
}
# Listed by /access/permissions without being asked for, besides the paths with an entry of their own.
DEFAULT_PATHS = ('/', '/access', '/access/groups', '/nodes', '/pool', '/sdn', '/storage', '/vms')

type Privileges = dict[str, int]


def auditor(major: int) -> dict[str, Privileges]:
    """An access control list that grants an inventory everything it needs."""
    return {'/': dict.fromkeys(AUDITOR[min(max(major, 6), 9)], 1)}


def ancestors(path: str) -> Iterable[str]:
    """The path itself and those above it, nearest first."""
    while path != '/':
        yield path
        path = path.rpartition('/')[0] or '/'
    yield '/'


@dataclass
class Token:
    """
    An API token.

    Attributes:
        id: USER@REALM!TOKENID.
        acl: {path: {privilege: propagate}}.
        denied: {path: privileges} that were revoked there and below and that no pool gives back.
        recorded: The token that made the recording, with nothing changed: recorded answers hold as they are.
    """

    id: str
    secret: str
    acl: dict[str, Privileges]
    denied: dict[str, set[str]] = field(default_factory=dict)
    recorded: bool = False
    _cache: dict[tuple[str, str | None], Privileges] = field(default_factory=dict, repr=False)

    def verify(self, secret: str) -> bool:
        return hmac.compare_digest(self.secret.encode(), secret.encode())

    def privileges(self, path: str, pool: str | None = None) -> Privileges:
        """
        Effective privileges on a path as {privilege: propagate}.

        Attributes:
            pool: The pool that the guest or storage at that path is in.
        """
        key = (path, pool)
        found = self._cache.get(key)
        if found is None:
            found = self._own(path)
            if pool is not None:
                denied = {name for above in ancestors(path) for name in self.denied.get(above, ())}
                for privilege in self.privileges(f'/pool/{pool}'):
                    if privilege not in denied:
                        found.setdefault(privilege, 0)
            self._cache[key] = found
        return found

    def _own(self, path: str) -> Privileges:
        for above in ancestors(path):
            entry = self.acl.get(above)
            if entry is not None:
                return {name: flag for name, flag in entry.items() if flag or above == path}
        return {}

    def may(self, path: str, privileges: Iterable[str], pool: str | None = None) -> bool:
        """Whether one of the privileges is held."""
        held = self.privileges(path, pool)
        return any(privilege in held for privilege in privileges)

    def revoke(self, privilege: str, path: str = '/') -> None:
        """Take a privilege (or all that match a pattern) away on a path and everything below it."""
        held = {*self.privileges(path), *(name for entry in self.acl.values() for name in entry)}
        names = {name for name in held if fnmatch.fnmatchcase(name, privilege)}
        self.acl[path] = self._own(path)
        for below, entry in self.acl.items():
            if path in ancestors(below):
                for name in names:
                    entry.pop(name, None)
        # What a pool gives does not come through the list of the guest's own path.
        self.denied.setdefault(path, set()).update(names)
        self._changed()

    def grant(self, privilege: str, path: str = '/', propagate: int = 1) -> None:
        """Give a privilege on a path; if it propagates, also on the entries below, so that it undoes a `revoke`."""
        self.acl.setdefault(path, self._own(path))
        for below, entry in self.acl.items():
            if below == path or (propagate and path in ancestors(below)):
                entry[privilege] = propagate
                self.denied.get(below, set()).discard(privilege)
        for below, names in self.denied.items():
            if path in ancestors(below):
                names.discard(privilege)
        self._changed()

    def _changed(self) -> None:
        self.recorded = False
        self.forget()

    def forget(self) -> None:
        """What a guest's or storage's pool gives may have changed."""
        self._cache.clear()

    def overview(self, pools: Mapping[str, str], paths: Iterable[str] = ()) -> dict[str, Privileges]:
        """
        The answer of /access/permissions.

        Attributes:
            pools: {path of a guest or storage: its pool}.
            paths: Other paths that have an entry in the access control list of the cluster.
        """
        wanted = sorted({*DEFAULT_PATHS, *self.acl, *paths, *pools})
        found = {path: self.privileges(path, pools.get(path)) for path in wanted}
        return {path: held for path, held in found.items() if held}


def from_overview(overview: Mapping[str, Privileges]) -> dict[str, Privileges]:
    """
    The access control list behind a recorded answer of /access/permissions.

    Guests and storages that hold nothing but flags of 0 got them from their pool; entries equal to what is inherited
    say nothing. Both are left out, so that a privilege revoked above really disappears below.
    """
    acl: dict[str, Privileges] = {}
    for path in sorted(overview, key=lambda path: (path.count('/') if path != '/' else 0, path)):
        held = dict(overview[path])
        above = next((acl[parent] for parent in ancestors(path) if parent in acl), {})
        inherited = {name: 1 for name, flag in above.items() if flag}
        if path.startswith(('/vms/', '/storage/')):
            held = {name: flag for name, flag in held.items() if flag or name in inherited}
        if held and held != inherited:
            acl[path] = held
    return acl
