"""What the token may see, from the answers of real servers and from those that are easily misread."""

import pytest

from netbox_proxsync.proxmox.access import Access
from netbox_proxsync.proxmox.properties import ParseError
from netbox_proxsync.proxmox.version import Version

from .recordings import data

TOKEN = 'netbox@pve!sync'
V7, V8, V9 = Version('7.4-20', 7, 4), Version('8.4.21', 8, 4), Version('9.2.11', 9, 2)
TOP_LEVELS = ('/', '/access', '/access/groups', '/nodes', '/pool', '/sdn', '/storage', '/vms')
AUDITOR = ('VM.Audit', 'Sys.Audit', 'Pool.Audit', 'SDN.Audit', 'VM.GuestAgent.Audit')


def everywhere(*privileges: str, **paths: dict[str, int]) -> dict[str, dict[str, int]]:
    """The answer for a role on `/`, as Proxmox VE gives it, changed on some paths."""
    return {path: dict.fromkeys(privileges, 1) for path in TOP_LEVELS} | paths


def acl(*rows: tuple[str, str]) -> list[dict[str, object]]:
    return [{'path': path, 'roleid': role, 'type': 'token', 'ugid': TOKEN, 'propagate': 1} for path, role in rows]


def parse(permissions: object, access_list: object = ()) -> Access:
    access = Access.parse(TOKEN, permissions)
    return access if access_list is None else access.with_acl(list(access_list))


class TestRecordings:
    @pytest.mark.parametrize(('name', 'version'), [('pve-9.2.11-cluster', V9), ('pve-8.4.21-solo', V8)])
    def test_an_auditor_lacks_nothing(self, name, version):
        access = parse(data(name, '/access/permissions'), data(name, '/access/acl'))
        assert access.guests_hidden is None
        assert access.sees_all_pools
        assert access.sees_agent(version)
        assert access.sees_agent(version, 100)
        assert access.missing(version) == []

    def test_a_restricted_token(self):
        name = 'pve-9.2.11-cluster-restricted-token'
        access = parse(data(name, '/access/permissions'), data(name, '/access/acl'))
        assert access.allows('/vms/100', 'VM.Audit')
        assert access.allows('/vms/103', 'VM.Audit')  # by a pool, with propagation 0
        assert not access.allows('/vms/101', 'VM.Audit')
        assert 'VM.Audit on /vms' in access.guests_hidden
        assert not access.sees_all_pools
        assert not access.sees_agent(V9, 100)
        missing = {(lack.privilege, lack.path) for lack in access.missing(V9)}
        assert {('VM.Audit', '/vms'), ('Sys.Audit', '/'), ('VM.GuestAgent.Audit', '/vms')} <= missing


class TestGuests:
    def test_on_vms_is_enough(self):
        permissions = {'/vms': {'VM.Audit': 1}, '/access': {'Sys.Audit': 1}}
        assert parse(permissions).guests_hidden is None

    @pytest.mark.parametrize(
        'permissions',
        [
            {},
            {'/': {'VM.Audit': 0}, '/access': {'Sys.Audit': 1}},
            {'/': {'VM.Audit': 1}, '/access': {'Sys.Audit': 1}},
            {'/vms': {'VM.Audit': 0}, '/access': {'Sys.Audit': 1}},
            {'/vms': {'VM.Monitor': 1}, '/access': {'Sys.Audit': 1}},
        ],
        ids=['nothing', 'on / only', 'on /, but not on /vms', 'on /vms only', 'another privilege'],
    )
    def test_roles_that_do_not_apply_to_guests(self, permissions):
        assert parse(permissions).guests_hidden

    def test_taken_away_by_a_smaller_role(self):
        access = parse(everywhere(*AUDITOR, **{'/vms/100': {'VM.PowerMgmt': 1}}))
        assert access.revoked_guests == ('/vms/100',)
        assert '/vms/100' in access.guests_hidden

    def test_taken_away_by_no_access_which_the_permissions_do_not_show(self):
        access = parse(everywhere(*AUDITOR), acl(('/', 'PVEAuditor'), ('/vms/100', 'NoAccess')))
        assert access.revoked_guests == ('/vms/100',)
        assert access.guests_hidden
        assert not access.allows('/vms/100', 'VM.Audit')
        assert access.allows('/vms/101', 'VM.Audit')

    def test_taken_away_by_a_pool(self):
        access = parse(everywhere(*AUDITOR), acl(('/', 'PVEAuditor'), ('/pool/secret', 'NoAccess')))
        assert access.revoked_guests == ('/pool/secret',)

    def test_acl_entries_of_others_take_nothing_away(self):
        granted = dict.fromkeys(AUDITOR, 1)
        permissions = everywhere(*AUDITOR, **{'/vms/100': granted, '/pool/dev': granted})
        access = parse(permissions, acl(('/', 'PVEAuditor'), ('/vms/100', 'PVEVMUser'), ('/pool/dev', 'NoAccess')))
        assert access.guests_hidden is None

    def test_without_the_acl_the_visibility_is_unknown(self):
        assert parse(everywhere(*AUDITOR), None).guests_hidden
        shortened = parse({'/vms': {'VM.Audit': 1}})  # without Sys.Audit on /access
        assert 'access control list' in shortened.guests_hidden


