"""Guests by what they hold: the same MAC address, IP address, name or VM ID in several places, or no guest agent."""

import re
from collections import Counter
from collections.abc import Iterator
from ipaddress import ip_address
from typing import Any

from django.db.models import Count, Q, QuerySet

from .models import ProxmoxGuest
from .models.users import AnyUser

__all__ = ('by_address_or_mac', 'guests_matching', 'without_agent')

MAC_DIGITS = re.compile(r'[0-9A-Fa-f]{12}')
SEPARATORS = re.compile(r'[:.\s-]')


def by_address_or_mac(text: str) -> Q | None:
    """The guests that have a MAC or IP address; None if the text is neither."""
    if MAC_DIGITS.fullmatch(digits := SEPARATORS.sub('', text)):
        mac = ':'.join(digits[place : place + 2] for place in range(0, len(digits), 2))
        return Q(details__nics__icontains=f'"mac": "{mac}"') | Q(details__guest_only__icontains=f'"mac": "{mac}"')
    try:
        address = ip_address(text.partition('/')[0].strip())
    except ValueError:
        return None
    found = Q(pk__in=())
    for part in ('nics', 'guest_only'):
        for end in ('/', '"'):
            found |= Q(**{f'details__{part}__icontains': f'"address": "{address}{end}'})
    return found


def duplicates(kind: str, user: AnyUser | None) -> Q:
    """
    The guests that share a value with another one that the user may view. Templates are not compared.

    Args:
        kind: 'name', 'vmid', 'mac' or 'address'.
    """
    guests = ProxmoxGuest.objects.restrict(user, 'view') if user else ProxmoxGuest.objects.all()
    guests = guests.filter(template=False).order_by()
    if kind in ('name', 'vmid'):
        shared = guests.exclude(name='').values(kind).annotate(number=Count('pk')).filter(number__gt=1)
        return Q(**{f'{kind}__in': shared.values(kind), 'template': False})
    rows = [(pk, set(values_of(kind, nics))) for pk, nics in guests.values_list('pk', 'details__nics')]
    numbers = Counter(value for _pk, values in rows for value in values)
    return Q(pk__in=[pk for pk, values in rows if any(numbers[value] > 1 for value in values)])


def values_of(kind: str, nics: list[dict[str, Any]] | None) -> Iterator[str]:
    """The MAC or IP addresses of NICs."""
    for nic in nics or ():
        if kind == 'mac':
            if nic.get('mac'):
                yield nic['mac']
        else:
            yield from (address['address'].partition('/')[0] for address in nic.get('addresses', ()))


def without_agent() -> Q:
    """The running virtual machines whose guest agent is not enabled or does not respond."""
    silent = Q(details__agent=False) | Q(details__unread__contains=[{'part': 'running'}])
    return Q(silent, type='qemu', status='running', template=False)


def guests_matching(queryset: QuerySet[ProxmoxGuest], kinds: list[str], user: AnyUser | None) -> QuerySet[ProxmoxGuest]:
    """The guests that share one of these values."""
    found = Q(pk__in=())
    for kind in kinds:
        found |= duplicates(kind, user)
    return queryset.filter(found)
