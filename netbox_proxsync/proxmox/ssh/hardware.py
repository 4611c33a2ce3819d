"""
What a node knows of its hardware and the API does not tell, over SSH: permanent MACs, link speeds, vendor, serial.

Read-only: three fixed commands, which root and ordinary users can run, in any shell. A node is spoken to only after it
has proved to hold a key that a person pinned, before it sees a user name. What fails raises an SSHError; nothing of it
is needed to document a cluster.
"""

from ..connections import ContactPolicy, Sockets
from ..infrastructure import NodeHardware, PhysicalNic
from ..readings import Unreadable, known
from .errors import SSHCommandRefusedError, WrongNodeError
from .known_hosts import session_deadline, verify_host_key
from .parsers import parse_dmi, parse_host_name, parse_links, parse_nic_facts
from .session import Output, Session, shortened
from .settings import SSHSettings, check_address

__all__ = (
    'COMMANDS',
    'NodeHardware',
    'PhysicalNic',
    'SSHSettings',
    'read_hardware',
)

LINKS = 'ip -j -d link show'
# `device` is there for hardware only. Patterns, because the names of interfaces never go into a command.
NIC_FACTS = 'grep -sH . /sys/class/net/*/speed /sys/class/net/*/addr_assign_type /sys/class/net/*/device/uevent'
# An empty pattern, so that an empty file (nothing filled in) and an unreadable one (no line at all) are different.
DMI = (
    "grep -sH '' /proc/sys/kernel/hostname "
    '/sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial'
)

# All that ever runs on a node; what a restriction such as ForceCommand has to let through.
COMMANDS = (LINKS, NIC_FACTS, DMI)

GREP_STATUS = (0, 1, 2)  # 1: no line; 2: some file could not be read, which a link without a carrier is enough for


def read_hardware(
    host: str,
    settings: SSHSettings,
    *,
    node: str | None = None,
    deadline: float | None = None,
    sockets: Sockets | None = None,
    policy: ContactPolicy | None = None,
) -> NodeHardware:
    """
    Ask one node. What could not be read of the rest is Unreadable.

    Args:
        host: DNS name or IP address, without a port.
        node: The name that Proxmox has for it. A host that calls itself otherwise is another machine (a reverse proxy
            in front of the API, an address that is not the node's any more), and its hardware is not told.
        deadline: Ends the session at the latest, by `time.monotonic()`.
        sockets: Told of the connection, so that it can be ended from outside.
        policy: Which addresses may be contacted.

    Raises InvalidSSHSettingsError (of the host), SSHUnreachableError, SSHTimeoutError, HostKeyNotPinnedError,
    HostKeyChangedError, SSHAuthenticationError, SSHCommandRefusedError, SSHOutputTooLargeError or WrongNodeError if
    nothing can be trusted or read.
    """
    check_address(host)
    with Session(
        host, settings.port, settings.timeout, session_deadline(settings.timeout, deadline), sockets, policy
    ) as session:
        verify_host_key(session, host, settings.port, settings.pins)
        session.login(settings.user, settings.password, settings.key)
        links, nic_facts, dmi = (session.run(command) for command in COMMANDS)
    _check_name(session, node, dmi)
    hardware = _hardware(links, nic_facts, dmi, settings.user)
    if hardware is None:
        words = f' It says: {links.words}' if links.words else ''
        raise SSHCommandRefusedError(
            f'{session.name} lets {settings.user} in, but does not run the commands.{words}',
            'Give the user an ordinary shell without ForceCommand, or let that run exactly these commands: '
            f'{"; ".join(COMMANDS)}',
        )
    return hardware


def _check_name(session: Session, node: str | None, dmi: Output) -> None:
    name = parse_host_name(dmi.text)
    # Proxmox names a node by the first part of its host name.
    if node and name and name.partition('.')[0].casefold() != node.casefold():
        raise WrongNodeError(
            f'{session.name} is not node {node}: it calls itself {shortened(name)}.',
            'Does a reverse proxy or another machine answer at this address? Connect to the node itself.',
        )


def _hardware(links: Output, nic_facts: Output, dmi: Output, user: str) -> NodeHardware | None:
    """None if none of the commands seems to have run."""
    facts = parse_nic_facts(nic_facts.text) if nic_facts.status in GREP_STATUS else _failed(NIC_FACTS, nic_facts)
    nics = parse_links(links.text, facts) if links.status == 0 else _failed(LINKS, links)
    board = parse_dmi(dmi.text, user) if dmi.status in GREP_STATUS else None
    if not known(nics) and not (board and board.lines) and not (known(facts) and facts.lines):
        return None
    unread = _failed(DMI, dmi)
    return NodeHardware(
        manufacturer=board.manufacturer if board else unread,
        product=board.product if board else unread,
        serial=board.serial if board else unread,
        nics=nics,
    )


def _failed(command: str, output: Output) -> Unreadable:
    name, words = command.split()[0], f' {output.words}' if output.words else ''
    if output.status == 127:
        return Unreadable(f'The node has no command "{name}".{words}')
    if output.status is None:
        return Unreadable(f'The command "{name}" was ended on the node before it was done.{words}')
    return Unreadable(f'The command "{name}" failed on the node (exit status {output.status}).{words}')
