"""Removes NUL and lone surrogates from texts, which PostgreSQL cannot store."""

import json
import re
from typing import Any

__all__ = ('clean', 'clean_text', 'read_json')

# A document decoded from bytes may contain them as escapes; NUL may also occur unescaped.
SUSPECT = re.compile(r'\\u(?:0000|d[89a-f])|\x00', re.IGNORECASE)
SURROGATES = re.compile('[\ud800-\udfff]')


def clean_text(text: str) -> str:
    """
    Replace every NUL by a blank and every lone surrogate by the replacement character.

    NUL becomes a blank because it separates items in Proxmox VE's own lists, and to keep distinct keys distinct.
    """
    return SURROGATES.sub('\ufffd', text.replace('\x00', ' '))


def clean(value: Any) -> Any:
    """Return a JSON value with `clean_text` applied to all texts and keys."""
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
    Parse a JSON document and clean its texts.

    Invalid UTF-8 becomes the replacement character, and unescaped control characters are accepted, because the rest of
    such a document is usable.

    Raises:
        ValueError, RecursionError: The body is not a JSON document.
    """
    text = body.decode('utf-8', 'replace')
    document = json.loads(text, strict=False)
    return clean(document) if SUSPECT.search(text) else document
