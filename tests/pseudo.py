"""
A language that does not exist: every text of NetBox, Django and the plugin stands in marks, and what a page shows without
them went past gettext.
"""

import gettext
import re
from collections.abc import Iterator
from contextlib import contextmanager
from html.parser import HTMLParser
from pathlib import Path

from babel.messages.catalog import Catalog
from django.utils.translation import trans_real

from tests.stack import messages

# Django knows it and says in it what it says in English; NetBox does not.
LANGUAGE, DIRECTORY = 'en-gb', 'en_GB'
BEGIN, END = '«', '»'
SILENT = ('script', 'style', 'pre', 'code', 'textarea', 'template', 'svg')
SHOWN_ATTRIBUTES = ('title', 'placeholder', 'aria-label', 'alt', 'data-bs-title', 'data-bs-content')
EMPTY_ELEMENTS = ('input', 'br', 'hr', 'img', 'meta', 'link', 'source', 'wbr')
WORD = re.compile(r'[^\W\d_]{2,}')


def mark(text: str) -> str:
    return f'{BEGIN}{text}{END}'


def known_elsewhere() -> Iterator[tuple[str | tuple[str, str], str | None]]:
    """The texts of NetBox, Django and other packages, as their German catalogs know them."""
    for directory in trans_real.all_locale_paths():
        for language in ('de', 'fr'):
            file = Path(directory) / language / 'LC_MESSAGES' / 'django.mo'
            if not file.exists():
                continue
            with file.open('rb') as stream:
                keys = gettext.GNUTranslations(stream)._catalog
            for key in keys:
                text = key[0] if isinstance(key, tuple) else key
                context, _, text = text.rpartition('\x04')
                if text:
                    yield text, context or None


def pseudo_catalog() -> Catalog:
    catalog = Catalog(locale='en', fuzzy=False)
    for message in messages.collect():
        if message.id:
            both = isinstance(message.id, tuple)
            marked = tuple(map(mark, message.id)) if both else mark(message.id)
            catalog.add(message.id, marked, context=message.context)
    for text, context in known_elsewhere():
        if catalog.get(text, context) is None:
            catalog.add(text, mark(text), context=context)
    return catalog


@contextmanager
def spoken(directory: Path, settings) -> Iterator[None]:
    """The language, for those who ask for it."""
    file = directory / DIRECTORY / 'LC_MESSAGES' / 'django.mo'
    file.parent.mkdir(parents=True)
    file.write_bytes(messages.compiled(pseudo_catalog()))
    settings.LOCALE_PATHS = [str(directory), *settings.LOCALE_PATHS]
    settings.LANGUAGES = [*settings.LANGUAGES, (LANGUAGE, 'Marked')]
    forget()
    try:
        yield
    finally:
        forget()


def forget():
    """What Django remembers of languages."""
    trans_real._translations.clear()
    for name in ('translation_catalog_exists', 'get_languages', '_get_supported_language_variant'):
        getattr(trans_real, name).cache_clear()


class Shown(HTMLParser):
    """What a page shows to people, piece by piece: (where, text)."""

    def __init__(self):
        super().__init__(convert_charrefs=True)
        self.path: list[str] = []
        self.pieces: list[tuple[str, str]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        given = dict(attrs)
        for name in SHOWN_ATTRIBUTES:
            if given.get(name):
                self.pieces.append((f'{tag}[{name}]', given[name]))
        if tag == 'input' and given.get('type') in ('submit', 'button', 'reset') and given.get('value'):
            self.pieces.append((f'{tag}[value]', given['value']))
        if tag not in EMPTY_ELEMENTS:
            self.path.append(tag)

    def handle_endtag(self, tag: str):
        if tag in self.path:
            while self.path.pop() != tag:
                pass

    def handle_data(self, data: str):
        if not any(tag in SILENT for tag in self.path):
            self.pieces.append((self.path[-1] if self.path else '', data))


def unmarked(pieces: list[tuple[str, str]], data: set[str]) -> Iterator[tuple[str, str]]:
    """The pieces with words that stand in no marks, and are no data."""
    depth = 0
    for where, text in pieces:
        rest = []
        inside = 0 if '[' in where else depth
        for character in text:
            inside += (character == BEGIN) - (character == END and inside > 0)
            rest.append(' ' if inside or character == END else character)
        if '[' not in where:
            depth = inside
        for part in re.split(r'\s{2,}|\n', ''.join(rest)):
            if WORD.search(part) and part.strip(' ,.:;()') not in data:
                yield where, part.strip()
