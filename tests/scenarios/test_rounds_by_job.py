"""Rounds by the real job against a stand-in Proxmox VE that changes and fails, as `test_rounds` plays them without."""

from contextlib import ExitStack
from dataclasses import replace

import pytest
from django.db import transaction
from extras.models import JournalEntry
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test
from ipam.models import IPAddress
from virtualization.models import VirtualDisk, VirtualMachine

from netbox_proxsync.jobs import SyncJob
from netbox_proxsync.models import ProxmoxEndpoint
from tests.pve import ClusterSpec, StandIn
from tests.scenarios.playing import pace
from tests.scenarios.rounds import Lab, content, photograph

pytestmark = pytest.mark.django_db

SPEC = ClusterSpec(nodes=2, vms=2, containers=1, running=1, agent=1, seed=3)
picks = st.integers(0, 9)


class Jobs(RuleBasedStateMachine):
    """A cluster of three guests that changes, a person who edits, and runs by the job while Proxmox VE fails."""

    def __init__(self):
        super().__init__()
        self.stack = ExitStack()
        self.stack.enter_context(transaction.atomic())
        self.stack.callback(transaction.set_rollback, True)

    def teardown(self):
        self.stack.close()

    @initialize()
    def start(self):
        self.pve = self.stack.enter_context(StandIn(SPEC))
        self.lab = Lab(
            hosts=[f'{self.pve.host}:{self.pve.port}'], token_id=self.pve.token_id, timeout=5,
            token_secret=self.pve.token_secret, tls_mode='fingerprint', fingerprint=self.pve.fingerprint,
        )  # fmt: skip
        self.run()

    def run(self):
        """A run by the job, and the record of its changes."""
        run = SyncJob.enqueue_run(ProxmoxEndpoint.objects.get(pk=self.lab.endpoint.pk), None, immediate=True)
        told = list(run.changes.values_list('kind', 'key', 'action', 'outcome', 'reason', 'message'))
        note(f'{run.status} {run.error} {told}')
        return run, told

    def settle(self):
        """A run, and a second one that has nothing to do. Nothing of a person's is lost by either."""
        before = self.lab.photo
        run, _told = self.run()
        assert run.status == 'completed', run.error
        after = photograph()
        for key in before.keys() - after.keys():
            assert self.lab.makers[key] == 'sync', f'{key} of a person was deleted'
        run, told = self.run()
        assert all(outcome != 'applied' for _kind, _key, _action, outcome, _reason, _message in told), told
        assert photograph() == after
        self.lab.witness(before, after, 'sync')

    def guest(self, number) -> int | None:
        found = sorted(guest.vmid for guest in self.pve.cluster.guests.values())
        return found[number % len(found)] if found else None

    @rule(number=picks, change=st.sampled_from(['rename', 'stop', 'start', 'nic', 'disk', 'tags', 'migrate', 'notes']))
    def a_guest_changes(self, number, change):
        vmid = self.guest(number)
        if vmid is None:
            return
        match change:
            case 'rename':
                self.pve.rename(vmid, f'renamed-{number}')
            case 'stop':
                self.pve.stop(vmid)
            case 'start':
                self.pve.start(vmid)
            case 'nic':
                has = f'net{5 + number}' in self.pve.cluster.guest(vmid).config
                (self.pve.remove_nic if has else self.pve.add_nic)(vmid, f'net{5 + number}')
            case 'disk' if self.pve.cluster.guest(vmid).type == 'qemu':
                has = f'scsi{5 + number}' in self.pve.cluster.guest(vmid).config
                (self.pve.remove_disk if has else self.pve.add_disk)(vmid, f'scsi{5 + number}')
            case 'tags':
                self.pve.set_tags(vmid, 'one', f'tag-{number}')
            case 'migrate':
                self.pve.migrate(vmid, f'pve{1 + number % 2}')
            case 'notes':
                self.pve.set_config(vmid, description=f'os: Debian {number}\n<b>🐧</b>')
        self.settle()

    @rule(number=picks, edit=st.sampled_from(['name', 'memory', 'disk', 'address', 'journal', 'delete', 'primary']))
    def a_person_edits(self, number, edit):
        found = list(VirtualMachine.objects.order_by('pk'))
        vm = found[number % len(found)]
        match edit:
            case 'name':
                self.lab.edit(vm, name=f'by hand {number}', comments='by hand')
            case 'memory':
                self.lab.edit(vm, memory=number + 1)
            case 'disk':
                self.lab.make(VirtualDisk(virtual_machine=vm, name=f'mine {number}', size=1))
            case 'address' if interface := vm.interfaces.first():
                self.lab.make(IPAddress(address=f'192.0.2.{number}/24', assigned_object=interface))
            case 'journal':
                self.lab.make(JournalEntry(assigned_object=vm, comments='by hand'))
            case 'delete':
                self.lab.delete(vm)
            case 'primary':
                self.lab.edit(vm, primary_ip4=None)
        written = vm.name, vm.comments
        self.settle()
        if edit == 'name':
            vm.refresh_from_db()
            assert (vm.name, vm.comments) == written

    @rule(number=picks, fault=st.sampled_from(['agent', 'node', 'quorum', 'rights', 'config', 'status']))
    def nothing_changes_by_becoming_unreadable(self, number, fault):
        self.settle()
        before, vmid = photograph(), self.guest(number)
        guests = dict(self.pve.cluster.guests)
        match fault:
            case 'agent' if vmid and self.pve.cluster.guest(vmid).type == 'qemu':
                self.pve.agent_silent(vmid)
            case 'node':
                self.pve.node_offline(f'pve{1 + number % 2}', phase='unknown')
            case 'quorum':
                self.pve.quorum(False)
            case 'rights':
                self.pve.revoke('VM.Audit')
            case 'config':
                self.pve.fail('*/config*')
            case 'status':
                self.pve.fail('*/cluster/status*')
        self.run()
        assert photograph() == before
        match fault:
            case 'agent' if vmid and self.pve.cluster.guest(vmid).type == 'qemu':
                self.pve.agent_running(vmid)
            case 'node':
                self.pve.node_online(f'pve{1 + number % 2}')
            case 'quorum':
                self.pve.quorum(True)
            case 'rights':
                self.pve.grant('VM.Audit')
        self.pve.heal()
        assert guests.keys() == self.pve.cluster.guests.keys()

    @rule(number=picks)
    def a_guest_that_comes_back_is_what_it_was(self, number):
        self.settle()
        vmid = self.guest(number)
        before = content(self.lab.endpoint)
        guest = self.pve.cluster.guest(vmid)
        self.pve.delete(vmid)
        self.settle()
        with self.pve.cluster.lock:
            self.pve.cluster.guests[guest.id] = replace(guest)
            self.pve.cluster.changed()
        self.settle()
        assert content(self.lab.endpoint) == before


def test_whatever_happens_the_job_loses_nothing_of_a_users():
    run_state_machine_as_test(Jobs, settings=pace(3, stateful_step_count=8))
