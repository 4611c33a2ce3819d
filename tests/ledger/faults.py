"""Failures of PostgreSQL, raised by PostgreSQL itself."""

from collections.abc import Collection
from itertools import count

from django.db import connection

__all__ = ('DEADLOCK', 'FailingCalls', 'fail')

DEADLOCK = '40P01'


def fail(code: str = DEADLOCK):
    """Let the current transaction fail with an error code of PostgreSQL."""
    with connection.cursor() as cursor:
        cursor.execute(f"DO $$ BEGIN RAISE EXCEPTION 'a fault' USING ERRCODE = '{code}'; END $$")


class FailingCalls:
    """
    A function that fails as a deadlock does, the first time it is called, the second time, ...

    Args:
        failing: The numbers of the calls that fail, counted from 1.

    Attributes:
        number: Of the last call.
    """

    def __init__(self, failing: Collection[int]):
        self.failing = failing
        self.numbers = count(1)
        self.number = 0

    def __call__(self):
        self.number = next(self.numbers)
        if self.number in self.failing:
            fail()
