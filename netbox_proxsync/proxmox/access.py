"""
The effective privileges of the API token, from `/access/permissions` and `/access/acl`.

Proxmox VE silently omits rows from its lists if the token may not see them. The privileges therefore decide whether the
absence of a row has a meaning. Two facts about `/access/permissions` (pve-access-control, RPCEnvironment.pm):

- The answer holds the effective privileges on `/vms`, `/pool` and the other top levels, on every path that has an ACL,
  and on every guest in a pool. Paths on which the token has no privilege at all (role NoAccess) are omitted. A missing
  `/vms/100` therefore means either "the same as on /vms" or "hidden". The ACL distinguishes the two; reading all of it
  requires Sys.Audit on `/access`.
- The value of a privilege is its propagate flag. 0 and 1 both mean that the privilege is granted on the path itself;
  with 0 it does not apply to the paths below.
"""

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from .messages import Message, joined
from .properties import ParseError, boolean
from .version import Version

__all__ = ('Access', 'MissingPrivilege', 'agent_privileges', 'grant_remedy', 'wanted_privileges')

NO_ACCESS = 'NoAccess'
ROLE = 'NetBoxSync'
# The privileges that are used, including the one that the guest agent requires before Proxmox VE 9.
ROLE_PRIVILEGES = 'VM.Audit VM.Monitor Sys.Audit Pool.Audit SDN.Audit'

# A token with any of these privileges sees the row (pve-manager, API2/Network.pm; pve-network, API2/Network/SDN).
SHOW_BRIDGE = ('SDN.Audit', 'SDN.Use')
SHOW_FABRIC = ('SDN.Audit', 'SDN.Use', 'SDN.Allocate')
SHOW_VNET = ('SDN.Audit', 'SDN.Allocate')
# What `/nodes/N/storage/S/content` requires on the storage (pve-storage, API2/Storage/Content.pm).
LIST_VOLUMES = ('Datastore.Audit', 'Datastore.AllocateSpace')
LOCAL_BRIDGES = '/sdn/zones/localnetwork'

SDN = Message('the bridges of the nodes and the virtual networks of SDN')
ALL_GUESTS = Message('seeing all guests, and detecting deleted ones')


