"""
Reads the hardware of a node over SSH, which the API does not provide: permanent MACs, link speeds, vendor, serial.

Three fixed, read-only commands are used, which root and ordinary users can run in any shell. A node receives a user
name only after it has proved to hold a pinned host key.
"""

from ..connections import ContactPolicy, Sockets
from ..infrastructure import NodeHardware, PhysicalNic
from ..messages import EMPTY, Message, joined
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
# Only hardware has `device`. Patterns are used so that no command contains the name of an interface.
NIC_FACTS = 'grep -sH . /sys/class/net/*/speed /sys/class/net/*/addr_assign_type /sys/class/net/*/device/uevent'
# The empty pattern distinguishes an empty file (one line) from an unreadable one (no line).
DMI = (
    "grep -sH '' /proc/sys/kernel/hostname "
    '/sys/class/dmi/id/sys_vendor /sys/class/dmi/id/product_name /sys/class/dmi/id/product_serial'
)

# All commands that run on a node. A restriction such as ForceCommand must permit exactly these, so that a change of
# them requires a change on the nodes.
COMMANDS = (LINKS, NIC_FACTS, DMI)

GREP_STATUS = (0, 1, 2)  # 1: no line; 2: a file could not be read, e.g. the speed of a link without carrier


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
    Read the hardware of one node. Parts that cannot be read are Unreadable.

    Args:
        host: DNS name or IP address, without a port.
        node: The name of the node in Proxmox VE. A host with another hostname is another machine (a reverse proxy in
            front of the API, or a reassigned address), and its hardware is not used.
        deadline: The end of the session at the latest, on the clock of `time.monotonic()`.
        sockets: Registers the connection, so that another thread can abort it.
        policy: The addresses that may be contacted.

    Raises:
        SSHError: The host is invalid, cannot be reached or is not the node; its key, the login or the commands were
            refused; or a limit was exceeded.
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
        refused = Message(
            '{user} can log in to {host}, but cannot run the commands.', host=session.name, user=settings.user
        )
        said = Message('Its output: {words}', words=links.words) if links.words else EMPTY
        raise SSHCommandRefusedError(
            joined((refused, said)),
            Message(
                'Give the user an ordinary shell without ForceCommand, or let that run exactly these commands: '
                '{commands}',
                commands=joined(COMMANDS, '; '),
            ),
        )
    return hardware


def _check_name(session: Session, node: str | None, dmi: Output) -> None:
    name = parse_host_name(dmi.text)
    # The name of a node is the first label of its hostname.
    if node and name and name.partition('.')[0].casefold() != node.casefold():
        raise WrongNodeError(
            Message(
                '{host} is not node {node}: its name is {name}.', host=session.name, node=node, name=shortened(name)
            ),
            Message(
                'Check whether a reverse proxy or another machine answers at this address. Connect to the node itself.'
            ),
        )


def _hardware(links: Output, nic_facts: Output, dmi: Output, user: str) -> NodeHardware | None:
    """The hardware; None if apparently none of the commands has run."""
    facts = parse_nic_facts(nic_facts.text) if nic_facts.status in GREP_STATUS else _failed(NIC_FACTS, nic_facts)
    nics = parse_links(links.text, facts) if links.status == 0 else _failed(LINKS, links)
    board = parse_dmi(dmi.text, user) if dmi.status in GREP_STATUS else None
    if not known(nics) and not (board and board.lines) and not (known(facts) and facts.lines):
        return None
    unreadable = _failed(DMI, dmi)
    return NodeHardware(
        manufacturer=board.manufacturer if board else unreadable,
        product=board.product if board else unreadable,
        serial=board.serial if board else unreadable,
        nics=nics,
    )


def _failed(command: str, output: Output) -> Unreadable:
    name = command.split()[0]
    if output.status == 127:
        failure = Message('The node has no command "{name}".', name=name)
    elif output.status is None:
        failure = Message('The command "{name}" was terminated on the node before it completed.', name=name)
    else:
        failure = Message(
            'The command "{name}" failed on the node (exit status {status}).', name=name, status=output.status
        )
    return Unreadable(joined((failure, output.words)))
