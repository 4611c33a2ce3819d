"""The values that are defined both in the pure packages and in the choices are equal."""

from netbox_proxsync.choices import GuestStateChoices
from netbox_proxsync.sync.guest_states import State


def test_states_of_guests():
    assert [str(state) for state in State] == list(GuestStateChoices.values())
