"""Proxmox VE tags -> extras.Tag."""

from collections.abc import Iterable

from ...proxmox.inventory import Reading, TagStyle, known
from ..values import Shared

__all__ = ('tags_of',)

NAME_LENGTH = 100


def tags_of(tags: Iterable[str], style: Reading[TagStyle]) -> frozenset[Shared] | None:
    """
    The tags as NetBox tags, with the colors of the datacenter for new ones.

    Unless the tag style of the datacenter is case-sensitive, 'Web' and 'web' are one tag. None: the style was not read,
    and these tags depend on it.
    """
    tags = tuple(tags)
    if not known(style) and any(tag != tag.lower() for tag in tags):
        return None
    case_sensitive = known(style) and style.case_sensitive
    colors = style.colors if known(style) else {}
    if not case_sensitive:
        colors = {tag.lower(): color for tag, color in colors.items()}
    names = {tag[:NAME_LENGTH] if case_sensitive else tag[:NAME_LENGTH].lower() for tag in tags}
    return frozenset(
        Shared('extras.tag', name, (('color', colors[name].lower()),) if name in colors else ()) for name in names
    )