class TestAgent:
    @pytest.mark.parametrize(
        ('privilege', 'version', 'sees'),
        [
            ('VM.GuestAgent.Audit', V9, True),
            ('VM.GuestAgent.Unrestricted', V9, True),
            ('VM.Monitor', V9, False),
            ('VM.Monitor', V8, True),
            ('VM.Monitor', V7, True),
            ('VM.GuestAgent.Audit', V8, False),
        ],
    )
    def test_the_privilege_differs_between_versions(self, privilege, version, sees):
        access = parse(everywhere('VM.Audit', privilege))
        assert access.sees_agent(version) is sees
        assert access.sees_agent(version, 100) is sees

    def test_of_single_guests(self):
        access = parse({'/vms/100': {'VM.GuestAgent.Audit': 0}})
        assert access.sees_agent(V9, 100)
        assert not access.sees_agent(V9, 101)
        assert not access.sees_agent(V9)


class TestPools:
    def test_all(self):
        assert parse(everywhere('Pool.Audit')).sees_all_pools

    def test_not_all(self):
        assert not parse({'/pool/dev': {'Pool.Audit': 1}}).sees_all_pools
        assert not parse({'/pool': {'Pool.Audit': 0}}).sees_all_pools
        hidden = everywhere('Pool.Audit', 'Sys.Audit')
        assert not parse(hidden, acl(('/pool/dev', 'NoAccess'))).sees_all_pools


class TestLists:
    """Which of the lists that are shortened silently are whole."""

    HIDDEN = {
        'interfaces': lambda access, version: access.interfaces_hidden(version),
        'vnets': lambda access, version: access.vnets_hidden(version),
    }

    def hidden(self, version: Version, permissions: object, access_list: object = ()) -> set[str]:
        access = parse(permissions, access_list)
        return {name for name, why in self.HIDDEN.items() if why(access, version)}

    @pytest.mark.parametrize('version', [V7, V8, V9])
    def test_on_everything(self, version):
        assert self.hidden(version, everywhere(*AUDITOR)) == set()

    @pytest.mark.parametrize(
        ('version', 'expected'),
        [(V7, {'vnets'}), (V8, {'interfaces', 'vnets'})],
    )
    def test_on_nothing(self, version, expected):
        assert self.hidden(version, everywhere('VM.Audit', 'Sys.Audit')) == expected

    @pytest.mark.parametrize(
        ('permissions', 'version', 'expected'),
        [
            ({'/sdn': {'SDN.Audit': 1}}, V9, set()),
            ({'/sdn': {'SDN.Audit': 0}}, V9, {'interfaces', 'vnets'}),
            ({'/sdn/zones': {'SDN.Audit': 1}}, V8, set()),
            ({'/sdn/zones': {'SDN.Audit': 1}}, V9, {'interfaces'}),  # not the fabrics
            ({'/sdn/zones': {'SDN.Audit': 1}}, V7, {'vnets'}),
            ({'/sdn/zones': {'SDN.Audit': 1}, '/sdn/vnets': {'SDN.Audit': 1}}, V7, set()),
            ({'/sdn/zones/localnetwork': {'SDN.Use': 1}}, V8, {'vnets'}),
        ],
        ids=lambda value: str(sorted(value) if isinstance(value, set) else value),
    )
    def test_on_a_part(self, permissions, version, expected):
        assert self.hidden(version, everywhere('Sys.Audit') | permissions) == expected

    @pytest.mark.parametrize(
        ('path', 'version', 'expected'),
        [
            ('/sdn/zones/localnetwork/vmbr1', V8, {'interfaces'}),
            ('/sdn/zones/localnetwork/vmbr1/20', V8, set()),
            ('/sdn/zones/dc', V8, {'vnets'}),
            ('/sdn/zones/dc/web', V8, {'vnets'}),
            ('/sdn/zones/dc/web', V9, {'vnets', 'interfaces'}),
            ('/sdn/vnets/web', V7, {'vnets'}),
            ('/sdn/fabrics/f1', V9, {'interfaces'}),
            ('/vms/100', V9, set()),
        ],
    )
    def test_taken_away_below(self, path, version, expected):
        assert self.hidden(version, everywhere(*AUDITOR), acl((path, 'NoAccess'))) == expected

    def test_without_the_acl_the_visibility_is_unknown(self):
        assert self.hidden(V8, everywhere(*AUDITOR), None) == {'interfaces', 'vnets'}

    def test_volumes(self):
        permissions = {
            '/vms/100': {'VM.Config.Disk': 0},
            '/storage/local': {'Datastore.Audit': 0},
            '/storage/nas': {'Datastore.Allocate': 1, 'Datastore.AllocateSpace': 1},
            '/storage/san': {'Datastore.Allocate': 1},
        }
        access = parse(permissions)
        assert access.missing_for_volumes(100, 'local') == ()
        assert access.missing_for_volumes(101, 'nas') == ()
        assert access.missing_for_volumes(101, 'local') == ('VM.Config.Disk on /vms/101',)
        assert access.missing_for_volumes(101, 'san') == ('Datastore.Audit on /storage/san',)
        assert access.missing_for_volumes(101, 'other') == (
            'Datastore.Audit on /storage/other',
            'VM.Config.Disk on /vms/101',
        )

    @pytest.mark.parametrize('version', [V7, V8, V9])
    def test_nothing_is_demanded_on_storages(self, version):
        assert not [
            lack for lack in parse({}).missing(version) if 'Datastore' in lack.privilege or 'storage' in lack.path
        ]
        assert not any('Datastore' in lack.command for lack in parse({}).missing(version))


