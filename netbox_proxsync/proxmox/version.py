"""Proxmox VE's version, as `/version` tells it."""

import re
from typing import Any, NamedTuple

from .errors import NotProxmoxError, VersionTooOldError

__all__ = ('MINIMUM_MAJOR', 'Version')

MINIMUM_MAJOR = 7
# 9.2.11, 8.4.21, 7.4-20, 9.0.0~11
NUMBER = re.compile(r'(\d{1,3})\.(\d{1,3})(?:[-.~].*)?')


class Version(NamedTuple):
    """
    Attributes:
        text: '9.2.11', '7.4-20'.
        major, minor: The numbers that decide what a version can do.
    """

    text: str
    major: int
    minor: int

    @classmethod
    def parse(cls, answer: Any, host: object) -> 'Version':
        """
        The version in an answer of `/version`.

        Raises NotProxmoxError for anything that Proxmox VE does not answer, VersionTooOldError for one before 7.
        """
        text = answer.get('version') if isinstance(answer, dict) else None
        match = NUMBER.fullmatch(text) if isinstance(text, str) else None
        if match is None or text is None:
            raise NotProxmoxError(
                f'{host} answers, but not as Proxmox VE does.', 'Is this the address of a Proxmox VE node, port 8006?'
            )
        version = cls(text, int(match[1]), int(match[2]))
        if version.major < MINIMUM_MAJOR:
            raise VersionTooOldError(
                f'{host} runs Proxmox VE {text}; the oldest that can be read is {MINIMUM_MAJOR}.',
                'Upgrade Proxmox VE.',
            )
        return version
