"""One call and what it means: an answer, or the error that says why there is none."""

from collections.abc import Callable
from typing import Any

from ..errors import ProxmoxError
from ..http.client import ProxmoxClient
from ..properties import ParseError
from ..readings import Reading, Unreadable

__all__ = ('ask', 'ask_document', 'understand')


def ask(client: ProxmoxClient, *path: object, **params: object) -> Any:
    """The data of a call, or the error that says why there are none. Raises only what makes all others useless."""
    answer = ask_document(client, *path, **params)
    return answer if isinstance(answer, ProxmoxError) else answer['data']


def ask_document(client: ProxmoxClient, *path: object, **params: object) -> dict[str, Any] | ProxmoxError:
    """The same with what stands next to the data."""
    try:
        return client.get_document(*path, **params)
    except ProxmoxError as error:
        if error.fatal:
            raise
        return error


def understand[T](what: str, parse: Callable[[Any], T], answer: Any) -> Reading[T]:
    """
    Args:
        what: 'the list of guests and nodes'.
        parse: Raises ParseError for what cannot be read.
        answer: Of `ask`.
    """
    if isinstance(answer, ProxmoxError):
        return Unreadable(answer.message)
    try:
        return parse(answer)
    except ParseError as error:
        return Unreadable(f'Proxmox did not tell {what} in a form that can be read: {str(error).rstrip(".")}.')
