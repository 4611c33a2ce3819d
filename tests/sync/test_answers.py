"""Decisions of users about addresses and other parts, case by case: what the next plan does with them."""

from dataclasses import replace

import pytest

from netbox_proxsync.proxmox.inventory import AddressOrigin
from netbox_proxsync.sync.answers import Answer, Choice
from netbox_proxsync.sync.changes import Action
from netbox_proxsync.sync.values import Pointer
from tests.sync.builders import NOW, SETTINGS, NetBox, addresses, guest, inventory, plan

HOST = '10.0.0.5'
A, B = f'qemu/100/{HOST}', f'qemu/101/{HOST}'
GROUP, OTHER_GROUP = Pointer('ipam.fhrpgroup', 3, 'G'), Pointer('ipam.fhrpgroup', 4, 'H')
BOTH = inventory(*(guest(vmid, f'vm{vmid}', (f'{HOST}/24',)) for vmid in (100, 101)))


class World(NetBox):
    """NetBox with both guests, and perhaps the address on another object."""

    def __init__(self, holder: Pointer | None = None):
        super().__init__()
        self.sync(inventory(*(guest(vmid, f'vm{vmid}', ()) for vmid in (100, 101))))
        self.address = self.add('ip', HOST, address=f'{HOST}/24', assigned_object=holder) if holder else None

    def outcome(self, inv=BOTH, **answers: Answer) -> dict[str, tuple[Action, Pointer | None]]:
        """The action and the record of each address, by its key."""
        found = {('ip', {'a': A, 'b': B}[name]): answer for name, answer in answers.items()}
        made = plan(inv, self.existing, replace(SETTINGS, answers=found))
        return {change.key: (change.action, change.pointer) for change in made.changes if change.kind == 'ip'}


def answer(choice: Choice, pointer: Pointer | None = None) -> Answer:
    return Answer(choice, pointer, NOW)


def test_an_address_is_moved_from_the_object_that_the_user_has_seen():
    world = World(GROUP)
    assert world.outcome()[A] == (Action.CONFLICT, world.address)
    assert world.outcome(a=answer(Choice.MOVE, GROUP)) == {A: (Action.ADOPT, world.address)}
    # It was assigned to another object since.
    assert world.outcome(a=answer(Choice.MOVE, OTHER_GROUP))[A] == (Action.CONFLICT, world.address)
    # Another decision moves nothing.
    assert world.outcome(a=answer(Choice.LINK, GROUP))[A] == (Action.CONFLICT, world.address)


def test_the_guest_that_a_user_has_chosen_gets_an_address_that_two_have():
    world = World()
    assert world.outcome()[A] == (Action.CREATE, None)
    assert world.outcome()[B][0] is Action.CONFLICT
    # The other one gets none, and no conflict is reported.
    assert world.outcome(b=answer(Choice.MOVE)) == {B: (Action.CREATE, None)}
    assert world.outcome(a=answer(Choice.MOVE)) == {A: (Action.CREATE, None)}
    assert world.outcome(b=answer(Choice.LINK))[B][0] is Action.CONFLICT


def test_the_chosen_guest_gets_an_address_of_another_object_that_two_have():
    world = World(GROUP)
    assert world.outcome(b=answer(Choice.MOVE, GROUP)) == {B: (Action.ADOPT, world.address)}
    found = world.outcome(b=answer(Choice.MOVE, OTHER_GROUP))
    assert found[A] == (Action.CONFLICT, world.address)
    assert found[B][0] is Action.CONFLICT


def test_the_decision_holds_when_the_address_was_moved():
    world = World()
    world.sync(inventory(guest(100, 'vm100', ()), guest(101, 'vm101', (f'{HOST}/24',))))
    assert world.outcome()[A][0] is Action.CONFLICT
    assert world.outcome(b=answer(Choice.MOVE, GROUP)) == {}


def test_an_ignored_address_is_not_created():
    assert World().outcome(inventory(guest(100, 'vm100', (f'{HOST}/24', '10.0.0.6/24'))), a=answer(Choice.IGNORE)) == {
        'qemu/100/10.0.0.6': (Action.CREATE, None)
    }


@pytest.mark.parametrize('choice', [Choice.LINK, Choice.SEPARATE])
def test_other_decisions_ignore_nothing(choice):
    assert World().outcome(inventory(guest(100, 'vm100', (f'{HOST}/24',))), a=answer(choice)) == {
        A: (Action.CREATE, None)
    }


def test_an_ignored_address_that_is_bound_is_left_unchanged():
    world = World()
    world.sync(inventory(guest(100, 'vm100', (f'{HOST}/24',))))
    pointer = world.object('ip', A).pointer
    leased = inventory(
        guest(100, 'vm100', (), addresses={'net0': addresses(f'{HOST}/24', origin=AddressOrigin.LEASED)})
    )
    assert world.outcome(leased) == {A: (Action.UPDATE, pointer)}
    assert world.outcome(leased, a=answer(Choice.IGNORE)) == {}
