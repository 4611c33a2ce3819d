"""Privileges over time: taken away while a cluster is being read, and between one read and the next."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from netbox_proxsync.proxmox.check import check
from netbox_proxsync.proxmox.http import client as client_module
from netbox_proxsync.proxmox.http.client import ProxmoxClient
from netbox_proxsync.proxmox.inventory import Inventory
from netbox_proxsync.proxmox.readers.collector import CollectOptions, collect
from netbox_proxsync.proxmox.token_history import TokenHistory

from .reading import connection, guest_of, is_unknown, messages, read

CLUSTER = 'pve-9.2.11-cluster'
DAY, NEXT_DAY = '2026-11-24', '2026-11-25'


@pytest.fixture(autouse=True)
def short_pauses(monkeypatch):
    monkeypatch.setattr(client_module, 'FIRST_PAUSE', 0.01)


@pytest.fixture
def pve(standin):
    return standin(CLUSTER)


def read_again(pve, history: TokenHistory) -> Inventory:
    with ProxmoxClient(connection(pve)) as client:
        return collect(client, CollectOptions(), history=history)


class TestWhileReading:
    def before_the_list(self, pve, call) -> None:
        """Between the answers that tell the privileges and the list of guests."""
        pve.slow('/cluster/resources', 0.5, times=1)
        pve.before('/cluster/resources', call)

    @pytest.mark.parametrize('path', ['/vms/102', '/vms', '/'])
    def test_a_right_that_is_revoked_before_the_list_is_noticed(self, pve, path):
        self.before_the_list(pve, lambda: pve.revoke('VM.Audit', path))
        inventory = read(pve)
        reported = pve.calls('/access/permissions')[0]
        (listed,) = pve.calls('/cluster/resources')
        assert reported.ended < listed.ended  # the first answer still had the right
        assert 102 not in {guest.vmid for guest in inventory.guests}
        assert is_unknown(inventory.guests_incomplete, 'VM.Audit')
        assert 'pveum acl' in messages(inventory)

    def test_a_pool_that_is_hidden_before_the_list_is_unknown(self, pve):
        self.before_the_list(pve, lambda: pve.revoke('Pool.Audit'))
        inventory = read(pve)
        assert {is_unknown(guest.pool, 'Pool.Audit') for guest in inventory.guests} == {True}

    def test_a_right_that_is_granted_meanwhile_counts_the_next_time(self, pve):
        pve.revoke('VM.Audit', '/vms/102')
        self.before_the_list(pve, lambda: pve.grant('VM.Audit', '/vms/102'))
        assert is_unknown(read(pve).guests_incomplete, '/vms/102')
        assert read(pve).guests_incomplete is None

    def test_a_guest_that_moves_out_of_sight_is_not_missing(self, pve):
        """Its configuration is not where it was, and the second list does not show it: both are no proof."""

        def move():
            pve.migrate(102, 'pve3')
            pve.before('/cluster/resources', lambda: pve.revoke('VM.Audit', '/vms/102'))

        pve.before('/nodes/pve2/qemu/102/config', move)
        inventory = read(pve)
        assert inventory.guests_incomplete is None  # of the first list
        assert is_unknown(guest_of(inventory, 102).config)

    @pytest.mark.parametrize('path', ['/access/permissions', '/access/acl'])
    def test_that_it_holds_still_must_be_known(self, pve, path):
        pve.before('/cluster/resources', lambda: pve.fail(path, 500, 'got timeout'))
        pve.slow('/cluster/resources', 0, times=1)
        assert is_unknown(read(pve).guests_incomplete)

    def test_it_takes_the_same_calls_however_many_guests_there_are(self, standin):
        for number in (2, 40):
            pve = standin(nodes=1, vms=number, containers=0)
            read(pve)
            assert len(pve.calls('/access/*')) == 6


class TestBetweenReads:
    def remembered(self, pve, day: str = DAY) -> TokenHistory:
        return TokenHistory().updated_with(read(pve).token_view, day)

    def test_a_retained_privilege_is_not_reported(self, pve):
        assert read_again(pve, self.remembered(pve)).warnings == ()

    @pytest.mark.parametrize(
        ('privilege', 'path', 'reported'),
        [
            ('VM.Audit', '/', 'VM.Audit on /vms'),
            ('VM.Audit', '/vms/102', 'VM.Audit on /vms/102'),
            ('Sys.Audit', '/', 'Sys.Audit on /'),
            ('Pool.Audit', '/', 'Pool.Audit on /pool'),
            ('SDN.Audit', '/', 'SDN.Audit on /sdn'),
            ('VM.GuestAgent.*', '/', 'VM.GuestAgent.Audit on /vms'),
        ],
    )
    def test_a_lost_privilege_is_reported_with_its_day_and_the_command(self, pve, privilege, path, reported):
        history = self.remembered(pve)
        pve.revoke(privilege, path)
        inventory = read_again(pve, history)
        words = f'no longer has {reported}. It had this privilege on {DAY}.'
        notices = [notice for notice in inventory.warnings if words in notice.message]
        assert len(notices) == 1
        assert 'pveum acl' in notices[0].remedy
        # Told until it is granted again, with the day on which it was there.
        later = history.updated_with(inventory.token_view, NEXT_DAY)
        assert f'{reported}. It had this privilege on {DAY}.' in messages(read_again(pve, later))
        pve.grant(privilege.replace('*', 'Audit'), path)
        assert 'no longer' not in messages(read_again(pve, later))

    def test_a_privilege_that_the_token_never_had_is_not_lost(self, pve):
        pve.revoke('Pool.Audit')
        assert 'no longer' not in messages(read_again(pve, self.remembered(pve)))

    def test_guests_that_are_missing_from_a_list_that_looks_complete(self, pve):
        history = self.remembered(pve)
        for guest in read(pve).guests:
            if guest.type == 'lxc':
                pve.delete(guest.vmid)
        inventory = read_again(pve, history)
        assert inventory.guests_incomplete is None
        assert f'sees 0 containers; it saw {history.guests["lxc"]} on {DAY}' in messages(inventory)
        # Once: after that, so it is.
        assert read_again(pve, history.updated_with(inventory.token_view, NEXT_DAY)).warnings == ()

    def test_an_incomplete_read_is_not_what_to_compare_with(self, pve):
        history = self.remembered(pve)
        pve.revoke('VM.Audit')
        later = history.updated_with(read_again(pve, history).token_view, NEXT_DAY)
        assert (later.guests, later.day) == (history.guests, DAY)

    def test_privileges_of_another_version_are_not_lost(self, standin):
        history = self.remembered(standin(version='8.4.21', vms=1))
        assert ('VM.Monitor', '/vms') in history.rights
        assert 'no longer' not in messages(read_again(standin(version='9.2.11', vms=1), history))

    def test_the_connection_test_reports_it_as_well(self, pve):
        history = self.remembered(pve)
        pve.revoke('VM.Audit')
        lines = {line.label: line for line in check(connection(pve), history).checks}
        assert f'the token had this privilege on {DAY}' in lines['VM.Audit on /vms'].detail
        assert 'pveum acl' in lines['VM.Audit on /vms'].remedy
        assert {f'it saw {number} on {DAY}.' for number in history.guests.values()} == {
            line.detail.partition('; ')[2] for line in check(connection(pve), history).checks if 'before' in line.label
        }
        pve.grant('VM.Audit')
        assert all(line.ok for line in check(connection(pve), history).checks)


days = st.dates().map(lambda day: day.isoformat())
names = st.text(max_size=10)


@given(
    st.builds(
        TokenHistory,
        rights=st.dictionaries(st.tuples(names, names), days),
        day=days,
        guests=st.dictionaries(names, st.integers(0, 10_000)),
        revoked=st.frozensets(names),
    )
)
def test_a_history_survives_json(history):
    assert TokenHistory.parse(json.loads(json.dumps(history.data))) == history


scalars = st.none() | st.booleans() | st.integers() | st.text()


@given(st.recursive(scalars, lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner)))
def test_anything_else_is_no_history(data):
    assert TokenHistory.parse(data) == TokenHistory()
