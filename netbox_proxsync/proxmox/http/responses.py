"""Interprets an HTTP response of Proxmox VE: its data, or an error."""

import re
from typing import Any, NamedTuple

from ..errors import (
    APIError,
    AuthenticationError,
    InvalidResponseError,
    NodeUnreachableError,
    NotProxmoxError,
    PermissionDeniedError,
    ProxmoxError,
)
from ..hosts import Host
from ..messages import Message
from ..storable_text import clean_text, read_json

__all__ = ('Answer', 'read_answer')

# "Permission check failed (/vms/100, VM.Audit)"
PERMISSION = re.compile(r'\((?P<path>/[^,\s]*), (?P<privilege>[A-Za-z.|]+)\)')
MAX_REASON = 300
# Temporary overload or restart of a proxy.
TRANSIENT = (502, 503, 504)
# The host could not reach the node: codes of AnyEvent::HTTP, which pveproxy forwards. The first two may be transient.
UNREACHABLE_NODE = range(595, 600)
TRANSIENT_NODE = (595, 596)


class Answer(NamedTuple):
    """Status, reason phrase (the only place of some error messages) and body of a response."""

    status: int
    reason: str | None
    body: bytes


def read_answer(answer: Answer, host: Host, path: tuple[object, ...], token_id: str) -> dict[str, Any]:
    """
    Return the document of a response: `data`, and the keys that a few calls have in addition to it.

    Raises:
        ProxmoxError: The response is an error, or not one of Proxmox VE.
    """
    document = _document(answer.body)
    call = '/' + '/'.join(map(str, path))
    if answer.status == 200:
        if isinstance(document, dict) and 'data' in document:
            return document
        raise InvalidResponseError(Message('{host} returned an invalid response for {call}.', host=host, call=call))
    raise _refusal(answer, document, host, path, call, token_id)


def _refusal(
    answer: Answer, document: Any, host: Host, path: tuple[object, ...], call: str, token_id: str
) -> ProxmoxError:
    status, reason = answer.status, _reason(answer, document)
    if status == 401:
        return _token_not_accepted(host, token_id, reason)
    if status == 403:
        return _not_permitted(call, reason)
    if status in UNREACHABLE_NODE:
        return _node_unreachable(host, path, status, reason)
    if path == ('version',) and status < 500:
        return NotProxmoxError(
            Message(
                '{host} responded, but it is not Proxmox VE ({status} {reason}).',
                host=host,
                status=status,
                reason=reason,
            ),
            Message('Check that this is the address of a Proxmox VE node, with port 8006.'),
        )
    return APIError(
        Message(
            '{host} could not answer {call}: {reason} ({status}).', host=host, call=call, reason=reason, status=status
        ),
        status=status,
        reason=reason,
        transient=status in TRANSIENT,
    )


def _token_not_accepted(host: Host, token_id: str, reason: str) -> AuthenticationError:
    return AuthenticationError(
        Message(
            '{host} does not accept the API token {token_id} ({reason}).', host=host, token_id=token_id, reason=reason
        ),
        Message(
            'Check the token ID and its secret, and that neither the token nor its user is expired or '
            'disabled (Datacenter > Permissions > API Tokens).'
        ),
    )


def _not_permitted(call: str, reason: str) -> PermissionDeniedError:
    match = PERMISSION.search(reason)
    privilege, where = (match['privilege'], match['path']) if match else ('', '')
    lack = Message('it lacks {privilege} on {path}', privilege=privilege, path=where)
    return PermissionDeniedError(
        Message(
            'The API token does not have permission to read {call} ({reason}).',
            call=call,
            reason=lack if match else reason,
        ),
        Message('Grant the token the role PVEAuditor; with privilege separation the token needs it itself.'),
        privilege=privilege,
        path=where,
    )


def _node_unreachable(host: Host, path: tuple[object, ...], status: int, reason: str) -> NodeUnreachableError:
    node = str(path[1]) if len(path) > 1 and path[0] == 'nodes' else None
    words = f'{status} {reason}'
    return NodeUnreachableError(
        Message('{host} could not reach node {node} ({words}).', host=host, node=node, words=words)
        if node
        else Message('{host} could not reach the node that has the data ({words}).', host=host, words=words),
        Message(
            'Check that the node is online, that pvedaemon runs on it, and that the nodes reach each other on port '
            '8006.'
        ),
        node=node,
        words=words,
        transient=status in TRANSIENT_NODE,
    )


def _reason(answer: Answer, document: Any) -> str:
    """The error message on one line: the `message` of Proxmox VE 8 and 9, which is complete, or the reason phrase."""
    message = document.get('message') if isinstance(document, dict) else None
    words = message if isinstance(message, str) and message.strip() else answer.reason
    errors = document.get('errors') if isinstance(document, dict) else None
    if isinstance(errors, dict) and errors:
        words = f'{words} {"; ".join(f"{key}: {text}" for key, text in sorted(errors.items()))}'
    return ' '.join(clean_text(words or 'no reason given').split())[:MAX_REASON]


def _document(body: bytes) -> Any:
    try:
        return read_json(body)
    except (ValueError, RecursionError):
        return None
