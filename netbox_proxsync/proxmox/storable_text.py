"""Text as it may be stored: without NUL and without half of a surrogate pair, which no database takes."""

import json
import re
from typing import Any

__all__ = ('clean', 'clean_text', 'read_json')

# Only as escapes can they stand in a document that was decoded from bytes; a NUL may also stand there itself.
SUSPECT = re.compile(r'\\u(?:0000|d[89a-f])|\x00', re.IGNORECASE)
SURROGATES = re.compile('[\ud800-\udfff]')


def clean_text(text: str) -> str:
    """
    The text with a blank for every NUL and the replacement character for every lone surrogate.

    A blank, because Proxmox's own lists may be separated by NUL, and lest a key become another one.
    """
    return SURROGATES.sub('\ufffd', text.replace('\x00', ' '))


def clean(value: Any) -> Any:
    """Whatever JSON can hold, with all its texts clean, keys included."""
    match value:
        case str():
            return clean_text(value)
        case list():
            return [clean(element) for element in value]
        case dict():
            return {clean_text(key): clean(element) for key, element in value.items()}
    return value


def read_json(body: bytes) -> Any:
    """
    A JSON document, its texts clean. What is no UTF-8 in it becomes the replacement character, and control characters
    that should be escaped are taken as they are: the rest of the document is sound.

    Raises ValueError or RecursionError for what is no document.
    """
    text = body.decode('utf-8', 'replace')
    document = json.loads(text, strict=False)
    return clean(document) if SUSPECT.search(text) else document
