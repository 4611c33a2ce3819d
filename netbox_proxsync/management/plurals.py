"""Numbers with nouns, for the output of commands, which is English."""

__all__ = ('counted',)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return '1 guest' or '2 guests'. `several` is the plural if it is not `one` with an s."""
    return f'{number} {one if number == 1 else several or f"{one}s"}'
