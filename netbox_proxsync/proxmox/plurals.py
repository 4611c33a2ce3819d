"""Numbers with nouns, for the messages of this package and of `sync`, which do not use gettext."""

__all__ = ('counted',)


def counted(number: int, one: str, several: str | None = None) -> str:
    """Return '1 guest' or '2 guests'. `several` is the plural if it is not `one` with an s."""
    return f'{number} {one if number == 1 else several or f"{one}s"}'