class TestCommands:
    def commands(self, access: Access, version: Version) -> set[str]:
        return {lack.command for lack in access.missing(version)}

    def test_on_9_the_built_in_role_has_everything(self):
        assert self.commands(parse({}), V9) == {f"pveum acl modify / --tokens '{TOKEN}' --roles PVEAuditor"}

    @pytest.mark.parametrize('version', [V7, V8])
    def test_before_it_lacks_the_guest_agent(self, version):
        (command,) = self.commands(parse({}), version)
        assert command.startswith('pveum role add NetBoxSync --privs "VM.Audit VM.Monitor ')
        assert command.endswith(f"; pveum acl modify / --tokens '{TOKEN}' --roles NetBoxSync")

    def test_before_the_built_in_role_is_enough_for_the_rest(self):
        (command,) = self.commands(parse({path: {'VM.Monitor': 1} for path in TOP_LEVELS}), V8)
        assert command == f"pveum acl modify / --tokens '{TOKEN}' --roles PVEAuditor"

    def test_no_access_has_to_go_away(self):
        access = parse(everywhere(*AUDITOR), acl(('/vms/100', 'NoAccess')))
        assert self.commands(access, V9) == {f"pveum acl delete /vms/100 --tokens '{TOKEN}' --roles NoAccess"}

    def test_no_access_of_the_user_counts_for_its_tokens(self):
        rows = [{'path': '/vms/100', 'roleid': 'NoAccess', 'type': 'user', 'ugid': 'netbox@pve', 'propagate': 1}]
        assert self.commands(parse(everywhere(*AUDITOR), rows), V9) == {
            'pveum acl delete /vms/100 --users netbox@pve --roles NoAccess'
        }

    def test_a_smaller_role_needs_the_larger_one_beside_it(self):
        access = parse(everywhere(*AUDITOR, **{'/vms/100': {'VM.PowerMgmt': 1}}))
        assert self.commands(access, V9) == {f"pveum acl modify /vms/100 --tokens '{TOKEN}' --roles PVEAuditor"}

    @pytest.mark.parametrize(
        ('path', 'privilege', 'version'),
        [
            ('/nodes/pve2', 'Sys.Audit', V9),
            ('/sdn/zones/localnetwork/vmbr1', 'SDN.Audit', V8),
            ('/sdn/vnets/web', 'SDN.Audit', V7),
        ],
    )
    def test_revoked_access_to_storages_and_nodes_is_not_a_problem(self, path, privilege, version):
        access = parse(everywhere(*AUDITOR, 'VM.Monitor'), acl((path, 'NoAccess')))
        (lack,) = access.missing(version)
        assert (lack.path, lack.privilege) == (path, privilege)
        assert lack.command == f"pveum acl delete {path} --tokens '{TOKEN}' --roles NoAccess"

    def test_sdn_that_is_granted_further_down_only(self):
        role = [privilege for privilege in (*AUDITOR, 'VM.Monitor') if privilege != 'SDN.Audit']
        access = parse(everywhere(*role) | {'/sdn/zones': {'SDN.Audit': 1}})
        assert access.missing(V8) == []
        assert [lack.path for lack in access.missing(V9)] == ['/sdn']  # the fabrics

    def test_each_missing_privilege_names_the_feature(self):
        assert all(lack.feature and lack.privilege and lack.path for lack in parse({}).missing(V9))


class TestGarbled:
    @pytest.mark.parametrize('permissions', [None, [], 'x', {'/': None}, {'/': ['VM.Audit']}, {'/': {'VM.Audit': 'x'}}])
    def test_permissions(self, permissions):
        with pytest.raises(ParseError):
            parse(permissions)

    @pytest.mark.parametrize('access_list', [None, {'a': 1}, 'x', [None], [{'path': None}], [{'roleid': 'NoAccess'}]])
    def test_acl(self, access_list):
        with pytest.raises(ParseError):
            Access.parse(TOKEN, everywhere('Sys.Audit')).with_acl(access_list)

    def test_flags_as_text(self):
        assert parse({'/vms': {'VM.Audit': '1'}, '/access': {'Sys.Audit': '1'}}).guests_hidden is None
        assert parse({'/vms': {'VM.Audit': '0'}, '/access': {'Sys.Audit': '1'}}).guests_hidden
