"""
What a node knows of its hardware and the API does not tell, over SSH: permanent MACs, link speeds, vendor, serial.

Read-only: three fixed commands, which root and ordinary users can run, in any shell. A node is spoken to only after it
has proved to hold a key that a person pinned, before it sees a user name. What fails raises an SSHError; nothing of it
is needed to document a cluster.
"""

import re
import time
from dataclasses import dataclass, field
from ipaddress import ip_address

import paramiko

from .estate import NodeHardware, PhysicalNic
from .readings import Unknown, known
from .ssh_errors import (
    HostKeyChanged,
    HostKeyNotPinned,
    HostKeyRefused,
    InvalidSSHSettings,
    SSHCommandRefused,
    SSHUnreachable,
)
from .ssh_keys import ALGORITHMS, HostKey, Pin, load_private_key, parse_pins
from .ssh_parsers import parse_dmi, parse_links, parse_nic_facts
from .ssh_session import Output, Session

__all__ = (
    'COMMANDS',
    'HostKey',
    'NodeHardware',
    'PhysicalNic',
    'SSHConnection',
    'fetch_host_key',
    'read_hardware',
)

LINKS = 'ip -j -d link show'
# `device` is there for hardware only. Patterns, because the names of interfaces never go into a command.
NIC_FACTS = 'grep -sH . /sys/class/net/*/speed /sys/class/net/*/device/uevent'
# An empty pattern, so that an empty file (nothing filled in) and an unreadable one (no line at all) are different.
DMI = "grep -sH '' /sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial"

# All that ever runs on a node; what a restriction such as ForceCommand has to let through.
COMMANDS = (LINKS, NIC_FACTS, DMI)

GREP_STATUS = (0, 1, 2)  # 1: no line; 2: some file could not be read, which a link without a carrier is enough for
SESSION_STEPS = 3  # a whole session may take so many times the limit of one step
HOST = re.compile(r'[^\s/?#@\[\]\x00-\x20]+')
USER = re.compile(r'[^\s\x00-\x1f\x7f]+')


@dataclass(frozen=True, slots=True, kw_only=True)
class SSHConnection:
    """
    How a node is reached over SSH. Making one raises InvalidSSHSettings if it cannot be used.

    Attributes:
        host: DNS name or IP address, without a port.
        password: Or `private_key`, exactly one of them; never shown.
        private_key: Ed25519, ECDSA or RSA; the text of the file. Never shown.
        passphrase: Of the key, if it is encrypted; never shown.
        host_keys: Pinned keys: '[host] key-type base64' or '[host] SHA256:...', a line each. Lines that name other
            hosts do not count here; lines without a host count for every one. None: nothing can be read.
        timeout: Seconds that connecting, exchanging keys, logging in and each command may take; all together not more
            than three times that. A name with several addresses is tried at each of them.
    """

    host: str
    user: str
    port: int = 22
    password: str | None = field(default=None, repr=False)
    private_key: str | None = field(default=None, repr=False)
    passphrase: str | None = field(default=None, repr=False)
    host_keys: tuple[str, ...] = ()
    timeout: float = 10
    pins: tuple[Pin, ...] = field(init=False, repr=False, compare=False)
    key: paramiko.PKey | None = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        _check_address(self.host, self.port, self.timeout)
        if not USER.fullmatch(self.user):
            raise InvalidSSHSettings('The SSH user is empty or holds blanks.', 'Enter the name of a user of the node.')
        if not self.password and not self.private_key:
            raise InvalidSSHSettings('Neither an SSH password nor a private key is given.', 'Give one of them.')
        if self.password and self.private_key:
            raise InvalidSSHSettings('Both an SSH password and a private key are given.', 'Remove one of them.')
        object.__setattr__(self, 'pins', parse_pins(self.host_keys))
        key = load_private_key(self.private_key, self.passphrase) if self.private_key else None
        object.__setattr__(self, 'key', key)


def fetch_host_key(host: str, port: int = 22, timeout: float = 10) -> HostKey:
    """
    The key that a host shows now, for a person to compare and confirm. Not even a user name is sent.

    Raises InvalidSSHSettings, SSHUnreachable or SSHTimeout.
    """
    _check_address(host, port, timeout)
    with Session(host, port, timeout, time.monotonic() + SESSION_STEPS * timeout) as session:
        return session.connect(ALGORITHMS)


