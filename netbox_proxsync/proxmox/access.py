"""
What the token may see, from `/access/permissions`.

Proxmox's lists leave out silently what the token may not see, so this decides whether absence means anything. Two facts
of its answer (pve-access-control, RPCEnvironment.pm):

- It holds the effective privileges on `/vms`, `/pool` and the other top levels, on every path that has an ACL, and on
  every guest in a pool; but paths on which the token has no privilege at all (role NoAccess) are left out. So a missing
  `/vms/100` means either "as on /vms" or "hidden". The ACL itself tells which, and Sys.Audit on `/access` lets read it.
- The value of a privilege is its propagation: 0 and 1 both mean granted there; with 0 it does not reach further down.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .properties import ParseError, boolean
from .version import Version

__all__ = ('Access', 'MissingPrivilege', 'agent_privileges', 'grant_remedy', 'wanted_privileges')

NO_ACCESS = 'NoAccess'
ROLE = 'NetBoxSync'
# PVEAuditor of 7 and 8 plus the one privilege that reading the guest agent takes there.
ROLE_PRIVILEGES = 'VM.Audit VM.Monitor Sys.Audit Datastore.Audit Pool.Audit SDN.Audit'

# Any of these shows a row of the lists (pve-manager, API2/Network.pm; pve-network, API2/Network/SDN; pve-storage).
SHOW_BRIDGE = ('SDN.Audit', 'SDN.Use')
SHOW_FABRIC = ('SDN.Audit', 'SDN.Use', 'SDN.Allocate')
SHOW_VNET = ('SDN.Audit', 'SDN.Allocate')
SHOW_STORAGE = ('Datastore.Audit', 'Datastore.AllocateSpace')
LOCAL_BRIDGES = '/sdn/zones/localnetwork'

SDN = 'the bridges of the nodes and the virtual networks of SDN'
ALL_GUESTS = 'seeing all guests, and telling which of them are gone'


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPrivilege:
    """
    Attributes:
        privilege: As Proxmox names it.
        path: Where it is missing.
        feature: What cannot be read without it.
        command: What to type on a node, as root, to grant it.
    """

    privilege: str
    path: str
    feature: str
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    The token's effective privileges.

    Attributes:
        token_id: 'user@realm!name'.
        permissions: {path: {privilege: propagates}}.
        acl_paths: The paths of the cluster's ACL; None if the token may not read all of it.
        denied: {path: to whom the ACL gives the role NoAccess there, as options of `pveum acl`}.
    """

    token_id: str
    permissions: Mapping[str, Mapping[str, bool]]
    acl_paths: frozenset[str] | None = None
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, token_id: str, permissions: Any) -> 'Access':
        """From the answer of `/access/permissions`. Raises ParseError."""
        if not isinstance(permissions, dict):
            raise ParseError('The answer is not a map of permissions.')
        granted = {}
        for path, privileges in permissions.items():
            if not isinstance(privileges, dict):
                raise ParseError(f'The permissions on {path} are not a map.')
            granted[path] = {privilege: boolean(propagates) for privilege, propagates in privileges.items()}
        return cls(token_id=token_id, permissions=granted)

    def with_acl(self, acl: Any) -> 'Access':
        """The same, knowing the answer of `/access/acl` too. Raises ParseError."""
        if not isinstance(acl, list):
            raise ParseError('The access control list is not a list.')
        denied: dict[str, set[str]] = {}
        for path, role, who in map(_acl_row, acl):
            denied.setdefault(path, set()).update({who} if role == NO_ACCESS else ())
        if not self.allows('/access', 'Sys.Audit'):
            return self  # the list is answered without this privilege too, but shortened
        return replace(
            self, acl_paths=frozenset(denied), denied={path: frozenset(who) for path, who in denied.items() if who}
        )

    def allows(self, path: str, *privileges: str) -> bool:
        """Whether the token has any of the privileges on exactly that path."""
        granted = self._on(path)
        return any(privilege in granted for privilege in privileges)

    def covers(self, path: str, *privileges: str) -> bool:
        """Whether it has any of them on a path and, by propagation, on all below that are not listed."""
        granted = self._on(path)
        return any(granted.get(privilege, False) for privilege in privileges)

    def has(self, path: str, privileges: tuple[str, ...]) -> bool:
        """Whether it has any of them as far as it takes: on '/' itself, on all else with what is below."""
        return self.allows(path, *privileges) if path == '/' else self.covers(path, *privileges)

    def intersect(self, other: 'Access') -> 'Access':
        """What holds by both, which were read one after the other."""
        whole = self.acl_paths is not None and other.acl_paths is not None
        return replace(
            self,
            permissions={
                path: _intersection(self._on(path), other._on(path))
                for path in {**self.permissions, **other.permissions}
            },
            acl_paths=(self.acl_paths | other.acl_paths) if whole else None,
            denied={
                path: self.denied.get(path, frozenset()) | other.denied.get(path, frozenset())
                for path in {**self.denied, **other.denied}
            },
        )

    def _on(self, path: str) -> Mapping[str, bool]:
        if path in self.permissions:
            return self.permissions[path]
        if self.acl_paths and path in self.acl_paths:
            return {}  # it has an ACL, and yet nothing is granted there
        parent = path.rpartition('/')[0]
        # '/' and its children are always evaluated: where they are missing, nothing is granted.
        if not parent:
            return {}
        return {privilege: True for privilege, propagates in self._on(parent).items() if propagates}

    @property
    def revoked_guests(self) -> tuple[str, ...]:
        """Paths below /vms and /pool on which seeing guests is taken away again (as far as that can be told)."""
        paths = set(self.permissions) | (self.acl_paths or set())
        revoked = {path for path in paths if path.startswith('/vms/') and not self.allows(path, 'VM.Audit')}
        # A pool's NoAccess hides its members. Having no privilege there for other reasons is no loss.
        revoked |= {path for path in self.denied if path.startswith('/pool/') and not self.permissions.get(path)}
        return tuple(sorted(revoked))

    @property
    def guests_hidden(self) -> str | None:
        """None if the token sees every guest of the cluster; else why it may not."""
        if not self.covers('/vms', 'VM.Audit'):
            return 'The token does not see all guests: it lacks VM.Audit on /vms.'
        if revoked := self.revoked_guests:
            return f'The token does not see all guests: VM.Audit is taken away on {", ".join(revoked)}.'
        if self.acl_paths is None:
            return 'Whether the token sees all guests cannot be told: it may not read the access control list.'
        return None

    @property
    def sees_all_guests(self) -> bool:
        return self.guests_hidden is None

    def sees_agent(self, version: Version, vmid: int | None = None) -> bool:
        """Whether the guest agent may be asked: of one guest, or of all that have no ACL of their own."""
        privileges = agent_privileges(version)
        return self.covers('/vms', *privileges) if vmid is None else self.allows(f'/vms/{vmid}', *privileges)

    @property
    def sees_all_pools(self) -> bool:
        """Whether a guest that is shown without a pool is in none."""
        if not self.covers('/pool', 'Pool.Audit'):
            return False
        paths = set(self.permissions) | (self.acl_paths or set())
        return all(self.allows(path, 'Pool.Audit') for path in paths if path.startswith('/pool/'))

    def interfaces_hidden(self, version: Version) -> str | None:
        """None if `/nodes/N/network` is whole; else why it may lack bridges, or interfaces of SDN."""
        if version.major < 8:
            return None  # bridges have privileges of their own since 8
        found = self._hidden('bridges', LOCAL_BRIDGES, SHOW_BRIDGE)
        if version.major >= 9:
            found = found or self.vnets_hidden(version) or self._hidden('fabrics', '/sdn/fabrics', SHOW_FABRIC)
        return found

    def vnets_hidden(self, version: Version) -> str | None:
        """None if the lists of SDN's zones and virtual networks are whole; else why they may not be."""
        if version.major >= 8:
            return self._hidden('virtual networks', '/sdn/zones', SHOW_VNET, levels=2, besides=LOCAL_BRIDGES)
        zones = self._hidden('zones', '/sdn/zones', SHOW_VNET)
        return zones or self._hidden('virtual networks', '/sdn/vnets', SHOW_VNET)

    @property
    def storages_hidden(self) -> str | None:
        """None if the list of storages is whole; else why it may not be."""
        return self._hidden('storages', '/storage', SHOW_STORAGE)

    def shows_volume(self, vmid: int, storage: str) -> bool:
        """Whether a guest's volumes are in the list of a storage's content (pve-storage, check_volume_access)."""
        return self.allows(f'/vms/{vmid}', 'VM.Config.Disk') or self.allows(f'/storage/{storage}', 'Datastore.Allocate')

    def _hidden(
        self, what: str, path: str, privileges: tuple[str, ...], levels: int = 1, besides: str | None = None
    ) -> str | None:
        if not self.covers(path, *privileges):
            return f'The token does not see all {what}: it lacks {privileges[0]} on {path}.'
        revoked = self._revoked(path, privileges, levels)
        if besides:
            revoked = [below for below in revoked if not f'{below}/'.startswith(f'{besides}/')]
        if revoked:
            return f'The token does not see all {what}: {privileges[0]} is taken away on {", ".join(revoked)}.'
        if self.acl_paths is None:
            return f'Whether the token sees all {what} cannot be told: it may not read the access control list.'
        return None

    def _revoked(self, path: str, privileges: tuple[str, ...], levels: int = 1) -> list[str]:
        """The paths at most so many levels below that have an ACL, and on which it has none of them."""
        paths = set(self.permissions) | (self.acl_paths or set())
        depth = path.count('/') + levels
        found = (below for below in paths if below.startswith(f'{path}/') and below.count('/') <= depth)
        return sorted(below for below in found if not self.allows(below, *privileges))

    def missing(self, version: Version) -> list[MissingPrivilege]:
        """What is missing for which feature, with the command that grants it on this version of Proxmox VE."""
        missing = [
            MissingPrivilege(
                privilege=privileges[0], path=path, feature=feature, command=self._grant_command(version, '/')
            )
            for path, privileges, feature in wanted_privileges(version)
            if not (self.has(path, privileges) or (path == '/sdn' and self._has_sdn(version)))
        ]
        revoked = [(path, 'VM.Audit', ALL_GUESTS) for path in self.revoked_guests]
        for path, privileges, feature in _listed_privileges(version):
            levels = 2 if path == '/sdn/zones' else 1
            if self.covers(path, *privileges):
                revoked += [(below, privileges[0], feature) for below in self._revoked(path, privileges, levels)]
        missing += [
            MissingPrivilege(
                privilege=privilege,
                path=path,
                feature=feature,
                command=self._revoke_command(path) or self._grant_command(version, path),
            )
            for path, privilege, feature in revoked
        ]
        return missing

    def _has_sdn(self, version: Version) -> bool:
        """Whether all that is read of SDN is granted, if only further down."""
        return all(self.covers(path, *privileges) for path, privileges in _sdn_privileges(version))

    def _revoke_command(self, path: str) -> str:
        """How to take away NoAccess, which no other role outweighs; '' if it is not that."""
        user = self.token_id.partition('!')[0]
        own = {f'--tokens {shlex.quote(self.token_id)}', f'--users {shlex.quote(user)}'}
        who = self.denied.get(path, frozenset())
        # Who is in a group, the token cannot see: if it is not denied by name, it is by one of its user's groups.
        return '; '.join(f'pveum acl delete {path} {option} --roles {NO_ACCESS}' for option in sorted(who & own or who))

    def _grant_command(self, version: Version, path: str) -> str:
        grant = f'pveum acl modify {path} --tokens {shlex.quote(self.token_id)} --roles '
        if version.major >= 9 or self.sees_agent(version):
            return f'{grant}PVEAuditor'
        # The auditor's role has no privilege for the guest agent before 9.
        return f'pveum role add {ROLE} --privs "{ROLE_PRIVILEGES}"; {grant}{ROLE}'