@dataclass(frozen=True, slots=True, kw_only=True)
class MissingPrivilege:
    """
    A privilege that the token lacks.

    Attributes:
        privilege: Its name in Proxmox VE, e.g. 'VM.Audit'.
        path: The path on which it is missing, e.g. '/vms'.
        feature: The data that cannot be read without it.
        command: The command that grants it, to be run as root on a node.
    """

    privilege: str
    path: str
    feature: Message
    command: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """
    The token's effective privileges.

    Attributes:
        token_id: 'user@realm!name'.
        permissions: {path: {privilege: whether it propagates}}.
        acl_paths: The paths in the cluster's ACL; None if the token may not read the whole ACL.
        denied: {path: users, groups and tokens with the role NoAccess on it, as options of `pveum acl`}.
    """

    token_id: str
    permissions: Mapping[str, Mapping[str, bool]]
    acl_paths: frozenset[str] | None = None
    denied: Mapping[str, frozenset[str]] = field(default_factory=dict)

    @classmethod
    def parse(cls, token_id: str, permissions: Any) -> 'Access':
        """Return the privileges in an answer of `/access/permissions`. Raises ParseError."""
        if not isinstance(permissions, dict):
            raise ParseError(Message('The permissions are not a set of keys and values.'))
        granted = {}
        for path, privileges in permissions.items():
            if not isinstance(privileges, dict):
                raise ParseError(Message('The permissions on {path} are not a set of keys and values.', path=path))
            granted[path] = {privilege: boolean(propagates) for privilege, propagates in privileges.items()}
        return cls(token_id=token_id, permissions=granted)

    def with_acl(self, acl: Any) -> 'Access':
        """Return a copy that also uses an answer of `/access/acl`. Raises ParseError."""
        if not isinstance(acl, list):
            raise ParseError(Message('The access control list is not a list.'))
        denied: dict[str, set[str]] = {}
        for path, role, who in map(_acl_row, acl):
            denied.setdefault(path, set()).update({who} if role == NO_ACCESS else ())
        if not self.allows('/access', 'Sys.Audit'):
            return self  # without this privilege, Proxmox VE answers with a shortened list
        return replace(
            self, acl_paths=frozenset(denied), denied={path: frozenset(who) for path, who in denied.items() if who}
        )

    def allows(self, path: str, *privileges: str) -> bool:
        """Return whether the token has any of the privileges on exactly this path."""
        granted = self._on(path)
        return any(privilege in granted for privilege in privileges)

    def covers(self, path: str, *privileges: str) -> bool:
        """Return whether the token has any of them on the path and, by propagation, on all unlisted paths below it."""
        granted = self._on(path)
        return any(granted.get(privilege, False) for privilege in privileges)

    def has(self, path: str, privileges: tuple[str, ...]) -> bool:
        """Return whether the token has any of them as required: on '/' itself, elsewhere including all paths below."""
        return self.allows(path, *privileges) if path == '/' else self.covers(path, *privileges)

    def intersect(self, other: 'Access') -> 'Access':
        """Return the privileges held at both of two successive reads."""
        acl_paths = None
        if self.acl_paths is not None and other.acl_paths is not None:
            acl_paths = self.acl_paths | other.acl_paths
        return replace(
            self,
            permissions={
                path: _intersection(self._on(path), other._on(path))
                for path in {**self.permissions, **other.permissions}
            },
            acl_paths=acl_paths,
            denied={
                path: self.denied.get(path, frozenset()) | other.denied.get(path, frozenset())
                for path in {**self.denied, **other.denied}
            },
        )

    def _on(self, path: str) -> Mapping[str, bool]:
        if path in self.permissions:
            return self.permissions[path]
        if self.acl_paths and path in self.acl_paths:
            return {}  # the path has an ACL, but grants nothing to the token
        parent = path.rpartition('/')[0]
        # '/' and its children are always in the answer: if one is missing, nothing is granted on it.
        if not parent:
            return {}
        return {privilege: True for privilege, propagates in self._on(parent).items() if propagates}

    @property
    def revoked_guests(self) -> tuple[str, ...]:
        """The known paths below /vms and /pool on which the right to see guests is revoked."""
        paths = set(self.permissions) | (self.acl_paths or set())
        revoked = {path for path in paths if path.startswith('/vms/') and not self.allows(path, 'VM.Audit')}
        # NoAccess on a pool hides its members. The lack of a privilege on a pool for another reason does not.
        revoked |= {path for path in self.denied if path.startswith('/pool/') and not self.permissions.get(path)}
        return tuple(sorted(revoked))

    @property
    def guests_hidden(self) -> Message | None:
        """Why the token may not see every guest of the cluster; None if it does."""
        if not self.covers('/vms', 'VM.Audit'):
            return Message('The token does not see all guests: it lacks VM.Audit on /vms.')
        if revoked := self.revoked_guests:
            return Message(
                'The token does not see all guests: VM.Audit is taken away on {paths}.', paths=joined(revoked, ', ')
            )
        if self.acl_paths is None:
            return Message(
                'Unable to determine whether the token can see all guests: it cannot read the access control list.'
            )
        return None

    def sees_agent(self, version: Version, vmid: int | None = None) -> bool:
        """Return whether the token may query the agent of one guest, or of all guests without an ACL of their own."""
        privileges = agent_privileges(version)
        return self.covers('/vms', *privileges) if vmid is None else self.allows(f'/vms/{vmid}', *privileges)

    @property
    def sees_all_pools(self) -> bool:
        """Whether a guest that is listed without a pool belongs to none."""
        if not self.covers('/pool', 'Pool.Audit'):
            return False
        paths = set(self.permissions) | (self.acl_paths or set())
        return all(self.allows(path, 'Pool.Audit') for path in paths if path.startswith('/pool/'))

    def interfaces_hidden(self, version: Version) -> Message | None:
        """Return why `/nodes/N/network` may lack bridges or interfaces of SDN; None if it is complete."""
        if version.major < 8:
            return None  # bridges require a privilege from Proxmox VE 8 on
        found = self._hidden(Message('bridges'), LOCAL_BRIDGES, SHOW_BRIDGE)
        if version.major >= 9:
            found = found or self.vnets_hidden(version) or self._hidden(Message('fabrics'), '/sdn/fabrics', SHOW_FABRIC)
        return found

    def vnets_hidden(self, version: Version) -> Message | None:
        """Return why the lists of SDN zones and virtual networks may be incomplete; None if they are complete."""
        if version.major >= 8:
            return self._hidden(Message('virtual networks'), '/sdn/zones', SHOW_VNET, levels=2, besides=LOCAL_BRIDGES)
        zones = self._hidden(Message('zones'), '/sdn/zones', SHOW_VNET)
        return zones or self._hidden(Message('virtual networks'), '/sdn/vnets', SHOW_VNET)

    def missing_for_volumes(self, vmid: int, storage: str) -> tuple[Message, ...]:
        """
        Return what the token lacks to see a guest's volumes in the content of a storage, e.g. 'VM.Config.Disk on
        /vms/100'; empty if it lacks nothing.

        The call itself requires a privilege on the storage. Proxmox VE omits the volumes of a guest unless the token
        may configure the guest's disks or manage the storage (pve-storage, check_volume_access).
        """
        missing = []
        if not self.allows(f'/storage/{storage}', *LIST_VOLUMES):
            missing.append(Message('{privilege} on {path}', privilege=LIST_VOLUMES[0], path=f'/storage/{storage}'))
        if not self.allows(f'/vms/{vmid}', 'VM.Config.Disk') and not self.allows(
            f'/storage/{storage}', 'Datastore.Allocate'
        ):
            missing.append(Message('{privilege} on {path}', privilege='VM.Config.Disk', path=f'/vms/{vmid}'))
        return tuple(missing)

    def _hidden(
        self, what: Message, path: str, privileges: tuple[str, ...], levels: int = 1, besides: str | None = None
    ) -> Message | None:
        if not self.covers(path, *privileges):
            return Message(
                'Incomplete list ({what}): the token lacks {privilege} on {path}.',
                what=what,
                privilege=privileges[0],
                path=path,
            )
        revoked = self._revoked(path, privileges, levels)
        if besides:
            revoked = [below for below in revoked if not f'{below}/'.startswith(f'{besides}/')]
        if revoked:
            return Message(
                'Incomplete list ({what}): {privilege} is taken away from the token on {paths}.',
                what=what,
                privilege=privileges[0],
                paths=joined(revoked, ', '),
            )
        if self.acl_paths is None:
            return Message(
                'Possibly incomplete list ({what}): the token cannot read the access control list.',
                what=what,
            )
        return None

    def _revoked(self, path: str, privileges: tuple[str, ...], levels: int = 1) -> list[str]:
        """Return the listed paths, up to `levels` below, on which the token has none of the privileges."""
        paths = set(self.permissions) | (self.acl_paths or set())
        depth = path.count('/') + levels
        found = (below for below in paths if below.startswith(f'{path}/') and below.count('/') <= depth)
        return sorted(below for below in found if not self.allows(below, *privileges))

    def missing(self, version: Version) -> list[MissingPrivilege]:
        """Return the missing privileges, each with the command that grants it on this version of Proxmox VE."""
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
        """Whether every privilege for SDN is granted, even if only on the paths below /sdn."""
        return all(self.covers(path, *privileges) for path, privileges in _sdn_privileges(version))

    def _revoke_command(self, path: str) -> str:
        """The commands that remove the role NoAccess, which overrides every other role; '' if it is not assigned."""
        user = self.token_id.partition('!')[0]
        own = {f'--tokens {shlex.quote(self.token_id)}', f'--users {shlex.quote(user)}'}
        who = self.denied.get(path, frozenset())
        # The token cannot read group memberships. If neither it nor its user is named, a group of the user is.
        return '; '.join(f'pveum acl delete {path} {option} --roles {NO_ACCESS}' for option in sorted(who & own or who))

    def _grant_command(self, version: Version, path: str) -> str:
        grant = f'pveum acl modify {path} --tokens {shlex.quote(self.token_id)} --roles '
        if version.major >= 9 or self.sees_agent(version):
            return f'{grant}PVEAuditor'
        # Before Proxmox VE 9, PVEAuditor has no privilege for the guest agent.
        return f'pveum role add {ROLE} --privs "{ROLE_PRIVILEGES}"; {grant}{ROLE}'


