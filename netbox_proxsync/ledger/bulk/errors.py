"""Why a batch cannot be written as it is."""

from collections.abc import Collection

__all__ = ('ExcludedError',)


class ExcludedError(Exception):
    """
    Some units need NetBox's own code: something about them is special, or would be refused.

    Attributes:
        units: Their names.
    """

    def __init__(self, units: Collection[str]) -> None:
        super().__init__(', '.join(units))
        self.units = units