def read_hardware(connection: SSHConnection) -> NodeHardware:
    """
    Ask one node. What could not be read of the rest is Unknown.

    Raises SSHUnreachable, SSHTimeout, HostKeyNotPinned, HostKeyChanged, SSHAuthenticationFailed, SSHCommandRefused or
    SSHTooMuchOutput if nothing can be trusted or read.
    """
    deadline = time.monotonic() + SESSION_STEPS * connection.timeout
    with Session(connection.host, connection.port, connection.timeout, deadline) as session:
        _prove(session, connection)
        session.login(connection.user, connection.password, connection.key)
        links, nic_facts, dmi = (session.run(command) for command in COMMANDS)
    facts = parse_nic_facts(nic_facts.text) if nic_facts.status in GREP_STATUS else _failed(NIC_FACTS, nic_facts)
    nics = parse_links(links.text, facts) if links.status == 0 else _failed(LINKS, links)
    board = parse_dmi(dmi.text, connection.user) if dmi.status in GREP_STATUS else None
    if not known(nics) and not (board and board.lines) and not (known(facts) and (facts.speeds or facts.drivers)):
        words = f' It says: {links.words}' if links.words else ''
        raise SSHCommandRefused(
            f'{session.name} lets {connection.user} in, but does not run the commands.{words}',
            'Give the user an ordinary shell without ForceCommand, or let that run exactly these commands: '
            f'{"; ".join(COMMANDS)}',
        )
    unread = _failed(DMI, dmi)
    return NodeHardware(
        manufacturer=board.manufacturer if board else unread,
        product=board.product if board else unread,
        serial=board.serial if board else unread,
        nics=nics,
    )


def _prove(session: Session, connection: SSHConnection) -> None:
    """
    Connect to a host that proves to hold a pinned key, or raise HostKeyRefused. No credential is sent.

    A host has several keys and shows one. Which of them was pinned is known from a whole key, so that type is asked for
    first; of a fingerprint it is not, so the other types are tried, too.
    """
    pins = [pin for pin in connection.pins if pin.is_for(connection.host, connection.port)]
    accepted = {pin.fingerprint for pin in pins}
    types = sorted(ALGORITHMS, key=lambda type_: all(pin.type != type_ for pin in pins))
    shown: HostKey | None = None
    while types:
        try:
            key = session.connect(types)
        except SSHUnreachable:
            if shown:
                break  # it has no key of another type
            raise
        if key.fingerprint_sha256 in accepted:
            return
        shown = shown or key
        if all(pin.type for pin in pins) or key.type not in types:
            break
        types.remove(key.type)
    raise _refused(session, shown, changed=bool(pins))


def _refused(session: Session, key: HostKey, changed: bool) -> HostKeyRefused:
    seen = {'type': key.type, 'fingerprint': key.fingerprint_sha256, 'line': key.line}
    shown = f'{key.fingerprint_sha256} ({key.type})'
    # The name of the file that sshd keeps this key in: ssh_host_rsa_key.pub
    kind = key.type.removeprefix('ssh-').split('-')[0]
    compare = f'compare it with "ssh-keygen -lf /etc/ssh/ssh_host_{kind}_key.pub" on the console of the node'
    if changed:
        return HostKeyChanged(
            f'{session.name} does not show the SSH host key that is pinned for it, but {shown}. Nothing was sent.',
            f'If the node was installed anew, {compare} and pin it. If not, somebody may be listening in.',
            **seen,
        )
    return HostKeyNotPinned(
        f'No SSH host key is pinned for {session.name}. It shows {shown}. Nothing was sent to it.',
        f'{compare[0].upper()}{compare[1:]}, and pin it.',
        **seen,
    )


def _failed(command: str, output: Output) -> Unknown:
    name, words = command.split()[0], f' {output.words}' if output.words else ''
    if output.status == 127:
        return Unknown(f'The node has no command "{name}".{words}')
    if output.status is None:
        return Unknown(f'The command "{name}" was ended on the node before it was done.{words}')
    return Unknown(f'The command "{name}" failed on the node (exit status {output.status}).{words}')


def _check_address(host: str, port: int, timeout: float) -> None:
    if not HOST.fullmatch(host) or (':' in host and not _is_ipv6(host)):
        raise InvalidSSHSettings(
            f'{host or "An empty text"} is not a host.', 'Write a name or an address, without brackets; the port apart.'
        )
    if not 0 < port < 65536:
        raise InvalidSSHSettings(f'{port} is not a port.', 'Write the SSH port of the nodes, usually 22.')
    if not timeout > 0:
        raise InvalidSSHSettings(f'{timeout} seconds are no time limit.', 'Allow at least a second.')


def _is_ipv6(text: str) -> bool:
    try:
        return ip_address(text).version == 6
    except ValueError:
        return False