def grant_remedy(command: str) -> Message:
    """Return the instruction for the administrator who can grant privileges."""
    return Message(
        'Run this on a node as root: {command} (a token never has more privileges than its user).', command=command
    )


def agent_privileges(version: Version) -> tuple[str, ...]:
    """Return the privileges of which any permits queries to the guest agent. Proxmox VE 9 removed VM.Monitor."""
    return ('VM.GuestAgent.Audit', 'VM.GuestAgent.Unrestricted') if version.major >= 9 else ('VM.Monitor',)


def wanted_privileges(version: Version) -> tuple[tuple[str, tuple[str, ...], Message], ...]:
    """Return (path, privileges of which any is sufficient, feature that requires them) for all data that is read."""
    return (
        ('/vms', ('VM.Audit',), ALL_GUESTS),
        ('/', ('Sys.Audit',), Message('the cluster: its name, its quorum and the state of its nodes')),
        ('/access', ('Sys.Audit',), Message('detecting guests that are hidden from the token')),
        (
            '/vms',
            agent_privileges(version),
            Message('addresses that running virtual machines have, by the guest agent'),
        ),
        ('/pool', ('Pool.Audit',), Message('the pools that guests are in')),
        ('/nodes', ('Sys.Audit',), Message('the hardware and the versions of the nodes')),
        ('/sdn', ('SDN.Audit',), SDN),
    )


def _listed_privileges(version: Version) -> tuple[tuple[str, tuple[str, ...], Message], ...]:
    """As `wanted_privileges`, for the rows of lists: each row requires one of the privileges on its own path below."""
    return (
        ('/nodes', ('Sys.Audit',), Message('the hardware and the versions of the nodes')),
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
    """(path, role, user, group or token as an option of `pveum acl`)."""
    if not isinstance(row, dict) or not isinstance(row.get('path'), str):
        raise ParseError(Message('The access control list contains an invalid entry.'))
    return row['path'], str(row.get('roleid')), f'--{row.get("type")}s {shlex.quote(str(row.get("ugid")))}'
