"""Reads what only a running guest reports: interfaces, and through its agent the operating system and hostname."""

from threading import Lock
from typing import Any

from ..access import Access, agent_privileges
from ..errors import APIError, CallTimeoutError, ProxmoxError
from ..http.client import ProxmoxClient
from ..inventory import GuestConfig, GuestType, Reading, Unreadable, known
from ..messages import Message, as_is, gettext_noop, phrase
from ..parsers.guest_interfaces import GuestInterface, parse_agent_interfaces, parse_container_interfaces
from ..parsers.resources import GuestRow
from ..properties import ParseError, text
from ..version import Version
from .options import CollectOptions
from .unreadable import GuestProblem, UnreadableError, unreadable_error

__all__ = ('RuntimeReader',)

NOT_RUNNING = {
    GuestType.QEMU: gettext_noop('The virtual machine is not running ({status}).'),
    GuestType.LXC: gettext_noop('The container is not running ({status}).'),
}


class RuntimeReader:
    """
    Queries running guests. Thread-safe.

    Args:
        access: The privileges of the token; if they are Unreadable, every guest agent is queried.
    """

    def __init__(
        self, client: ProxmoxClient, options: CollectOptions, version: Version, access: Reading[Access]
    ) -> None:
        self.client = client
        self.options = options
        self.version = version
        self.access = access
        self._container_call = Lock()
        self._container_call_exists: bool | None = None

    def interfaces(
        self, row: GuestRow, config: GuestConfig, problems: list[GuestProblem]
    ) -> Reading[tuple[GuestInterface, ...]]:
        """Return the interfaces inside the guest, or why they are not known, with at most one call."""
        try:
            self._raise_if_not_running(row, config)
            return self._container_interfaces(row) if row.type is GuestType.LXC else self._agent_interfaces(row)
        except UnreadableError as error:
            if error.problem:
                problems.append(error.problem)
            return error.unreadable

    def os_name(
        self, row: GuestRow, config: GuestConfig, running: Reading[object], problems: list[GuestProblem]
    ) -> Reading[str | None]:
        """Return the operating system; None if it is not requested or not reported."""
        return self._fact(self.options.os_info, 'get-osinfo', 'pretty-name', row, config, running, problems)

    def host_name(
        self, row: GuestRow, config: GuestConfig, running: Reading[object], problems: list[GuestProblem]
    ) -> Reading[str | None]:
        """Return the hostname; None if it is not requested or not reported."""
        return self._fact(self.options.host_names, 'get-host-name', 'host-name', row, config, running, problems)

    def _raise_if_not_running(self, row: GuestRow, config: GuestConfig) -> None:
        """Raise UnreadableError without a problem if the guest cannot be queried."""
        if isinstance(row.status, Unreadable):
            raise UnreadableError(row.status.reason)
        if row.status != 'running':
            raise UnreadableError(Message(NOT_RUNNING[row.type], status=row.status))
        if row.type is GuestType.QEMU:
            if isinstance(config.agent, Unreadable):
                raise UnreadableError(config.agent.reason)
            if not config.agent:
                raise UnreadableError(Message('The guest agent is not enabled in the configuration.'))
            if known(self.access) and not self.access.sees_agent(self.version, row.vmid):
                # Reported once, with the missing privileges.
                raise UnreadableError(
                    Message(
                        'The token does not have permission to query the guest agent ({privilege}).',
                        privilege=agent_privileges(self.version)[0],
                    )
                )

    def _agent(self, row: GuestRow, command: str) -> Any:
        try:
            return self.client.get('nodes', row.node, 'qemu', row.vmid, 'agent', command)
        except ProxmoxError as error:
            raise _agent_error(row, error) from None

    def _agent_interfaces(self, row: GuestRow) -> tuple[GuestInterface, ...]:
        data = self._agent(row, 'network-get-interfaces')
        try:
            return parse_agent_interfaces(data)
        except ParseError as error:
            raise _parse_failure(error) from None

    def _container_interfaces(self, row: GuestRow) -> tuple[GuestInterface, ...]:
        if self._container_call_exists is None:
            # The first container determines whether this version has the call.
            with self._container_call:
                if self._container_call_exists is None:
                    return self._ask_container(row)
        if not self._container_call_exists:
            raise _no_container_call()
        return self._ask_container(row)

    def _ask_container(self, row: GuestRow) -> tuple[GuestInterface, ...]:
        try:
            data = self.client.get('nodes', row.node, 'lxc', row.vmid, 'interfaces')
        except ProxmoxError as error:
            if isinstance(error, APIError) and error.not_implemented:
                self._container_call_exists = False
                raise _no_container_call() from None
            raise unreadable_error(Message('addresses'), row, error) from None
        self._container_call_exists = True
        if data is None:
            raise UnreadableError(Message('The container is not running.'))  # stopped since the list was read
        try:
            return parse_container_interfaces(data)
        except ParseError as error:
            raise _parse_failure(error) from None

    def _fact(
        self,
        asked: bool,
        command: str,
        key: str,
        row: GuestRow,
        config: GuestConfig,
        running: Reading[object],
        problems: list[GuestProblem],
    ) -> Reading[str | None]:
        """One text from the agent. An agent that did not report the interfaces is not queried again."""
        if not asked or row.type is GuestType.LXC or config.agent is False:
            return None
        if isinstance(running, Unreadable):
            return running
        try:
            data = self._agent(row, command)
        except UnreadableError as error:
            if error.problem:
                problems.append(error.problem)
            return error.unreadable
        result = data.get('result') if isinstance(data, dict) else None
        if not isinstance(result, dict) or 'error' in result:
            return Unreadable(Message('The guest agent returned an invalid response to {command}.', command=command))
        try:
            return text(result.get(key, '')).strip() or None
        except ParseError:
            return Unreadable(Message('The guest agent returned an invalid response to {command}.', command=command))


def _no_container_call() -> UnreadableError:
    return UnreadableError(
        Message('This version of Proxmox VE does not report the addresses of running containers; 8.1 and newer do.')
    )


def _parse_failure(error: ParseError) -> UnreadableError:
    words = phrase(error)
    return UnreadableError(Message('{problem}.', problem=words), GuestProblem(what=words))


def _agent_error(row: GuestRow, error: ProxmoxError) -> UnreadableError:
    """The error for a failed query to the guest agent. It is not a problem if the guest or its agent does not run."""
    if isinstance(error, CallTimeoutError):
        return UnreadableError(
            Message('The guest agent did not answer in time. Check whether the guest is frozen.'),
            GuestProblem(
                what=Message('The guest agent did not answer in time'),
                remedy=Message('Check whether the guest is frozen or overloaded.'),
            ),
        )
    if not isinstance(error, APIError) or error.status != 500 or error.guest_not_there:
        return unreadable_error(Message('guest agent'), row, error)
    words = error.reason.rstrip('.')
    if words.endswith('is not running') and 'agent' not in words:
        return UnreadableError(Message('The virtual machine is not running.'))  # stopped since the list was read
    if 'No QEMU guest agent' in words:
        return UnreadableError(Message('The guest agent is not enabled in the configuration.'))
    return UnreadableError(
        as_is(f'{words}.'),
        GuestProblem(
            what=Message('The guest agent does not answer, so the addresses of the guest are not known'),
            remedy=Message(
                'Start qemu-guest-agent in the guest, or disable the guest agent in the options of the guest in '
                'Proxmox VE.'
            ),
        ),
    )
