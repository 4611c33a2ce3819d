"""The numbers of guests by state, as far as a user may view them, with the same queries for one or all endpoints."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field

from django.db.models import Count

from ..choices import GuestStateChoices, RunModeChoices, RunStatusChoices
from ..models import ProxmoxEndpoint, ProxmoxGuest, SyncRun
from ..models.users import AnyUser

__all__ = ('GuestNumbers', 'guest_numbers', 'last_read')


@dataclass
class GuestNumbers:
    """
    The numbers of guests of an endpoint that the user may view.

    Attributes:
        in_netbox: The number of guests with a virtual machine.
    """

    by_state: dict[str, int] = field(default_factory=dict)
    in_netbox: int = 0

    @property
    def total(self) -> int:
        return sum(self.by_state.values())

    @property
    def conflicts(self) -> int:
        return self.by_state.get(GuestStateChoices.CONFLICT, 0)

    @property
    def candidates(self) -> int:
        return self.by_state.get(GuestStateChoices.CANDIDATE, 0)

    @property
    def labelled(self) -> list[tuple[str, str, str, int]]:
        """Tuples of state, label, color and number, without states that no guest has."""
        labels = dict(GuestStateChoices)
        return [
            (state, labels[state], GuestStateChoices.colors[state], self.by_state[state])
            for state in GuestStateChoices.BY_ATTENTION
            if state in self.by_state
        ]


def guest_numbers(endpoints: Iterable[ProxmoxEndpoint], user: AnyUser) -> dict[int, GuestNumbers]:
    """The numbers by the ID of the endpoint."""
    numbers: dict[int, GuestNumbers] = defaultdict(GuestNumbers)
    guests = ProxmoxGuest.objects.restrict(user, 'view').filter(endpoint__in=[endpoint.pk for endpoint in endpoints])
    states = guests.order_by().values_list('endpoint', 'state').annotate(Count('pk'), Count('virtual_machine'))
    for endpoint, state, number, machines in states:
        numbers[endpoint].by_state[state] = number
        numbers[endpoint].in_netbox += machines
    return numbers


def last_read(endpoint: ProxmoxEndpoint) -> SyncRun | None:
    """The last run that tried to read Proxmox VE and was not canceled."""
    runs = SyncRun.objects.filter(endpoint=endpoint, branch_id='', status__in=RunStatusChoices.FINISHED)
    return runs.filter(mode__in=RunModeChoices.READING).exclude(status=RunStatusChoices.CANCELED).first()