def grant_remedy(command: str) -> str:
    """What to tell the person who can grant."""
    return f'Run this on a node as root: {command} (a token never has more privileges than its user)'


def agent_privileges(version: Version) -> tuple[str, ...]:
    """Any of these lets read the guest agent. VM.Monitor is gone in 9."""
    return ('VM.GuestAgent.Audit', 'VM.GuestAgent.Unrestricted') if version.major >= 9 else ('VM.Monitor',)


def wanted_privileges(version: Version) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """(path, privileges of which any will do, the feature that takes them) of everything that can be read."""
    return (
        ('/vms', ('VM.Audit',), ALL_GUESTS),
        ('/', ('Sys.Audit',), 'the cluster: its name, its quorum and the state of its nodes'),
        ('/access', ('Sys.Audit',), 'telling whether any guest is hidden from the token'),
        ('/vms', agent_privileges(version), 'addresses that running virtual machines have, by the guest agent'),
        ('/pool', ('Pool.Audit',), 'the pools that guests are in'),
        ('/nodes', ('Sys.Audit',), 'the hardware and the versions of the nodes'),
        ('/storage', SHOW_STORAGE, 'storages'),
        ('/sdn', ('SDN.Audit',), SDN),
    )


def _listed_privileges(version: Version) -> tuple[tuple[str, tuple[str, ...], str], ...]:
    """The same of what each row of a list takes, on the path above the rows."""
    return (
        ('/nodes', ('Sys.Audit',), 'the hardware and the versions of the nodes'),
        ('/storage', SHOW_STORAGE, 'storages'),
        *((path, privileges, SDN) for path, privileges in _sdn_privileges(version)),
    )


def _sdn_privileges(version: Version) -> tuple[tuple[str, tuple[str, ...]], ...]:
    zones = ('/sdn/zones', SHOW_VNET)
    if version.major < 8:
        return zones, ('/sdn/vnets', SHOW_VNET)
    return (zones, ('/sdn/fabrics', SHOW_FABRIC)) if version.major >= 9 else (zones,)


def _intersection(one: Mapping[str, bool], other: Mapping[str, bool]) -> dict[str, bool]:
    return {privilege: propagates and other[privilege] for privilege, propagates in one.items() if privilege in other}


def _acl_row(row: Any) -> tuple[str, str, str]:
    """(path, role, who as an option of `pveum acl`)."""
    if not isinstance(row, dict) or not isinstance(row.get('path'), str):
        raise ParseError('The access control list holds something that is not an entry.')
    return row['path'], str(row.get('roleid')), f'--{row.get("type")}s {shlex.quote(str(row.get("ugid")))}'
