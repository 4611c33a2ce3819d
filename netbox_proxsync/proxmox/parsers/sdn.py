"""The virtual networks of SDN (`/cluster/sdn/vnets`) and their zones (`/cluster/sdn/zones`)."""

from collections.abc import Mapping
from typing import Any

from ..infrastructure import Vnet
from ..messages import Message
from ..properties import ParseError
from ..readings import Reading, known
from .rows import Row, flag, number, parse_rows, reading, word

__all__ = ('parse_vnets', 'parse_zones')

TAGS = range(1, 2**24)


def parse_zones(data: Any) -> dict[str, Reading[str | None]]:
    """Return {zone: type}. Raises ParseError if the answer is not a list of zones with names."""
    return dict(parse_rows(data, lambda row: (_name(row, 'zone'), reading(word, row, 'type'))))


def parse_vnets(data: Any, zones: Mapping[str, Reading[str | None]]) -> tuple[Vnet, ...]:
    """
    Parse the networks, sorted by name. Raises ParseError if the answer is not a list of networks with names.
    """
    vnets = parse_rows(data, lambda row: _vnet(row, zones))
    return tuple(sorted(vnets, key=lambda vnet: vnet.name))


def _vnet(row: Row, zones: Mapping[str, Reading[str | None]]) -> Vnet:
    zone = reading(_name, row, 'zone')
    return Vnet(
        name=_name(row, 'vnet'),
        zone_type=zones.get(zone) if known(zone) else zone,
        tag=reading(number, row, 'tag', TAGS),
        alias=reading(word, row, 'alias'),
        vlan_aware=reading(flag, row, 'vlanaware'),
    )


def _name(row: Row, key: str) -> str:
    name = word(row, key)
    if name is None:
        raise ParseError(Message('a row has no {key}', key=key))
    return name
