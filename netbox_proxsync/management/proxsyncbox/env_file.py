"""Parser for the `.env` file of ProxSyncBox: one entry for each Proxmox VE node, and common settings."""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field

__all__ = ('EnvFile', 'Line', 'NodeEntry', 'parse')

PREFIX = 'PROXMOX_NODE_'
FIELDS = (
    'id_name', 'host', 'node_name', 'user', 'token_name', 'token_secret', 'netbox_cluster_name',
    'netbox_node_site_name', 'netbox_node_device_role_name', 'netbox_node_manufacturer_name',
    'netbox_node_device_type_name', 'netbox_node_platform_name', 'verify_ssl', 'enable_ssh_mac_fetch', 'ssh_host',
    'ssh_port', 'ssh_user', 'ssh_password', 'ssh_key_path',
)  # fmt: skip
REQUIRED = ('host', 'user', 'token_name', 'token_secret')
CLUSTER_TYPE = 'NETBOX_CLUSTER_TYPE_NAME'
# Settings for the connection to NetBox, which a plugin does not need.
GLOBAL = ('NETBOX_URL', 'NETBOX_TOKEN', 'LOG_LEVEL', CLUSTER_TYPE)
TRUE = ('true', '1', 'yes', 'on')

KEY = re.compile(r'(?:export\s+)?(?P<key>[^=\s#\'"]+)\s*=\s*(?P<value>.*)')
QUOTED = {
    "'": re.compile(r"'(?P<text>(?:\\.|[^'\\])*)'\s*(?:#.*)?"),
    '"': re.compile(r'"(?P<text>(?:\\.|[^"\\])*)"\s*(?:#.*)?'),
}
# A comment begins with a blank before the #.
COMMENT = re.compile(r'(?:^|\s)#.*')
ESCAPED = re.compile(r'\\(.)')
ESCAPES = {'n': '\n', 't': '\t', 'r': '\r'}


@dataclass(frozen=True, slots=True)
class Line:
    """A note about a line of the file. It never contains the text of the line, which may be a secret."""

    number: int
    message: str

    def __str__(self) -> str:
        return f'line {self.number}: {self.message}'


@dataclass
class NodeEntry:
    """
    The settings of one node.

    Attributes:
        line: The number of the first line.
    """

    id: str
    line: int
    values: dict[str, str] = field(default_factory=dict, repr=False)

    def __getitem__(self, name: str) -> str:
        return self.values.get(name, '')

    def is_true(self, name: str) -> bool:
        return self[name].lower() in TRUE

    @property
    def cluster(self) -> str:
        return self['netbox_cluster_name'] or self['node_name'] or self.id

    @property
    def token_id(self) -> str:
        name = self['token_name']
        return name if '!' in name else f'{self["user"]}!{name}'


@dataclass
class EnvFile:
    """
    A parsed file.

    Attributes:
        errors: Why the file cannot be imported.
        notes: The settings that are not imported.
    """

    nodes: list[NodeEntry] = field(default_factory=list)
    cluster_type: str = ''
    errors: list[Line] = field(default_factory=list)
    notes: list[Line] = field(default_factory=list)


def parse(text: str) -> EnvFile:
    """Parse a file as ProxSyncBox does. It raises no exception: problems are in `errors`."""
    file = EnvFile()
    nodes: dict[str, NodeEntry] = {}
    for number, key, value in assignments(text, file):
        if key == CLUSTER_TYPE:
            file.cluster_type = value
        elif key.startswith(PREFIX):
            take(file, nodes, number, key.removeprefix(PREFIX), value)
        elif key not in GLOBAL:
            file.notes.append(Line(number, f'{key} is nothing of ProxSyncBox; left out.'))
    file.nodes = list(nodes.values())
    for entry in file.nodes:
        missing = [f'{PREFIX}{entry.id}_{name.upper()}' for name in REQUIRED if not entry[name]]
        if missing:
            file.errors.append(Line(entry.line, f'the entry of {entry.id} has no {", ".join(missing)}.'))
    return file


def assignments(text: str, file: EnvFile) -> Iterator[tuple[int, str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        stripped = line.strip().removeprefix('\ufeff')
        if not stripped or stripped.startswith('#'):
            continue
        match = KEY.fullmatch(stripped)
        if match is None:
            file.errors.append(Line(number, 'this is neither KEY=value nor a comment.'))
            continue
        value = value_of(match['value'])
        if value is None:
            file.errors.append(Line(number, f'the value of {match["key"]} begins with a quote that is not closed.'))
            continue
        yield number, match['key'], value


def value_of(text: str) -> str | None:
    """A value without its quotes or its comment; None if the quotes are not closed."""
    quoted = QUOTED.get(text[:1])
    if quoted is None:
        return COMMENT.sub('', text).strip()
    match = quoted.fullmatch(text)
    return match and ESCAPED.sub(lambda found: ESCAPES.get(found[1], found[1]), match['text'])


def take(file: EnvFile, nodes: dict[str, NodeEntry], number: int, rest: str, value: str) -> None:
    # The longest suffix first, because "..._SSH_HOST" also ends in "_HOST". ProxSyncBox itself ignores nodes with "_"
    # in their ID.
    for name in sorted(FIELDS, key=len, reverse=True):
        node_id = rest[: -len(name) - 1]
        if node_id and rest.lower().endswith(f'_{name}'):
            entry = nodes.setdefault(node_id, NodeEntry(node_id, number))
            if name in entry.values and entry.values[name] != value:
                file.errors.append(Line(number, f'{PREFIX}{rest} was given before, with another value.'))
            if problem := problem_of(name, value):
                file.errors.append(Line(number, f'{PREFIX}{rest} {problem}'))
            entry.values[name] = value
            return
    file.notes.append(Line(number, f'{PREFIX}{rest} is not a setting of ProxSyncBox. Ignored.'))


def problem_of(name: str, value: str) -> str:
    if name == 'ssh_port' and value and not (value.isascii() and value.isdecimal() and 0 < int(value) < 65536):
        return 'is not a port (1 to 65535).'
    return ''
