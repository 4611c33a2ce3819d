"""What arrived, and what goes wrong on purpose: the request log and the faults."""

import asyncio
import collections
import fnmatch
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .answers import Answer, encode

__all__ = ('Call', 'Fault', 'Traffic')

LOG_SIZE = 200_000


@dataclass(slots=True)
class Call:
    """
    One request.

    Attributes:
        path: Without /api2/json and without the query.
        query: As sent.
        started: time.monotonic() at arrival.
        ended: The same when the answer was ready; None while the request is being worked on.
        status: HTTP status of the answer.
        token_id: Who asked, if the token was known.
    """

    method: str
    path: str
    query: str
    started: float
    ended: float | None = None
    status: int | None = None
    token_id: str | None = None

    @property
    def seconds(self) -> float | None:
        """How long it took."""
        return None if self.ended is None else self.ended - self.started


@dataclass(slots=True)
class Fault:
    """
    Something that happens to requests whose path matches `glob`.

    Attributes:
        answer: Sent instead of the right one.
        delay: Seconds to wait first.
        hang: Wait until the fault is taken away.
        drop: Close the connection without an answer.
        call: Called in the server's thread before the answer is made.
        times: How many requests it applies to; None is all.
    """

    glob: str
    answer: Answer | None = None
    delay: float = 0.0
    hang: bool = False
    drop: bool = False
    call: Callable[[], Any] | None = None
    times: int | None = None
    released: asyncio.Event = field(default_factory=asyncio.Event)


class Traffic:
    """Thread-safe: requests come in from the server's thread, questions from any other."""

    def __init__(self) -> None:
        self._condition = threading.Condition()
        self._calls: collections.deque[Call] = collections.deque(maxlen=LOG_SIZE)
        self._faults: list[Fault] = []
        self._active = 0
        self.peak = 0
        self.latency = 0.0

    # ----- the log -----

    def begin(self, method: str, path: str, query: str) -> Call:
        call = Call(method, path, query, time.monotonic())
        with self._condition:
            self._calls.append(call)
            self._active += 1
            self.peak = max(self.peak, self._active)
            self._condition.notify_all()
        return call

    def end(self, call: Call, status: int | None) -> None:
        with self._condition:
            call.ended = time.monotonic()
            call.status = status
            self._active -= 1
            self._condition.notify_all()

    def calls(self, glob: str = '*') -> list[Call]:
        with self._condition:
            calls = list(self._calls)
        return calls if glob == '*' else [call for call in calls if fnmatch.fnmatchcase(call.path, glob)]

    def clear(self) -> None:
        with self._condition:
            self._calls.clear()
            self.peak = self._active

    def wait(self, glob: str, count: int, timeout: float, ended: bool = False) -> list[Call]:
        """
        Wait until `count` requests that match have arrived (or, with `ended`, have been answered).

        Raises:
            TimeoutError: They did not within `timeout` seconds.
        """

        def found() -> list[Call]:
            return [
                call
                for call in self._calls
                if fnmatch.fnmatchcase(call.path, glob) and (not ended or call.ended is not None)
            ]

        with self._condition:
            if not self._condition.wait_for(lambda: len(found()) >= count, timeout):
                raise TimeoutError(f'{len(found())} of {count} requests for {glob} within {timeout} s')
            return found()

    # ----- faults -----

    def add(self, fault: Fault) -> None:
        with self._condition:
            self._faults.append(fault)

    def heal(self, glob: str | None) -> list[Fault]:
        """Take away the faults with this glob, or all; returns them so that the server can let waiting requests go."""
        with self._condition:
            gone = [fault for fault in self._faults if glob is None or fault.glob == glob]
            self._faults = [fault for fault in self._faults if fault not in gone]
        return gone

    def faults(self, path: str) -> list[Fault]:
        """The faults for one request; uses up one of their `times`."""
        if not self._faults:
            return []
        with self._condition:
            found = []
            for fault in self._faults:
                if fnmatch.fnmatchcase(path, fault.glob) and fault.times != 0:
                    found.append(fault)
                    if fault.times is not None:
                        fault.times -= 1
            return found


def failure(status: int, reason: str, body: Any = None) -> Answer:
    """The answer of a failing call: `body` may be None (none), text (as it is, HTML) or anything JSON can hold."""
    if body is None:
        return Answer(status, reason)
    if isinstance(body, str):
        kind = 'text/html; charset=utf-8' if body.lstrip().startswith('<') else 'application/json;charset=UTF-8'
        return Answer(status, reason, body.encode(), kind)
    return Answer(status, reason, encode(body))
