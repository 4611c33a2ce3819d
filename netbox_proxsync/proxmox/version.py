"""The version of Proxmox VE, from `/version`."""

import re
from typing import Any, NamedTuple

from .errors import NotProxmoxError, VersionTooOldError
from .messages import Message

__all__ = ('MINIMUM_MAJOR', 'Version')

MINIMUM_MAJOR = 7
# 9.2.11, 8.4.21, 7.4-20, 9.0.0~11
NUMBER = re.compile(r'(\d{1,3})\.(\d{1,3})(?:[-.~].*)?')


class Version(NamedTuple):
    """
    A version of Proxmox VE.

    Attributes:
        text: The complete version, e.g. '9.2.11' or '7.4-20'.
        major, minor: The numbers that determine the features of the version.
    """

    text: str
    major: int
    minor: int

    @classmethod
    def parse(cls, answer: Any, host: object) -> 'Version':
        """
        Return the version in an answer of `/version`.

        Args:
            host: The host that answered, for messages.

        Raises:
            NotProxmoxError: The answer is not one of Proxmox VE.
            VersionTooOldError: The version is below the minimum.
        """
        text = answer.get('version') if isinstance(answer, dict) else None
        match = NUMBER.fullmatch(text) if isinstance(text, str) else None
        if match is None or text is None:
            raise NotProxmoxError(
                Message('{host} responded, but it is not Proxmox VE.', host=host),
                Message('Check that this is the address of a Proxmox VE node, with port 8006.'),
            )
        version = cls(text, int(match[1]), int(match[2]))
        if version.major < MINIMUM_MAJOR:
            raise VersionTooOldError(
                Message(
                    '{host} runs Proxmox VE {version}; the oldest that can be read is {oldest}.',
                    host=host,
                    version=text,
                    oldest=MINIMUM_MAJOR,
                ),
                Message('Upgrade Proxmox VE.'),
            )
        return version
