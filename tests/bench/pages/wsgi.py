"""NetBox's WSGI application, with the cost of each response in its headers: for the benchmark only."""

import time
from collections.abc import Callable, Iterable
from typing import Any

from django.db import connection
from netbox.wsgi import application as netbox

# Statements, the seconds that they took, and the processor time of this thread in seconds.
HEADER = 'X-Bench'


class Counter:
    """Counts statements and the seconds that they take; a wrapper as Django's `execute_wrapper` wants it."""

    def __init__(self):
        self.number, self.seconds = 0, 0.0

    def __call__(self, execute: Callable, sql: str, params: Any, many: bool, context: dict[str, Any]) -> Any:
        started = time.perf_counter()
        try:
            return execute(sql, params, many, context)
        finally:
            self.number += 1
            self.seconds += time.perf_counter() - started


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    counter, begin = Counter(), time.thread_time()

    def start(status: str, headers: list[tuple[str, str]], *rest: Any) -> Any:
        told = f'{counter.number} {counter.seconds:.6f} {time.thread_time() - begin:.6f}'
        return start_response(status, [*headers, (HEADER, told)], *rest)

    with connection.execute_wrapper(counter):
        return netbox(environ, start)
