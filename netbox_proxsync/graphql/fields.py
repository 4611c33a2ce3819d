"""A typed decorator for fields with a resolver; strawberry_django's own has no annotations for this use."""

from collections.abc import Callable
from typing import Any, cast

import strawberry_django

__all__ = ('resolved_field',)


def resolved_field[F: Callable[..., Any]](**kwargs: Any) -> Callable[[F], F]:
    """
    Turn a method into a field of a GraphQL type.

    Args:
        kwargs: As of `strawberry_django.field`, for example `only`: the columns that the method reads.
    """
    return cast(Callable[[F], F], strawberry_django.field(**kwargs))
