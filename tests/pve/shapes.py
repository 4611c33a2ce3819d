"""
The shape of answers: their fields, the types of these, whether every row has them, and whether texts end in a newline.

The shapes of the recordings are facts about real servers. `differences` compares other answers with them.
"""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from .facts import facts, match
from .recordings import RECORDINGS

__all__ = ('differences', 'impossible', 'recorded_shapes', 'shapes_of')

# Numbers that belong to the name of a field: net0, scsi12. `tap100i0` is the host's side of a NIC.
NUMBERED = re.compile(r'^(net|ipconfig|ide|sata|scsi|virtio|mp|unused|dev|hostpci|usb|serial)\d+$')
TAP = re.compile(r'^tap\d+i\d+$')
# Answers whose keys are names of objects, not of fields.
BY_NAME = ('/access/permissions',)
# Fields, or types of fields, that the recorded servers do not have, and other real servers do.
ALSO_REAL: Mapping[tuple[str, str], str] = {
    ('/nodes/{node}/lxc/{vmid}/status/current', 'ha.state'): 'the HA manager of the recorded servers was not running',
    ('/nodes/{node}/qemu/{vmid}/status/current', 'ha.state'): 'the HA manager of the recorded servers was not running',
    ('/nodes/{node}/qemu/{vmid}/status/current', 'ha.group'): 'a resource without a group, as the recorded container',
    ('/nodes/{node}/network', 'exists'): 'ports of real hardware have it',
    ('/nodes/{node}/network/{iface}', 'exists'): 'ports of real hardware have it',
    ('/nodes/{node}/network', 'active'): 'the recorded bonds and VLANs are not active',
    ('/nodes/{node}/status', 'boot-info.secureboot'): 'only hosts that boot with EFI have it',
    ('/nodes/{node}/config', 'description'): 'the recorded 8.4 host has no notes',
    ('/nodes/{node}/config', 'digest'): 'the recorded 8.4 host has no configuration of its own',
}
# Fields that a version does not have though the next one does. The 7.4 server was looked at by hand: there is no
# recording of it.
NOT_YET: Mapping[int, frozenset[tuple[str, str]]] = {
    7: frozenset(
        {
            ('/nodes/{node}/status', 'boot-info'),
            ('/nodes/{node}/status', 'current-kernel'),
            ('/cluster/sdn/vnets/{vnet}/subnets', 'dhcp-range'),
            ('/cluster/sdn/vnets/{vnet}/subnets', 'id'),
        }
    )
}
# Settings that the recorded servers have in every row, because a user set them there.
SETTINGS: Mapping[str, frozenset[str]] = {
    '/cluster/ha/resources': frozenset({'comment', 'group', 'max_relocate', 'max_restart', 'failback'}),
    '/cluster/options': frozenset(
        {'crs', 'description', 'email_from', 'mac_prefix', 'migration', 'registered-tags', 'user-tag-access'}
    ),
    '/nodes/{node}/network': frozenset({'bond_xmit_hash_policy', 'mtu'}),
}
# Texts that no server of that version can hold: (version or None for all, type of guest, key, what is in it).
IMPOSSIBLE: tuple[tuple[int | None, str, re.Pattern[str], re.Pattern[str]], ...] = (
    (7, 'qemu', re.compile('cpu'), re.compile('x86-64-v2-AES')),
    (7, 'qemu', re.compile('meta'), re.compile('creation-qemu=(8|9|10)')),
    (None, 'lxc', re.compile(r'net\d+'), re.compile('trunks=[^,]*-')),
)
# Numbers are written with or without a fraction, as they come.
SCHEMA_TYPES = {'integer': 'number', 'number': 'number', 'boolean': 'number', 'string': 'str', 'object': 'dict'}
SAME = {'float': 'number', 'int': 'number'}


@dataclass
class Shape:
    """
    One field of the rows of an answer.

    Attributes:
        types: Names of the JSON types that it was seen with.
        rows: In how many rows it was.
        newlines: Whether texts in it end with a newline: {True}, {False} or both.
    """

    types: set[str] = field(default_factory=set)
    rows: int = 0
    newlines: set[bool] = field(default_factory=set)


@dataclass
class Answers:
    """All rows of one kind: those of a call, by their `type` where it answers with rows of several types."""

    rows: int = 0
    fields: dict[str, Shape] = field(default_factory=dict)


type Shapes = dict[str, Answers]


def _kind(template: str, row: Any) -> str:
    """Rows of one call with another `type` have other fields."""
    several = template.endswith(('/resources', '/status', '/network')) and isinstance(row, dict)
    return f'{template}#{row["type"]}' if several and isinstance(row.get('type'), str) else template


