"""
What goes over the wire: status, reason phrase and body, in the shapes of Proxmox VE's own HTTP server.

Observed on running servers: the reason phrase carries the text of every error; 8.x and 9.x repeat it as `message` in
the body, 7.x does not; 401 and 595 have no body at all.
"""

import json
import zlib
from typing import Any

__all__ = ('Answer', 'ApiError', 'encode', 'error', 'forbidden', 'not_implemented', 'success')


class Answer:
    """
    One HTTP answer.

    Attributes:
        status: HTTP status, also Proxmox VE's own 595 and 596.
        reason: The reason phrase.
        body: Encoded body, b'' if none.
    """

    __slots__ = ('_gzipped', 'body', 'content_type', 'headers', 'reason', 'status')

    def __init__(
        self,
        status: int,
        reason: str,
        body: bytes = b'',
        content_type: str = 'application/json;charset=UTF-8',
        headers: dict[str, str] | None = None,
    ):
        self.status = status
        self.reason = reason
        self.body = body
        self.content_type = content_type
        self.headers = headers or {}
        self._gzipped: bytes | None = None

    def gzipped(self) -> bytes:
        """The body compressed with gzip; computed once, since long lists are asked for again and again."""
        if self._gzipped is None:
            packer = zlib.compressobj(1, zlib.DEFLATED, 31)
            self._gzipped = packer.compress(self.body) + packer.flush()
        return self._gzipped


class ApiError(Exception):
    """Raised by the code that makes answers. `errors` are the texts by parameter of a 400."""

    def __init__(self, status: int, reason: str, errors: dict[str, str] | None = None, newline: bool = True):
        super().__init__(reason)
        self.status = status
        self.reason = reason
        self.errors = errors
        self.newline = newline


def encode(value: Any) -> bytes:
    """Compact JSON with unescaped Unicode, as Perl's JSON module writes it."""
    return json.dumps(value, ensure_ascii=False, separators=(',', ':')).encode()


def success(data: Any) -> Answer:
    """200 with the envelope."""
    return Answer(200, 'OK', encode({'data': data}))


def error(failure: ApiError, major: int) -> Answer:
    """The answer for a failed call, for a Proxmox VE of the given major version."""
    if failure.status in (401, 595, 596):
        return Answer(failure.status, failure.reason)
    body: dict[str, Any] = {'data': None}
    if failure.errors is not None:
        body['errors'] = failure.errors
    if major >= 8:
        body['message'] = failure.reason + ('\n' if failure.newline else '')
    return Answer(failure.status, failure.reason.strip(), encode(body))


def forbidden(path: str, privileges: tuple[str, ...] | list[str]) -> ApiError:
    """403 for a missing privilege; alternatives are joined by `|`."""
    return ApiError(403, f'Permission check failed ({path}, {"|".join(privileges)})')


def not_implemented(method: str, path: str) -> ApiError:
    """501 for a path that this version of Proxmox VE does not have."""
    return ApiError(501, f"Method '{method} {path}' not implemented", newline=False)
