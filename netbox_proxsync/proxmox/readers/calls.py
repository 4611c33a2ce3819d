"""Calls whose errors are returned as results, so that the other calls continue."""

from collections.abc import Callable
from typing import Any

from ..errors import ProxmoxError
from ..http.client import ProxmoxClient
from ..messages import Message, phrase
from ..properties import ParseError
from ..readings import Reading, Unreadable

__all__ = ('ask', 'ask_document', 'understand')


def ask(client: ProxmoxClient, *path: object, **params: object) -> Any:
    """Return the `data` of a call, or its error. Raises only `fatal` errors, after which no other call can succeed."""
    answer = ask_document(client, *path, **params)
    return answer if isinstance(answer, ProxmoxError) else answer['data']


def ask_document(client: ProxmoxClient, *path: object, **params: object) -> dict[str, Any] | ProxmoxError:
    """As `ask`, but return the whole document."""
    try:
        return client.get_document(*path, **params)
    except ProxmoxError as error:
        if error.fatal:
            raise
        return error


def understand[T](what: Message, parse: Callable[[Any], T], answer: Any) -> Reading[T]:
    """
    Return the parsed answer of a call, or Unreadable if it is an error or cannot be parsed.

    Args:
        what: The name of the data for the reason, which has it in parentheses, e.g. 'list of guests and nodes'.
        parse: Raises ParseError if the data are invalid.
        answer: The result of `ask`.
    """
    if isinstance(answer, ProxmoxError):
        return Unreadable(answer.message)
    try:
        return parse(answer)
    except ParseError as error:
        return Unreadable(
            Message('Proxmox VE returned an invalid response ({what}): {problem}.', what=what, problem=phrase(error))
        )
