"""Asks a web server for a page and looks at the clock."""

import http.client
import time
from dataclasses import dataclass
from statistics import median

from .catalogue import Page
from .people import Person
from .wsgi import HEADER

__all__ = ('Measured', 'measure')


@dataclass(frozen=True, slots=True)
class Measured:
    """
    Attributes:
        seconds: Until the first byte, in the median.
        sql_seconds: Of those, in the median, what passed while the database was asked.
        cpu_seconds: Processor time of the web server, in the median; the database has its own.
        length: Of the answer, in bytes.
    """

    page: Page
    person: Person
    status: int
    seconds: float
    queries: int
    sql_seconds: float
    cpu_seconds: float
    length: int


def measure(port: int, page: Page, person: Person, times: int) -> Measured:
    """Once to warm up, then `times` over; each time with a connection of its own, as a browser's first."""
    found = [ask(port, page, person) for _once in range(times + 1)]
    answers = found[1:] or found
    return Measured(
        page,
        person,
        status=found[-1].status,
        seconds=median(it.seconds for it in answers),
        queries=answers[-1].queries,
        sql_seconds=median(it.sql_seconds for it in answers),
        cpu_seconds=median(it.cpu_seconds for it in answers),
        length=answers[-1].length,
    )


def ask(port: int, page: Page, person: Person) -> Measured:
    headers = {'Cookie': person.with_columns if page.with_columns else person.cookie, **page.headers}
    if page.url.startswith(('/api/', '/graphql')):
        headers = {'Authorization': person.token, 'Content-Type': 'application/json', 'Accept': 'application/json'}
    connection = http.client.HTTPConnection('127.0.0.1', port, timeout=120)
    try:
        connection.connect()
        started = time.perf_counter()
        connection.request('POST' if page.body else 'GET', page.url, page.body or None, headers)
        response = connection.getresponse()
        seconds = time.perf_counter() - started
        body = response.read()
    finally:
        connection.close()
    queries, sql_seconds, cpu_seconds = map(float, response.headers.get(HEADER, '0 0 0').split())
    failed = page.body and b'"errors"' in body
    return Measured(
        page,
        person,
        500 if failed else response.status,
        seconds,
        int(queries),
        sql_seconds,
        cpu_seconds,
        len(body),
    )
