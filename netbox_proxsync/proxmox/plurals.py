"""Numbers with their nouns, in the texts of this package and of `sync`, which have no gettext."""

__all__ = ('counted',)


def counted(number: int, one: str, several: str | None = None) -> str:
    """'1 guest', '2 guests'; `several` where the plural is not `one` with an s."""
    return f'{number} {one if number == 1 else several or f"{one}s"}'
