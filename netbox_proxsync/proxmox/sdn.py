"""The virtual networks of SDN: `/cluster/sdn/vnets` and the zones that they are in, `/cluster/sdn/zones`."""

from collections.abc import Mapping
from typing import Any

from .estate import Vnet
from .lists import Row, flag, number, parse_rows, word
from .properties import Garbled

__all__ = ('parse_vnets', 'parse_zones')

TAGS = range(1, 2**24)


def parse_zones(data: Any) -> dict[str, str | None]:
    """{zone: its type}. Raises Garbled."""
    return dict(parse_rows(data, 'SDN zones', lambda row: (_name(row, 'zone'), word(row, 'type'))))


def parse_vnets(data: Any, zones: Mapping[str, str | None]) -> tuple[Vnet, ...]:
    """Sorted by name. Raises Garbled."""
    vnets = parse_rows(data, 'virtual networks', lambda row: _vnet(row, zones))
    return tuple(sorted(vnets, key=lambda vnet: vnet.name))


def _vnet(row: Row, zones: Mapping[str, str | None]) -> Vnet:
    name, zone = _name(row, 'vnet'), _name(row, 'zone')
    try:
        return Vnet(
            name=name,
            zone=zone,
            zone_type=zones.get(zone),
            tag=number(row, 'tag', TAGS),
            alias=word(row, 'alias'),
            vlan_aware=flag(row, 'vlanaware'),
        )
    except Garbled as error:
        raise Garbled(f'virtual network {name[:40]}: {error}') from None


def _name(row: Row, key: str) -> str:
    name = word(row, key)
    if name is None:
        raise Garbled(f'a row has no {key}')
    return name
