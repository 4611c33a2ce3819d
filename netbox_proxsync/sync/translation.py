"""Marks texts for translation. `sync/` imports no Django, so they are translated where they are displayed."""

__all__ = ('gettext_noop',)


def gettext_noop(text: str) -> str:
    """The text itself. `make messages` collects the texts that are passed to this function."""
    return text
