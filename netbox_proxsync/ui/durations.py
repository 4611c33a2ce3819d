"""Durations for display: the same on every page, and as NetBox displays them."""

from datetime import timedelta
from typing import cast

from utilities.string import humanize_duration

__all__ = ('shown_duration',)


def shown_duration(value: timedelta | float) -> str:
    """
    A duration as text, such as 1h 5m 23s. Those of a second or more are rounded to seconds, shorter ones to tenths.

    Args:
        value: A duration, or its seconds.
    """
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    return cast(str, humanize_duration(timedelta(seconds=round(seconds, 1 if seconds < 1 else 0))))
