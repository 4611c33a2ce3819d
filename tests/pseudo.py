"""
A language that does not exist: every text of NetBox, Django and the plugin stands in marks, and what a page shows
without them went past gettext.
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
SILENT = ('script', 'style', 'pre', 'code', 'samp', 'kbd', 'textarea', 'template', 'svg')
SHOWN_ATTRIBUTES = ('title', 'placeholder', 'aria-label', 'alt', 'data-bs-title', 'data-bs-content')
WORD = re.compile(r'[^\W\d_]{2,}')
BREAK = '\x01'
# The end of a text that was cut off stands in no mark.
MARKED = re.compile(f'{BEGIN}(?:[^{BEGIN}{END}]*{END}|[^{BEGIN}{END}{BREAK}]*…)')


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
    """The language, while the context is active."""
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
    """Clear Django's caches of translations."""
    trans_real._translations.clear()
    for name in ('translation_catalog_exists', 'get_languages', '_get_supported_language_variant'):
        getattr(trans_real, name).cache_clear()


class Shown(HTMLParser):
    """
    The texts that a page displays.

    Attributes:
        texts: Between tags, in their order.
        hints: In attributes.
    """

    def __init__(self, page: str):
        super().__init__(convert_charrefs=True)
        self.silence = ''
        self.texts: list[str] = []
        self.hints: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]):
        given = dict(attrs)
        self.hints += [text for name in SHOWN_ATTRIBUTES if (text := given.get(name))]
        if tag == 'input' and given.get('type') in ('submit', 'button', 'reset'):
            self.hints.append(given.get('value') or '')
        if tag in SILENT and not self.silence:
            self.silence = tag

    def handle_endtag(self, tag: str):
        if tag == self.silence:
            self.silence = ''

    def handle_data(self, data: str):
        if not self.silence:
            self.texts.append(data)


def bare(text: str) -> str:
    """A text without its marked parts. Marks are nested if one text is a parameter of another."""
    while (less := MARKED.sub(' ', text)) != text:
        text = less
    return text


def unmarked(page: str) -> set[str]:
    """The pieces with words on a page that stand in no marks."""
    shown = Shown(page)
    found = [bare(BREAK.join(shown.texts)), *map(bare, shown.hints)]
    pieces = (piece.strip(' ,.:;()|·…') for text in found for piece in re.split(rf'{BREAK}|\s{{2,}}|\n', text))
    return {piece for piece in pieces if WORD.search(piece)}
