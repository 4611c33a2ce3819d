"""Translates exceptions of the HTTP library into errors for the administrator."""

import ssl
from collections.abc import Callable, Iterator

from requests.exceptions import InvalidProxyURL, InvalidSchema
from urllib3.exceptions import (
    ConnectTimeoutError,
    DecodeError,
    LocationParseError,
    NewConnectionError,
    ProxyError,
    ProxySchemeUnknown,
    ReadTimeoutError,
)

from ..errors import CallTimeoutError, ConnectionBrokenError, HostUnreachableError, InvalidResponseError, ProxmoxError
from ..hosts import Host
from ..messages import Message
from .tls import no_tls, tls_failure, unreachable, wrong_fingerprint

__all__ = ('explain',)

# The proxy does not connect, or its settings are invalid.
BAD_PROXY = (ProxyError, ProxySchemeUnknown, InvalidProxyURL, InvalidSchema)


def explain(
    error: BaseException,
    host: Host,
    call: str,
    timeout: float,
    connect_timeout: float,
    fingerprint: Callable[[], str | None],
    *,
    answered: bool,
) -> ProxmoxError:
    """
    Return the error for an exception of urllib3 or requests, without a reference to it.

    Args:
        call: The path of the call, for the message.
        timeout, connect_timeout: The time limits in seconds, for the message.
        fingerprint: Fetches the fingerprint of the certificate that the host presents.
        answered: Whether the host has answered before, so that it is known to be the right kind of server.
    """
    causes = list(_causes(error))
    if isinstance(error, BAD_PROXY):
        return HostUnreachableError(
            Message('The proxy between NetBox and {host} did not establish a connection.', host=host),
            Message("Check NetBox's HTTP_PROXIES, or exempt this host from the proxy."),
        )
    if any('Fingerprints did not match' in str(cause) for cause in causes):
        return wrong_fingerprint(host, fingerprint())
    for cause in causes:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return tls_failure(host, cause, fingerprint())
    if isinstance(error, ConnectTimeoutError) and not isinstance(error, NewConnectionError):
        return unreachable(host, TimeoutError(), connect_timeout)
    for cause in causes:
        if isinstance(cause, NewConnectionError):
            return unreachable(host, cause.__cause__ or cause.__context__ or cause, connect_timeout)
        if isinstance(cause, UnicodeError | LocationParseError):
            return unreachable(host, UnicodeError(), connect_timeout)
    if isinstance(error, DecodeError):
        return InvalidResponseError(
            Message('The answer of {host} to {call} cannot be decoded or is too large.', host=host, call=call)
        )
    return _broken(causes, host, call, timeout, answered=answered)


def _broken(causes: list[BaseException], host: Host, call: str, timeout: float, *, answered: bool) -> ProxmoxError:
    """The error for a connection that failed after it was established, as far as can be determined."""
    kinds = (ReadTimeoutError, TimeoutError)
    if any(isinstance(cause, kinds) for cause in causes):
        if not answered:
            return unreachable(host, TimeoutError(), timeout)
        return CallTimeoutError(
            Message(
                '{host} did not answer {call} within {timeout} seconds.', host=host, call=call, timeout=f'{timeout:g}'
            ),
            Message('Allow a longer timeout if Proxmox VE is only slow.'),
        )
    if answered:
        return ConnectionBrokenError(
            Message('{host} closed the connection while it answered {call}.', host=host, call=call),
            Message('Check whether pveproxy was restarted on this host.'),
            transient=True,
        )
    for cause in causes:
        if isinstance(cause, ssl.SSLError):
            return no_tls(host, cause)
    return unreachable(host, ConnectionResetError(), timeout)


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and all exceptions to which it refers."""
    visited: set[int] = set()
    waiting: list[BaseException | None] = [error]
    while waiting:
        current = waiting.pop(0)
        if not isinstance(current, BaseException) or id(current) in visited:
            continue
        visited.add(id(current))
        yield current
        waiting += [getattr(current, 'reason', None), *current.args, current.__cause__, current.__context__]
