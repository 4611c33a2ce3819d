"""Limits on the size of the answers that a client holds at a time, and of all that it reads."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Lock

import urllib3

from ..errors import TooMuchDataError
from ..messages import Message

__all__ = ('MAX_ANSWER', 'MAX_OVERHEAD', 'MAX_TOTAL', 'SizeBudget', 'read_body')

MAX_ANSWER = 128 * 1024**2  # bytes of all concurrent answers; a list of 10,000 guests has about 5 MB
MAX_TOTAL = 1024**3  # bytes of all answers of a read; 10,000 guests with configurations have about 100 MB
MAX_OVERHEAD = 16 * 1024**2  # bytes: headers, and the chunk sizes of a chunked answer
CHUNK = 256 * 1024


class SizeBudget:
    """Limits the size of all concurrent answers of a client, and of all its answers together."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._held = self._total = 0

    @contextmanager
    def holding(self) -> Iterator[Callable[[int], None]]:
        """
        Yield a function that reserves bytes until the end of the context.

        The function raises DecodeError if the concurrent answers are too large, and TooMuchDataError if all answers
        are.
        """
        taken = 0

        def take(size: int) -> None:
            nonlocal taken
            with self._lock:
                taken += size
                self._held += size
                self._total += size
                held, total = self._held, self._total
            if total > MAX_TOTAL:
                raise TooMuchDataError(
                    Message('Proxmox VE returned more than {size} MiB in one run.', size=MAX_TOTAL // 1024**2),
                    Message(
                        'Check that Proxmox VE answers at this address. Several endpoints, each with a filter, '
                        'read less at a time.'
                    ),
                )
            if held > MAX_ANSWER:
                raise urllib3.exceptions.DecodeError('the answer is too large')

        try:
            yield take
        finally:
            with self._lock:
                self._held -= taken


def read_body(response: urllib3.BaseHTTPResponse, take: Callable[[int], None]) -> bytes:
    """Read the body of a response, and reserve its bytes with `take`."""
    body = bytearray()
    while chunk := response.read1(CHUNK, decode_content=True):
        take(len(chunk))
        body += chunk
    return bytes(body)