def _name(key: str) -> str:
    if TAP.match(key):
        return 'tap*'
    found = NUMBERED.match(key)
    return f'{found[1]}*' if found else key


def _type(value: Any) -> str:
    if value is None:
        return 'null'
    name = type(value).__name__
    return SAME.get(name, name)


def _fields(value: Any, prefix: str = '') -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield f'{prefix}{_name(key)}', inner
            yield from _fields(inner, f'{prefix}{_name(key)}.')
    elif isinstance(value, list):
        for inner in value:
            yield f'{prefix}[]', inner
            yield from _fields(inner, f'{prefix}[].')


def shapes_of(answers: list[tuple[str, Any]], major: int) -> Shapes:
    """The shapes of answers: (path with its query, `data`)."""
    found: Shapes = {}
    for path, data in answers:
        place, _, query = path.partition('?')
        known = match(place, major)
        if known is None or known[0] in BY_NAME:
            continue
        template = known[0]
        # Flags select other rows, or other fields of them.
        flags = [part for part in query.split('&') if part.partition('=')[0] in ('full', 'type', 'content')]
        template += '?' + '&'.join(flags) if flags else ''
        for row in data if isinstance(data, list) else [data]:
            if row is None:
                continue
            known_rows = found.setdefault(_kind(template, row), Answers())
            known_rows.rows += 1
            seen = set()
            for name, value in _fields(row):
                shape = known_rows.fields.setdefault(name, Shape())
                shape.types.add(_type(value))
                if name not in seen:
                    shape.rows += 1
                    seen.add(name)
                if isinstance(value, str) and value:
                    shape.newlines.add(value.endswith('\n'))
    return found


@cache
def recorded_shapes(major: int) -> Shapes:
    """What the recorded servers of a major version answered; nothing if there is no recording of it."""
    answers: list[tuple[str, Any]] = []
    for path in sorted(RECORDINGS.glob('*.json')):
        raw = json.loads(path.read_text())
        if int(raw['/version']['body']['data']['version'].partition('.')[0]) == major:
            answers += [(path, answer['body']['data']) for path, answer in raw.items() if answer['status'] == 200]
    return shapes_of(answers, major)


def differences(shapes: Shapes, major: int) -> Iterator[str]:
    """How generated answers differ from those of real servers of that version."""
    recorded = recorded_shapes(major) or recorded_shapes(major + 1)
    exact = bool(recorded_shapes(major))
    for kind, answers in sorted(shapes.items()):
        real = recorded.get(kind)
        template = kind.partition('#')[0].partition('?')[0]
        schema = facts(template, major) or {'fields': {}}
        for name, shape in sorted(answers.fields.items()):
            if (template, name) in NOT_YET.get(major, ()):
                yield f'{kind}: {name} does not exist in version {major}'
            elif real is not None:
                yield from _compared(kind, template, name, shape, real.fields.get(name), schema['fields'], exact)
        if real is not None:
            for name, shape in sorted(real.fields.items()):
                own = answers.fields.get(name)
                always = shape.rows == real.rows and '.' not in name and '[]' not in name
                missing = own is None or own.rows < answers.rows
                if exact and always and missing and name not in SETTINGS.get(template, ()):
                    yield f'{kind}: {name} is in every row of a real server, and missing here'


def impossible(answers: list[tuple[str, Any]], major: int) -> Iterator[str]:
    """Values in the configurations of guests that Proxmox VE would not have taken."""
    for path, data in answers:
        for version, kind, key, text in IMPOSSIBLE:
            if version in (None, major) and f'/{kind}/' in path and path.partition('?')[0].endswith('/config'):
                for name, value in data.items():
                    if key.fullmatch(name) and text.search(str(value)):
                        yield f'{path}: {name} cannot be {value}'


def _compared(
    kind: str, template: str, name: str, own: Shape, real: Shape | None, schema: Mapping[str, str], exact: bool
) -> Iterator[str]:
    if real is None:
        if name not in schema and name.partition('.')[0] not in schema and (template, name) not in ALSO_REAL:
            yield f'{kind}: no real server has {name}'
        return
    known = real.types | {SCHEMA_TYPES.get(schema.get(name, ''), '')}
    if exact and not own.types <= known and (template, name) not in ALSO_REAL:
        yield f'{kind}: {name} is {"/".join(sorted(own.types))}, on real servers {"/".join(sorted(real.types))}'
    if real.newlines and len(real.newlines) == 1 and not own.newlines <= real.newlines:
        how = 'ends' if real.newlines == {True} else 'does not end'
        yield f'{kind}: {name} {how} with a newline on real servers'
